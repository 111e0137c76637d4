import { type ConnectedClient, connectCairn, toBytes } from '@cairn/client'
import { expect } from 'chai'
import { addressOf, SimulatedCluster } from './cluster.js'
import { pause } from './process.js'
import { identityOf, World } from './world.js'

const SLOW = 'chunk-2'
const BUCKET = 'bucket'
/** One service, and two of which the gateway may ask the one that does not coordinate: see `World`. */
const SEEDS = [1, 2]
const LOOKS_MAX = 60
const QUICK = { msMin: 0.05, msMax: 1 }
const SLUGGISH = { msMin: 100, msMax: 300 }

for (const seed of SEEDS) {
  describe(`A chunk server behind a slow link (seed ${seed})`, () => {
    let world: World
    let cluster: SimulatedCluster
    let gateway: ConnectedClient
    let written = 0

    const run = <T>(work: Promise<T>): Promise<T> => world.clock.runUntil(work)

    /** Only between gateway and chunk server: its heartbeats are as quick as ever. */
    function setLink(delay: typeof QUICK): void {
      world.network.setDelay('gateway', SLOW, delay)
      world.network.setDelay(SLOW, 'gateway', delay)
    }

    function suspects(): string[] {
      const service = cluster.services.find((each) => each.service?.status().isCoordinator === true)?.service
      const drives = service?.status().driveStates ?? []
      return drives.filter(({ state }) => state === 'suspect').map(({ server }) => server)
    }

    async function work(): Promise<void> {
      for (let at = 0; at < 5; at++) {
        const key = `k${written++}`
        await run(gateway.putObject(BUCKET, key, Buffer.from(`content of ${key}`)))
        const opened = await run(gateway.openObject(BUCKET, `k${Math.floor(written / 2)}`))
        const bytes = await run(toBytes(opened.read()))
        expect(Buffer.from(bytes).toString()).to.equal(`content of k${Math.floor(written / 2)}`)
      }
    }

    /** Works until it is so; how many seconds that took, or as many as there are. */
    async function workUntil(isSo: () => boolean): Promise<number> {
      for (let second = 0; second < LOOKS_MAX * 2; second++) {
        if (isSo()) return second
        await work()
        await run(pause(world.clock, 1_000))
      }
      return LOOKS_MAX * 2
    }

    beforeEach(async () => {
      written = 0
      world = new World(seed)
      cluster = new SimulatedCluster(world)
      cluster.start()
      const whole = async (): Promise<void> => {
        while (!cluster.isWhole) await pause(world.clock, 50)
      }
      await run(whole())
      const { clock, random, network } = world
      const identity = identityOf('gateway', 'gateway', cluster.clients[0]?.featureLevel)
      const metadata = world.services.map(addressOf)
      gateway = await run(
        connectCairn({ network: network.host('gateway'), metadata, identity, clock, random }),
      )
      await run(gateway.createBucket(BUCKET))
    })

    afterEach(() => run(gateway.close()))

    it('is suspect while it is slow, alone, and comes back when it is not; every write succeeds', async () => {
      await work()
      setLink(SLUGGISH)
      expect(await workUntil(() => suspects().length > 0)).to.be.below(30)
      expect(suspects()).to.deep.equal([SLOW])
      const given = gateway.counters().laggedReplicas
      setLink(QUICK)
      expect(await workUntil(() => suspects().length === 0)).to.be.below(LOOKS_MAX * 2)
      expect(given).to.be.above(0)
      for (let second = 0; second < 10; second++) {
        await work()
        await run(pause(world.clock, 1_000))
      }
      expect(suspects()).to.deep.equal([])
    }).timeout(120_000)
  })
}
