/**
 * A drive comes back with old blocks after others have taken its groups and the garbage of its time is long gone: no
 * deleted object comes back, none is lost, and what nobody names any more goes from it.
 */
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { describeFsck, fsck, poll, statusOf } from '../harness/check.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf, sha256 } from '../harness/seeded.js'
import { type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const BUCKET = 'returning'
const SIZES = [100, 4096, 300_000]
/** Graces are over at once: what takes days on a real cluster takes seconds. */
const ENV = { CAIRN_GC_GRACE_SECONDS: '0', CAIRN_ORPHAN_GRACE_SECONDS: '0' }
const WAIT_MS = 120_000

/** `npm run show -- returning-drive`. */
export async function showReturningDrive(report: Report, objects = 90): Promise<void> {
  const dataDir = await temporaryFolder('returning')
  const away = join(dataDir, 'away')
  const own = [1, 2, 3].map((at) => join(dataDir, 'drives', String(at)))
  const hashes = new Map<string, string>()
  try {
    await inServer(dataDir, own, (server, s3) => write(server, s3, hashes, objects))
    await rename(own[1] ?? '', away)
    report.step('drive 2 is away; a new one takes its place')
    await inServer(dataDir, own, async (server, s3) => {
      await fsck(server, '--repair-wait')
      await change(s3, hashes)
      const clean = await poll(
        () => fsck(server),
        ({ report: { pending } }) => pending === 0,
        WAIT_MS,
      )
      report.holds('the garbage is gone while the drive is away', clean.status === 0, describeFsck(clean))
    })
    report.step('drive 2 is back, beside the one in its place')
    await inServer(dataDir, [...own, away], (server, s3) =>
      showReturned({ report, server, s3, hashes, away }),
    )
  } finally {
    await removeFolder(dataDir)
  }
}

async function inServer(
  dataDir: string,
  drives: readonly string[],
  act: (server: Server, s3: S3Client) => Promise<void>,
): Promise<void> {
  const env = { ...ENV, CAIRN_DRIVES: drives.join(','), CAIRN_REPLICAS: '3' }
  const server = await startServer({ dataDir, env })
  const s3 = connectS3(server)
  try {
    await act(server, s3)
  } finally {
    s3.destroy()
    await server.stop()
  }
}

async function write(
  _server: Server,
  s3: S3Client,
  hashes: Map<string, string>,
  objects: number,
): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  for (let index = 0; index < objects; index++) await put(s3, hashes, `k${index}`, `first ${index}`)
}

async function put(s3: S3Client, hashes: Map<string, string>, Key: string, seed: string): Promise<void> {
  const Body = contentOf(seed, SIZES[hashes.size % SIZES.length] ?? 1)
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }))
  hashes.set(Key, sha256(Body))
}

/** A third is deleted, a third is written anew, a third stays. */
async function change(s3: S3Client, hashes: Map<string, string>): Promise<void> {
  for (const [index, key] of [...hashes.keys()].entries()) {
    if (index % 3 === 0) {
      await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }))
      hashes.delete(key)
    }
    if (index % 3 === 1) await put(s3, hashes, key, `second ${index}`)
  }
}

interface Returned {
  readonly report: Report
  readonly server: Server
  readonly s3: S3Client
  readonly hashes: ReadonlyMap<string, string>
  readonly away: string
}

async function showReturned({ report, server, s3, hashes, away }: Returned): Promise<void> {
  const blocksOn = async (): Promise<number> =>
    (await statusOf(server)).drives.find(({ path }) => path === away)?.report?.blockCount ?? 0
  const state = (await statusOf(server)).drives.find(({ path }) => path === away)?.state
  report.holds('the old drive gets no groups back by itself', state === 'out', state ?? 'unknown')
  report.figure('blocks it still has when first asked', await blocksOn())
  const checked = await fsck(server, '--repair-wait')
  const kept = [...hashes.keys()].length / 2
  const left = await poll(blocksOn, (blocks) => blocks <= kept, WAIT_MS)
  report.atMost('blocks it keeps: those of the objects that never changed', left, kept)
  const clean = await poll(
    () => fsck(server, '--deep'),
    ({ report: { pending } }) => pending === 0,
    WAIT_MS,
  )
  report.holds('fsck --deep is clean', checked.status === 0 && clean.status === 0, describeFsck(clean))
  const listed = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET }))
  report.holds(
    'exactly the living objects are listed',
    listed.KeyCount === hashes.size,
    `${listed.KeyCount} of ${hashes.size}`,
  )
  let wrong = 0
  for (const [Key, hash] of hashes) {
    const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }))
    if (sha256((await found.Body?.transformToByteArray()) ?? new Uint8Array()) !== hash) wrong++
  }
  report.atMost('objects with wrong bytes', wrong, 0)
}
