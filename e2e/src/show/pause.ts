/**
 * A gateway is stopped between block write and commit, while garbage collection runs with zero grace and its session
 * expires. After SIGCONT its commit fails cleanly, and there is never a row without its blocks.
 */
import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { join } from 'node:path'
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type S3Client,
} from '@aws-sdk/client-s3'
import { poll } from '../harness/check.js'
import { startCluster } from '../harness/cluster.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { presign } from '../harness/presign.js'
import { connectS3 } from '../harness/s3.js'
import type { Server } from '../harness/server.js'
import type { Report } from './report.js'

const BUCKET = 'paused'
const BODY_BYTES = 20 * 1024 * 1024
/** Above the session's lease of 10 s. */
const PAUSE_MS = 15_000
/** Until the collector has run after that, on a busy machine. */
const COLLECTED_MS = 120_000
const WRITTEN_MS = 60_000

/** `npm run show -- pause`. */
export async function showPause(report: Report): Promise<void> {
  const folder = await temporaryFolder('pause')
  const env = { CAIRN_GC_GRACE_SECONDS: '0', CAIRN_ORPHAN_GRACE_SECONDS: '0' }
  const cluster = await startCluster({ folder, env, chunkServers: 3, gateways: 2 })
  const [paused, other] = cluster.gateways as [Server, Server]
  const s3 = connectS3(other)
  try {
    await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
    const kept = await putByHand(paused, 'kept')
    report.holds('a write before the pause', kept.status === 200, `status ${kept.status}`)
    const before = await liveBlocks(cluster.chunkServers)
    const attempt = await putByHand(paused, 'victim', async () => {
      const more = async (): Promise<number> => (await liveBlocks(cluster.chunkServers)) - before
      report.atLeast(
        'blocks written before the pause',
        await poll(more, (blocks) => blocks > 0, WRITTEN_MS),
        1,
      )
      paused.signal('SIGSTOP')
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      const left = await poll(more, (blocks) => blocks === 0, COLLECTED_MS)
      report.atMost('blocks of the paused writer left on the drives', left, 0)
      paused.signal('SIGCONT')
    })
    report.holds('the commit after SIGCONT fails cleanly', attempt.status >= 500, `status ${attempt.status}`)
    await checkRows(s3, report)
    const again = await putByHand(paused, 'after')
    report.holds('the gateway goes on with a new session', again.status === 200, `status ${again.status}`)
    await checkRows(s3, report)
  } finally {
    s3.destroy()
    await cluster.stop()
    await removeFolder(join(folder))
  }
}

/** Every listed object can be read whole. */
async function checkRows(s3: S3Client, report: Report): Promise<void> {
  const page = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET }))
  let unreadable = 0
  for (const { Key } of page.Contents ?? []) {
    const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }))
    const size = (await found.Body?.transformToByteArray())?.length
    if (size !== BODY_BYTES) unreadable++
  }
  const victim = await s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'victim' })).then(
    () => true,
    () => false,
  )
  report.holds('no row of the failed write', !victim)
  report.atMost(`rows without their blocks, of ${page.Contents?.length ?? 0}`, unreadable, 0)
}

async function liveBlocks(servers: readonly { readonly httpEndpoint: string }[]): Promise<number> {
  let total = 0
  for (const server of servers) {
    const text = await (await fetch(`${server.httpEndpoint}/-/metrics`)).text()
    for (const match of text.matchAll(/^cairn_drive_blocks\{[^}]*\} (\d+)$/gm)) total += Number(match[1])
  }
  return total
}

/** A chunked PUT whose last byte is withheld until `beforeEnd` is done: all whole blocks are written by then. */
async function putByHand(
  server: Server,
  key: string,
  beforeEnd: () => Promise<void> = async () => undefined,
): Promise<{ status: number }> {
  const url = new URL(await presign(server, 'PUT', `${BUCKET}/${key}`))
  const body = randomBytes(BODY_BYTES)
  return new Promise((resolve, reject) => {
    const put = request(url, { method: 'PUT', headers: { 'content-length': body.length } }, (response) => {
      response.resume()
      response.on('end', () => resolve({ status: response.statusCode ?? 0 }))
    })
    put.on('error', reject)
    put.write(body.subarray(0, body.length - 1))
    // The withheld byte: the gateway has the blocks before it on disk long before this.
    setTimeout(() => {
      void beforeEnd().then(() => put.end(body.subarray(body.length - 1)), reject)
    }, 1500)
  })
}
