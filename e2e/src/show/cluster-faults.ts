/** kill -9, and SIGSTOP for a minute, of each kind of process of a cluster under load. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterOnHosts } from '../harness/cluster-hosts.js'
import {
  type ClusterFault,
  type ClusterWorld,
  readWaits,
  tryFault,
  untilCalm,
  withCluster,
} from './cluster-world.js'
import type { Report } from './report.js'

const FAULT_MS = 60_000
/** How long a killed process is away. */
const DOWN_MS = 5_000
const BASELINE_MS = 20_000
/** A write that was under way when servers stopped may still be answered. */
const SETTLE_MS = 2_000
const BELOW_QUORUM_MS = 25_000
const LEADER_BACK_MS = 10_000
const READ_RATIO_MAX = 3
const START_ORDER = ['etcd', 'metadata', 'chunk', 'gateway'] as const
const LATE_READS_MIN = 100

/** Who is meant, at the moment of the fault. */
interface Victim {
  readonly name: string
  find(cluster: ClusterOnHosts): Promise<string>
}

const VICTIMS: readonly Victim[] = [
  { name: 'leader of etcd', find: (cluster) => cluster.etcdLeader() },
  { name: 'follower of etcd', find: (cluster) => another(cluster, 'etcd', cluster.etcdLeader()) },
  { name: 'metadata service', find: (cluster) => another(cluster, 'metadata', cluster.coordinator()) },
  { name: 'coordinator', find: (cluster) => cluster.coordinator() },
  { name: 'chunk server', find: async () => 'chunk-1' },
  { name: 'gateway', find: async () => 'gateway-1' },
]

export interface ClusterFaultsOptions {
  /** Runs on this one; on one of its own unless given. */
  readonly cluster?: ClusterOnHosts
  readonly faultMs?: number
  readonly victims?: readonly string[]
  readonly kinds?: readonly ('kill' | 'stop')[]
}

/**
 * `npm run show -- cluster-faults`; CAIRN_SHOW_FAULT_MS shortens the stops, CAIRN_SHOW_VICTIMS names some (comma
 * list), also `quorum` and `all`.
 */
export async function showClusterFaults(report: Report, options: ClusterFaultsOptions = {}): Promise<void> {
  const faultMs = options.faultMs ?? Number(process.env.CAIRN_SHOW_FAULT_MS ?? FAULT_MS)
  const chosen = options.victims ?? process.env.CAIRN_SHOW_VICTIMS?.split(',')
  const isChosen = (name: string): boolean => chosen?.includes(name) ?? true
  const victims = VICTIMS.filter(({ name }) => isChosen(name))
  const { kinds = ['kill', 'stop'], cluster } = options
  await withCluster(report, { cluster, faultMs }, async (world) => {
    const baselineMs = await measureReads(world, report.timed.isHeld ? BASELINE_MS : SETTLE_MS)
    await harmAll(world, { victims, kinds, baselineMs })
    if (isChosen('quorum')) await tryBelowQuorum(world)
    if (isChosen('all')) await tryBlackout(world)
  })
}

interface Plan {
  readonly victims: readonly Victim[]
  readonly kinds: readonly (keyof typeof HARM)[]
  readonly baselineMs: number
}

async function harmAll(world: ClusterWorld, { victims, kinds, baselineMs }: Plan): Promise<void> {
  for (const victim of victims) for (const kind of kinds) await HARM[kind](world, victim, baselineMs)
}

/** What is done to each; the last is the time of a read without a fault, where it is compared. */
const HARM = { kill: tryKill, stop: tryStop } as const

async function measureReads({ load, report }: ClusterWorld, spanMs: number): Promise<number> {
  const fromMs = performance.now()
  await delay(spanMs)
  const { p99, count } = readWaits(load, fromMs, performance.now())
  report.figure(`GET p99 without a fault, of ${count}`, p99, ' ms')
  return p99
}

async function another(
  cluster: ClusterOnHosts,
  role: 'etcd' | 'metadata',
  other: Promise<string>,
): Promise<string> {
  const name = await other
  return cluster.names(role).find((each) => each !== name) ?? ''
}

async function tryKill(world: ClusterWorld, victim: Victim): Promise<void> {
  let killedMs = 0
  await tryFault(world, {
    name: `${victim.name} killed`,
    async harm({ cluster, faultMs }) {
      const process = cluster.process(await victim.find(cluster))
      killedMs = performance.now()
      await process.kill()
      await delay(Math.min(DOWN_MS, faultMs))
      await process.restart()
      return { endedMs: performance.now() }
    },
  })
  if (victim.name !== 'leader of etcd') return
  const backMs = await untilCalm(world.load, killedMs)
  world.report.timed.atMost(
    '  back after the death of the leader',
    backMs / 1000,
    LEADER_BACK_MS / 1000,
    ' s',
  )
}

async function tryStop(world: ClusterWorld, victim: Victim, baselineMs: number): Promise<void> {
  let stoppedMs = 0
  const fault: ClusterFault = {
    name: `${victim.name} stopped for ${world.faultMs / 1000} s`,
    async harm({ cluster, faultMs }) {
      const process = cluster.process(await victim.find(cluster))
      stoppedMs = performance.now()
      process.signal('SIGSTOP')
      await delay(faultMs)
      process.signal('SIGCONT')
      return { endedMs: performance.now() }
    },
  }
  await tryFault(world, fault)
  if (victim.name !== 'chunk server') return
  const { p99, count } = readWaits(world.load, stoppedMs, stoppedMs + world.faultMs)
  world.report.figure('  GET p99 meanwhile', p99, ' ms')
  world.report.timed.atLeast('  reads meanwhile', count, LATE_READS_MIN)
  world.report.timed.atMost('  GET p99 meanwhile, of that without a fault', p99 / baselineMs, READ_RATIO_MAX)
}

/** Every process is killed at once, and all start again. */
async function tryBlackout(world: ClusterWorld): Promise<void> {
  await tryFault(world, {
    name: 'all processes killed at once',
    async harm({ cluster: { processes } }) {
      await Promise.all(processes.map((process) => process.kill()))
      for (const role of START_ORDER)
        await Promise.all(processes.filter((each) => each.role === role).map((process) => process.restart()))
      return { endedMs: performance.now() }
    },
  })
}

/** With all chunk servers but one stopped no group has its quorum: nothing that needs a block is acknowledged. */
async function tryBelowQuorum(world: ClusterWorld): Promise<void> {
  const { cluster, load, report } = world
  let acknowledged = 0
  let refused = 0
  await tryFault(world, {
    name: 'all chunk servers but one stopped',
    async harm() {
      const stopped = cluster.names('chunk').slice(1)
      for (const name of stopped) cluster.process(name).signal('SIGSTOP')
      await delay(SETTLE_MS)
      const fromMs = performance.now()
      await delay(BELOW_QUORUM_MS)
      const puts = load.samples.filter(({ isStored, beganMs }) => isStored && beganMs >= fromMs)
      acknowledged = puts.filter(({ outcome }) => outcome === 'done').length
      refused = puts.length - acknowledged
      for (const name of stopped) cluster.process(name).signal('SIGCONT')
      return { endedMs: performance.now() }
    },
  })
  report.atMost('  puts acknowledged below quorum', acknowledged, 0)
  report.atLeast('  puts refused below quorum', refused, 1)
}
