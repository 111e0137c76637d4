/**
 * A small real file system as data folder, filled to the last byte under writes, with deletes, compaction and a
 * restart while it is full, and again by repair: writes get 507 InsufficientStorage, reads and deletes go on, nothing
 * is lost or wrong; once space is freed writes and repair go on without a hand. Blocks and metadata share the disk, so
 * that both run out.
 */
import { open, rm, statfs, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  type S3Client,
  type S3ServiceException,
} from '@aws-sdk/client-s3'
import { describeFsck, fsck, poll } from '../harness/check.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { createLedger, type Ledger } from '../harness/ledger.js'
import { checkLedger } from '../harness/ledger-check.js'
import { canMountLoop, mountLoop } from '../harness/loop-mount.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf, createSeeded, type Seeded, sha256 } from '../harness/seeded.js'
import { readMetrics, type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const BUCKET = 'full'
const MOUNT_MEBIBYTES = 128
const WRITERS = 8
const SIZES = [0, 1000, 4096, 65_537, 300_000, 1_200_000]
/** Refusals in a row after which the disk counts as full. */
const REFUSALS = 40
/** Writes have to go on so long after the deletes: garbage is freed at once, and compaction looks every 10 s. */
const SPACE_BACK_MS = 90_000
const STUFFING_BYTES = 64 * 1024
/**
 * Left to repair: what a drive of this size keeps back, 16 MiB, its copies of the metadata, and less than half of what it
 * has to copy.
 */
const REPAIR_BYTES = 22 * 1024 * 1024
/** Of the writes that have to go on: so small that they themselves do not fill the disk again. */
const AGAIN_BYTES = 65_537
const REPAIR_MS = 120_000

const LAYOUTS: readonly Layout[] = [
  { name: 'three drives on one disk', env: { CAIRN_DRIVES: '3' }, hasCopies: true },
  { name: 'one drive', env: { CAIRN_DRIVES: '1' }, hasCopies: false },
]

interface Layout {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  /** A drive can be made anew from the others. */
  readonly hasCopies: boolean
}

interface World {
  readonly report: Report
  readonly layout: Layout
  readonly seeded: Seeded
  readonly ledger: Ledger
  readonly mount: string
  readonly keys: string[]
  counter: number
}

/** `npm run show -- full-drive`. */
export async function showFullDrive(report: Report, layouts: readonly Layout[] = LAYOUTS): Promise<void> {
  if (!(await canMountLoop())) {
    report.step('skipped: only root can mount an ext4 file system')
    return
  }
  for (const layout of layouts) await showLayout(report, layout)
}

/** The sample of `npm test`: one drive. */
export function showFullDriveSample(report: Report): Promise<void> {
  return showFullDrive(report, LAYOUTS.slice(1))
}

async function showLayout(report: Report, layout: Layout): Promise<void> {
  const seeded = createSeeded()
  report.step(`${layout.name}, seed ${seeded.seed}`)
  const folder = await temporaryFolder('full')
  const mount = await mountLoop(folder, MOUNT_MEBIBYTES)
  const world: World = {
    report,
    layout,
    seeded,
    ledger: createLedger(),
    mount: mount.path,
    keys: [],
    counter: 0,
  }
  try {
    await fillAndFree(world)
  } finally {
    await mount.unmount()
    await removeFolder(folder)
  }
}

async function start({ layout, mount }: World): Promise<Server> {
  const env = { ...layout.env, CAIRN_GC_GRACE_SECONDS: '0' }
  return startServer({ dataDir: join(mount, 'data'), env })
}

async function fillAndFree(world: World): Promise<void> {
  const { report, mount } = world
  let server = await start(world)
  try {
    await withS3(server, (s3) => s3.send(new CreateBucketCommand({ Bucket: BUCKET })))
    await fill(world, server, 'filled by writes')
    // What the drives hold back goes to somebody else; what the metadata holds back is nobody else's.
    const stuffed = await stuff(join(mount, 'stuffing'))
    report.figure('bytes of others that took the rest', stuffed)
    await fill(world, server, 'filled to the byte')
    report.figure('bytes free then', await freeBytes(mount))
    await compare(world, server, 'on the full disk')
    await remove(world, server, 'deletes on the full disk', 10)
    await server.kill()
    server = await start(world)
    await compare(world, server, 'after SIGKILL and a start on the full disk')
    await server.stop()
    server = await start(world)
    await compare(world, server, 'after a clean stop and a start on the full disk')
    await remove(world, server, 'deletes after the start', Math.floor(world.keys.length / 2))
    await rm(join(mount, 'stuffing'))
    await writeAgain(world, server)
    await compare(world, server, 'after the space came back')
  } finally {
    await server.stop()
  }
  if (world.layout.hasCopies) await fillByRepair(world)
}

/** One drive is gone, and there is room for a part of it only. */
async function fillByRepair(world: World): Promise<void> {
  const { report, mount } = world
  await rm(join(mount, 'data', 'drives', '2'), { recursive: true })
  const stuffing = join(mount, 'stuffing')
  await truncate(stuffing, Math.max(0, (await stuff(stuffing)) - REPAIR_BYTES))
  const server = await start(world)
  try {
    const failures = async (): Promise<number> =>
      (await readMetrics(server)).get('cairn_repair_failures_total') ?? 0
    report.atLeast(
      'copies that repair could not make',
      await poll(failures, (count) => count > 0, REPAIR_MS),
      1,
    )
    await stuff(join(mount, 'more'))
    report.figure('bytes free then', await freeBytes(mount))
    await compare(world, server, 'on a disk filled by repair')
    await remove(world, server, 'deletes on a disk filled by repair', 10)
    for (const file of ['more', 'stuffing']) await rm(join(mount, file))
    await writeAgain(world, server)
    const checked = await poll(
      () => fsck(server, '--deep', '--repair-wait'),
      ({ status }) => status === 0,
      REPAIR_MS,
    )
    report.holds('fsck --deep is clean once there is space', checked.status === 0, describeFsck(checked))
    await compare(world, server, 'after repair')
  } finally {
    await server.stop()
  }
}

async function withS3<T>(server: Server, work: (s3: S3Client) => Promise<T>): Promise<T> {
  const s3 = connectS3(server)
  try {
    return await work(s3)
  } finally {
    s3.destroy()
  }
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}

/** Writes a file until nothing more goes in, be it a byte; its size. */
async function stuff(path: string): Promise<number> {
  const file = await open(path, 'w')
  let size = 0
  try {
    for (let piece = STUFFING_BYTES; piece >= 1; ) {
      const { bytesWritten } = await file
        .write(Buffer.alloc(piece, 1), 0, piece, size)
        .catch(() => ({ bytesWritten: 0 }))
      size += bytesWritten
      if (bytesWritten < piece) piece = Math.floor(piece / 2)
    }
    await file.sync().catch(() => undefined)
  } finally {
    await file.close()
  }
  return size
}

/** Writers put, and now and then delete, until nothing goes in any more; each refusal is to be a 507. */
async function fill(world: World, server: Server, when: string): Promise<void> {
  const answers = new Map<string, number>()
  let refusals = 0
  const write = async (s3: S3Client): Promise<void> => {
    while (refusals < REFUSALS) {
      const answer = await put(world, s3)
      answers.set(answer, (answers.get(answer) ?? 0) + 1)
      refusals = answer === '200' ? Math.max(0, refusals - 1) : refusals + 1
      if (world.keys.length > 0 && world.seeded.fraction() < 0.1) await removeOne(world, s3)
    }
  }
  await withS3(server, async (s3) => {
    await Promise.all(Array.from({ length: WRITERS }, () => write(s3)))
  })
  const others = [...answers].filter(([answer]) => answer !== '200' && answer !== '507 InsufficientStorage')
  const said = [...answers].map(([answer, count]) => `${count} × ${answer}`).join(', ')
  world.report.holds(`${when}: every refused write is a 507 InsufficientStorage`, others.length === 0, said)
}

async function put(
  world: World,
  s3: S3Client,
  sizeBytes: number = world.seeded.pick(SIZES),
): Promise<string> {
  const key = `k${world.counter++}`
  const Body = contentOf(key, sizeBytes)
  const state = sha256(Body)
  world.ledger.begin(key, state)
  try {
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body }))
    world.ledger.acknowledge(key, state)
    world.keys.push(key)
    return '200'
  } catch (error) {
    const { $metadata, name } = error as S3ServiceException
    return `${$metadata?.httpStatusCode} ${name}`
  }
}

/** The answer; the key is gone from the list whatever it was. */
async function removeOne(world: World, s3: S3Client): Promise<string> {
  const [key = ''] = world.keys.splice(world.seeded.below(world.keys.length), 1)
  world.ledger.begin(key, undefined)
  try {
    await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }))
    world.ledger.acknowledge(key, undefined)
    return '204'
  } catch (error) {
    const { $metadata, name } = error as S3ServiceException
    return `${$metadata?.httpStatusCode} ${name}`
  }
}

async function remove(world: World, server: Server, when: string, count: number): Promise<void> {
  const failed: string[] = []
  await withS3(server, async (s3) => {
    for (let left = Math.min(count, world.keys.length); left > 0; left--) {
      const answer = await removeOne(world, s3)
      if (answer !== '204') failed.push(answer)
    }
  })
  world.report.atMost(`refused ${when}, of ${count}`, failed.length, 0)
  if (failed.length > 0) world.report.step(failed.slice(0, 3).join('; '))
}

async function compare({ report, ledger }: World, server: Server, when: string): Promise<void> {
  const complaints = await checkLedger(server, ledger, { bucket: BUCKET })
  report.atMost(`keys with a wrong state ${when}, of ${ledger.keys().length}`, complaints.length, 0)
  for (const line of complaints.slice(0, 5)) report.step(line)
}

/** Twenty writes in a row have to go through. */
async function writeAgain(world: World, server: Server): Promise<void> {
  const until = performance.now() + SPACE_BACK_MS
  const began = performance.now()
  let row = 0
  let last = ''
  await withS3(server, async (s3) => {
    while (row < 20 && performance.now() < until) {
      last = await put(world, s3, AGAIN_BYTES)
      row = last === '200' ? row + 1 : 0
      if (row === 0) await new Promise((resolve) => setTimeout(resolve, 500))
    }
  })
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  world.report.holds('writes go on once space is free', row === 20, `after ${seconds} s, last answer ${last}`)
}
