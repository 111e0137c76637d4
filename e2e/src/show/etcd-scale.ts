/**
 * Many objects on real members of etcd: what each costs there and in the mirror of a metadata service, how fast the
 * mirror is filled and lists, what writers feel of it, and what reads cost with it and without.
 */
import { fileURLToPath } from 'node:url'
import { type EtcdCluster, startEtcd } from '../harness/etcd.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { runOk } from '../harness/run.js'
import type { Report } from './report.js'

const TOOL = fileURLToPath(
  new URL('../../../../metadata-service/dist/test/support/scale-tool.js', import.meta.url),
)
const OBJECTS = 2_000_000
const MEMBERS = 3
const BYTES_PER_OBJECT_MAX = 700
const KEYS_PER_SECOND_MIN = 100_000
const TIMEOUT_MS = 3_600_000

export interface EtcdScaleOptions {
  /** CAIRN_SHOW_OBJECTS or two million unless given. */
  readonly objects?: number
  readonly members?: readonly number[]
  /** Of each measurement of reads. */
  readonly seconds?: number
}

interface Figures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly serviceMicros: number
  readonly etcdMicros: number
}

interface Reads {
  readonly get: Figures
  readonly listKeysPerSecond: number
}

interface Measured {
  readonly mirror: {
    readonly rows: number
    readonly readsHere: number
    readonly mismatches: number
    readonly fileBytes: number
    readonly rss: number
    readonly coldSeconds: number
    readonly warmSeconds: number
    readonly etcdFillSeconds: number
  }
  readonly putsAlone: Figures
  readonly putsBesideFill: Figures
  readonly withMirror: Reads
  readonly withoutMirror: Reads
}

/** `npm run show -- etcd-scale`; CAIRN_SHOW_OBJECTS makes it smaller or larger, CAIRN_SHOW_MEMBERS too. */
export async function showEtcdScale(report: Report, options: EtcdScaleOptions = {}): Promise<void> {
  const objects = options.objects ?? Number(process.env.CAIRN_SHOW_OBJECTS ?? OBJECTS)
  for (const members of options.members ?? [Number(process.env.CAIRN_SHOW_MEMBERS ?? MEMBERS)]) {
    const etcd = await startEtcd({ members, flags: ['--quota-backend-bytes=8589934592'] })
    const folder = await temporaryFolder('scale')
    try {
      report.step(`${objects} objects on etcd of ${members} ${members === 1 ? 'member' : 'members'}`)
      await load(report, etcd, objects)
      const args = ['measure', '--folder', folder, '--seconds', String(options.seconds ?? 5)]
      print(report, await runTool<Measured>(etcd, objects, args), { ...options, objects })
    } finally {
      await etcd.stop()
      await removeFolder(folder)
    }
  }
}

async function load(report: Report, etcd: EtcdCluster, objects: number): Promise<void> {
  const loaded = await runTool<Figures & { revision: number }>(etcd, objects, ['load'])
  report.figure('commits of 252 writers', loaded.perSecond, ' per s')
  report.figure('CPU of etcd per object written', loaded.etcdMicros, ' µs')
  await etcd.control('compact', String(loaded.revision))
  // One member after the other, for each of which it takes as long as a gigabyte takes to be written.
  await etcd.control('defrag', '--command-timeout=600s')
  const sizes = await Promise.all(etcd.members.map((member) => member.metrics()))
  const bytes = Math.max(...sizes.map((samples) => samples.get('etcd_mvcc_db_total_size_in_bytes') ?? 0))
  report.atMost('bytes per object in etcd', bytes / objects, BYTES_PER_OBJECT_MAX)
  const memory = Math.max(...sizes.map((samples) => samples.get('process_resident_memory_bytes') ?? 0))
  report.figure('memory of a member per object', memory / objects, ' bytes')
}

async function runTool<T>(etcd: EtcdCluster, objects: number, args: readonly string[]): Promise<T> {
  const pids = etcd.members.map(({ pid }) => pid).join('+')
  const cluster = ['--endpoints', etcd.endpoints.join(','), '--pids', pids, '--objects', String(objects)]
  const said = await runOk(process.execPath, [TOOL, ...args, ...cluster], { timeoutMs: TIMEOUT_MS })
  return JSON.parse(said.stdout.toString().trimEnd().split('\n').at(-1) ?? '') as T
}

function print(report: Report, measured: Measured, options: EtcdScaleOptions & { objects: number }): void {
  const { mirror, putsAlone, putsBesideFill, withMirror, withoutMirror } = measured
  report.atLeast('rows in the mirror', mirror.rows, options.objects)
  report.atLeast('requests that the mirror answered', mirror.readsHere, 1)
  report.atMost('ranges in which the mirror differed', mirror.mismatches, 0)
  report.figure('bytes per object in the mirror', mirror.fileBytes / options.objects)
  report.figure('memory of the mirror', mirror.rss / 1e6, ' MB')
  report.figure('cold start until the mirror answers', mirror.coldSeconds, ' s')
  report.figure('CPU of etcd for it, with one writer beside', mirror.etcdFillSeconds, ' s')
  report.figure('start again until the mirror answers', mirror.warmSeconds, ' s')
  printPuts(report, 'put of one writer', putsAlone)
  printPuts(report, 'put of one writer while the mirror is filled', putsBesideFill)
  const listed = withMirror.listKeysPerSecond
  report.timed.atLeast('keys listed from the mirror', listed, KEYS_PER_SECOND_MIN, ' per s')
  report.figure('keys listed from etcd', withoutMirror.listKeysPerSecond, ' per s')
  printGets(report, 'with the mirror', withMirror.get)
  printGets(report, 'without', withoutMirror.get)
}

function printPuts(report: Report, name: string, { p50Ms, p99Ms, maxMs }: Figures): void {
  report.figure(name, `p50 ${p50Ms.toFixed(1)}, p99 ${p99Ms.toFixed(1)}, longest ${maxMs.toFixed(1)}`, ' ms')
}

function printGets(report: Report, name: string, figures: Figures): void {
  const { perSecond, p50Ms, p99Ms, serviceMicros, etcdMicros } = figures
  const cpu = `CPU ${serviceMicros.toFixed(0)} µs in the service, ${etcdMicros.toFixed(0)} in etcd`
  const times = `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`
  report.figure(`GET of a row by 64 readers ${name}`, `${perSecond.toFixed(0)} per s, ${times}, ${cpu}`)
}
