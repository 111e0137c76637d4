import {
  type ChangeDrivesRequest,
  changeDrives,
  createRouter,
  type DriveAction,
  getStatus,
  type Message,
  message,
  oneOf,
  type RpcRouter,
  type RpcRouterTable,
  required,
} from '@cairn/protocol'
import { expect } from 'chai'
import { type AdminClient, createAdminClient } from '../src/admin.js'
import { MetadataCaller } from '../src/cluster/metadata-caller.js'
import { createWorld, type World } from './world/world.js'

const WISH = { drives: ['d1'], servers: [], force: false }

const REPAIR = {
  ...{ underReplicated: 0, unavailable: 0, dirtyGroups: 0, blocksRepaired: 0, bytesRepaired: 0, failures: 0 },
  ...{ comparing: false, blocksCompared: 0, blocksToCompare: 0 },
}
const STATUS = {
  ...{ clusterId: 'c', incarnation: 'i', drives: [], members: [], repair: REPAIR },
  ...{ safeMode: false, garbageHeld: false, garbageBytes: 0 },
}

describe('an admin client', () => {
  let world: World
  let router: RpcRouter & RpcRouterTable
  let admin: AdminClient
  let epoch = 1
  beforeEach(async () => {
    world = await createWorld()
    router = createRouter()
    router.handle(getStatus, async () => ({ response: { ...STATUS, epoch } }))
    const { network, clock, random } = world
    await network.listen('local:m', router, { ...world.identity('m'), role: 'metadata' })
    const identity = { ...world.identity('g'), role: 'gateway' }
    admin = createAdminClient(
      new MetadataCaller({ network, addresses: ['local:m'], identity, clock, random }),
    )
  })

  /** The error of a wish, if it is refused. */
  function wish(action: DriveAction): Promise<Error | undefined> {
    const done = admin.changeDrives({ action, ...WISH })
    return world.run(
      done.then(
        () => undefined,
        (error: Error) => error,
      ),
    )
  }

  it('tells the epoch of the map at which a wish was asked', async () => {
    const asked: ChangeDrivesRequest[] = []
    router.handle(changeDrives, async (request) => {
      asked.push(request)
      return { response: {} }
    })
    epoch = 7
    expect(await wish('drain')).to.equal(undefined)
    expect(asked.map(({ action, epoch: at }) => [action, at])).to.deep.equal([['drain', 7]])
  })

  it('says which action an older metadata service does not know', async () => {
    const request = message<{ action: 'drain' | 'undrain' }>('ChangeDrivesRequest', 1, {
      action: required(1, oneOf('drain', 'undrain')),
    }) as Message<object> as Message<ChangeDrivesRequest>
    router.handle({ ...changeDrives, request }, async () => ({ response: {} }))
    expect(await wish('undrain')).to.equal(undefined)
    const refused = await wish('add')
    expect(refused).to.include({ code: 'PreconditionFailed' })
    expect(refused?.message).to.include('too old to know "add"')
  })
})
