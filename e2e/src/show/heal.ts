/**
 * Shipped defaults but for the scrub interval: flipped bytes that nobody reads are found and healed, and the scrub's
 * counters are the blocks that are stored.
 */
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CreateBucketCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { describeFsck, fsck, poll, statusOf } from '../harness/check.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf, createSeeded, type Seeded } from '../harness/seeded.js'
import { readMetrics, type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const BUCKET = 'heal'
const SCRUB_SECONDS = 6
const SIZES = [4096, 70_000, 300_000, 2_000_000]
/** Safe mode, a scrub of everything, and repair. */
const HEAL_MS = 180_000
/** Passes over which the counters are compared. */
const PASSES = 3
const COUNT_MS = 180_000
/** Bytes by which an object is found in a segment. */
const MARK_BYTES = 64

/** `npm run show -- heal`. */
export async function showHeal(report: Report, objects = 200): Promise<void> {
  const seeded = createSeeded()
  report.step(`seed ${seeded.seed}`)
  const dataDir = await temporaryFolder('heal')
  const server = await startServer({ dataDir, env: { CAIRN_SCRUB_SECONDS: String(SCRUB_SECONDS) } })
  const s3 = connectS3(server)
  try {
    const bodies = await fill(s3, seeded, objects)
    const flips = await flipSome(join(dataDir, 'drives', '1', 'segments'), bodies, seeded)
    report.atLeast('bytes flipped on one drive, in blocks that nobody reads', flips, objects / 10)
    await showHealed(report, server, flips)
    await showCounters(report, server)
  } finally {
    s3.destroy()
    await server.stop()
    await removeFolder(dataDir)
  }
}

async function fill(s3: S3Client, seeded: Seeded, objects: number): Promise<Buffer[]> {
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  const bodies: Buffer[] = []
  for (let index = 0; index < objects; index++) {
    const body = Buffer.from(contentOf(`object ${index}`, seeded.pick(SIZES)))
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `k${index}`, Body: body }))
    bodies.push(body)
  }
  return bodies
}

/** Flips one bit in the stored bytes of every tenth object, of as many as are found. */
async function flipSome(folder: string, bodies: readonly Buffer[], seeded: Seeded): Promise<number> {
  let flips = 0
  const wanted = bodies.filter((_, index) => index % 10 === 0)
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const content = await readFile(path)
    for (const body of wanted) {
      const from = seeded.below(body.length - MARK_BYTES)
      const at = content.indexOf(body.subarray(from, from + MARK_BYTES))
      if (at < 0) continue
      const file = await open(path, 'r+')
      await file.write(Buffer.of((content[at] ?? 0) ^ (1 << seeded.below(8))), 0, 1, at)
      await file.close()
      flips++
    }
  }
  return flips
}

async function showHealed(report: Report, server: Server, flips: number): Promise<void> {
  const started = performance.now()
  const healed = await poll(
    () => statusOf(server),
    ({ repair, drives }) =>
      repair.blocksRepaired >= flips && drives.every((drive) => (drive.report?.damagedBlocks ?? 0) === 0),
    HEAL_MS,
  )
  report.figure('seconds until all was healed', (performance.now() - started) / 1000, ' s')
  report.holds(
    'every flipped block repaired, no other',
    healed.repair.blocksRepaired === flips,
    `${healed.repair.blocksRepaired} of ${flips}`,
  )
  const checked = await fsck(server, '--deep', '--repair-wait')
  report.holds('fsck --deep is clean', checked.status === 0, describeFsck(checked))
  const metrics = await readMetrics(server)
  const repaired = metrics.get('cairn_blocks_repaired_total') ?? 0
  report.holds('the metric counts the same', repaired === flips, String(repaired))
}

/**
 * All is healed and nothing is written or restarted any more (each would have blocks read again): pass after pass
 * scrubs what is stored, no block more and none less.
 */
async function showCounters(report: Report, server: Server): Promise<void> {
  const before = await statusOf(server)
  const passesOf = (status: typeof before, id: string): number =>
    status.drives.find((drive) => drive.id === id)?.report?.scrub?.passesDone ?? 0
  const after = await poll(
    () => statusOf(server),
    (status) => before.drives.every(({ id }) => passesOf(status, id) - passesOf(before, id) >= PASSES),
    COUNT_MS,
  )
  for (const { id, report: first } of before.drives) {
    const last = after.drives.find((drive) => drive.id === id)?.report
    const passes = passesOf(after, id) - passesOf(before, id)
    const blocks = (last?.scrub?.blocksScrubbed ?? 0) - (first?.scrub?.blocksScrubbed ?? 0)
    const stored = last?.blockCount ?? 0
    // The two looks lie somewhere inside their passes: at most one pass of difference.
    report.holds(
      `drive ${id}: blocks scrubbed are passes × stored blocks, but for the passes under way`,
      passes >= PASSES && blocks >= (passes - 1) * stored && blocks <= (passes + 1) * stored,
      `${blocks} in ${passes} passes of ${stored}`,
    )
  }
}
