/**
 * Syncs under `strace`: every one is of a kind that the server counts, and at 64 writers many share one of those that
 * an answer waits for.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { runLoadTool } from '../harness/load-tool.js'
import { run, runOk } from '../harness/run.js'
import { readMetrics, type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const PUTS = 6400
const CONNECTIONS = 64
const PUTS_PER_SYNC_MIN = 16
const DRIVES = 3
/** An index is moved to its file after so many pages; a batch of PUTs dirties at most a page or two for each. */
const INDEX_PAGES = 2000
/** The metadata store is moved to its file after so many pages; a PUT writes one, and an entry three more. */
const STORE_PAGES = 500
const PAGES_PER_PUT = 2
const PAGES_PER_ENTRY = 3
const SYNCS_PER_CHECKPOINT = 3
/** A journal is synced this long after the first entry that it lacks, not with every entry. */
const JOURNAL_MS = 400

/** What a file is synced for, by its path in the data folder, and the metric that counts it. */
const KINDS = [
  { kind: 'blocks', path: /\/drives\/\d+\/segments(\/|$)/, metric: 'cairn_drive_fsyncs_total' },
  { kind: 'metadata store', path: /\/metadata\/store\.sqlite/, metric: 'cairn_metadata_fsyncs_total' },
  {
    kind: 'journals',
    path: /\/drives\/\d+\/metadata(\/journal-\d+\.log)?$/,
    metric: 'cairn_journal_fsyncs_total',
  },
  { kind: 'block index', path: /\/index\.sqlite/, metric: 'cairn_drive_index_fsyncs_total' },
] as const
/** Small files that are replaced now and then, with their folder: how far scrub has come, the epoch of the map. */
const SMALL_FILE = /\/drives\/\d+(\/[a-z]+\.json\.\d+\.tmp)?$/
/** Of these, at most one in so many PUTs. */
const PUTS_PER_SMALL_FILE = 32

type Samples = ReadonlyMap<string, number>

/** The metrics just outside and just inside the time that was traced, and what was seen in it. */
interface Trace {
  readonly outside: readonly [before: Samples, after: Samples]
  readonly inside: readonly [before: Samples, after: Samples]
  /** Paths that were synced, one for each time. */
  readonly paths: readonly string[]
  /** Between the outer two readings of the metrics. */
  readonly elapsedMs: number
}

/** `npm run show -- syscalls`. */
export async function showSyscalls(report: Report): Promise<void> {
  const folder = await temporaryFolder('syscalls')
  const server = await startServer({ dataDir: join(folder, 'data') })
  try {
    await runLoadTool(server, { objects: 500, sizeBytes: 4096 })
    const trace = await traceLoad(server, join(folder, 'strace'))
    reportKinds(report, trace)
    reportSharing(report, trace)
  } finally {
    await server.stop()
    await removeFolder(folder)
  }
}

async function traceLoad(server: Server, output: string): Promise<Trace> {
  const startedMs = performance.now()
  const first = await readMetrics(server)
  const options = ['-f', '-y', '-e', 'trace=fsync,fdatasync', '-o', output]
  const tracing = run('strace', [...options, '-p', String(server.pid)])
  await waitForTracer(server)
  const second = await readMetrics(server)
  await runLoadTool(server, { objects: PUTS, sizeBytes: 4096, connections: CONNECTIONS })
  const third = await readMetrics(server)
  await runOk('pkill', ['-INT', '-f', `strace .*-p ${server.pid}$`])
  await tracing
  const last = await readMetrics(server)
  const elapsedMs = performance.now() - startedMs
  const paths = syncedPaths(await readFile(output, 'utf8'))
  return { outside: [first, last], inside: [second, third], paths, elapsedMs }
}

/** The threads that write files are attached one after the other. */
async function waitForTracer(server: Server): Promise<void> {
  for (let traced = false; !traced; ) {
    const threads = await readdir(`/proc/${server.pid}/task`)
    const all = threads.map((thread) => readFile(`/proc/${server.pid}/task/${thread}/status`, 'utf8'))
    traced = (await Promise.all(all)).every((status) => /^TracerPid:\s+[1-9]/m.test(status))
  }
}

/** Calls that strace saw begin; the lines that resume them name no path. */
function syncedPaths(output: string): string[] {
  return [...output.matchAll(/ f(?:data)?sync\(\d+<([^>]*)>/g)].map((match) => match[1] ?? '')
}

/** What the metrics of this name rose by, labels and all. */
function rise([before, after]: readonly [Samples, Samples], name: string): number {
  let sum = 0
  for (const [sample, value] of after) {
    if (sample === name || sample.startsWith(`${name}{`)) sum += value - (before.get(sample) ?? 0)
  }
  return sum
}

/** Each kind of sync is counted by the server, no more and no less; others are few, and of small files. */
function reportKinds(report: Report, { outside, inside, paths }: Trace): void {
  for (const { kind, path, metric } of KINDS) {
    const traced = paths.filter((synced) => path.test(synced)).length
    // What was under way while the tracer came and went may be on either side.
    const least = rise(inside, metric)
    const most = rise(outside, metric)
    const detail = `${traced} seen, ${least === most ? least : `${least} to ${most}`} counted`
    report.holds(
      `syncs of ${kind} are those that the server counts`,
      traced >= least && traced <= most,
      detail,
    )
  }
  const others = paths.filter((synced) => !KINDS.some(({ path }) => path.test(synced)))
  const unknown = others.filter((synced) => !SMALL_FILE.test(synced))
  report.holds('no other kind of file is synced', unknown.length === 0, unknown.join(' '))
  report.atMost('syncs of small files', others.length, PUTS / PUTS_PER_SMALL_FILE)
}

function reportSharing(report: Report, { outside, elapsedMs }: Trace): void {
  const blocks = rise(outside, 'cairn_drive_fsyncs_total')
  const batches = rise(outside, 'cairn_commit_batches_total')
  report.figure('metadata batches', batches)
  report.atLeast('PUTs that share one metadata batch', PUTS / batches, PUTS_PER_SYNC_MIN)
  report.atLeast('PUTs that share one sync of a drive', PUTS / (blocks / DRIVES), PUTS_PER_SYNC_MIN)
  // Off the acknowledgement path. Both bounds count pages as if no two PUTs shared one, and one checkpoint more, since
  // the log may be nearly full when the load begins.
  const storePages = PUTS * PAGES_PER_PUT + batches * PAGES_PER_ENTRY
  report.atMost(
    'syncs of checkpoints of the metadata store',
    rise(outside, 'cairn_metadata_fsyncs_total{kind="checkpoint"}'),
    SYNCS_PER_CHECKPOINT * (1 + Math.ceil(storePages / STORE_PAGES)),
  )
  report.atMost(
    'syncs of the block index',
    rise(outside, 'cairn_drive_index_fsyncs_total'),
    DRIVES * SYNCS_PER_CHECKPOINT * (1 + Math.ceil((PUTS * PAGES_PER_PUT) / INDEX_PAGES)),
  )
  report.atMost(
    'syncs of journals',
    rise(outside, 'cairn_journal_fsyncs_total'),
    DRIVES * (1 + Math.ceil(elapsedMs / JOURNAL_MS)),
  )
}
