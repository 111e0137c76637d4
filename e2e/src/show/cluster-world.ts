/** What the runs that do harm to a whole cluster share: the cluster under load, and one fault after the other. */
import { setTimeout as delay } from 'node:timers/promises'
import {
  type ClusterHostsOptions,
  type ClusterOnHosts,
  startClusterOnHosts,
} from '../harness/cluster-hosts.js'
import { canMakeHosts } from '../harness/hosts.js'
import { type MixedLoad, type Sample, startMixedLoad } from '../harness/mixed-load.js'
import { createSeeded, type Seeded } from '../harness/seeded.js'
import type { Server } from '../harness/server.js'
import type { SignedClient } from '../harness/signed-client.js'
import type { Report } from './report.js'

/** Nothing has failed for so long: the service is back. */
const CALM_MS = 3_000
/** Within this the service is back after the end of a fault. */
export const BACK_MS = 30_000
/** What is not back by then is told of, and ends the run. */
const PATIENCE_MS = 120_000
const POLL_MS = 200
const WRITERS = 6
const COMPLAINTS_SHOWN = 20

/** One way to harm a cluster. */
export interface ClusterFault {
  readonly name: string
  /** Does the harm, waits, and ends it; resolves with what ended when, by `performance.now()`. */
  harm(world: ClusterWorld): Promise<{ readonly endedMs: number }>
}

export interface ClusterWorld {
  readonly report: Report
  readonly cluster: ClusterOnHosts
  readonly load: MixedLoad
  /** Of those that last. */
  readonly faultMs: number
}

export interface OnClusterOptions extends ClusterHostsOptions {
  /** Runs on this one, which stays, in place of one of its own. */
  readonly cluster?: ClusterOnHosts | undefined
}

export interface ClusterRunOptions extends OnClusterOptions {
  readonly faultMs: number
  /** Puts something around the clients of the load, which try once. */
  readonly wrapClients?: (clients: readonly SignedClient[]) => readonly SignedClient[]
}

/** Starts a cluster, calls `run`, and takes the cluster away; where there can be none it says so. */
export async function onCluster(
  report: Report,
  { cluster, ...options }: OnClusterOptions,
  run: (cluster: ClusterOnHosts, seeded: Seeded) => Promise<void>,
): Promise<void> {
  if (!(await canMakeHosts())) {
    report.step('skipped: only root can have hosts of its own (ip, nft)')
    return
  }
  const seeded = createSeeded()
  report.step(`seed ${seeded.seed} (repeat with CAIRN_TEST_SEED=${seeded.seed})`)
  if (cluster !== undefined) return run(cluster, seeded)
  const own = await startClusterOnHosts(options)
  try {
    await run(own, seeded)
  } finally {
    await own.stop()
  }
}

/** The same under a load, of which every key is checked at the end. */
export async function withCluster(
  report: Report,
  { faultMs, wrapClients = (clients) => clients, ...options }: ClusterRunOptions,
  run: (world: ClusterWorld) => Promise<void>,
): Promise<void> {
  await onCluster(report, options, async (cluster, seeded) => {
    const bucket = `load-${seeded.seed}-${++loads}`
    const load = await startMixedLoad({
      clients: wrapClients(cluster.clients),
      bucket,
      seeded,
      writers: WRITERS,
    })
    try {
      await run({ report, cluster, load, faultMs })
    } finally {
      await load.stop()
    }
    await load.check()
    for (const line of load.complaints.slice(0, COMPLAINTS_SHOWN)) report.step(line)
    report.figure('requests', load.samples.length)
    report.atMost('lost, wrong, stale or returned states', load.complaints.length, 0)
  })
}

/** The gateways in turn. */
export function gatewayOf(cluster: ClusterOnHosts, at: number): Server {
  const names = cluster.names('gateway')
  return cluster.server(names[at % names.length] ?? '')
}

/** Each has a bucket of its own. */
let loads = 0

/** Waits for calm, does the harm, and measures the time until nothing fails any more. */
export async function tryFault(world: ClusterWorld, fault: ClusterFault): Promise<void> {
  const { report, load } = world
  const complaints = load.complaints.length
  const beganMs = performance.now()
  const first = load.samples.length
  const { endedMs } = await fault.harm(world)
  const backMs = await untilCalm(load, endedMs)
  const during = load.samples.slice(first).filter((sample) => sample.beganMs <= endedMs)
  const done = during.filter(({ outcome }) => outcome === 'done').length
  const share = during.length === 0 ? 0 : (100 * done) / during.length
  report.timed.atMost(`${fault.name}: back after its end`, backMs / 1000, BACK_MS / 1000, ' s')
  report.figure(
    `  of ${during.length} requests in ${((endedMs - beganMs) / 1000).toFixed(1)} s served`,
    share,
    ' %',
  )
  report.figure('  slowest of them', Math.max(0, ...during.map(waitOf)) / 1000, ' s')
  const wrong = load.complaints.slice(complaints)
  if (wrong.length > 0) report.step(`${fault.name}: ${wrong.slice(0, 5).join('; ')}`)
}

function waitOf({ beganMs, endedMs }: Sample): number {
  return endedMs - beganMs
}

/** Milliseconds from a moment to the end of the last failure after it. */
export async function untilCalm({ samples }: MixedLoad, fromMs: number): Promise<number> {
  for (;;) {
    await delay(POLL_MS)
    const now = performance.now()
    const lastFailedMs = lastFailure(samples, fromMs)
    const isServed = [0, 1].every((gateway) => isServing(samples, gateway, lastFailedMs))
    if (isServed && now - lastFailedMs >= CALM_MS) return lastFailedMs - fromMs
    if (now - fromMs > PATIENCE_MS) return PATIENCE_MS
  }
}

function lastFailure(samples: readonly Sample[], fromMs: number): number {
  let lastMs = fromMs
  for (let at = samples.length - 1; at >= 0; at--) {
    const { outcome, endedMs } = samples[at] as Sample
    if (endedMs < fromMs) break
    if (outcome === 'failed') lastMs = Math.max(lastMs, endedMs)
  }
  return lastMs
}

/** Reads and writes through the gateway have succeeded since. */
function isServing(samples: readonly Sample[], gateway: number, sinceMs: number): boolean {
  const since = samples.filter((sample) => sample.endedMs > sinceMs && sample.gateway === gateway)
  return since.some(({ isRead }) => isRead) && since.some(({ isRead }) => !isRead)
}

/** What requests of one sort took that were begun in a span. */
export interface Waits {
  /** 99th percentile of those that were answered, in ms. */
  readonly p99: number
  readonly count: number
  readonly failed: number
}

/** Of the reads. */
export function readWaits(load: MixedLoad, fromMs: number, toMs: number): Waits {
  return waitsOf(load.samples.filter(({ isRead, beganMs }) => isRead && beganMs >= fromMs && beganMs < toMs))
}

/** Of the puts of objects and parts. */
export function storeWaits(load: MixedLoad, fromMs: number, toMs: number): Waits {
  return waitsOf(
    load.samples.filter(({ isStored, beganMs }) => isStored && beganMs >= fromMs && beganMs < toMs),
  )
}

function waitsOf(samples: readonly Sample[]): Waits {
  const done = samples.filter(({ outcome }) => outcome === 'done')
  const times = done.map(waitOf).sort((a, b) => a - b)
  return {
    p99: times[Math.floor(times.length * 0.99)] ?? 0,
    count: times.length,
    failed: samples.length - times.length,
  }
}
