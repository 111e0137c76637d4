/**
 * kill -9 at random moments under mixed load, each followed by a restart and a check of every key against a ledger
 * that lives outside: acknowledged writes are there whole, nothing is half-visible, and no hand is needed.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { createLedger, type Ledger } from '../harness/ledger.js'
import { checkLedger } from '../harness/ledger-check.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf, createSeeded, type Seeded, sha256 } from '../harness/seeded.js'
import { type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const BUCKET = 'ledger'
const WRITERS = 12
const KEYS_PER_WRITER = 4
const PART_BYTES = 5 * 1024 * 1024
const SIZES = [0, 1, 100, 4096, 65_536, 65_537, 300_000, 2_000_000]
/** Garbage is freed at once and compaction runs often, so that kills meet them too. */
const ENV = { CAIRN_GC_GRACE_SECONDS: '0' }

type Moment = 'load' | 'complete' | 'start'

interface World {
  readonly seeded: Seeded
  readonly ledger: Ledger
  readonly dataDir: string
  counter: number
  killsByMoment: Record<Moment, number>
}

/** Runs `kills` rounds. At least a quarter of them hit Complete or start-up. */
export async function showKill(report: Report, kills = 200): Promise<void> {
  const world: World = {
    seeded: createSeeded(),
    ledger: createLedger(),
    dataDir: await temporaryFolder('kill'),
    counter: 0,
    killsByMoment: { load: 0, complete: 0, start: 0 },
  }
  report.step(`seed ${world.seeded.seed} (repeat with CAIRN_TEST_SEED=${world.seeded.seed})`)
  const first = await startServer({ dataDir: world.dataDir, env: ENV })
  const s3 = connectS3(first)
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  s3.destroy()
  const complaints = await rounds(world, first, kills, report)
  report.atLeast('kills', kills, kills)
  report.atLeast('of them inside Complete', world.killsByMoment.complete, Math.floor(kills / 8))
  report.atLeast('of them inside start-up', world.killsByMoment.start, Math.floor(kills / 8))
  report.figure('operations acknowledged or in doubt', world.counter)
  report.atMost('keys with a wrong state', complaints.length, 0)
  for (const complaint of complaints.slice(0, 20)) report.step(complaint)
  await removeFolder(world.dataDir)
}

async function rounds(world: World, first: Server, kills: number, report: Report): Promise<string[]> {
  const complaints: string[] = []
  let server = first
  for (let round = 0; round < kills; round++) {
    const moment: Moment = round % 6 === 4 ? 'start' : round % 6 === 1 ? 'complete' : 'load'
    if (moment === 'start') await killStarting(world, server)
    else await killLoaded(world, server, moment)
    world.killsByMoment[moment]++
    server = await startServer({ dataDir: world.dataDir, env: ENV })
    complaints.push(...(await checkLedger(server, world.ledger, { bucket: BUCKET })))
    if ((round + 1) % 20 === 0)
      report.step(`${round + 1} kills, ${complaints.length} complaints: ${complaints.slice(-3).join('; ')}`)
  }
  await server.stop()
  return complaints
}

/** Kills the running server, then a starting one at a random moment of its start. */
async function killStarting(world: World, server: Server): Promise<void> {
  await server.kill()
  const starting = startServer({ dataDir: world.dataDir, env: ENV, killAfterMs: world.seeded.below(700) })
  await starting.then(
    (started) => started.kill(),
    () => undefined,
  )
}

async function killLoaded(world: World, server: Server, moment: Moment): Promise<void> {
  const s3 = connectS3(server)
  const state: LoadState = { stopped: false, completing: () => undefined }
  const completing = new Promise<void>((resolve) => {
    state.completing = resolve
  })
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(world, s3, writer, state))
  if (moment === 'complete') await completing
  await new Promise((resolve) =>
    setTimeout(resolve, moment === 'complete' ? world.seeded.below(12) : 50 + world.seeded.below(500)),
  )
  state.stopped = true
  await server.kill()
  await Promise.all(writers)
  s3.destroy()
}

interface LoadState {
  stopped: boolean
  completing: () => void
}

async function write(world: World, s3: S3Client, writer: number, state: LoadState): Promise<void> {
  while (!state.stopped) {
    const key = `w${writer}/k${world.seeded.below(KEYS_PER_WRITER)}`
    const choice = world.seeded.fraction()
    try {
      if (writer < 3) await multipart(world, s3, key, state)
      else if (choice < 0.2) await remove(world, s3, key)
      else await put(world, s3, key)
    } catch {
      // The server was killed under the request: the ledger holds the operation as possible.
      if (!state.stopped) await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

async function put(world: World, s3: S3Client, key: string): Promise<void> {
  const body = contentOf(`${key}#${world.counter++}`, world.seeded.pick(SIZES))
  const state = sha256(body)
  world.ledger.begin(key, state)
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }))
  world.ledger.acknowledge(key, state)
}

async function remove(world: World, s3: S3Client, key: string): Promise<void> {
  world.counter++
  world.ledger.begin(key, undefined)
  await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }))
  world.ledger.acknowledge(key, undefined)
}

async function multipart(world: World, s3: S3Client, key: string, load: LoadState): Promise<void> {
  const label = `${key}#${world.counter++}`
  const parts = [contentOf(`${label}/1`, PART_BYTES), contentOf(`${label}/2`, world.seeded.pick(SIZES))]
  const target = { Bucket: BUCKET, Key: key }
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target))
  const done: { PartNumber: number; ETag: string | undefined }[] = []
  for (const [index, Body] of parts.entries()) {
    const sent = await s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber: index + 1, Body }))
    done.push({ PartNumber: index + 1, ETag: sent.ETag })
  }
  if (world.seeded.fraction() < 0.1) {
    await s3.send(new AbortMultipartUploadCommand({ ...target, UploadId }))
    return
  }
  const state = sha256(Buffer.concat(parts))
  world.ledger.begin(key, state)
  load.completing()
  await s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: done } }))
  world.ledger.acknowledge(key, state)
}
