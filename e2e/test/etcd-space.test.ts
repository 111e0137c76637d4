import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { type EtcdCluster, hasEtcd, startEtcd } from '../src/harness/etcd.js'
import { removeFolder, temporaryFolder } from '../src/harness/folders.js'
import { runOk } from '../src/harness/run.js'
import { connectS3 } from '../src/harness/s3.js'
import { CAIRN, readMetrics, type Server, startServer } from '../src/harness/server.js'

const MIB = 1024 ** 2
const QUOTA_BYTES = 64 * MIB
/** Rows of somebody else in the same etcd: the objects of this test are to fill the rest. */
const FILLED_BYTES = 0.82 * QUOTA_BYTES
const FILLER_BYTES = 1_900
const FILLERS = 100
const OBJECTS_MAX = 5_000
const WRITERS = 16
const METADATA = { note: 'n'.repeat(1_900) }
const WAIT_MS = 60_000

async function bytesInUse(etcd: EtcdCluster): Promise<number> {
  const samples = await etcd.members[0]?.metrics()
  return samples?.get('etcd_mvcc_db_total_size_in_use_in_bytes') ?? Number.NaN
}

/** Small rows, so that etcd's pages are full of them. */
async function fill(etcd: EtcdCluster): Promise<void> {
  const value = Buffer.alloc(FILLER_BYTES, 7).toString('base64')
  for (let at = 0; (await bytesInUse(etcd)) < FILLED_BYTES; at++) {
    const success = Array.from({ length: FILLERS }, (_, place) => {
      const key = Buffer.from(`/other/${String(at).padStart(6, '0')}/${String(place).padStart(3, '0')}`)
      return { requestPut: { key: key.toString('base64'), value } }
    })
    const body = JSON.stringify({ success })
    const response = await fetch(`http://${etcd.endpoints[0]}/v3/kv/txn`, { method: 'POST', body })
    expect([response.status, await response.text()][0]).to.equal(200)
  }
}

/** The status of each PUT until one is refused. */
async function putUntilRefused(s3: S3Client): Promise<{ keys: string[]; statuses: Set<number> }> {
  const keys: string[] = []
  const statuses = new Set<number>()
  async function put(writer: number): Promise<void> {
    for (let at = 0; at < OBJECTS_MAX / WRITERS && statuses.size === 0; at++) {
      const key = `${writer}/${at}`
      try {
        await s3.send(new PutObjectCommand({ Bucket: 'full', Key: key, Body: key, Metadata: METADATA }))
        keys.push(key)
      } catch (error) {
        statuses.add((error as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode)
      }
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => put(writer)))
  return { keys, statuses }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + WAIT_MS
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error('it took too long')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

describe('an etcd that fills up', function () {
  this.timeout(240_000)
  let etcd: EtcdCluster
  let server: Server
  let folder: string
  let s3: S3Client

  before(async function () {
    if (!(await hasEtcd())) return this.skip()
    etcd = await startEtcd({ flags: [`--quota-backend-bytes=${QUOTA_BYTES}`] })
    folder = await temporaryFolder('etcd-space')
    const env = {
      CAIRN_ETCD: etcd.endpoints.join(','),
      CAIRN_GC_GRACE_SECONDS: '0',
      CAIRN_DURABILITY: 'none',
    }
    server = await startServer({ dataDir: folder, env })
    s3 = connectS3(server)
  })

  after(async () => {
    s3?.destroy()
    await server?.stop()
    await etcd?.stop()
    if (folder !== undefined) await removeFolder(folder)
  })

  const member = (name: string): string => `${name}{member="${etcd.endpoints[0]}"}`

  it('refuses writers before etcd does, and goes on reading, deleting and freeing', async () => {
    await s3.send(new CreateBucketCommand({ Bucket: 'full' }))
    await fill(etcd)
    const { keys, statuses } = await putUntilRefused(s3)
    expect([...statuses]).to.deep.equal([507])
    const [first = ''] = keys
    const found = await s3.send(new GetObjectCommand({ Bucket: 'full', Key: first }))
    expect(await found.Body?.transformToString()).to.equal(first)
    const metrics = await readMetrics(server)
    expect(metrics.get(member('cairn_etcd_quota_bytes'))).to.equal(QUOTA_BYTES)
    expect(metrics.get(member('cairn_etcd_bytes'))).to.be.greaterThan(0.9 * QUOTA_BYTES)
    expect(metrics.get(member('cairn_etcd_refuses'))).to.equal(0)
    await Promise.all(keys.map((key) => s3.send(new DeleteObjectCommand({ Bucket: 'full', Key: key }))))
    await until(async () => (await readMetrics(server)).get('cairn_garbage_rows') === 0)
    console.log(`      507 after ${keys.length} objects; all of them deleted while short`)
  })

  it('takes writes again once history is dropped and the file made small', async () => {
    const env = { ...server.awsEnv, CAIRN_ETCD: etcd.endpoints.join(','), CAIRN_DATA_DIR: folder }
    const said = (await runOk(process.execPath, [CAIRN, 'metadata', 'compact'], { env })).stdout.toString()
    expect(said).to.match(/^etcd 127\.0\.0\.1:\d+: \S+ MiB before, \S+ MiB now$/m)
    await until(async () => {
      const put = new PutObjectCommand({ Bucket: 'full', Key: 'again', Body: 'again' })
      return s3.send(put).then(
        () => true,
        () => false,
      )
    })
    const status = await runOk(process.execPath, [CAIRN, 'status'], {
      env: { ...env, CAIRN_PORT: new URL(server.endpoint).port },
    })
    expect(status.stdout.toString()).to.match(/^etcd 127\.0\.0\.1:\d+: \S+ MiB in use of 64\.0 MiB, file /m)
  })
})
