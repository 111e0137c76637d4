import { type FeatureLevelReport, featureLevel, hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import { addressOf, type ClientNode, SimulatedCluster } from './cluster.js'
import { bodyOf } from './content.js'
import type { SimulatedNode } from './node.js'
import { pause } from './process.js'
import { identityOf, World } from './world.js'

const BUCKET = 'bucket'
/** Two services: see `World`. */
const SEED = 2

/** Writes and reads through one client until it is stopped; every failure counts. */
class Load {
  readonly failures: string[] = []
  done = 0
  private readonly cluster: SimulatedCluster
  private readonly node: ClientNode
  private isOver = false
  private idle: Promise<void> = Promise.resolve()
  private resume: () => void = () => undefined
  private busy: Promise<void> = Promise.resolve()

  constructor(cluster: SimulatedCluster, node: ClientNode) {
    this.cluster = cluster
    this.node = node
  }

  async run(): Promise<void> {
    while (!this.isOver) {
      await this.idle
      this.busy = this.step().catch((error: unknown) => void this.failures.push(String(error)))
      await this.busy
      await pause(this.cluster.world.clock, 20)
    }
  }

  /** What a load balancer does before a gateway goes. */
  async drain(): Promise<void> {
    this.idle = new Promise((resolve) => {
      this.resume = resolve
    })
    await this.busy
  }

  goOn(): void {
    this.resume()
  }

  stop(): void {
    this.isOver = true
  }

  private async step(): Promise<void> {
    const { client, name } = this.node
    if (client === undefined) throw new Error(`${name} does not run`)
    const number = this.done++
    const key = `${name}/${number % 5}`
    const body = bodyOf(number, 100 + (number % 3) * 40_000)
    await client.putObject(BUCKET, key, body)
    const opened = await client.openObject(BUCKET, key)
    const pieces: Uint8Array[] = []
    for await (const piece of opened.read()) pieces.push(piece)
    if (!Buffer.concat(pieces).equals(body)) throw new Error(`${key} has other bytes`)
  }
}

for (const next of [2, 3])
  describe(`A rolling upgrade to feature level ${next}`, () => {
    const world = new World(SEED)
    const cluster = new SimulatedCluster(world)
    const loads = cluster.clients.map((node) => new Load(cluster, node))
    const [service] = cluster.services
    const [client] = cluster.clients

    const run = <T>(work: Promise<T>): Promise<T> => world.clock.runUntil(work)

    async function whole(): Promise<void> {
      while (!cluster.isWhole) await pause(world.clock, 50)
      await pause(world.clock, 500)
    }

    async function upgrade(node: SimulatedNode, level = next): Promise<void> {
      await node.upgrade(level)
      await whole()
    }

    async function level(raise = false): Promise<FeatureLevelReport | string> {
      const network = world.network.host('operator')
      const peer = network.connect(addressOf('metadata'), identityOf('gateway', 'operator'), 'metadata')
      try {
        return (await peer.call(featureLevel, { raise }, { deadlineMs: 5_000 })).response
      } catch (error) {
        if (!hasCode(error, 'PreconditionFailed')) throw error
        return error.message
      } finally {
        await peer.close()
      }
    }

    before(async () => {
      for (const node of cluster.nodes) node.featureLevel = next - 1
      cluster.start()
      await run(whole())
      await run(client?.client?.createBucket(BUCKET) ?? Promise.reject(new Error('no client')))
      for (const load of loads) load.run().catch((error: unknown) => loads[0]?.failures.push(String(error)))
    })

    it('goes through one process after the other without a failed request', async () => {
      for (const node of [...cluster.services, ...cluster.chunks]) await run(upgrade(node))
      expect(await run(level(true))).to.match(
        new RegExp(`^feature level ${next} is not supported by: session of client client-`),
      )
      for (const [index, node] of cluster.clients.entries()) {
        await run(loads[index]?.drain() ?? Promise.resolve())
        await run(upgrade(node))
        loads[index]?.goOn()
      }
      expect(await run(level())).to.include({ level: next - 1 })
      expect(await run(level(true))).to.include({ level: next })
      const before = loads.map(({ done }) => done)
      await world.clock.advance(3_000)
      expect(loads.map(({ failures }) => failures)).to.deep.equal([[], []])
      for (const [index, { done }] of loads.entries()) expect(done).to.be.above(before[index] ?? 0)
    }).timeout(60_000)

    it('lets no process of the former version start any more, and says why', async () => {
      const refused = (who: string): RegExp =>
        new RegExp(
          `could not start: CairnError: the cluster has feature level ${next}; ${who} supports ${next - 1}`,
        )
      const [, other] = cluster.services
      const [load, otherLoad] = loads
      await run(load?.drain() ?? Promise.resolve())
      for (const node of [other, client]) await run(node?.upgrade(next - 1) ?? Promise.resolve())
      await world.clock.advance(2_000)
      expect([other?.ready, client?.ready]).to.deep.equal([false, false])
      expect(world.trace.show()).to.match(refused('this metadata service')).and.match(refused('the writer'))
      const [chunk] = cluster.chunks
      await run(chunk?.upgrade(next - 1) ?? Promise.resolve())
      while (chunk?.server === undefined) await world.clock.advance(100)
      const error = await run(chunk.server.registered().catch((cause: unknown) => cause))
      expect(String(error)).to.include(
        `the cluster has feature level ${next}; server chunk-1 supports ${next - 1}`,
      )
      await world.clock.advance(2_000)
      expect(service?.ready).to.equal(true)
      expect(otherLoad?.failures).to.deep.equal([])
      for (const each of loads) each.stop()
    }).timeout(60_000)
  })
