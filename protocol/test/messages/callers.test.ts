import { expect } from 'chai'
import * as protocol from '../../src/index.js'
import {
  createLocalNetwork,
  createRouter,
  type HandshakeIdentity,
  type Message,
  type Role,
  type RpcMethod,
} from '../../src/index.js'
import { callersOf } from '../../src/messages/callers.js'
import { createSeededRandom, createSimulatedClock } from '../../src/simulation/index.js'

type AnyMethod = RpcMethod<unknown, unknown>

const ROLES: readonly (Role | 'stranger' | '')[] = ['metadata', 'chunk', 'gateway', 'client', 'stranger', '']
const exported: readonly unknown[] = Object.values(protocol)
const methods = exported.filter(isMethod)

function isMethod(value: unknown): value is AnyMethod {
  return typeof value === 'object' && value !== null && 'number' in value && 'request' in value
}

/** A message of no bytes, whatever is given. */
const nothing = { encode: () => new Uint8Array(), decode: () => ({}) } as unknown as Message<unknown>

describe('the callers of methods', () => {
  const random = createSeededRandom(7)
  const clock = createSimulatedClock(random)
  const reported: string[] = []
  const network = createLocalNetwork({ clock, random, onError: (_error, where) => reported.push(where) })
  const identity: HandshakeIdentity = {
    role: 'metadata',
    name: 'server',
    clusterId: 'c1',
    featureLevel: 1,
    clusterSecret: Buffer.alloc(32, 5),
  }
  const served: string[] = []

  before(async () => {
    const router = createRouter()
    for (const method of methods) {
      router.handle({ ...method, request: nothing, response: nothing }, async () => {
        served.push(method.name)
        return { response: {} }
      })
    }
    await clock.runUntil(network.listen('local:server', router, identity))
  })

  async function codeOf(method: AnyMethod, role: string): Promise<string> {
    const peer = network.connect('local:server', { ...identity, role, name: 'caller' }, 'metadata')
    const call = peer.call({ ...method, request: nothing, response: nothing }, {}, { deadlineMs: 1000 })
    const code = await clock.runUntil(
      call.then(
        () => 'none',
        (error: unknown) => (error instanceof protocol.CairnError ? error.code : 'other'),
      ),
    )
    await clock.runUntil(peer.close())
    return code
  }

  it('has numbers and names of their own', () => {
    expect(methods.length).to.be.above(40)
    expect(new Set(methods.map(({ number }) => number)).size).to.equal(methods.length)
    expect(new Set(methods.map(({ name }) => name)).size).to.equal(methods.length)
  })

  it('does not know the callers of a method that has no entry', () => {
    expect(() => callersOf('MakeCoffee')).to.throw('nobody has said who may call MakeCoffee')
  })

  for (const method of methods) {
    it(`lets ${method.callers.join(', ')} call ${method.name}`, async () => {
      served.length = 0
      for (const role of method.callers) expect(await codeOf(method, role), role).to.equal('none')
      expect(served).to.deep.equal(method.callers.map(() => method.name))
    })

    it(`lets nobody else call ${method.name}`, async () => {
      const others = ROLES.filter((role) => !(method.callers as readonly string[]).includes(role))
      served.length = 0
      reported.length = 0
      for (const role of others) expect(await codeOf(method, role), role).to.equal('NotAllowed')
      expect(served).to.deep.equal([])
      expect(reported).to.deep.equal(others.map(() => method.name))
    })
  }
})

describe('the table of callers', () => {
  const of = (role: Role): string[] =>
    methods.filter(({ callers }) => callers.includes(role)).map(({ name }) => name)

  it('lets a chunk server change no object', () => {
    expect(of('chunk').sort()).to.deep.equal(['GetBlock', 'GetClusterMap', 'Heartbeat', 'RegisterServer'])
  })

  it('lets a gateway, or a program, neither send beats nor ask for deletions', () => {
    for (const name of ['RegisterServer', 'Heartbeat', 'DeleteBlocks', 'CopyBlock', 'ListBlocks']) {
      expect(of('gateway')).to.not.include(name)
      expect(of('client')).to.not.include(name)
    }
  })

  it('lets a program not administer', () => {
    for (const name of ['StartCheck', 'AcceptRestore', 'ChangeDrives', 'FeatureLevel']) {
      expect(of('client')).to.not.include(name)
    }
  })

  it('lets a metadata service write no object', () => {
    for (const name of ['PutObject', 'DeleteObjects', 'PutBlock', 'OpenSession']) {
      expect(of('metadata')).to.not.include(name)
    }
  })
})
