/**
 * All roles apart, under load: from three chunk servers to four and six, and drained back to four. No request fails,
 * hardly more moves than must, and whoever has left is empty.
 */
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import {
  cairnOf,
  type DriveStatus,
  describeFsck,
  fsck,
  poll,
  type StatusReport,
  statusOf,
} from '../harness/check.js'
import { type Cluster, startCluster } from '../harness/cluster.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { checkLedger } from '../harness/ledger-check.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf, createSeeded } from '../harness/seeded.js'
import type { Server } from '../harness/server.js'
import { type History, ledgerOf, runWorkload, WORKLOAD_BUCKET } from '../harness/workload.js'
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

/** `npm run show -- grow-drain`. */
export async function showGrowDrain(report: Report, objects = 300): Promise<void> {
  const folder = await temporaryFolder('grow-drain')
  const cluster = await startCluster({ folder, env: ENV, chunkServers: 3, gateways: 1 })
  try {
    const [gateway] = cluster.gateways
    if (gateway === undefined) throw new Error('there is no gateway')
    await showAll(report, cluster, gateway, objects)
  } finally {
    await cluster.stop()
    await removeFolder(folder)
  }
}

async function showAll(report: Report, cluster: Cluster, gateway: Server, objects: number): Promise<void> {
  const seeded = createSeeded()
  report.step(`seed ${seeded.seed}`)
  const s3 = connectS3(gateway)
  await fill(s3, objects)
  await poll(
    () => statusOf(gateway),
    ({ safeMode }) => !safeMode,
    EMPTY_MS,
  )
  let goesOn = true
  const loads = [0, 1].map((at) =>
    runWorkload(gateway, {
      operations: 1_000_000,
      seeded,
      name: `w${at}-`,
      clients: 2,
      goesOn: () => goesOn,
    }),
  )
  const reads = readAll(s3, objects, () => goesOn)
  const moves: Moves = { moved: 0, minimum: 0 }
  try {
    await grow(report, cluster, gateway, 1, moves)
    await grow(report, cluster, gateway, 2, moves)
    await drain(report, cluster, gateway, moves)
  } finally {
    goesOn = false
  }
  const history: History = (await Promise.all(loads)).flat()
  const read = await reads
  s3.destroy()
  report.atMost('moved ÷ minimum, of all steps', moves.moved / moves.minimum, 1.05)
  showLoad(report, history, read)
  await showRest(report, gateway, history)
}

interface Moves {
  moved: number
  minimum: number
}

async function grow(
  report: Report,
  cluster: Cluster,
  gateway: Server,
  count: number,
  moves: Moves,
): Promise<void> {
  const before = await statusOf(gateway)
  for (let added = 0; added < count; added++) await cluster.addChunkServer()
  const names = new Set(before.drives.map(({ id }) => id))
  const isDone = ({ drives, moves: now }: StatusReport): boolean =>
    isAtRest(now) && drives.filter(({ id, positions }) => !names.has(id) && positions > 0).length === count
  await step(report, gateway, `grown to ${cluster.chunkServers.length}`, { before, isDone }, moves)
}

async function drain(report: Report, cluster: Cluster, gateway: Server, moves: Moves): Promise<void> {
  const before = await statusOf(gateway)
  const leaving = before.drives.slice(-2)
  for (const { server } of leaving) {
    const { status, stderr } = await cairnOf(gateway, 'node', 'drain', server)
    report.holds(`cairn node drain ${server}`, status === 0, stderr)
  }
  const isLeaving = ({ id }: DriveStatus): boolean => leaving.some((drive) => drive.id === id)
  const isDone = ({ drives, moves: now }: StatusReport): boolean =>
    isAtRest(now) && drives.filter(isLeaving).every(({ state }) => state === 'out')
  const left = cluster.chunkServers.length - leaving.length
  await step(report, gateway, `drained to ${left}`, { before, isDone }, moves)
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
  gateway: Server,
  name: string,
  { before, isDone }: Step,
  moves: Moves,
): Promise<void> {
  const started = performance.now()
  const after = await poll(() => statusOf(gateway), isDone, MOVE_MS)
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

async function fill(s3: S3Client, objects: number): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  for (let index = 0; index < objects; index++) {
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `k${index}`, Body: bodyOf(index) }))
  }
}

function bodyOf(index: number): Buffer {
  return contentOf(`object ${index}`, SIZES[index % SIZES.length] ?? 0)
}

/** Reads objects that nobody changes, one after the other: how many, and what was wrong. */
async function readAll(
  s3: S3Client,
  objects: number,
  goesOn: () => boolean,
): Promise<{ count: number; failures: string[] }> {
  const failures: string[] = []
  let count = 0
  while (goesOn()) {
    const index = count++ % objects
    try {
      const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: `k${index}` }))
      const bytes = Buffer.from((await found.Body?.transformToByteArray()) ?? [])
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

async function showRest(report: Report, gateway: Server, history: History): Promise<void> {
  const complaints = await checkLedger(gateway, ledgerOf(history), { bucket: WORKLOAD_BUCKET })
  report.holds('every write reads back', complaints.length === 0, complaints.slice(0, 3).join('; '))
  const isEmpty = ({ drives }: StatusReport): boolean =>
    drives.filter(({ state }) => state === 'out').every((drive) => drive.report?.blockCount === 0)
  const status = await poll(() => statusOf(gateway), isEmpty, EMPTY_MS)
  const left = status.drives.filter(({ state }) => state === 'out').map((drive) => drive.report?.blockCount)
  report.holds('those that left are empty', isEmpty(status), `blocks ${left.join()}`)
  const checked = await fsck(gateway, '--deep', '--repair-wait')
  report.holds('fsck --deep is clean', checked.status === 0, describeFsck(checked))
}
