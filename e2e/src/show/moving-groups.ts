/**
 * Groups change hands twice while blocks are in flight to them: bodies whose first blocks are stored by one placement
 * are held open until every group has moved to a new drive, and again until an old drive is drained; then they end.
 * Every acknowledged block has all its copies.
 */
import { request } from 'node:http'
import { CreateBucketCommand, GetObjectCommand } from '@aws-sdk/client-s3'
import { cairnOf, describeFsck, fsck, poll, type StatusReport, statusOf } from '../harness/check.js'
import { startCluster } from '../harness/cluster.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { presign } from '../harness/presign.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf } from '../harness/seeded.js'
import type { Server } from '../harness/server.js'
import type { Report } from './report.js'

const BUCKET = 'held'
const WRITERS = 6
/** Two whole blocks at once, the rest in drops. */
const FIRST_BYTES = 17 * 1024 * 1024
const DROP_BYTES = 16 * 1024
const DROP_MS = 500
const SIZE_BYTES = 30 * 1024 * 1024
const MOVE_MS = 300_000
const EMPTY_MS = 150_000
const ENV = { CAIRN_SUSPECT_SECONDS: '5', CAIRN_GC_GRACE_SECONDS: '2', CAIRN_REBALANCE: 'command' }

/** `npm run show -- moving-groups`. */
export async function showMovingGroups(report: Report): Promise<void> {
  const folder = await temporaryFolder('moving-groups')
  const cluster = await startCluster({ folder, env: ENV, chunkServers: 3, gateways: 1 })
  try {
    const [gateway] = cluster.gateways
    if (gateway === undefined) throw new Error('there is no gateway')
    await makeBucket(gateway)
    await poll(
      () => statusOf(gateway),
      ({ safeMode }) => !safeMode,
      MOVE_MS,
    )
    const writers = await Promise.all(Array.from({ length: WRITERS }, (_, at) => holdOpen(gateway, `k${at}`)))
    report.step(`${WRITERS} bodies have begun, and are held open`)
    await cluster.addChunkServer()
    await moveAll(report, gateway, ['rebalance'], 'all groups spread over a fourth drive')
    const [first] = (await statusOf(gateway)).drives
    await moveAll(report, gateway, ['drive', 'drain', first?.id ?? ''], 'an old drive drained')
    const statuses = await Promise.all(writers.map((writer) => writer.end()))
    report.holds(
      'every body is acknowledged',
      statuses.every((status) => status === 200),
      statuses.join(),
    )
    await showWhole(report, gateway)
  } finally {
    await cluster.stop()
    await removeFolder(folder)
  }
}

async function makeBucket(gateway: Server): Promise<void> {
  const s3 = connectS3(gateway)
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  s3.destroy()
}

async function moveAll(
  report: Report,
  gateway: Server,
  command: readonly string[],
  name: string,
): Promise<void> {
  const { status, stderr } = await cairnOf(gateway, ...command, '--wait', '--timeout', '300')
  const after = await statusOf(gateway)
  const isMoved = after.moves.positionsLeft === 0 && after.moves.positionsMoved > 0
  report.holds(name, status === 0 && isMoved, `${JSON.stringify(after.moves)} ${stderr.slice(-200)}`)
}

interface Writer {
  /** Sends the rest; the status of the answer. */
  end(): Promise<number>
}

/** Sends the first blocks of a body, then drops of it until told to end. */
async function holdOpen(gateway: Server, key: string): Promise<Writer> {
  const url = await presign(gateway, 'PUT', `${BUCKET}/${key}`)
  const body = contentOf(key, SIZE_BYTES)
  const headers = { 'content-length': String(SIZE_BYTES), 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }
  const sent = request(url, { method: 'PUT', headers })
  const answered = new Promise<number>((resolve) => {
    sent.on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    sent.on('error', () => resolve(0))
  })
  let at = FIRST_BYTES
  await new Promise<void>((resolve) => void sent.write(body.subarray(0, at), () => resolve()))
  const timer = setInterval(() => {
    sent.write(body.subarray(at, at + DROP_BYTES))
    at += DROP_BYTES
  }, DROP_MS)
  return {
    end(): Promise<number> {
      clearInterval(timer)
      sent.end(body.subarray(at))
      return answered
    },
  }
}

async function showWhole(report: Report, gateway: Server): Promise<void> {
  // The commits themselves have seen to the copies, or to the mark of a debt where a drive was late.
  const { dirtyGroups } = (await statusOf(gateway)).repair
  const checked = await fsck(gateway)
  const { blocks, underReplicated, dangling } = checked.report
  report.atLeast('blocks', blocks, WRITERS * 4)
  const isOwed = underReplicated <= dirtyGroups && dangling === 0
  report.holds('no block without its copies, or the mark of its debt', isOwed, describeFsck(checked))
  report.figure('groups that owe a copy to a late drive', dirtyGroups)
  const repaired = await fsck(gateway, '--repair-wait')
  report.holds('no block without its copies', repaired.status === 0, describeFsck(repaired))
  const s3 = connectS3(gateway)
  for (let at = 0; at < WRITERS; at++) {
    const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: `k${at}` }))
    const bytes = Buffer.from((await found.Body?.transformToByteArray()) ?? [])
    report.holds(`k${at} reads back`, bytes.equals(contentOf(`k${at}`, SIZE_BYTES)))
  }
  s3.destroy()
  const isEmpty = ({ drives }: StatusReport): boolean =>
    drives.some(({ state, report: last }) => state === 'out' && last?.blockCount === 0)
  report.holds('the drained drive is empty', isEmpty(await poll(() => statusOf(gateway), isEmpty, EMPTY_MS)))
}
