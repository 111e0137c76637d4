/**
 * A cluster on hosts of their own, under load through both gateways: from three chunk servers to four and six, and
 * drained back to four. No request fails, hardly more moves than must, and whoever has left is empty.
 */
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { cairnOf, type DriveStatus, describeFsck, fsck, poll, type StatusReport } from '../harness/check.js'
import type { ClusterOnHosts } from '../harness/cluster-hosts.js'
import { checkLedger } from '../harness/ledger-check.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf, type Seeded } from '../harness/seeded.js'
import { type History, ledgerOf, runWorkload, WORKLOAD_BUCKET } from '../harness/workload.js'
import { gatewayOf, onCluster } from './cluster-world.js'
import type { Report } from './report.js'

const BUCKET = 'steady'
const MOVE_MS = 300_000
/** Above the time for which a drive is looked at that has left its groups. */
const EMPTY_MS = 200_000
const SIZES = [4096, 70_000, 300_000, 2_000_000]
const ENV = {
  CAIRN_SUSPECT_SECONDS: '5',
  CAIRN_GC_GRACE_SECONDS: '2',
}

export interface GrowDrainOptions {
  /** Runs on this one; on one of its own unless given. */
  readonly cluster?: ClusterOnHosts
  readonly objects?: number
  /** Chunk servers added at once; those of the last step are drained again. */
  readonly steps?: readonly number[]
}

/** `npm run show -- grow-drain`. */
export async function showGrowDrain(report: Report, options: GrowDrainOptions = {}): Promise<void> {
  const { cluster: given, objects = 300, steps = [1, 2] } = options
  // In one rack any drive may hold any group: the most moves.
  const own = { chunkServers: 3, racks: 1, spread: false, env: ENV }
  await onCluster(report, { ...own, cluster: given }, async (cluster, seeded) => {
    const clients = [0, 1].map((at) => connectS3(gatewayOf(cluster, at)))
    try {
      await fill(clients, objects)
      const rested = ({ safeMode, moves }: StatusReport): boolean => !safeMode && isAtRest(moves)
      await poll(cluster.state, rested, EMPTY_MS)
      const history = await moveUnderLoad(report, cluster, { seeded, clients, objects, steps })
      await showRest(report, cluster, history)
    } finally {
      for (const client of clients) client.destroy()
    }
  })
}

interface Plan {
  readonly seeded: Seeded
  readonly clients: readonly S3Client[]
  readonly objects: number
  readonly steps: readonly number[]
}

async function moveUnderLoad(
  report: Report,
  cluster: ClusterOnHosts,
  { seeded, clients, objects, steps }: Plan,
): Promise<History> {
  let isOver = false
  const loads = clients.map((_, at) =>
    runWorkload(gatewayOf(cluster, at), {
      operations: 1_000_000,
      seeded,
      name: `w${at}-`,
      clients: 2,
      goesOn: () => !isOver,
    }),
  )
  const reads = readAll(clients, objects, () => !isOver)
  const moves: Moves = { moved: 0, minimum: 0 }
  try {
    for (const count of steps) await grow(report, cluster, count, moves)
    await drain(report, cluster, steps.at(-1) ?? 0, moves)
  } finally {
    isOver = true
  }
  const history: History = (await Promise.all(loads)).flat()
  report.atMost('moved ÷ minimum, of all steps', moves.moved / moves.minimum, 1.05)
  showLoad(report, history, await reads)
  return history
}

interface Moves {
  moved: number
  minimum: number
}

async function grow(report: Report, cluster: ClusterOnHosts, count: number, moves: Moves): Promise<void> {
  const before = await cluster.state()
  for (let added = 0; added < count; added++) await cluster.addChunkServer()
  const names = new Set(before.drives.map(({ id }) => id))
  const isDone = ({ drives, moves: now }: StatusReport): boolean =>
    isAtRest(now) && drives.filter(({ id, positions }) => !names.has(id) && positions > 0).length === count
  await step(report, cluster, `grown to ${cluster.names('chunk').length}`, { before, isDone }, moves)
}

/** The chunk servers that came last leave again. */
async function drain(report: Report, cluster: ClusterOnHosts, count: number, moves: Moves): Promise<void> {
  const before = await cluster.state()
  const names = cluster.names('chunk').slice(-count)
  const leaving = before.drives.filter(({ path }) => names.some((name) => path.includes(`/${name}/`)))
  for (const { server } of leaving) {
    const { status, stderr } = await cairnOf(gatewayOf(cluster, 0), 'node', 'drain', server)
    report.holds(`cairn node drain ${server}`, status === 0, stderr)
  }
  const isLeaving = ({ id }: DriveStatus): boolean => leaving.some((drive) => drive.id === id)
  const isDone = ({ drives, moves: now }: StatusReport): boolean =>
    isAtRest(now) && drives.filter(isLeaving).every(({ state }) => state === 'out')
  await step(report, cluster, `drained by ${count}`, { before, isDone }, moves)
}

function isAtRest({ rebalancing, positionsLeft }: StatusReport['moves']): boolean {
  return !rebalancing && positionsLeft === 0
}

interface Step {
  readonly before: StatusReport
  readonly isDone: (status: StatusReport) => boolean
}

async function step(
  report: Report,
  cluster: ClusterOnHosts,
  name: string,
  { before, isDone }: Step,
  moves: Moves,
): Promise<void> {
  const started = performance.now()
  const after = await poll(cluster.state, isDone, MOVE_MS)
  report.holds(`${name}, at rest`, isDone(after), JSON.stringify(after.moves))
  report.figure(`${name} in`, (performance.now() - started) / 1000, ' s')
  const held = new Map(before.drives.map(({ id, positions }) => [id, positions]))
  const minimum = after.drives.reduce(
    (sum, { id, positions }) => sum + Math.max(0, positions - (held.get(id) ?? 0)),
    0,
  )
  moves.minimum += minimum
  moves.moved += after.moves.positionsMoved
  report.figure(`${name}: positions moved, least possible`, `${after.moves.positionsMoved}, ${minimum}`)
}

async function fill([s3]: readonly S3Client[], objects: number): Promise<void> {
  await s3?.send(new CreateBucketCommand({ Bucket: BUCKET }))
  for (let index = 0; index < objects; index++) {
    await s3?.send(new PutObjectCommand({ Bucket: BUCKET, Key: `k${index}`, Body: bodyOf(index) }))
  }
}

function bodyOf(index: number): Buffer {
  return contentOf(`object ${index}`, SIZES[index % SIZES.length] ?? 0)
}

/** Reads objects that nobody changes, one after the other, by the clients in turn: how many, and what was wrong. */
async function readAll(
  clients: readonly S3Client[],
  objects: number,
  goesOn: () => boolean,
): Promise<{ count: number; failures: string[] }> {
  const failures: string[] = []
  let count = 0
  while (goesOn()) {
    const s3 = clients[count % clients.length]
    const index = count++ % objects
    try {
      const found = await s3?.send(new GetObjectCommand({ Bucket: BUCKET, Key: `k${index}` }))
      const bytes = Buffer.from((await found?.Body?.transformToByteArray()) ?? [])
      if (!bytes.equals(bodyOf(index))) failures.push(`k${index}: other bytes`)
    } catch (error) {
      failures.push(`k${index}: ${(error as Error).name} ${(error as Error).message}`)
    }
  }
  return { count, failures }
}

function showLoad(report: Report, history: History, read: { count: number; failures: string[] }): void {
  const lost = history.filter(({ outcome }) => outcome !== 'acknowledged')
  report.timed.atLeast('writes meanwhile', history.length, 200)
  report.atMost('of them failed', lost.length, 0)
  report.timed.atLeast('reads meanwhile', read.count, 200)
  report.holds('none of them failed', read.failures.length === 0, read.failures.slice(0, 3).join('; '))
}

async function showRest(report: Report, cluster: ClusterOnHosts, history: History): Promise<void> {
  const complaints = await checkLedger(gatewayOf(cluster, 1), ledgerOf(history), { bucket: WORKLOAD_BUCKET })
  report.holds('every write reads back', complaints.length === 0, complaints.slice(0, 3).join('; '))
  if (report.timed.isHeld) await showEmpty(report, cluster)
  const checked = await fsck(gatewayOf(cluster, 0), '--deep', '--repair-wait')
  report.holds('fsck --deep is clean', checked.status === 0, describeFsck(checked))
}

async function showEmpty(report: Report, cluster: ClusterOnHosts): Promise<void> {
  const isEmpty = ({ drives }: StatusReport): boolean =>
    drives.filter(({ state }) => state === 'out').every((drive) => drive.report?.blockCount === 0)
  const status = await poll(cluster.state, isEmpty, EMPTY_MS)
  const left = status.drives.filter(({ state }) => state === 'out').map((drive) => drive.report?.blockCount)
  report.holds('those that left are empty', isEmpty(status), `blocks ${left.join()}`)
}
