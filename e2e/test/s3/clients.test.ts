/** Real clients on a small tree with awkward names: up, down, and every file compared by SHA-256. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { compareTrees, hashTree } from '../../src/harness/folders.js'
import { rcloneEnv } from '../../src/harness/rclone.js'
import { type RunResult, run, runOk } from '../../src/harness/run.js'
import { hasTool } from '../../src/harness/tools.js'
import { START_TIMEOUT_MS, startWorld, type World } from './support/world.js'

const CLIENT_TIMEOUT_MS = 120_000
const FILES = 150
/** Above the size from which clients send parts. */
const LARGE_BYTES = 17 * 1024 * 1024 + 5

const NAMES = [
  'plain.txt',
  'with space',
  ' leading and trailing ',
  'plus+plus',
  'per%cent',
  '%41%2F',
  'am&per',
  'ha#sh',
  'que?stion',
  'equals=sign',
  'semi;colon',
  'com,ma',
  'col:on',
  'at@sign',
  'dollar$',
  "apo'strophe",
  'quo"te',
  '<angle>',
  '[square]',
  '{curly}',
  '(round)',
  'back`tick',
  'ti~lde',
  'ca^ret',
  'pi|pe',
  'exclamation!',
  'star*',
  '.hidden',
  '..twice',
  'dots...',
  '-dash',
  'äöü-ß',
  'e\u0301 combined',
  '日本語',
  '\u{1f600} face',
  'русский',
  'x'.repeat(200),
]

const FOLDERS = ['', 'sub dir', 'a+b/c d', 'ünï/%']

async function makeTree(root: string): Promise<void> {
  for (let index = 0; index < FILES; index++) {
    const name = NAMES[index % NAMES.length] ?? ''
    const folder = join(root, FOLDERS[Math.floor(index / NAMES.length) % FOLDERS.length] ?? '')
    await mkdir(folder, { recursive: true })
    const sizeBytes = index % 10 === 0 ? 0 : (index * 7919) % 200_000
    await writeFile(
      join(folder, index < FOLDERS.length * NAMES.length ? name : `${index} ${name}`),
      randomBytes(sizeBytes),
    )
  }
  await writeFile(join(root, 'large'), randomBytes(LARGE_BYTES))
}

describe('clients', function () {
  this.timeout(CLIENT_TIMEOUT_MS)
  let world: World
  let tree: string
  let expected: Map<string, string>

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('clients')
    tree = join(world.folder, 'tree')
    await makeTree(tree)
    expected = await hashTree(tree)
    expect(expected.size).to.equal(FILES + 1)
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  function say(line: string): void {
    process.stdout.write(`      ${line}\n`)
  }

  async function expectSame(folder: string): Promise<void> {
    expect(compareTrees(expected, await hashTree(folder))).to.deep.equal([])
  }

  describe('aws-cli', () => {
    before(async function () {
      if (!(await hasTool('aws'))) this.skip()
      const version = await run('aws', ['--version'])
      say(version.stdout.toString().trim() || version.stderr.trim())
      // Version 1 of the tool still presigns with SigV2 unless it is told otherwise.
      await writeFile(join(world.folder, 'aws.cfg'), '[default]\ns3 =\n  signature_version = s3v4\n')
    })

    function aws(...args: string[]): Promise<RunResult> {
      const env = { ...world.server.awsEnv, AWS_CONFIG_FILE: join(world.folder, 'aws.cfg') }
      return runOk('aws', ['--endpoint-url', world.server.endpoint, ...args], { env })
    }

    it('makes a bucket and lists it', async () => {
      await aws('s3', 'mb', 's3://by-aws')
      expect((await aws('s3', 'ls')).stdout.toString()).to.match(/ by-aws$/m)
    })

    it('syncs the tree up and down, and finds nothing to do the second time', async () => {
      await aws('s3', 'sync', '--only-show-errors', tree, 's3://by-aws/tree')
      const down = join(world.folder, 'down-aws')
      await aws('s3', 'sync', '--only-show-errors', 's3://by-aws/tree', down)
      await expectSame(down)
      const again = await aws('s3', 'sync', tree, 's3://by-aws/tree', '--size-only')
      expect(again.stdout.toString()).to.equal('')
    })

    it('lists the tree recursively and by folder', async () => {
      const listed = await aws('s3', 'ls', '--recursive', '--summarize', 's3://by-aws/tree/')
      expect(listed.stdout.toString()).to.match(new RegExp(`Total Objects: ${expected.size}$`, 'm'))
      expect((await aws('s3', 'ls', 's3://by-aws/tree/')).stdout.toString()).to.contain('PRE sub dir/')
    })

    it('copies within the store, by parts where it is large', async () => {
      await aws('s3', 'cp', '--only-show-errors', 's3://by-aws/tree/large', 's3://by-aws/copied')
      const file = join(world.folder, 'copied')
      await aws('s3', 'cp', '--only-show-errors', 's3://by-aws/copied', file)
      expect((await readFile(file)).equals(await readFile(join(tree, 'large')))).to.equal(true)
    })

    it('streams from stdin and to stdout', async () => {
      const content = randomBytes(9_000_001)
      await runOk('aws', ['--endpoint-url', world.server.endpoint, 's3', 'cp', '-', 's3://by-aws/stream'], {
        env: world.server.awsEnv,
        input: content,
      })
      expect((await aws('s3', 'cp', 's3://by-aws/stream', '-')).stdout.equals(content)).to.equal(true)
    })

    it('presigns a URL that curl can fetch', async function () {
      if (!(await hasTool('curl'))) this.skip()
      const url = (await aws('s3', 'presign', 's3://by-aws/tree/per%cent')).stdout.toString().trim()
      const fetched = await runOk('curl', ['--silent', '--fail', url])
      expect(fetched.stdout.equals(await readFile(join(tree, 'per%cent')))).to.equal(true)
    })

    it('removes everything, and the bucket', async () => {
      await aws('s3', 'rm', '--only-show-errors', '--recursive', 's3://by-aws')
      await aws('s3', 'rb', 's3://by-aws')
      expect((await aws('s3', 'ls')).stdout.toString()).to.not.contain('by-aws')
    })
  })

  describe('s3cmd', () => {
    let config: string

    before(async function () {
      if (!(await hasTool('s3cmd'))) this.skip()
      say((await run('s3cmd', ['--version'])).stdout.toString().trim())
      const host = world.server.endpoint.replace('http://', '')
      config = join(world.folder, 's3cmd.cfg')
      await writeFile(
        config,
        `[default]\naccess_key = ${world.server.accessKey}\nsecret_key = ${world.server.secretKey}\n` +
          `host_base = ${host}\nhost_bucket = ${host}\nuse_https = False\nsignature_v2 = False\n`,
      )
    })

    function s3cmd(...args: string[]): Promise<RunResult> {
      return runOk('s3cmd', ['-c', config, ...args], { env: { LC_ALL: 'C.UTF-8' } })
    }

    it('syncs the tree up and down', async () => {
      await s3cmd('mb', 's3://by-s3cmd')
      await s3cmd('-q', 'sync', '--no-preserve', `${tree}/`, 's3://by-s3cmd/tree/')
      const down = join(world.folder, 'down-s3cmd')
      await mkdir(down)
      await s3cmd('-q', 'sync', 's3://by-s3cmd/tree/', `${down}/`)
      await expectSame(down)
    })

    it('lists and removes everything', async () => {
      const listed = (await s3cmd('ls', '--recursive', 's3://by-s3cmd')).stdout.toString()
      expect(listed.trim().split('\n')).to.have.length(expected.size)
      await s3cmd('-q', 'rb', '--recursive', '--force', 's3://by-s3cmd')
      expect((await s3cmd('ls')).stdout.toString()).to.not.contain('by-s3cmd')
    })
  })

  describe('rclone', () => {
    let env: Record<string, string | undefined>

    before(async function () {
      if (!(await hasTool('rclone'))) this.skip()
      say((await run('rclone', ['--version'])).stdout.toString().split('\n')[0] ?? '')
      env = rcloneEnv(world.server)
    })

    function rclone(...args: string[]): Promise<RunResult> {
      return runOk('rclone', args, { env })
    }

    it('copies the tree up and down, and checks it by content', async () => {
      await rclone('mkdir', 'cairn:by-rclone')
      await rclone('copy', '--transfers', '8', '--s3-upload-cutoff', '5Mi', tree, 'cairn:by-rclone/tree')
      await rclone('check', '--download', tree, 'cairn:by-rclone/tree')
      const down = join(world.folder, 'down-rclone')
      await rclone('copy', '--transfers', '8', 'cairn:by-rclone/tree', down)
      await expectSame(down)
    })

    it('copies within the store and removes everything', async () => {
      await rclone('copy', 'cairn:by-rclone/tree', 'cairn:by-rclone/other')
      await rclone('check', '--download', tree, 'cairn:by-rclone/other')
      await rclone('purge', 'cairn:by-rclone')
      expect((await rclone('lsd', 'cairn:')).stdout.toString()).to.not.contain('by-rclone')
    })
  })

  describe('the AWS SDK for JavaScript', () => {
    it('puts, lists and gets the tree', async () => {
      const Bucket = 'by-sdk'
      await world.s3.send(new CreateBucketCommand({ Bucket }))
      for (const path of expected.keys()) {
        const Body = await readFile(join(tree, path))
        await world.s3.send(new PutObjectCommand({ Bucket, Key: path, Body }))
      }
      const down = join(world.folder, 'down-sdk')
      const pages = paginateListObjectsV2({ client: world.s3, pageSize: 40 }, { Bucket })
      for await (const { Contents = [] } of pages) {
        for (const { Key = '' } of Contents) {
          const { Body } = await world.s3.send(new GetObjectCommand({ Bucket, Key }))
          await mkdir(dirname(join(down, Key)), { recursive: true })
          await writeFile(join(down, Key), (await Body?.transformToByteArray()) ?? '')
        }
      }
      await expectSame(down)
      const { Buckets = [] } = await world.s3.send(new ListBucketsCommand({}))
      expect(Buckets.map((bucket) => bucket.Name)).to.include(Bucket)
    })
  })
})
