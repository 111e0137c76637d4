/**
 * A real tree of at least 10,000 files, up and down, byte-identical, by aws-cli, s3cmd, rclone and the AWS SDK for
 * JavaScript; ranges and a presigned GET on the way; then everything removed, and the disk space back.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3'
import { compareTrees, hashTree, removeFolder, temporaryFolder } from '../harness/folders.js'
import { rcloneEnv } from '../harness/rclone.js'
import { makeTree } from '../harness/real-tree.js'
import { type RunningRoles, startRoles } from '../harness/roles.js'
import { run, runOk } from '../harness/run.js'
import { connectS3 } from '../harness/s3.js'
import type { Server } from '../harness/server.js'
import type { Report } from './report.js'

const FILES_MIN = 10_000
const PARALLEL = 16
/** What may be left of the space: the indexes and one open segment for each drive do not shrink to nothing. */
const LEFT_SHARE_MAX = 0.05
const LEFT_BYTES_MAX = 24e6
const SPACE_BACK_MS = 180_000

interface World {
  readonly report: Report
  readonly folder: string
  readonly tree: string
  readonly expected: ReadonlyMap<string, string>
  readonly roles: RunningRoles
  readonly server: Server
}

type Client = (world: World, down: string) => Promise<void>

/** The clients by name: each uploads the tree to a bucket of its own and brings it back to `down`. */
const CLIENTS: Readonly<Record<string, Client>> = { aws, s3cmd, rclone, sdk }

/** `npm run show -- clients`; a smaller tree for the sample in `npm test`. */
export async function showClients(report: Report, filesMin: number = FILES_MIN): Promise<void> {
  const folder = await temporaryFolder('clients')
  const tree = join(folder, 'tree')
  await makeTree(tree, filesMin)
  const expected = await hashTree(tree)
  if (filesMin === FILES_MIN) report.atLeast('files in the tree', expected.size, filesMin)
  const env = { CAIRN_GC_GRACE_SECONDS: '1' }
  const roles = await startRoles({ folder, env })
  const world: World = { report, folder, tree, expected, roles, server: roles.server }
  try {
    const { blockBytes: empty } = await roles.measureDrives()
    for (const [name, client] of Object.entries(CLIENTS)) await roundTrip(world, name, client)
    await checkRanges(world)
    await checkSpace(world, empty)
  } finally {
    await roles.stop()
    await removeFolder(folder)
  }
}

async function roundTrip(world: World, name: string, client: Client): Promise<void> {
  const down = join(world.folder, `down-${name}`)
  const started = performance.now()
  await client(world, down)
  const differences = compareTrees(world.expected, await hashTree(down))
  for (const difference of differences.slice(0, 10)) world.report.step(difference)
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  world.report.holds(
    `${name}: ${world.expected.size} files up and down`,
    differences.length === 0,
    `${differences.length} differences, ${seconds} s`,
  )
  await removeFolder(down)
}

/** aws-cli arguments that point at the server. */
export function awsArguments(server: Server): string[] {
  return ['--endpoint-url', server.endpoint]
}

async function aws(world: World, down: string): Promise<void> {
  const { server, tree } = world
  const options = { env: server.awsEnv }
  world.report.step((await run('aws', ['--version'])).stdout.toString().trim())
  await runOk('aws', [...awsArguments(server), 's3', 'mb', 's3://aws'], options)
  await runOk(
    'aws',
    [...awsArguments(server), 's3', 'sync', '--only-show-errors', tree, 's3://aws/tree'],
    options,
  )
  await runOk(
    'aws',
    [...awsArguments(server), 's3', 'sync', '--only-show-errors', 's3://aws/tree', down],
    options,
  )
}

async function s3cmd(world: World, down: string): Promise<void> {
  const { server, tree } = world
  const host = server.endpoint.replace('http://', '')
  const config = join(world.folder, 's3cmd.cfg')
  await writeFile(
    config,
    `[default]\naccess_key = ${server.accessKey}\nsecret_key = ${server.secretKey}\nhost_base = ${host}\n` +
      `host_bucket = ${host}\nuse_https = False\nsignature_v2 = False\n`,
  )
  world.report.step((await run('s3cmd', ['--version'])).stdout.toString().trim())
  await runOk('s3cmd', ['-c', config, 'mb', 's3://s3cmd'])
  await runOk('s3cmd', ['-c', config, '-q', 'sync', '--no-preserve', `${tree}/`, 's3://s3cmd/tree/'])
  await mkdir(down, { recursive: true })
  await runOk('s3cmd', ['-c', config, '-q', 'sync', 's3://s3cmd/tree/', `${down}/`])
}

async function rclone(world: World, down: string): Promise<void> {
  const { server, tree } = world
  const env = rcloneEnv(server)
  world.report.step((await run('rclone', ['--version'])).stdout.toString().split('\n')[0] ?? '')
  await runOk('rclone', ['mkdir', 'cairn:rclone'], { env })
  await runOk('rclone', ['copy', '--transfers', '8', tree, 'cairn:rclone/tree'], { env })
  await runOk('rclone', ['check', '--download', tree, 'cairn:rclone/tree'], { env })
  await runOk('rclone', ['copy', '--transfers', '8', 'cairn:rclone/tree', down], { env })
}

async function sdk(world: World, down: string): Promise<void> {
  const s3 = connectS3(world.server)
  try {
    await s3.send(new CreateBucketCommand({ Bucket: 'sdk' }))
    await forEach([...world.expected.keys()], async (path) => {
      const Body = await readFile(join(world.tree, path))
      await s3.send(new PutObjectCommand({ Bucket: 'sdk', Key: `tree/${path}`, Body }))
    })
    const keys: string[] = []
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: 'sdk', Prefix: 'tree/' })) {
      for (const entry of page.Contents ?? []) keys.push(entry.Key ?? '')
    }
    await forEach(keys, async (key) => {
      const found = await s3.send(new GetObjectCommand({ Bucket: 'sdk', Key: key }))
      const path = join(down, key.slice('tree/'.length))
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, (await found.Body?.transformToByteArray()) ?? new Uint8Array())
    })
  } finally {
    s3.destroy()
  }
}

async function forEach<T>(items: readonly T[], task: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  async function work(): Promise<void> {
    while (next < items.length) await task(items[next++] as T)
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
}

async function checkRanges(world: World): Promise<void> {
  const { server, report, folder } = world
  const options = { env: server.awsEnv }
  const content = await readFile(process.execPath).then((bytes) => bytes.subarray(0, 20_000_003))
  const file = join(folder, 'ranged')
  await writeFile(file, content)
  await runOk(
    'aws',
    [...awsArguments(server), 's3', 'cp', '--only-show-errors', file, 's3://aws/ranged'],
    options,
  )
  const wrong: string[] = []
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 1],
    ['bytes=65535-65536', 65_535, 65_537],
    ['bytes=8388600-8388700', 8_388_600, 8_388_701],
    ['bytes=-5', content.length - 5, content.length],
    ['bytes=19999999-', 19_999_999, content.length],
  ] as const) {
    const part = join(folder, 'part')
    const args = ['s3api', 'get-object', '--bucket', 'aws', '--key', 'ranged', '--range', range, part]
    await runOk('aws', [...awsArguments(server), ...args], options)
    if (!(await readFile(part)).equals(content.subarray(from, to))) wrong.push(range)
  }
  report.holds('ranges by aws s3api', wrong.length === 0, wrong.join(' '))
  const url = await presignedByAws(world)
  const fetched = await runOk('curl', ['--silent', '--fail', url])
  report.holds('presigned GET by curl', fetched.stdout.equals(content))
}

/** aws-cli 1 presigns with Signature Version 2 unless told otherwise; nobody takes that any more. */
async function presignedByAws({ server, folder }: World): Promise<string> {
  const config = join(folder, 'aws-config')
  await writeFile(config, '[default]\ns3 =\n  signature_version = s3v4\n')
  const args = [...awsArguments(server), 's3', 'presign', 's3://aws/ranged']
  const said = await runOk('aws', args, { env: { ...server.awsEnv, AWS_CONFIG_FILE: config } })
  return said.stdout.toString().trim()
}

/** After everything is removed, and the grace has passed, the drives are as small as before. */
async function checkSpace(world: World, emptyBytes: number): Promise<void> {
  const { roles, server, report } = world
  const { blockBytes: full } = await roles.measureDrives()
  for (const bucket of Object.keys(CLIENTS)) {
    const target = `s3://${bucket}`
    await runOk('aws', [...awsArguments(server), 's3', 'rm', '--only-show-errors', '--recursive', target], {
      env: server.awsEnv,
    })
    await runOk('aws', [...awsArguments(server), 's3', 'rb', target], { env: server.awsEnv })
  }
  const allowed = Math.max(LEFT_SHARE_MAX * full, LEFT_BYTES_MAX)
  const until = performance.now() + SPACE_BACK_MS
  let left = await roles.measureDrives()
  while (left.blockBytes - emptyBytes > allowed && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    left = await roles.measureDrives()
  }
  // Copies of the metadata, where it is embedded: bounded by their own limits, not by what is kept.
  report.figure('what the drives hold beside blocks', (left.allBytes - left.blockBytes) / 1e6, ' MB')
  report.figure('on disk when full', full / 1e6, ' MB')
  report.atMost('on disk after rm --recursive', (left.blockBytes - emptyBytes) / 1e6, allowed / 1e6, ' MB')
}
