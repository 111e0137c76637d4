import { expect } from 'chai'
import {
  CairnError,
  createRouter,
  type HandshakeIdentity,
  integer,
  type Message,
  message,
  type RpcListener,
  type RpcMethod,
  type RpcPeer,
  required,
  UNIT_BYTES,
} from '../../src/index.js'
import {
  createSeededRandom,
  createSimulatedClock,
  createSimulatedNetwork,
  type SimulatedClock,
  type SimulatedNetwork,
} from '../../src/simulation/index.js'

interface Count {
  readonly count: number
}
const Count: Message<Count> = message<Count>('Count', 1, { count: required(1, integer) })
const add: RpcMethod<Count, Count> = {
  number: 1,
  name: 'add',
  request: Count,
  response: Count,
  callers: ['gateway'],
}

const server: HandshakeIdentity = {
  role: 'chunk',
  name: 'server-1',
  clusterId: 'c1',
  featureLevel: 1,
  clusterSecret: Buffer.alloc(32, 5),
}
const client: HandshakeIdentity = { ...server, role: 'gateway', name: 'client-1' }
const ADDRESS = 'server-1:9200'

interface World {
  readonly clock: SimulatedClock
  readonly network: SimulatedNetwork
  readonly peer: RpcPeer
  /** Requests in the order in which the server saw them. */
  readonly seen: number[]
  serve(): Promise<RpcListener>
  add(count: number, deadlineMs?: number): Promise<number>
}

async function createWorld(seed: number): Promise<World> {
  const random = createSeededRandom(seed)
  const clock = createSimulatedClock(random)
  const network = createSimulatedNetwork({ clock, random })
  const seen: number[] = []
  const router = createRouter()
  router.handle(add, async ({ count }) => {
    seen.push(count)
    return { response: { count: count + 1 } }
  })
  const peer = network.connect(ADDRESS, client, 'chunk')
  const serve = (): Promise<RpcListener> => network.listen(ADDRESS, router, server)
  await serve()
  return {
    clock,
    network,
    peer,
    seen,
    serve,
    add: async (count, deadlineMs = 100_000) =>
      (await peer.call(add, { count }, { deadlineMs })).response.count,
  }
}

async function errorOf(promise: Promise<unknown>): Promise<CairnError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof CairnError) return error
    throw error
  }
  throw new Error('did not reject')
}

const seed = Number(process.env.CAIRN_TEST_SEED ?? 1)

describe(`SimulatedNetwork, seed ${seed}`, () => {
  let world: World
  beforeEach(async () => {
    world = await createWorld(seed)
  })

  function check(sentence: string, body: () => Promise<void>): void {
    it(sentence, () => world.clock.runUntil(body()))
  }

  it('runs the same schedule again for one seed, and another for another', async () => {
    async function run(of: number): Promise<string> {
      const { clock, network, seen, add: ask } = await createWorld(of)
      const others = [1, 2, 3].map((index) =>
        network.connect(ADDRESS, { ...client, name: `other-${index}` }, 'chunk'),
      )
      await clock.runUntil(
        Promise.all([
          ask(0),
          ...others.map((peer, index) => peer.call(add, { count: index }, { deadlineMs: 1000 })),
        ]),
      )
      return `${seen.join()} at ${clock.monotonicMs()}`
    }
    expect(await run(seed)).to.equal(await run(seed))
    expect(await run(seed)).not.to.equal(await run(seed + 1))
  })

  check('keeps the order of what one connection carries', async () => {
    await world.add(0)
    const counts = Array.from({ length: 100 }, (_, index) => index + 1)
    await Promise.all(
      counts.map(async (count) => {
        for (let turn = 0; turn < count; turn++) await undefined
        return world.add(count)
      }),
    )
    expect(world.seen).to.deep.equal([0, ...counts])
  })

  check('shares a busy connection between its bodies', async () => {
    const bodyBytes = 64 * UNIT_BYTES
    const units = Array.from({ length: 64 }, () => ({ bytes: Buffer.alloc(UNIT_BYTES), check: 1 }))
    const router = createRouter()
    router.handle(add, async (request) => ({ response: request, body: units }))
    await world.network.listen('server-2:1', router, { ...server, name: 'server-2' })
    const peer = world.network.connect('server-2:1', client, 'chunk')
    const received = Array.from({ length: 12 }, () => 0)
    let smallestAtFirstEnd: number | undefined
    await Promise.all(
      received.map(async (_, index) => {
        const { body } = await peer.call(add, { count: index }, { deadlineMs: 60_000 })
        for await (const unit of body) received[index] = (received[index] ?? 0) + unit.bytes.length
        smallestAtFirstEnd ??= Math.min(...received)
      }),
    )
    expect(received).to.deep.equal(received.map(() => bodyBytes))
    expect(smallestAtFirstEnd).to.be.above(bodyBytes / 4)
  })

  check('delays bytes by the range of their route', async () => {
    await world.add(0)
    world.network.setDelay('client-1', 'server-1', { msMin: 500, msMax: 510 })
    const startMs = world.clock.monotonicMs()
    await world.add(1)
    expect(world.clock.monotonicMs() - startMs).to.be.within(500, 520)
  })

  check('loses an answer after the request was carried out, and with it the connection', async () => {
    await world.add(0)
    world.network.loseNext('server-1', 'client-1')
    const error = await errorOf(world.add(1))
    expect(error.code).to.equal('ConnectionLost')
    expect(error.details).not.to.have.property('connected')
    expect(world.seen).to.deep.equal([0, 1])
    expect(await world.add(2)).to.equal(3)
  })

  check('holds answers until the fault is healed', async () => {
    await world.add(0)
    const heal = world.network.hold('server-1', 'client-1')
    expect((await errorOf(world.add(1, 200))).code).to.equal('DeadlineExceeded')
    expect(world.seen).to.deep.equal([0, 1])
    heal()
    expect(await world.add(2)).to.equal(3)
  })

  check('holds requests until the fault is healed', async () => {
    await world.add(0)
    const heal = world.network.hold('client-1', 'server-1')
    const late = world.add(1)
    expect((await errorOf(world.add(2, 200))).code).to.equal('DeadlineExceeded')
    expect(world.seen).to.deep.equal([0])
    heal()
    expect(await late).to.equal(2)
  })

  check('breaks connections and refuses new ones while partitioned', async () => {
    await world.add(0)
    const heal = world.network.partition('server-1', 'client-1', 'break')
    await errorOf(world.add(1))
    expect((await errorOf(world.add(2))).details).to.deep.equal({ connected: 'false' })
    heal()
    heal()
    const until = world.clock.monotonicMs() + 2000
    let answer: number | undefined
    while (answer === undefined && world.clock.monotonicMs() < until) {
      answer = await world.add(3).catch(() => undefined)
      await new Promise<void>((resolve) => world.clock.setTimer(50, resolve))
    }
    expect(answer).to.equal(4)
  })

  check('gives up a silent peer by keep-alive', async () => {
    await world.add(0)
    world.network.partition('server-1', 'client-1', 'hold')
    const startMs = world.clock.monotonicMs()
    expect((await errorOf(world.add(1))).code).to.equal('ConnectionLost')
    expect(world.clock.monotonicMs() - startMs).to.be.within(20_000, 41_000)
  })

  check('keeps an idle connection alive', async () => {
    await world.add(0)
    await new Promise<void>((resolve) => world.clock.setTimer(120_000, resolve))
    world.network.setDelay('client-1', 'server-1', { msMin: 100, msMax: 100 })
    const startMs = world.clock.monotonicMs()
    await world.add(1)
    // Connecting again would take three ways more.
    expect(world.clock.monotonicMs() - startMs).to.be.within(100, 110)
  })

  check('gives up a connect that nobody answers', async () => {
    world.network.hold('client-1', 'server-1')
    const startMs = world.clock.monotonicMs()
    const error = await errorOf(world.add(1))
    expect(error.code).to.equal('ConnectionLost')
    expect(error.details).to.deep.equal({ connected: 'false' })
    expect(world.clock.monotonicMs() - startMs).to.be.within(5_000, 5_010)
  })

  check(
    'refuses calls at once after a failed connect, and tries again within the longest pause',
    async () => {
      world.network.crash('server-1')
      for (let round = 0; round < 20; round++) {
        await errorOf(world.add(round))
        const startMs = world.clock.monotonicMs()
        expect((await errorOf(world.add(round))).code).to.equal('ConnectionLost')
        expect(world.clock.monotonicMs()).to.equal(startMs)
        await new Promise<void>((resolve) => world.clock.setTimer(1_001, resolve))
      }
      await world.serve()
      expect(await world.add(7)).to.equal(8)
    },
  )

  check('breaks all connections of a host that crashes, and lets it start again', async () => {
    await world.add(0)
    world.network.crash('server-1')
    expect((await errorOf(world.add(1))).code).to.equal('ConnectionLost')
    await world.serve()
    let answer: number | undefined
    for (let round = 0; answer === undefined && round < 50; round++) {
      answer = await world.add(2).catch(() => undefined)
      await new Promise<void>((resolve) => world.clock.setTimer(50, resolve))
    }
    expect(answer).to.equal(3)
  })

  check('tells nobody of a silent crash', async () => {
    await world.add(0)
    world.network.crash('server-1', { silent: true })
    expect((await errorOf(world.add(1, 500))).code).to.equal('DeadlineExceeded')
  })

  check('cuts off what is left of a crashed host', async () => {
    const before = world.network.host('client-2')
    const zombie = before.connect(ADDRESS, { ...client, name: 'client-2' }, 'chunk')
    await zombie.call(add, { count: 1 }, { deadlineMs: 1000 })
    world.network.crash('client-2')
    const again = world.network.host('client-2').connect(ADDRESS, { ...client, name: 'client-2' }, 'chunk')
    expect((await again.call(add, { count: 2 }, { deadlineMs: 1000 })).response.count).to.equal(3)
    expect((await errorOf(zombie.call(add, { count: 3 }, { deadlineMs: 1000 }))).code).to.equal(
      'ConnectionLost',
    )
    expect(world.seen).to.deep.equal([1, 2])
  })
})
