/**
 * A drive's folder is deleted under load: three whole replicas again without a hand, `cairn fsck` clean, and the
 * foreground hardly notices while repair writes a good part of what the disk can.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { describeFsck, fsck, poll, statusOf } from '../harness/check.js'
import { probeDisk } from '../harness/disk-probe.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf, sha256 } from '../harness/seeded.js'
import { readMetrics, type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const BUCKET = 'replace'
const OBJECT_BYTES = 8 * 1024 * 1024
/** The load: small writes and reads by this many users, each with a pause after every call. */
const USERS = 8
const THINK_MS = 20
const BODY_BYTES = 16_384
const BEFORE_MS = 8_000
const REPAIR_MS = 600_000

/** `npm run show -- replace`; `objects` of 8 MiB are to be copied. */
export async function showReplace(report: Report, objects = 150): Promise<void> {
  const dataDir = await temporaryFolder('replace')
  const server = await startServer({ dataDir })
  const s3 = connectS3(server)
  try {
    await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
    const hashes = await fill(s3, objects)
    const probe = await probeDisk(dataDir)
    report.figure('disk probe: synced writes', probe / 1e6, ' MB/s')
    await poll(
      () => statusOf(server),
      ({ safeMode }) => !safeMode,
      120_000,
    )
    const load = startLoad(s3)
    await new Promise((resolve) => setTimeout(resolve, BEFORE_MS))
    const before = load.takeLatencies()
    await deleteFolder(join(dataDir, 'drives', '2'))
    report.step('the folder of drive 2 is deleted')
    const rate = await waitForRepair(server, objects * OBJECT_BYTES)
    const during = load.takeLatencies()
    const failures = await load.stop()
    showFigures(report, { before, during, rate, probe })
    report.atMost('calls of the load that failed', failures.length, 0)
    for (const failure of failures.slice(0, 5)) report.step(failure)
    const checked = await fsck(server, '--deep', '--repair-wait')
    report.holds('fsck --deep is clean', checked.status === 0, describeFsck(checked))
    report.atMost('objects with wrong bytes', await countWrong(s3, hashes), 0)
  } finally {
    s3.destroy()
    await server.stop()
    await removeFolder(dataDir)
  }
}

/** A server that still writes into the folder may be in the way of it. */
async function deleteFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
}

interface Figures {
  readonly before: readonly number[]
  readonly during: readonly number[]
  /** Bytes per second. */
  readonly rate: number
  readonly probe: number
}

function showFigures(report: Report, { before, during, rate, probe }: Figures): void {
  const [calm, busy] = [quantile(before, 0.99), quantile(during, 0.99)]
  report.figure('foreground p99 before', calm, ' ms')
  report.figure('foreground p99 during repair', busy, ' ms')
  report.figure('repair writes', rate / 1e6, ' MB/s')
  report.timed.atMost('foreground p99 during repair over before', busy / calm, 3)
  report.timed.atLeast('repair over the disk probe', rate / probe, 0.3)
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

async function fill(s3: S3Client, objects: number): Promise<Map<string, string>> {
  const hashes = new Map<string, string>()
  for (let index = 0; index < objects; index++) {
    const body = contentOf(`object ${index}`, OBJECT_BYTES)
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `k${index}`, Body: body }))
    hashes.set(`k${index}`, sha256(body))
  }
  return hashes
}

/** From the first to the last byte that repair writes; bytes per second. */
async function waitForRepair(server: Server, bytes: number): Promise<number> {
  const written = async (): Promise<number> =>
    (await readMetrics(server)).get('cairn_repair_bytes_total') ?? 0
  await poll(written, (done) => done > 0, REPAIR_MS)
  const started = performance.now()
  const first = await written()
  const last = await poll(written, (done) => done >= bytes, REPAIR_MS)
  return ((last - first) * 1000) / (performance.now() - started)
}

interface Load {
  /** Milliseconds of each call since the last time; then they are forgotten. */
  takeLatencies(): readonly number[]
  /** What failed. */
  stop(): Promise<readonly string[]>
}

/** Users that write and read small objects, each call timed. */
function startLoad(s3: S3Client): Load {
  let latencies: number[] = []
  const failures: string[] = []
  let isOver = false
  async function user(id: number): Promise<void> {
    const Body = Buffer.alloc(BODY_BYTES, id)
    for (let round = 0; !isOver; round++) {
      const at = { Bucket: BUCKET, Key: `load/${id}/${round % 50}` }
      await time(() => s3.send(new PutObjectCommand({ ...at, Body })))
      await time(async () => (await s3.send(new GetObjectCommand(at))).Body?.transformToByteArray())
      await new Promise((resolve) => setTimeout(resolve, THINK_MS))
    }
  }
  async function time(call: () => Promise<unknown>): Promise<void> {
    const started = performance.now()
    await call().catch((error: unknown) => failures.push(String(error)))
    latencies.push(performance.now() - started)
  }
  const users = Array.from({ length: USERS }, (_, id) => user(id))
  return {
    takeLatencies(): readonly number[] {
      const taken = latencies
      latencies = []
      return taken
    },
    async stop(): Promise<readonly string[]> {
      isOver = true
      await Promise.all(users)
      return failures
    },
  }
}

async function countWrong(s3: S3Client, hashes: ReadonlyMap<string, string>): Promise<number> {
  let wrong = 0
  for (const [Key, hash] of hashes) {
    const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }))
    if (sha256((await found.Body?.transformToByteArray()) ?? new Uint8Array()) !== hash) wrong++
  }
  return wrong
}
