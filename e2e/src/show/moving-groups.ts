/**
 * On a cluster on hosts of their own, groups change hands twice while blocks are in flight to them: bodies whose first blocks are stored by one placement
 * are held open until groups have moved to a new drive, and again until an old drive is drained; then they end.
 * Every acknowledged block has all its copies.
 */
import { request } from 'node:http'
import { CreateBucketCommand, GetObjectCommand } from '@aws-sdk/client-s3'
import { cairnOf, type DriveStatus, describeFsck, fsck, poll, type StatusReport } from '../harness/check.js'
import type { ClusterOnHosts } from '../harness/cluster-hosts.js'
import { presign } from '../harness/presign.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf } from '../harness/seeded.js'
import type { Server } from '../harness/server.js'
import { gatewayOf, onCluster } from './cluster-world.js'
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
const LEAVER = 'chunk-2'
const ENV = { CAIRN_SUSPECT_SECONDS: '5', CAIRN_GC_GRACE_SECONDS: '2', CAIRN_REBALANCE: 'command' }

export interface MovingGroupsOptions {
  /** Runs on this one, whose next chunk server shares a rack with `chunk-2`; on one of its own unless given. */
  readonly cluster?: ClusterOnHosts
  readonly writers?: number
}

/** `npm run show -- moving-groups`. */
export async function showMovingGroups(report: Report, options: MovingGroupsOptions = {}): Promise<void> {
  const { cluster: given, writers: count = WRITERS } = options
  // In one rack any drive may hold any group.
  const own = { chunkServers: 3, racks: 1, spread: false, env: ENV }
  await onCluster(report, { ...own, cluster: given }, async (cluster) => {
    await makeBucket(cluster)
    await poll(cluster.state, ({ safeMode }) => !safeMode, MOVE_MS)
    const writers = await Promise.all(
      Array.from({ length: count }, (_, at) => holdOpen(gatewayOf(cluster, at), `k${at}`)),
    )
    report.step(`${count} bodies have begun, and are held open`)
    const name = await cluster.addChunkServer()
    await moveAll(report, cluster, ['rebalance'], {
      name: `groups spread over ${name}`,
      isDone: (state) => driveOf(state, name).positions > 0,
    })
    const leaver = driveOf(await cluster.state(), LEAVER).id
    await moveAll(report, cluster, ['drive', 'drain', leaver], {
      name: `${LEAVER} drained`,
      isDone: (state) => driveOf(state, LEAVER).positions === 0,
    })
    const statuses = await Promise.all(writers.map((writer) => writer.end()))
    report.holds(
      'every body is acknowledged',
      statuses.every((status) => status === 200),
      statuses.join(),
    )
    await showWhole(report, cluster, count)
    if (report.timed.isHeld) await showEmpty(report, cluster)
  })
}

async function makeBucket(cluster: ClusterOnHosts): Promise<void> {
  const s3 = connectS3(gatewayOf(cluster, 0))
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  s3.destroy()
}

function driveOf({ drives }: StatusReport, name: string): DriveStatus {
  const found = drives.find(({ path }) => path.includes(`/${name}/`))
  if (found === undefined) throw new Error(`there is no drive of ${name}`)
  return found
}

interface Move {
  readonly name: string
  readonly isDone: (state: StatusReport) => boolean
}

async function moveAll(
  report: Report,
  cluster: ClusterOnHosts,
  command: readonly string[],
  { name, isDone }: Move,
): Promise<void> {
  const beganMs = performance.now()
  const { status, stderr } = await cairnOf(gatewayOf(cluster, 0), ...command)
  // Not by --wait: what is held open keeps its blocks on a drive that is drained.
  const isMoved = (state: StatusReport): boolean =>
    !state.moves.rebalancing && state.moves.positionsLeft === 0 && isDone(state)
  const state = await poll(cluster.state, isMoved, MOVE_MS)
  report.holds(name, status === 0 && isMoved(state), `${JSON.stringify(state.moves)} ${stderr}`)
  report.figure(`${name} in`, (performance.now() - beganMs) / 1000, ' s')
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

async function showWhole(report: Report, cluster: ClusterOnHosts, writers: number): Promise<void> {
  const gateway = gatewayOf(cluster, 1)
  // The commits themselves have seen to the copies, or to the mark of a debt where a drive was late.
  const { dirtyGroups } = (await cluster.state()).repair
  const checked = await fsck(gateway)
  const { blocks, underReplicated, dangling } = checked.report
  report.atLeast('blocks', blocks, writers * 4)
  const isOwed = underReplicated <= dirtyGroups && dangling === 0
  report.holds('no block without its copies, or the mark of its debt', isOwed, describeFsck(checked))
  report.figure('groups that owe a copy to a late drive', dirtyGroups)
  const repaired = await fsck(gateway, '--repair-wait')
  report.holds('no block without its copies', repaired.status === 0, describeFsck(repaired))
  for (let at = 0; at < writers; at++) {
    const s3 = connectS3(gatewayOf(cluster, at + 1))
    const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: `k${at}` }))
    const bytes = Buffer.from((await found.Body?.transformToByteArray()) ?? [])
    report.holds(`k${at} reads back through the other gateway`, bytes.equals(contentOf(`k${at}`, SIZE_BYTES)))
    s3.destroy()
  }
}

async function showEmpty(report: Report, cluster: ClusterOnHosts): Promise<void> {
  const isEmpty = (status: StatusReport): boolean => {
    const { state, report: last } = driveOf(status, LEAVER)
    return state === 'out' && last?.blockCount === 0
  }
  report.holds('the drained drive is empty', isEmpty(await poll(cluster.state, isEmpty, EMPTY_MS)))
}
