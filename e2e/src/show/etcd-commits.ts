/**
 * Commits per second on one and on three real members of etcd, with many commits in one entry (nested transactions)
 * and with one commit in each, and the fsyncs that etcd needs for them.
 */
import { fileURLToPath } from 'node:url'
import { type EtcdCluster, startEtcd } from '../harness/etcd.js'
import { runOk } from '../harness/run.js'
import { cpuSeconds } from '../harness/server.js'
import type { Report } from './report.js'

const LOAD = fileURLToPath(
  new URL('../../../../metadata-service/dist/test/support/commit-load.js', import.meta.url),
)
const WRITERS = [1, 16, 64, 256]
/** As the services have it. */
const ENTRIES_IN_FLIGHT = 2
const GAIN_MIN = 2
const FSYNCS_PER_COMMIT_MAX = 1 / 16
const FSYNCS = 'etcd_disk_wal_fsync_duration_seconds_count'

export interface EtcdCommitsOptions {
  readonly members?: readonly number[]
  readonly writers?: readonly number[]
  readonly seconds?: number
}

interface Measured {
  readonly perSecond: number
  /** Of the member that needed most. */
  readonly fsyncsPerCommit: number
}

/** `npm run show -- etcd-commits`. */
export async function showEtcdCommits(report: Report, options: EtcdCommitsOptions = {}): Promise<void> {
  for (const members of options.members ?? [1, 3]) {
    const etcd = await startEtcd({ members })
    try {
      report.step(`etcd of ${members} ${members === 1 ? 'member' : 'members'}`)
      for (const writers of options.writers ?? WRITERS) await compare(report, etcd, { ...options, writers })
    } finally {
      await etcd.stop()
    }
  }
}

type Run = Omit<EtcdCommitsOptions, 'writers'> & { readonly writers: number }

async function compare(report: Report, etcd: EtcdCluster, run: Run): Promise<void> {
  const alone = await measure(report, etcd, { ...run, entriesInFlight: 0 })
  const shared = await measure(report, etcd, { ...run, entriesInFlight: ENTRIES_IN_FLIGHT })
  if (run.writers !== 64) return
  const gain = shared.perSecond / alone.perSecond
  report.timed.atLeast('commits per second with nesting to without, 64 writers', gain, GAIN_MIN)
  report.atMost('fsyncs of a member per commit, 64 writers', shared.fsyncsPerCommit, FSYNCS_PER_COMMIT_MAX)
}

async function measure(
  report: Report,
  etcd: EtcdCluster,
  { writers, seconds = 5, entriesInFlight }: Run & { readonly entriesInFlight: number },
): Promise<Measured> {
  const prefix = `/load/${process.hrtime.bigint()}/`
  const options = { endpoints: etcd.endpoints, prefix, writers, seconds, entriesInFlight }
  const before = await readState(etcd)
  const said = await runOk(process.execPath, [LOAD, JSON.stringify(options)])
  const after = await readState(etcd)
  const result = JSON.parse(said.stdout.toString()) as {
    total: number
    commits: number
    entries: number
    seconds: number
    p50Ms: number
    p99Ms: number
    cpuSeconds: number
  }
  const perSecond = result.commits / result.seconds
  const fsyncsPerCommit =
    Math.max(...after.fsyncs.map((count, at) => count - (before.fsyncs[at] ?? 0))) / result.total
  const micros = ((after.cpu - before.cpu) / result.total) * 1e6
  report.figure(
    `${writers} writers, ${entriesInFlight === 0 ? 'one commit an entry' : 'shared entries'}`,
    `${Math.round(perSecond)} commits/s, p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms, ` +
      `${(result.commits / result.entries).toFixed(1)} commits an entry, ${fsyncsPerCommit.toFixed(4)} fsyncs a commit, ` +
      `CPU ${Math.round(micros)} µs in etcd and ${Math.round((result.cpuSeconds / result.commits) * 1e6)} µs here`,
  )
  return { perSecond, fsyncsPerCommit }
}

async function readState(etcd: EtcdCluster): Promise<{ fsyncs: number[]; cpu: number }> {
  const samples = await Promise.all(etcd.members.map((member) => member.metrics()))
  const cpu = await Promise.all(etcd.members.map(({ pid }) => cpuSeconds(pid)))
  return {
    fsyncs: samples.map((one) => one.get(FSYNCS) ?? 0),
    cpu: cpu.reduce((sum, one) => sum + one, 0),
  }
}
