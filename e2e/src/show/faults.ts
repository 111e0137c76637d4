/**
 * SIGKILL, EIO, ENOSPC and short writes at every Nth sync, write, rename, unlink and truncate of a server that works
 * off 50 operations on a real ext4 file system; after each a server without faults starts on the folder, and every
 * key is compared with a ledger that lies outside. After a failed sync the same descriptor is never synced again,
 * and nothing that depends on it is acknowledged.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DiskRecord, readDiskLog } from '../harness/disk-log.js'
import {
  buildShim,
  FAULT_CLASSES,
  type Fault,
  type FaultAction,
  type FaultClass,
  shimEnv,
} from '../harness/disk-shim.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { inLanes } from '../harness/lanes.js'
import { checkLedger } from '../harness/ledger-check.js'
import { canMountLoop, mountLoop } from '../harness/loop-mount.js'
import { createSeeded, type Seeded } from '../harness/seeded.js'
import { NotReadyError, type StartOptions, startServer } from '../harness/server.js'
import { type InsideServer, startInside } from '../harness/server-inside.js'
import {
  type History,
  type HistoryEntry,
  ledgerOf,
  runWorkload,
  WORKLOAD_BUCKET,
} from '../harness/workload.js'
import type { Report } from './report.js'

const OPERATIONS = 50
/**
 * Fault points of a show, spread evenly over all. With CAIRN_SHOW_POINTS=all every one, which takes hours; with 2/6 the
 * second of six parts that together are all.
 */
const POINTS = 240
const MOUNT_MEBIBYTES = 512
const READY_MS = 60_000

const ACTIONS: Readonly<Record<FaultClass, readonly FaultAction[]>> = {
  sync: ['kill', 'EIO'],
  write: ['kill', 'torn', 'short', 'EIO', 'ENOSPC'],
  rename: ['kill', 'EIO', 'ENOSPC'],
  unlink: ['kill', 'EIO'],
  truncate: ['kill', 'EIO'],
}

const TRACE_TRIES = 50
/** How strace names the calls of each class; links count among renames. */
const TRACED: Readonly<Record<FaultClass, RegExp>> = {
  sync: /^\d+ +(fsync|fdatasync|syncfs|sync_file_range)\(/,
  write: /^\d+ +(write|writev|pwrite64|pwritev|pwritev2|sendfile|copy_file_range|fallocate)\(/,
  rename: /^\d+ +(rename|renameat|renameat2|link|linkat)\(/,
  unlink: /^\d+ +(unlink|unlinkat)\(/,
  truncate: /^\d+ +(truncate|ftruncate)\(/,
}
const TRACED_CALLS =
  'trace=fsync,fdatasync,syncfs,sync_file_range,write,writev,pwrite64,pwritev,pwritev2,sendfile,copy_file_range,' +
  'fallocate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,truncate,ftruncate'

/** One drive shows what a fault does; with three the others have to stand in. */
const LAYOUTS: readonly Layout[] = [
  { name: 'one drive', env: { CAIRN_DRIVES: '1' }, drives: 1 },
  { name: 'three drives', env: { CAIRN_GC_GRACE_SECONDS: '0' }, drives: 3 },
]

interface Layout {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly drives: number
}

interface Point extends Fault {
  readonly layout: Layout
}

interface World {
  readonly shim: string
  readonly folder: string
  readonly mount: string
  readonly seed: number
  /** Of the points that run at the same time. */
  readonly lane: number
}

/** `npm run show -- faults`; fewer points for the sample in `npm test`. */
export async function showFaults(report: Report, wanted: Wanted = pointsWanted()): Promise<void> {
  if (!(await canMountLoop())) {
    report.step('skipped: only root can mount an ext4 file system')
    return
  }
  const seeded = createSeeded()
  report.step(`seed ${seeded.seed} (repeat with CAIRN_TEST_SEED=${seeded.seed})`)
  const folder = await temporaryFolder('faults')
  const mount = await mountLoop(folder, MOUNT_MEBIBYTES)
  try {
    const world: World = {
      shim: await buildShim(folder),
      folder,
      mount: mount.path,
      seed: seeded.seed,
      lane: 0,
    }
    const all: Point[] = []
    await proveShim(world, report)
    for (const layout of LAYOUTS) all.push(...(await findPoints(world, layout, report)))
    const chosen = typeof wanted === 'number' ? sampleOf(all, wanted, seeded) : all.filter(wanted)
    await tryAll(world, chosen, report)
    const floor = typeof wanted === 'number' ? Math.min(wanted, all.length) : 1
    report.atLeast(`fault points, of ${all.length}`, chosen.length, floor)
  } finally {
    await mount.unmount()
    await removeFolder(folder)
  }
}

/** So many points, or those that it picks. */
type Wanted = number | ((point: Point) => boolean)

function pointsWanted(): Wanted {
  const wanted = process.env.CAIRN_SHOW_POINTS ?? String(POINTS)
  if (wanted === 'all') return Number.POSITIVE_INFINITY
  const [part, parts] = wanted.split('/').map(Number)
  if (part === undefined || parts === undefined) return Number(wanted)
  return ({ at }) => at % parts === part % parts
}

/** Runs without a fault, and counts. */
async function findPoints(world: World, layout: Layout, report: Report): Promise<Point[]> {
  const { records, complaints } = await runPoint(world, layout, undefined)
  for (const line of complaints) report.step(line)
  report.atMost(`complaints without a fault, ${layout.name}`, complaints.length, 0)
  const points: Point[] = []
  for (const call of FAULT_CLASSES) {
    const count = countOf(records, call)
    report.figure(`calls of ${call}, ${layout.name}`, count)
    for (let at = 1; at <= count; at++)
      points.push(...ACTIONS[call].map((action) => ({ call, at, action, layout })))
  }
  return points
}

function classOf({ kind }: DiskRecord): FaultClass | undefined {
  if (kind === 'begin') return 'sync'
  if (kind === 'link') return 'rename'
  return FAULT_CLASSES.find((name) => name === kind)
}

/** Evenly spread, from a random start; the rarer calls come whole before the many writes are thinned out. */
function sampleOf(all: readonly Point[], wanted: number, seeded: Seeded): Point[] {
  if (wanted >= all.length) return [...all]
  const rare = all.filter(({ call }) => call !== 'write' && call !== 'sync')
  const many = all.filter(({ call }) => call === 'write' || call === 'sync')
  const share = Math.min(rare.length, Math.floor(wanted / 4))
  return [...spread(rare, share, seeded), ...spread(many, wanted - share, seeded)]
}

function spread(points: readonly Point[], wanted: number, seeded: Seeded): Point[] {
  const step = points.length / wanted
  const start = seeded.fraction() * step
  return Array.from({ length: wanted }, (_, index) => points[Math.floor(start + index * step)] as Point)
}

/** The shim has seen all that changed a file: as many calls as strace. */
async function proveShim(world: World, report: Report): Promise<void> {
  const trace = join(world.folder, 'strace')
  const wrapper = [
    'strace',
    '-D',
    '-f',
    '-y',
    '-q',
    '-s',
    '0',
    '--seccomp-bpf',
    '-o',
    trace,
    '-e',
    TRACED_CALLS,
  ]
  const layout = LAYOUTS[0] as Layout
  const { records } = await runPoint(world, layout, undefined, wrapper)
  const lines = (await wholeTrace(trace)).split('\n').filter((line) => line.includes(`${world.mount}/data-0`))
  for (const [call, pattern] of Object.entries(TRACED)) {
    const traced = lines.filter((line) => pattern.test(line)).length
    const seen = countOf(records, call as FaultClass)
    report.holds(`the shim sees each ${call} that strace sees`, seen === traced, `${seen} and ${traced}`)
  }
  await removeFolder(trace)
}

/** The tracer ends after the server. */
async function wholeTrace(path: string): Promise<string> {
  for (let left = TRACE_TRIES; ; left--) {
    const text = await readFile(path, 'utf8')
    if (left === 0 || /^\d+ +\+\+\+ exited.*\n$/m.test(text.slice(-200))) return text
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function countOf(records: readonly DiskRecord[], call: FaultClass): number {
  return records.reduce((most, entry) => Math.max(most, classOf(entry) === call ? entry.number : 0), 0)
}

async function tryAll(world: World, points: readonly Point[], report: Report): Promise<void> {
  const complaints: string[] = []
  let fired = 0
  let done = 0
  await inLanes(points, async (point, { lane }) => {
    const result = await runPoint({ ...world, lane }, point.layout, point)
    if (result.fired) fired++
    const name = `${point.action} at ${point.call} ${point.at}, ${point.layout.name}`
    for (const line of result.complaints) report.step(`${name}: ${line}`)
    complaints.push(...result.complaints)
    if (++done % 40 === 0) report.step(`${done} points, ${complaints.length} complaints`)
  })
  report.atLeast('faults that struck', fired, Math.floor(points.length * 0.8))
  report.atMost('keys with a wrong state, failed starts, syncs after a failed sync', complaints.length, 0)
}

interface PointResult {
  readonly records: readonly DiskRecord[]
  readonly complaints: readonly string[]
  readonly fired: boolean
}

async function runPoint(
  world: World,
  layout: Layout,
  fault: Fault | undefined,
  wrapper: readonly string[] = [],
): Promise<PointResult> {
  const dataDir = join(world.mount, `data-${world.lane}`)
  const log = join(world.folder, `shim-${world.lane}.log`)
  const { shim } = world
  const history: History = []
  const complaints: string[] = []
  try {
    const env = {
      ...layout.env,
      ...shimEnv({ shim, root: dataDir, log, ...(fault === undefined ? {} : { fault }) }),
    }
    complaints.push(...(await workUnder(world, { dataDir, env, wrapper, readyTimeoutMs: READY_MS }, history)))
    const records = await readDiskLog(log)
    complaints.push(...judgeSyncs(records, history, layout))
    complaints.push(...(await checkAfter(dataDir, layout, history)))
    const fired = records.some(({ kind, error }) => kind === 'killed' || error === 5 || error === 28)
    return { records, complaints, fired: fired || fault?.action === 'short' }
  } finally {
    await removeFolder(dataDir)
    await removeFolder(log)
  }
}

/** The fault may hit the start, which then must end; there is nothing to work off. */
async function workUnder(world: World, options: StartOptions, history: History): Promise<string[]> {
  const server = await startServer(options).catch((error: Error) => error)
  if (server instanceof Error) return server instanceof NotReadyError ? [server.message] : []
  let isAlive = true
  void server.exited.then(() => {
    isAlive = false
  })
  const work = { operations: OPERATIONS, seeded: createSeeded(world.seed), goesOn: () => isAlive }
  history.push(...(await runWorkload(server, work)))
  await server.stop()
  return []
}

async function checkAfter(dataDir: string, layout: Layout, history: History): Promise<string[]> {
  let server: InsideServer
  try {
    server = await startInside(dataDir, layout.env)
  } catch (error) {
    return [`no start: ${(error as Error).message}`]
  }
  try {
    return await checkLedger(server, ledgerOf(history), { bucket: WORKLOAD_BUCKET })
  } finally {
    await server.close()
  }
}

/** No second sync of a descriptor whose sync has failed, and no acknowledgement of what it was for. */
function judgeSyncs(records: readonly DiskRecord[], history: History, layout: Layout): string[] {
  const complaints: string[] = []
  for (const [index, failed] of records.entries()) {
    if (failed.kind !== 'end' || failed.error === 0) continue
    if (isSyncedAgain(records.slice(index + 1), failed)) complaints.push(`${failed.path} was synced again`)
    for (const { kind, key } of history.filter((entry) => isWrong(entry, failed, layout)))
      complaints.push(`${kind} of ${key} was acknowledged after the sync of ${failed.path} had failed`)
  }
  return complaints
}

/** Whether the operation needed what had failed, and was acknowledged all the same. */
function isWrong(entry: HistoryEntry, failed: DiskRecord, { drives }: Layout): boolean {
  if (entry.outcome !== 'acknowledged' || entry.endedNs < failed.atNs) return false
  if (failed.path.includes('/metadata/store.')) return entry.beganNs > failed.atNs
  // With one drive every put needs it, also the one that was under way.
  const isPut = entry.kind === 'put' && entry.sizeBytes > 0
  return drives === 1 && isPut && failed.path.includes('/segments/')
}

function isSyncedAgain(later: readonly DiskRecord[], failed: DiskRecord): boolean {
  for (const { kind, descriptor, path } of later) {
    if (descriptor !== failed.descriptor) continue
    if (kind === 'open' || kind === 'truncated' || kind === 'close') return false
    if (kind === 'begin' && path === failed.path) return true
  }
  return false
}
