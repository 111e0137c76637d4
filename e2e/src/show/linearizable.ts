/**
 * Histories of put, get, list, delete, conditional put and multipart on few keys, through both gateways of a cluster
 * to which one thing after the other is done; each is judged by a checker that shares no code with Cairn.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Call, CallHistory, judge } from '../check/index.js'
import type { ClusterOnHosts } from '../harness/cluster-hosts.js'
import type { Link } from '../harness/hosts.js'
import { type RecordedBucket, RecordedClient } from '../harness/recorded-client.js'
import { createSeeded, type Seeded } from '../harness/seeded.js'
import { onCluster } from './cluster-world.js'
import type { Report } from './report.js'

const FAULT_MS = 60_000
/** The load goes on for this part of a fault's span after its end: what it leaves behind shows. */
const TAIL_SHARE = 1 / 3
const KEYS = ['a', 'b', 'c']
const CLIENTS_PER_BUCKET = 4
const BUCKETS: readonly RecordedBucket[] = [
  { name: 'plain', isVersioned: false },
  { name: 'versioned', isVersioned: true },
]

/** Does harm, and returns how to end it. */
type Harm = (cluster: ClusterOnHosts) => Promise<() => Promise<unknown>>

const FAULTS: Readonly<Record<string, Harm>> = {
  'leader of etcd killed': (cluster) => kill(cluster, cluster.etcdLeader()),
  'leader of etcd stopped': (cluster) => stop(cluster, cluster.etcdLeader()),
  'coordinator killed': (cluster) => kill(cluster, cluster.coordinator()),
  'coordinator stopped': (cluster) => stop(cluster, cluster.coordinator()),
  'other metadata service stopped': (cluster) => stop(cluster, follower(cluster)),
  'chunk server killed': (cluster) => kill(cluster, 'chunk-2'),
  'chunk server stopped': (cluster) => stop(cluster, 'chunk-3'),
  'gateway stopped': (cluster) => stop(cluster, 'gateway-2'),
  'coordinator cut from etcd': async (cluster) =>
    cut(cluster, { from: [await cluster.coordinator()], to: cluster.names('etcd'), direction: 'both' }),
  'other metadata service does not hear etcd': async (cluster) =>
    cut(cluster, { from: [await follower(cluster)], to: cluster.names('etcd'), direction: 'back' }),
  'leader of etcd not heard by the others': async (cluster) => {
    const leader = await cluster.etcdLeader()
    const others = cluster.names('etcd').filter((name) => name !== leader)
    return cut(cluster, { from: [leader], to: others, direction: 'there' })
  },
  'gateway does not hear metadata services': (cluster) =>
    cut(cluster, { from: ['gateway-1'], to: cluster.names('metadata'), direction: 'back' }),
}

export interface LinearizableOptions {
  /** Runs on this one; on one of its own unless given. */
  readonly cluster?: ClusterOnHosts
  readonly faultMs?: number
  readonly faults?: readonly string[]
}

/** `npm run show -- linearizable`; CAIRN_SHOW_FAULT_MS shortens the faults. */
export async function showLinearizable(report: Report, options: LinearizableOptions = {}): Promise<void> {
  const faultMs = options.faultMs ?? Number(process.env.CAIRN_SHOW_FAULT_MS ?? FAULT_MS)
  const { cluster: given, faults = Object.keys(FAULTS) } = options
  await onCluster(report, { cluster: given }, async (cluster, seeded) => {
    await makeBuckets(cluster)
    let violations = 0
    for (const [at, name] of faults.entries()) {
      const round = { name, at, faultMs, seeded: createSeeded(seeded.seed + 1000 * at) }
      violations += await tryRound(report, cluster, round)
    }
    report.atMost(`violations in ${faults.length} faults of ${faultMs / 1000} s`, violations, 0)
  })
}

async function makeBuckets({ clients: [client] }: ClusterOnHosts): Promise<void> {
  for (const { name, isVersioned } of BUCKETS) {
    await client?.send('PUT', `/${name}`)
    const status = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
    if (isVersioned) await client?.send('PUT', `/${name}?versioning=`, { body: Buffer.from(status) })
  }
}

interface Round {
  readonly name: string
  readonly at: number
  readonly faultMs: number
  readonly seeded: Seeded
}

/** One fault under load on keys of its own; the number of violations. */
async function tryRound(
  report: Report,
  cluster: ClusterOnHosts,
  { name, at, faultMs, seeded }: Round,
): Promise<number> {
  const histories = BUCKETS.map(() => new CallHistory())
  let isOver = false
  const prefix = `round-${at}/`
  const keys = KEYS.map((key) => `${prefix}${key}`)
  const running = BUCKETS.flatMap((bucket, which) =>
    Array.from({ length: CLIENTS_PER_BUCKET }, (_, client) => {
      const history = histories[which] as CallHistory
      const gateways = client % 2 === 0 ? cluster.clients : [...cluster.clients].reverse()
      return new RecordedClient({ bucket, prefix, keys, history, seeded, gateways }).run(() => !isOver)
    }),
  )
  try {
    const end = await FAULTS[name]?.(cluster)
    await delay(faultMs)
    await end?.()
    await delay(faultMs * TAIL_SHARE)
  } finally {
    isOver = true
    await Promise.all(running)
  }
  const found = BUCKETS.flatMap(({ isVersioned }, which) =>
    judge(histories[which] as CallHistory, isVersioned),
  )
  const calls = histories.flatMap((history) => history.calls)
  report.holds(name, found.length === 0, describeCalls(calls))
  for (const line of found) report.step(line)
  return found.length
}

function describeCalls(calls: readonly Call[]): string {
  const count = (outcome: Call['outcome']): number => calls.filter((call) => call.outcome === outcome).length
  return `${count('done')} calls, ${count('refused')} refused, ${count('unknown')} without an outcome`
}

async function follower(cluster: ClusterOnHosts): Promise<string> {
  const coordinator = await cluster.coordinator()
  return cluster.names('metadata').find((name) => name !== coordinator) ?? ''
}

async function kill(
  cluster: ClusterOnHosts,
  name: string | Promise<string>,
): Promise<() => Promise<unknown>> {
  const process = cluster.process(await name)
  await process.kill()
  return () => process.restart()
}

async function stop(
  cluster: ClusterOnHosts,
  name: string | Promise<string>,
): Promise<() => Promise<unknown>> {
  const process = cluster.process(await name)
  process.signal('SIGSTOP')
  return async () => process.signal('SIGCONT')
}

async function cut({ hosts }: ClusterOnHosts, link: Link): Promise<() => Promise<unknown>> {
  await hosts.cut(link)
  return () => hosts.heal()
}
