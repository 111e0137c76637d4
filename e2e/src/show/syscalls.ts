/** Syncs under `strace`: at most one fdatasync per drive and one metadata sync per batch; at 64 writers many share one. */
import { readFile } from 'node:fs/promises'
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
/** The copies of the metadata may lag by a second; they are synced twice in it. */
const JOURNAL_SYNCS_PER_SECOND = 2

/** `npm run show -- syscalls`. */
export async function showSyscalls(report: Report): Promise<void> {
  const folder = await temporaryFolder('syscalls')
  const summary = join(folder, 'strace')
  const server = await startServer({ dataDir: join(folder, 'data') })
  try {
    await runLoadTool(server, { objects: 500, sizeBytes: 4096 })
    const before = await readMetrics(server)
    const tracing = run('strace', [
      '-f',
      '-c',
      '-e',
      'trace=fsync,fdatasync',
      '-o',
      summary,
      '-p',
      String(server.pid),
    ])
    await waitForTracer(server)
    const { seconds } = await runLoadTool(server, {
      objects: PUTS,
      sizeBytes: 4096,
      connections: CONNECTIONS,
    })
    await runOk('pkill', ['-INT', '-f', `strace .*-p ${server.pid}$`])
    await tracing
    const after = await readMetrics(server)
    reportCounts(report, await countSyncs(summary), { before, after, seconds })
  } finally {
    await server.stop()
    await removeFolder(folder)
  }
}

async function waitForTracer(server: Server): Promise<void> {
  for (let tracer = '0'; tracer === '0'; ) {
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
    tracer = /^TracerPid:\s+(\d+)$/m.exec(status)?.[1] ?? '0'
  }
}

async function countSyncs(summary: string): Promise<number> {
  let total = 0
  for (const line of (await readFile(summary, 'utf8')).split('\n')) {
    const match = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?f(?:data)?sync$/.exec(line)
    if (match !== null) total += Number(match[1])
  }
  return total
}

type Samples = ReadonlyMap<string, number>

function reportCounts(
  report: Report,
  traced: number,
  { before, after, seconds }: { before: Samples; after: Samples; seconds: number },
): void {
  let driveSyncs = 0
  for (const [name, value] of after) {
    if (name.startsWith('cairn_drive_fsyncs_total')) driveSyncs += value - (before.get(name) ?? 0)
  }
  const batches =
    (after.get('cairn_commit_batches_total') ?? 0) - (before.get('cairn_commit_batches_total') ?? 0)
  report.figure(`syncs seen by strace for ${PUTS} PUTs on ${DRIVES} drives`, traced)
  report.figure('of these, as counted by the drives', driveSyncs)
  report.figure('metadata batches', batches)
  report.atLeast('PUTs that share one metadata batch', PUTS / batches, PUTS_PER_SYNC_MIN)
  report.atLeast('PUTs that share one sync of a drive', PUTS / (driveSyncs / DRIVES), PUTS_PER_SYNC_MIN)
  // Off the acknowledgement path: index write-behind and checkpoints, for which a tenth is allowed, and the copies of
  // the metadata on each drive, which are synced more than once a second but not with every batch.
  const others = traced - driveSyncs - batches
  report.atMost(
    'other syncs',
    others,
    (driveSyncs + batches) / 10 + DRIVES * JOURNAL_SYNCS_PER_SECOND * seconds,
  )
}
