/**
 * What changes the cluster, its sessions or what a service has in memory, done again where and when it should not be.
 * With `namespace-changes.ts` every method of the metadata service is in a table.
 */
import type { DriveAction, RpcMethod, SessionId } from '@cairn/protocol'
import * as protocol from '@cairn/protocol'
import { expect } from 'chai'
import { CLUSTER_KEY, ClusterRow } from '../src/core/rows/cluster-state-rows.js'
import { RESTORED_KEY } from '../src/core/upkeep/restore-hold.js'
import {
  beatOf,
  type PausableService,
  registrationOf,
  startTwo,
  type TwoServices,
} from './several-services.js'
import { WISHES, WishWorld } from './support/drive-wishes.js'
import { CHANGES, outcomeOf } from './support/namespace-changes.js'

/** Calls of its store that a service has made at most by the time it sends the entry of a wish. */
const CALLS_MAX = 6
const LATE_MS = 12_000

/** Every row but those of the services themselves, which live by their leases. */
async function contentOf({ world }: TwoServices): Promise<string[]> {
  const range = { from: Buffer.from('a'), to: Buffer.from('~') }
  const { results } = await world.run(world.store.read([{ kind: 'scan', range, limit: 1000 }]))
  const rows = (results[0] ?? []).map(({ key, value }) => [Buffer.from(key), Buffer.from(value)] as const)
  return rows.map(([key, value]) => `${key.toString('latin1')} ${value.toString('hex')}`).filter(isLasting)
}

function isLasting(row: string): boolean {
  return !['c/', 'head', 'l/', 'm/coordinator', 'm/service'].some((prefix) => row.startsWith(prefix))
}

/** The request at either service, and at both at once: the outcomes, which the first is not one of. */
async function repeat<Q, R>(on: TwoServices, method: RpcMethod<Q, R>, request: Q): Promise<string[]> {
  const { world, a, b } = on
  const send = (at: PausableService): Promise<string> => outcomeOf(world.call(at, method, request))
  const outcomes = [await world.run(send(a)), await world.run(send(b))]
  return [...outcomes, ...(await world.run(Promise.all([send(a), send(a), send(b)])))]
}

/** The first time may change something; no repeat does. */
async function expectOnce<Q, R>(
  on: TwoServices,
  method: RpcMethod<Q, R>,
  request: Q,
  later = 'done',
): Promise<void> {
  expect(await on.world.run(outcomeOf(on.world.call(on.a, method, request)))).to.equal('done')
  const before = await contentOf(on)
  expect(await repeat(on, method, request)).to.deep.equal(Array(5).fill(later))
  expect(await contentOf(on)).to.deep.equal(before)
}

/** Rewrites the cluster row, as a restore does. */
async function restore({ world }: TwoServices, incarnation: string): Promise<void> {
  const { results } = await world.run(world.store.read([{ kind: 'get', key: CLUSTER_KEY }]))
  const row = ClusterRow.decode(results[0]?.[0]?.value ?? new Uint8Array())
  const puts = [
    { key: CLUSTER_KEY, value: ClusterRow.encode({ ...row, incarnation }) },
    { key: RESTORED_KEY, value: Buffer.from('backup') },
  ]
  await world.run(world.store.apply({ commits: [{ compares: [], puts }], always: [] }))
}

type Repeats = Readonly<Record<string, () => Promise<void>>>

function repeatsOfWish(action: DriveAction): Repeats {
  const outcomes = action === 'remove' ? ['InvalidArgument'] : ['done']
  return {
    [`${action}: the same request does nothing more, here or elsewhere`]: async () => {
      const world = await WishWorld.open(action)
      const untouched = await world.run(world.wanted())
      expect(await world.run(world.send(world.a))).to.equal('done')
      const before = await world.run(world.wanted())
      expect(before).to.not.deep.equal(untouched)
      for (const at of [world.a, world.b]) expect(await world.run(world.send(at))).to.be.oneOf(outcomes)
      expect(await world.run(world.wanted())).to.deep.equal(before)
    },
    [`${action}: three at once are one`]: async () => {
      const [once, thrice] = [await WishWorld.open(action), await WishWorld.open(action)]
      await once.run(once.send(once.a))
      const { a, b } = thrice
      const found = await thrice.run(Promise.all([a, a, b].map((at) => thrice.send(at))))
      expect(found).to.include('done')
      for (const outcome of found) expect(outcome).to.be.oneOf(['done', ...outcomes])
      const { drains } = await once.run(once.wanted())
      expect((await thrice.run(thrice.wanted())).drains).to.deep.equal(drains)
    },
    [`${action}: does nothing after its successor, and after the collection of garbage`]: async () => {
      const world = await WishWorld.open(action)
      await world.run(world.send(world.a))
      await world.run(world.succeed(world.b))
      const before = await world.run(world.wanted())
      for (const at of [world.a, world.b]) await world.run(world.send(at))
      expect(await world.run(world.wanted())).to.deep.equal(before)
      await world.clock.advance(LATE_MS)
      await world.run(world.a.service.runUpkeep())
      for (const at of [world.a, world.b]) await world.run(world.send(at))
      expect(await world.run(world.wanted())).to.deep.equal(before)
    },
    [`${action}: does not come back from a service that stood still`]: async () => {
      for (let calls = 0; calls <= CALLS_MAX; calls++) {
        expect(await comesBack(action, calls), `after ${calls} calls of the store`).to.equal(false)
      }
    },
  }
}

/** A wish stops in one service, is made by another, and undone there; then the first goes on: whether that shows. */
async function comesBack(action: DriveAction, calls: number, options = { isDated: true }): Promise<boolean> {
  const world = await WishWorld.open(action, options)
  world.a.pauseAfter(calls)
  const late = world.send(world.a)
  await world.clock.advance(100)
  await world.run(world.send(world.b))
  await world.run(world.succeed(world.b))
  const before = JSON.stringify(await world.run(world.wanted()))
  world.a.wake()
  await world.run(late)
  return JSON.stringify(await world.run(world.wanted())) !== before
}

/** For each method what must not happen, and shows that it does not. */
const REPEATS: Readonly<Record<string, Repeats>> = {
  ChangeDrives: Object.assign({}, ...(Object.keys(WISHES) as DriveAction[]).map(repeatsOfWish)),
  RegisterServer: {
    'registers once': async () => expectOnce(await startTwo(), protocol.registerServer, registrationOf(2, 5)),
    'does nothing after a later run of its server has registered': async () => {
      const on = await startTwo()
      await expectOnce(on, protocol.registerServer, registrationOf(2, 5))
      await expectOnce(on, protocol.registerServer, registrationOf(2, 7))
      const before = await contentOf(on)
      const late = await repeat(on, protocol.registerServer, registrationOf(2, 5))
      expect(late).to.deep.equal(Array(5).fill('PeerRejected'))
      expect(await contentOf(on)).to.deep.equal(before)
    },
  },
  FeatureLevel: {
    'raises once': async () => expectOnce(await startTwo(), protocol.featureLevel, { raise: true }),
  },
  AcceptRestore: {
    'accepts once, and never the next restore': async () => {
      const on = await startTwo()
      await restore(on, 'first')
      await expectOnce(on, protocol.acceptRestore, { incarnation: 'first' })
      await restore(on, 'second')
      const before = await contentOf(on)
      const late = await repeat(on, protocol.acceptRestore, { incarnation: 'first' })
      expect(late).to.deep.equal(Array(5).fill('InvalidArgument'))
      expect(await contentOf(on)).to.deep.equal(before)
      expect(before.some((row) => row.startsWith('m/restored'))).to.equal(true)
    },
  },
  OpenSession: {
    'leaves nothing of those that nobody has got, once their leases have ended': async () => {
      const on = await startTwo()
      expect(await repeat(on, protocol.openSession, { role: 'gateway', name: 'g' })).to.include('done')
      await on.world.clock.advance(LATE_MS)
      expect((await contentOf(on)).filter((row) => row.startsWith('s/'))).to.deep.equal([])
    },
  },
  RenewSession: {
    'changes nothing': async () => {
      const on = await startTwo()
      await expectOnce(on, protocol.renewSession, { session: on.world.session })
    },
    'brings no session back, closed or expired': async () => {
      const on = await startTwo()
      const closed = on.world.session
      await on.world.run(on.world.call(on.b, protocol.closeSession, { session: closed }))
      const expired = await on.world.run(on.world.open(on.a))
      await on.world.clock.advance(LATE_MS)
      const before = await contentOf(on)
      for (const session of [closed, expired]) {
        const late = await repeat(on, protocol.renewSession, { session })
        expect(late).to.deep.equal(Array(5).fill('SessionExpired'))
      }
      expect(await contentOf(on)).to.deep.equal(before)
    },
  },
  CloseSession: {
    'closes once, and no other session': async () => {
      const on = await startTwo()
      const session = on.world.session
      await on.world.run(on.world.open(on.a))
      await expectOnce(on, protocol.closeSession, { session }, 'SessionExpired')
      const other = { session: on.world.session }
      expect(await on.world.run(outcomeOf(on.world.call(on.b, protocol.renewSession, other)))).to.equal(
        'done',
      )
    },
  },
  MoveSession: {
    'never leads back to an earlier route, and brings no session back': async () => {
      const on = await startTwo()
      const { world, a, b } = on
      const move = (at: PausableService, session: SessionId): Promise<number> =>
        world.run(world.call(at, protocol.moveSession, { session, route: 1 }).then(({ route }) => route))
      const routes = [
        await move(b, world.session),
        await move(a, world.session),
        await move(a, world.session),
      ]
      expect(routes).to.deep.equal([...routes].sort((one, two) => one - two))
      expect(routes[0]).to.be.greaterThan(1)
      await world.run(world.call(a, protocol.closeSession, { session: world.session }))
      const before = await contentOf(on)
      const late = await repeat(on, protocol.moveSession, { session: world.session, route: 1 })
      expect(late).to.deep.equal(Array(5).fill('SessionExpired'))
      expect(await contentOf(on)).to.deep.equal(before)
    },
  },
  Heartbeat: { 'writes nothing': async () => expectOnce(await startTwo(), protocol.heartbeat, beatOf(1)) },
  ReportBlocks: {
    'writes nothing': async () => {
      const on = await startTwo()
      const blocks = [protocol.sessionScopedId<protocol.BlockId>(on.world.session, 1)]
      await expectOnce(on, protocol.reportBlocks, { pool: 1, blocks })
    },
  },
  ReportSpeeds: {
    'writes nothing': async () => {
      const speed = { server: 'c1', kind: 'read' as const, calls: 9, lowMicros: 1, highMicros: 2 }
      await expectOnce(await startTwo(), protocol.reportSpeeds, { observer: 'g', speeds: [speed] })
    },
  },
  StartCheck: {
    'writes nothing, and one runs at a time': async () => {
      const on = await startTwo()
      const before = await contentOf(on)
      const found = await repeat(on, protocol.startCheck, { deep: false })
      for (const outcome of found) expect(outcome).to.be.oneOf(['done', 'Busy'])
      expect(await contentOf(on)).to.deep.equal(before)
    },
  },
}

/** What only reads. */
const READS: readonly string[] = [
  ...['GetClusterMap', 'GetBlockTokens', 'GetStatus', 'GetCheck', 'GetBucket', 'ListBuckets', 'GetObject'],
  ...['GetBucketConfiguration', 'ListObjects', 'ListVersions', 'GetUpload', 'ListParts', 'ListUploads'],
]

/** From here on they are methods of chunk servers, which have a table of their own. */
const CHUNK_METHODS = 100

describe('changes of the cluster that are repeated', () => {
  it('are all in a table', () => {
    const methods = Object.values(protocol as Record<string, unknown>).filter(
      (value): value is { number: number; name: string } =>
        typeof value === 'object' && value !== null && 'request' in value && 'response' in value,
    )
    const names = methods.filter(({ number }) => number < CHUNK_METHODS).map(({ name }) => name)
    const known = [...Object.keys(CHANGES), ...Object.keys(REPEATS), ...READS]
    expect(known).to.have.members(names)
  })

  for (const [name, repeats] of Object.entries(REPEATS)) {
    for (const [title, check] of Object.entries(repeats)) it(`${name}: ${title}`, check)
  }

  for (const action of ['drain', 'undrain', 'replace', 'add', 'remove'] as const) {
    it(`ChangeDrives: ${action} would come back without the epoch at which it was asked`, async () => {
      const found: boolean[] = []
      for (let calls = 0; calls <= CALLS_MAX; calls++) {
        found.push(await comesBack(action, calls, { isDated: false }))
      }
      expect(found).to.include(true)
    })
  }
})
