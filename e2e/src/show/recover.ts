/**
 * The metadata folder is deleted after kill -9 under load, then brought back from the copies on the drives: all that
 * was acknowledged is there but at most the last second, no byte is wrong. Also with a drive gone, with damaged
 * journals, with synchronous journals (nothing is missing), and from a backup.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { run, runOk } from '../harness/run.js'
import { connectS3 } from '../harness/s3.js'
import { contentOf, createSeeded, type Seeded, sha256 } from '../harness/seeded.js'
import { CAIRN, type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const BUCKET = 'recover'
const WRITERS = 8
const KEYS_PER_WRITER = 25
const SIZES = [0, 1, 100, 4096, 70_000, 300_000]
const LOST_MS_MAX = 1_000
const EXIT_DATA_FOLDER = 2

/** SHA-256 of the content, or `undefined` for "no such key". */
type State = string | undefined

/** One operation on a key, and when its answer came, if it did. */
interface Step {
  readonly state: State
  acknowledgedMs: number | undefined
}

type History = Map<string, Step[]>

interface Variant {
  readonly name: string
  readonly env?: Readonly<Record<string, string>>
  readonly lostMax?: number
  /** What else happens to the folder of the dead server. */
  harm?(dataDir: string, seeded: Seeded): Promise<void>
}

const VARIANTS: readonly Variant[] = [
  { name: 'metadata deleted' },
  {
    name: 'metadata and one drive deleted',
    harm: (dataDir) => rm(join(dataDir, 'drives', '2'), { recursive: true }),
  },
  { name: 'metadata deleted, journals with flipped bits', harm: flipJournals },
  { name: 'metadata deleted, synchronous journals', env: { CAIRN_JOURNAL: 'sync' }, lostMax: 0 },
]

/** `npm run show -- recover`. */
export async function showRecover(report: Report, loadMs = 6_000): Promise<void> {
  const seeded = createSeeded()
  report.step(`seed ${seeded.seed}`)
  for (const variant of VARIANTS) await showVariant(report, { seeded, variant, loadMs })
  await showBackup(report, seeded)
}

async function showVariant(
  report: Report,
  { seeded, variant, loadMs }: { seeded: Seeded; variant: Variant; loadMs: number },
): Promise<void> {
  const dataDir = await temporaryFolder('recover')
  const { name } = variant
  try {
    const { history, killedMs } = await loadAndKill(dataDir, { seeded, loadMs, env: variant.env ?? {} })
    await rm(join(dataDir, 'metadata'), { recursive: true })
    await variant.harm?.(dataDir, seeded)
    const refused = await cairn(dataDir, 'start', '--port', '0')
    const says = refused.stderr.includes('cairn metadata recover')
    report.holds(
      `${name}: a start is refused`,
      refused.status === EXIT_DATA_FOLDER && says,
      refused.stderr.trim(),
    )
    const { stdout } = await runOk(process.execPath, [CAIRN, 'metadata', 'recover'], envOf(dataDir))
    for (const line of stdout.toString().trim().split('\n')) report.step(line)
    await judge(report, { name, dataDir, history, killedMs, lostMax: variant.lostMax })
  } finally {
    await removeFolder(dataDir)
  }
}

async function loadAndKill(
  dataDir: string,
  options: { seeded: Seeded; loadMs: number; env: Readonly<Record<string, string>> },
): Promise<{ history: History; killedMs: number }> {
  const server = await startServer({ dataDir, env: options.env })
  const s3 = connectS3(server)
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  const history: History = new Map()
  const load = { stopped: false, counter: 0 }
  const writers = Array.from({ length: WRITERS }, (_, writer) =>
    write(s3, { history, load, writer, seeded: options.seeded }),
  )
  await new Promise((resolve) => setTimeout(resolve, options.loadMs))
  const killedMs = performance.now()
  await server.kill()
  load.stopped = true
  await Promise.all(writers)
  s3.destroy()
  return { history, killedMs }
}

interface Writing {
  readonly history: History
  readonly load: { stopped: boolean; counter: number }
  readonly writer: number
  readonly seeded: Seeded
}

async function write(s3: S3Client, { history, load, writer, seeded }: Writing): Promise<void> {
  while (!load.stopped) {
    const key = `w${writer}/k${seeded.below(KEYS_PER_WRITER)}`
    const isDelete = seeded.fraction() < 0.15
    const body = contentOf(`${key}#${load.counter++}`, seeded.pick(SIZES))
    const step: Step = { state: isDelete ? undefined : sha256(body), acknowledgedMs: undefined }
    const steps = history.get(key) ?? []
    history.set(key, [...steps, step])
    try {
      if (isDelete) await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }))
      else await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }))
      step.acknowledgedMs = performance.now()
    } catch {
      // Killed under the request: the step may or may not have happened.
      return
    }
  }
}

interface Judged {
  readonly name: string
  readonly dataDir: string
  readonly history: History
  readonly killedMs: number
  readonly lostMax: number | undefined
}

async function judge(report: Report, { name, dataDir, history, killedMs, lostMax }: Judged): Promise<void> {
  const server = await startServer({ dataDir })
  const s3 = connectS3(server)
  const wrong: string[] = []
  const lost: Step[] = []
  let acknowledged = 0
  for (const [key, steps] of history) {
    acknowledged += steps.filter(({ acknowledgedMs }) => acknowledgedMs !== undefined).length
    const found = await readState(s3, key)
    const at = placeOf(steps, found)
    if (at === undefined) wrong.push(`${key}: ${found ?? 'nothing'} was never written`)
    else lost.push(...steps.slice(at + 1).filter(({ acknowledgedMs }) => acknowledgedMs !== undefined))
  }
  report.figure(`${name}: operations acknowledged`, acknowledged)
  report.atMost(`${name}: keys with wrong bytes`, wrong.length, 0)
  for (const line of wrong.slice(0, 5)) report.step(line)
  if (lostMax === undefined) report.figure(`${name}: operations lost`, lost.length)
  else report.atMost(`${name}: operations lost`, lost.length, lostMax)
  const oldestMs = Math.min(killedMs, ...lost.map(({ acknowledgedMs }) => acknowledgedMs ?? killedMs))
  report.timed.atMost(
    `${name}: age of the oldest lost answer when the server died`,
    killedMs - oldestMs,
    LOST_MS_MAX,
    ' ms',
  )
  report.holds(`${name}: the server takes writes again`, await canWrite(s3))
  s3.destroy()
  await server.stop()
}

/** The last step that left this state; -1 before the first; `undefined` if none did. */
function placeOf(steps: readonly Step[], found: State): number | undefined {
  const at = steps.findLastIndex(({ state }) => state === found)
  if (at >= 0) return at
  return found === undefined ? -1 : undefined
}

async function canWrite(s3: S3Client): Promise<boolean> {
  const Body = contentOf('afterwards', 10_000)
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'afterwards', Body }))
  return (await readState(s3, 'afterwards')) === sha256(Body)
}

async function readState(s3: S3Client, key: string): Promise<State> {
  try {
    const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))
    return sha256((await found.Body?.transformToByteArray()) ?? new Uint8Array())
  } catch (error) {
    if (error instanceof NoSuchKey) return undefined
    return `unreadable: ${(error as Error).message}`
  }
}

/** Flips bits in another third of each drive's journals, so that every frame stands whole on some drive. */
async function flipJournals(dataDir: string, seeded: Seeded): Promise<void> {
  for (const drive of [0, 1, 2]) {
    const folder = join(dataDir, 'drives', String(drive + 1), 'metadata')
    for (const name of await readdir(folder)) {
      if (!name.startsWith('journal-')) continue
      const content = readFileSync(join(folder, name))
      const third = Math.floor(content.length / 3)
      for (let flip = 0; flip < 20 && third > 0; flip++) {
        const at = drive * third + seeded.below(third)
        content[at] = (content[at] ?? 0) ^ (1 << seeded.below(8))
      }
      writeFileSync(join(folder, name), content)
    }
  }
}

async function showBackup(report: Report, seeded: Seeded): Promise<void> {
  const dataDir = await temporaryFolder('backup')
  try {
    const server = await startServer({ dataDir })
    const expected = await fillAroundBackup(server, seeded)
    await server.stop()
    const file = join(dataDir, 'metadata.backup')
    const refused = await cairn(dataDir, 'metadata', 'restore', file)
    report.holds('backup: a restore over metadata asks for --yes', refused.status !== 0)
    const { stdout } = await runOk(
      process.execPath,
      [CAIRN, 'metadata', 'restore', file, '--yes'],
      envOf(dataDir),
    )
    for (const line of stdout.toString().trim().split('\n')) report.step(line)
    const again = await startServer({ dataDir })
    const s3 = connectS3(again)
    let wrong = 0
    for (const [key, state] of expected) if ((await readState(s3, key)) !== state) wrong++
    report.atMost(`backup: of ${expected.size} keys, other than when the backup was taken`, wrong, 0)
    s3.destroy()
    await again.stop()
  } finally {
    await removeFolder(dataDir)
  }
}

/** Writes, takes a backup of the running server, and overwrites, deletes and adds. */
async function fillAroundBackup(server: Server, seeded: Seeded): Promise<Map<string, State>> {
  const s3 = connectS3(server)
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  const expected = new Map<string, State>()
  const put = async (key: string, label: string): Promise<string> => {
    const Body = contentOf(label, seeded.pick(SIZES))
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body }))
    return sha256(Body)
  }
  for (let at = 0; at < 60; at++) expected.set(`k${at}`, await put(`k${at}`, `first ${at}`))
  const file = join(server.dataDir, 'metadata.backup')
  await runOk(process.execPath, [CAIRN, 'metadata', 'backup', file], envOf(server.dataDir))
  for (let at = 0; at < 20; at++) await put(`k${at}`, `second ${at}`)
  for (let at = 20; at < 30; at++) await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: `k${at}` }))
  for (let at = 60; at < 70; at++) {
    expected.set(`k${at}`, undefined)
    await put(`k${at}`, `new ${at}`)
  }
  s3.destroy()
  return expected
}

function envOf(dataDir: string): { env: Record<string, string> } {
  return { env: { CAIRN_DATA_DIR: dataDir, CAIRN_LOG_LEVEL: 'warn' } }
}

function cairn(dataDir: string, ...args: string[]): ReturnType<typeof run> {
  return run(process.execPath, [CAIRN, ...args], { ...envOf(dataDir), timeoutMs: 60_000 })
}
