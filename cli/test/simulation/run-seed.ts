/** One seed from an empty cluster to the verdict. */
import { drawAction } from './actions.js'
import { SimulatedCluster } from './cluster.js'
import { checkBlocks, checkContent, checkLiveness } from './final-check.js'
import { Ledger } from './history.js'
import { Nemesis } from './nemesis.js'
import { pause } from './process.js'
import { BUCKET, Worker } from './worker.js'
import { type SeededBug, World } from './world.js'

const WORKERS_PER_CLIENT = 2
/** Simulated time after which a run stands still. */
const RUN_MS_MAX = 1_800_000

export interface SeedResult {
  /** What the oracle found; empty for a correct run. */
  readonly violations: readonly string[]
  readonly digest: string
  readonly trace: string
  readonly simulatedMs: number
}

export interface SeedOptions {
  readonly bug?: SeededBug
  /** Actions of each user. */
  readonly actions?: number
}

/** Never rejects: a run that stands still or throws is a violation. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const world = new World(seed, options.bug)
  const ledger = new Ledger()
  try {
    await world.clock.runUntil(simulate(world, ledger, options.actions ?? 12), RUN_MS_MAX)
  } catch (error) {
    ledger.violate(`the run failed: ${error instanceof Error ? error.stack : error}`)
  }
  const { trace, clock } = world
  return {
    violations: ledger.violations,
    trace: trace.show(),
    digest: trace.digest(),
    simulatedMs: clock.monotonicMs(),
  }
}

async function simulate(world: World, ledger: Ledger, actions: number): Promise<void> {
  const cluster = new SimulatedCluster(world)
  const isVersioned = world.chance(0.4)
  cluster.start()
  while (!cluster.isWhole) await pause(world.clock, 50)
  await makeBucket(cluster, isVersioned)
  const thinkMs = world.pick([50, 300, 1_000])
  const stallMs = world.pick([50, 2_500, 25_000])
  const repeats = world.pick([0, 0.1, 0.5])
  for (const node of cluster.clients) node.repeats = repeats
  const workers = cluster.clients.flatMap((node) =>
    Array.from({ length: WORKERS_PER_CLIENT }, () => {
      return new Worker({ world, ledger, node, isVersioned, thinkMs, stallMs })
    }),
  )
  const nemesis = new Nemesis(cluster)
  const harm = Promise.all(Array.from({ length: 1 + world.draw(2) }, () => nemesis.run()))
  await Promise.all(workers.map((worker) => worker.run(actions, drawAction)))
  nemesis.stop()
  await harm
  await heal(cluster)
  const [node] = cluster.clients
  if (node === undefined) return
  const worker = new Worker({ world, ledger, node, isVersioned, thinkMs, stallMs: 0 })
  const check = { cluster, ledger, worker, isVersioned }
  await checkLiveness(check)
  if (ledger.violations.length > 0) return
  await checkContent(check)
  if (ledger.violations.length > 0) return
  await checkBlocks(check)
}

async function makeBucket({ clients: [node] }: SimulatedCluster, isVersioned: boolean): Promise<void> {
  await node?.client?.createBucket(BUCKET)
  if (isVersioned) await node?.client?.setBucketVersioning(BUCKET, 'enabled')
}

/** Ends what is still ailing. Servers start anew: a drive that failed once stays out of use until then. */
async function heal({ world, services, chunks, clients }: SimulatedCluster): Promise<void> {
  world.trace.note('all faults end')
  world.clock.jumpWall(60_000)
  for (const node of clients) node.repeats = 0
  for (const node of chunks) {
    await node.setFree(undefined)
    if (node.hasOrders) node.cancelOrders()
    else if (!node.isWhole || world.chance(0.3)) node.crash(100)
  }
  for (const node of services) node.crash(100)
  await world.store.calm()
}
