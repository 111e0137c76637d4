/**
 * One replica's segments with 1,000 flipped bytes, and one drive's folder gone: every read right, the damage counted.
 */
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf, createSeeded, type Seeded, sha256 } from '../harness/seeded.js'
import { readMetrics, type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const BUCKET = 'damage'
const FLIPS = 1000
const SIZES = [1, 4096, 70_000, 300_000, 9_000_000]

/** `npm run show -- damage`. */
export async function showDamage(report: Report, objects = 300): Promise<void> {
  const seeded = createSeeded()
  report.step(`seed ${seeded.seed}`)
  const dataDir = await temporaryFolder('damage')
  try {
    const hashes = await fill(dataDir, seeded, objects)
    const drives = (await readdir(join(dataDir, 'drives'))).sort()
    const [first = '', second = ''] = drives.map((name) => join(dataDir, 'drives', name))
    const flipped = await flipBytes(join(first, 'segments'), seeded)
    report.atLeast('bytes flipped on one drive', flipped, FLIPS)
    await check(dataDir, hashes, report, 'with flipped bytes')
    await removeFolder(second)
    await check(dataDir, hashes, report, 'with another drive gone as well')
  } finally {
    await removeFolder(dataDir)
  }
}

async function fill(dataDir: string, seeded: Seeded, objects: number): Promise<Map<string, string>> {
  const server = await startServer({ dataDir })
  const s3 = connectS3(server)
  const hashes = new Map<string, string>()
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  for (let index = 0; index < objects; index++) {
    const body = contentOf(
      `object ${index}`,
      index < SIZES.length * 4 ? (SIZES[index % SIZES.length] ?? 1) : seeded.pick(SIZES.slice(0, 4)),
    )
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `k${index}`, Body: body }))
    hashes.set(`k${index}`, sha256(body))
  }
  s3.destroy()
  await server.stop()
  return hashes
}

/** Flips one random bit at each of FLIPS random places of the drive's segments. */
async function flipBytes(folder: string, seeded: Seeded): Promise<number> {
  const files = (await readdir(folder)).map((name) => join(folder, name))
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  for (let flip = 0; flip < FLIPS; flip++) {
    let at = seeded.below(total)
    let index = 0
    while (at >= (sizes[index] ?? 0)) at -= sizes[index++] ?? 0
    const file = await open(files[index] ?? '', 'r+')
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, at)
    byte[0] = (byte[0] ?? 0) ^ (1 << seeded.below(8))
    await file.write(byte, 0, 1, at)
    await file.close()
  }
  return FLIPS
}

async function check(
  dataDir: string,
  hashes: ReadonlyMap<string, string>,
  report: Report,
  when: string,
): Promise<void> {
  const server = await startServer({ dataDir })
  const s3 = connectS3(server)
  try {
    const wrong = await readAll(s3, hashes)
    report.atMost(
      `wrong or failed reads of ${hashes.size} objects, three times each, ${when}`,
      wrong.length,
      0,
    )
    for (const line of wrong.slice(0, 5)) report.step(line)
    report.atLeast(`damage in the metrics ${when}`, await countDamage(server), 1)
  } finally {
    s3.destroy()
    await server.stop()
  }
}

/** Three times, so that every replica has its turn. */
async function readAll(s3: S3Client, hashes: ReadonlyMap<string, string>): Promise<string[]> {
  const wrong: string[] = []
  for (let round = 0; round < 3; round++) {
    for (const [key, hash] of hashes) {
      try {
        const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))
        if (sha256((await found.Body?.transformToByteArray()) ?? new Uint8Array()) !== hash)
          wrong.push(`${key}: wrong bytes`)
      } catch (error) {
        wrong.push(`${key}: ${(error as Error).message}`)
      }
    }
  }
  return wrong
}

async function countDamage(server: Server): Promise<number> {
  let count = 0
  for (const [name, value] of await readMetrics(server)) {
    if (/^cairn_(blocks_corrupt_total|blocks_missing_total|segments_damaged_total)/.test(name)) count += value
  }
  return count
}
