/**
 * From one process on SQLite to roles apart on etcd: a server that was killed is moved, by a command that is killed
 * again and again, and the cluster that starts on the same drives shows every version, tag, marker, part and byte as
 * before. The old store starts no more, and its journals bring nothing back. Then a backup under load, restored
 * elsewhere.
 */
import { readFileSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { type EtcdCluster, startEtcd } from '../harness/etcd.js'
import { type EtcdRoles, startEtcdRoles } from '../harness/etcd-roles.js'
import { compareTrees, diskBytes, hashTree, removeFolder, temporaryFolder } from '../harness/folders.js'
import { type RunResult, run, runOk } from '../harness/run.js'
import { connectS3 } from '../harness/s3.js'
import { readBucketState } from '../harness/s3-state.js'
import { contentOf } from '../harness/seeded.js'
import { CAIRN, type Server, startServer } from '../harness/server.js'
import type { Report } from './report.js'

const TREE = 'tree'
const VERSIONED = 'versioned'
const PART_BYTES = 5 * 1024 * 1024
const LARGE_BYTES = 20 * 1024 * 1024
const EXIT_DATA_FOLDER = 2
const DRIVES = 3

export interface MigrateShowOptions {
  readonly files?: number
  /** How often the command is killed. */
  readonly kills?: number
}

interface World {
  readonly report: Report
  readonly folder: string
  readonly dataDir: string
  readonly etcd: EtcdCluster
  readonly options: Required<MigrateShowOptions>
}

/** What was there before. */
interface Before {
  readonly state: ReadonlyMap<string, string>
  readonly tree: ReadonlyMap<string, string>
  readonly driveFiles: readonly string[]
  readonly segmentBytes: number
  readonly root: { readonly accessKey: string; readonly secretKey: string }
}

/** `npm run show -- migrate`. */
export async function showMigrate(report: Report, options: MigrateShowOptions = {}): Promise<void> {
  const folder = await temporaryFolder('migrate')
  const etcd = await startEtcd()
  const { files = 200, kills = 8 } = options
  const world: World = { report, folder, dataDir: join(folder, 'data'), etcd, options: { files, kills } }
  try {
    const before = await fill(world)
    await move(world)
    await refuse(world)
    await serveApart(world, before)
  } finally {
    await etcd.stop()
    await removeFolder(folder)
  }
}

function drivesOf({ dataDir }: World): string[] {
  return Array.from({ length: DRIVES }, (_, at) => join(dataDir, 'drives', String(at + 1)))
}

function envOf(world: World, prefix?: string): Record<string, string> {
  return { CAIRN_DATA_DIR: world.dataDir, ...placeOf(world, prefix) }
}

function placeOf({ etcd }: World, prefix = '/moved/'): Record<string, string> {
  return {
    CAIRN_ETCD: etcd.endpoints.join(','),
    CAIRN_ETCD_PREFIX: prefix,
    CAIRN_LOG_LEVEL: 'warn',
  }
}

function cairn(env: Record<string, string | undefined>, ...args: string[]): Promise<RunResult> {
  return run(process.execPath, [CAIRN, ...args], { env })
}

async function fill(world: World): Promise<Before> {
  const { dataDir, folder, options } = world
  const server = await startServer({ dataDir })
  const s3 = connectS3(server)
  const up = join(folder, 'up')
  await mkdir(up)
  for (let at = 0; at < options.files; at++)
    await writeFile(join(up, `file ${at}`), contentOf(`file ${at}`, at * 997))
  await writeFile(join(up, 'large'), contentOf('large', LARGE_BYTES))
  const aws = awsOf(server)
  await aws('s3', 'mb', `s3://${TREE}`)
  await aws('s3', 'sync', '--quiet', up, `s3://${TREE}/in`)
  await aws('s3', 'mb', `s3://${VERSIONED}`)
  await fillVersions(s3)
  await fillUpload(s3)
  const state = await readBucketState(s3, VERSIONED)
  const root = { accessKey: server.accessKey, secretKey: server.secretKey }
  s3.destroy()
  await server.kill()
  return { state, root, tree: await hashTree(up), ...(await readDrives(world)) }
}

function awsOf(server: Server): (...args: string[]) => Promise<RunResult> {
  return (...args) => runOk('aws', ['--endpoint-url', server.endpoint, ...args], { env: server.awsEnv })
}

async function fillVersions(s3: S3Client): Promise<void> {
  const Bucket = VERSIONED
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  for (let at = 0; at < 30; at++) {
    const Key = `key ${at % 10}`
    const Body = contentOf(`${Key} ${at}`, at * 5_003)
    await s3.send(
      new PutObjectCommand({ Bucket, Key, Body, Metadata: { turn: String(at) }, Tagging: `turn=${at}` }),
    )
  }
  await s3.send(new DeleteObjectCommand({ Bucket, Key: 'key 3' }))
  const Tagging = { TagSet: [{ Key: 'kept', Value: 'yes' }] }
  await s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'key 4', Tagging }))
}

/** Two parts of an upload that stays open. */
async function fillUpload(s3: S3Client): Promise<void> {
  const place = { Bucket: VERSIONED, Key: 'in progress' }
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(place))
  for (const PartNumber of [1, 2]) {
    const Body = contentOf(`part ${PartNumber}`, PART_BYTES)
    await s3.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }))
  }
}

async function readDrives(world: World): Promise<Pick<Before, 'driveFiles' | 'segmentBytes'>> {
  const drives = drivesOf(world)
  const driveFiles = await Promise.all(drives.map((drive) => readFile(join(drive, 'drive.json'), 'utf8')))
  const sizes = await Promise.all(drives.map((drive) => diskBytes(join(drive, 'segments'))))
  return { driveFiles, segmentBytes: sizes.reduce((sum, size) => sum + size, 0) }
}

/** Kills the command later and later, until it gets through. */
async function move(world: World): Promise<void> {
  const { report, options } = world
  const args = ['metadata', 'migrate', '--to-etcd', '--resume', '--json']
  let kills = 0
  for (; kills < options.kills; kills++) {
    const wrapper = ['-s', 'KILL', `${0.5 + kills * 0.25}`, process.execPath, CAIRN, ...args]
    const killed = await run('timeout', wrapper, { env: envOf(world) })
    if (killed.status === 0) break
  }
  const moved = await cairn(envOf(world), ...args)
  report.holds(`moved after ${kills} kills`, moved.status === 0, moved.stderr.trim())
  const { rows, hash } = JSON.parse(moved.stdout.toString()) as { rows: number; hash: string }
  report.figure('rows moved and compared', `${rows}, BLAKE3 ${hash.slice(0, 16)}…`)
}

async function refuse(world: World): Promise<void> {
  const { report, dataDir } = world
  const local = { ...envOf(world), CAIRN_ETCD: undefined, CAIRN_ETCD_PREFIX: undefined }
  const refusals = [
    ['a start without CAIRN_ETCD', ['start', '--port', '0']],
    ['a recovery from the journals', ['metadata', 'recover']],
  ] as const
  const expectRefused = async (when: string): Promise<void> => {
    for (const [name, args] of refusals) {
      const { status, stderr } = await cairn(local, ...args)
      const isRefused = status === EXIT_DATA_FOLDER
      report.holds(`${name} is refused${when}`, isRefused, stderr.trim().slice(0, 120))
    }
  }
  await expectRefused('')
  await rename(join(dataDir, 'metadata'), join(dataDir, 'aside'))
  await expectRefused(' without the old store')
  await rm(join(dataDir, 'metadata'), { recursive: true, force: true })
  await rename(join(dataDir, 'aside'), join(dataDir, 'metadata'))
}

async function serveApart(world: World, before: Before): Promise<void> {
  const { dataDir, folder } = world
  const { clusterSecret } = JSON.parse(readFileSync(join(dataDir, 'cluster.json'), 'utf8')) as {
    clusterSecret: string
  }
  const secrets = {
    CAIRN_CLUSTER_SECRET: clusterSecret,
    CAIRN_ROOT_ACCESS_KEY: before.root.accessKey,
    CAIRN_ROOT_SECRET_KEY: before.root.secretKey,
    CAIRN_GC_GRACE_SECONDS: '1',
  }
  const start = (prefix: string): Promise<EtcdRoles> => {
    const env = { ...placeOf(world, prefix), ...secrets }
    return startEtcdRoles({ folder: join(folder, `roles${prefix}`), drives: drivesOf(world), env })
  }
  const running: EtcdRoles[] = []
  try {
    await serveBoth(world, before, async (prefix) => {
      const roles = await start(prefix)
      running.push(roles)
      return roles
    })
  } finally {
    for (const roles of running) await roles.stop()
  }
}

/** Below the prefix it was moved to, then below the one that its backup was restored to. */
async function serveBoth(
  world: World,
  before: Before,
  start: (prefix: string) => Promise<EtcdRoles>,
): Promise<void> {
  const { report, folder } = world
  // Before anything runs on the drives that compacts and repairs.
  const { segmentBytes } = await readDrives(world)
  report.atMost('bytes of segments written by it', segmentBytes - before.segmentBytes, 0)
  const moved = await start('/moved/')
  await compare(world, before, moved.gateway)
  const { driveFiles } = await readDrives(world)
  report.holds('drives keep their ids', driveFiles.join() === before.driveFiles.join())
  const undone = await cairn(envOf(world), 'metadata', 'migrate', '--undo')
  report.holds('it is not undone once it is in use', undone.status === EXIT_DATA_FOLDER, undone.stderr.trim())
  const file = join(folder, 'backup')
  const kept = await backUpUnderLoad(world, moved.gateway, file)
  await moved.stop()
  const restored = await cairn(envOf(world, '/restored/'), 'metadata', 'restore', file)
  report.holds('the backup is restored below another prefix', restored.status === 0, restored.stderr.trim())
  const again = await start('/restored/')
  await compare(world, before, again.gateway)
  await compareKept(world, again.gateway, kept)
  await finish(world, again.gateway)
  const stopped = await again.stop()
  report.holds(
    'all roles end in order',
    stopped.every((status) => status === 0),
    stopped.join(),
  )
}

async function compare({ report, folder }: World, before: Before, gateway: Server): Promise<void> {
  const s3 = connectS3(gateway)
  const differences = compareTrees(before.state, await readBucketState(s3, VERSIONED))
  s3.destroy()
  const down = join(folder, 'down')
  await rm(down, { recursive: true, force: true })
  await awsOf(gateway)('s3', 'sync', '--quiet', `s3://${TREE}/in`, down)
  differences.push(...compareTrees(before.tree, await hashTree(down)))
  for (const difference of differences.slice(0, 5)) report.step(difference)
  const shown = `${before.state.size} versions, markers and uploads, ${before.tree.size} files of a tree`
  report.holds(`${shown} are as they were`, differences.length === 0, `${differences.length} differences`)
}

/** Puts while the backup runs; what was acknowledged before it began must be in it. */
async function backUpUnderLoad(
  { report, ...world }: World,
  gateway: Server,
  file: string,
): Promise<string[]> {
  const s3 = connectS3(gateway)
  const kept: string[] = []
  const load = { isOver: false, puts: 0, slowestMs: 0 }
  const put = async (): Promise<string> => {
    const Key = `load/${load.puts++}`
    const startedMs = performance.now()
    await s3.send(new PutObjectCommand({ Bucket: TREE, Key, Body: contentOf(Key, 1_000) }))
    load.slowestMs = Math.max(load.slowestMs, performance.now() - startedMs)
    return Key
  }
  for (let at = 0; at < 20; at++) kept.push(await put())
  const loading = (async () => {
    while (!load.isOver) await put()
  })()
  const made = await cairn(envOf({ report, ...world }), 'metadata', 'backup', file)
  load.isOver = true
  await loading
  s3.destroy()
  report.holds(
    'a backup of etcd is made under load',
    made.status === 0,
    `${made.stdout}${made.stderr}`.trim(),
  )
  report.figure('slowest PUT beside it', load.slowestMs, ' ms')
  return kept
}

async function compareKept({ report }: World, gateway: Server, kept: readonly string[]): Promise<void> {
  const listed = (await awsOf(gateway)('s3', 'ls', `s3://${TREE}/load/`)).stdout.toString()
  const missing = kept.filter((key) => !listed.includes(` ${key.slice('load/'.length)}\n`))
  report.atMost('objects acknowledged before the backup and not in it', missing.length, 0)
}

/** The upload that was open is completed; garbage waits until the restore is accepted; then all is clean. */
async function finish({ report, dataDir }: World, gateway: Server): Promise<void> {
  const s3 = connectS3(gateway)
  const place = { Bucket: VERSIONED, Key: 'in progress' }
  const before = await readBucketState(s3, VERSIONED)
  const UploadId = [...before.keys()]
    .find((name) => name.startsWith('upload '))
    ?.split(' ')
    .at(-1)
  const { Parts = [] } = await s3.send(new ListPartsCommand({ ...place, UploadId }))
  const listed = Parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag }))
  await s3.send(
    new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts: listed } }),
  )
  const whole = [...(await readBucketState(s3, VERSIONED)).keys()].some((name) =>
    name.includes('version in progress'),
  )
  report.holds('the upload that was open is completed', whole)
  s3.destroy()
  const port = new URL(gateway.endpoint).port
  const admin = {
    ...gateway.awsEnv,
    CAIRN_DATA_DIR: dataDir,
    CAIRN_PORT: port,
    CAIRN_ROOT_ACCESS_KEY: gateway.accessKey,
    CAIRN_ROOT_SECRET_KEY: gateway.secretKey,
  }
  const held = await cairn(admin, 'status')
  report.holds(
    'garbage is held',
    held.stdout.toString().includes('nothing is deleted until'),
    held.stderr.trim(),
  )
  const accepted = await cairn(admin, 'fsck', '--repair-wait', '--accept', '--timeout', '60')
  report.holds(
    'fsck is clean and accepts',
    accepted.status === 0,
    `${accepted.stdout}${accepted.stderr}`.trim(),
  )
  const free = await cairn(admin, 'status')
  report.holds('garbage goes again', !free.stdout.toString().includes('nothing is deleted until'))
}
