/**
 * Secrets stay where they belong. Servers with known secrets, at the most talkative log level, get all kinds of
 * requests, right ones and broken ones; then every line, answer, metric and file is searched for what was secret, in
 * plain, hex and base64.
 */
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { makeAuthority } from '../src/harness/certificates.js'
import type { EtcdCluster } from '../src/harness/etcd.js'
import { removeFolder, temporaryFolder } from '../src/harness/folders.js'
import { startRolesCluster } from '../src/harness/roles.js'
import { run } from '../src/harness/run.js'
import {
  filesBelow,
  findSecrets,
  type Place,
  privateKeyForms,
  type Secret,
  secretKeyForms,
} from '../src/harness/secret-forms.js'
import { CAIRN, type Server, startServer } from '../src/harness/server.js'
import { hasTool } from '../src/harness/tools.js'
import { postForm } from './s3/support/form.js'
import { putFramed, SIGNED } from './s3/support/framed.js'
import { type Identity, type RequestOptions, signedFrames } from './s3/support/signing.js'
import { send, sendPresigned, sendUnsigned, WireConnection, type WireResponse } from './s3/support/wire.js'

const TIMEOUT_MS = 240_000
/** What `Server.log` keeps: more would hide what was said first. */
const LOG_BYTES_MAX = 200_000

function canary(): string {
  return randomBytes(30).toString('base64url')
}

function placeOf(name: string, { headers, text }: WireResponse): Place {
  return { name, content: JSON.stringify(headers) + text }
}

/** What a server says of itself. */
function outputOf(name: string, server: Server): Place[] {
  expect(server.log().length, 'the log was kept whole').to.be.below(LOG_BYTES_MAX)
  return [
    { name: `the log of ${name}`, content: server.log() },
    { name: `what ${name} prints`, content: server.output() },
  ]
}

/** Requests that are to succeed. */
async function driveRight(identity: Identity): Promise<Place[]> {
  const path = '/canary/key'
  const requests: [RequestOptions, number][] = [
    [{ method: 'PUT', path: '/canary' }, 200],
    [{ method: 'PUT', path, body: 'content', headers: { 'x-amz-meta-a': 'b' } }, 200],
    [{ path }, 200],
    [{ path: '/canary', query: 'list-type=2' }, 200],
    [{ method: 'POST', path, query: 'uploads' }, 200],
    [{ path: '/-/admin/v1/status' }, 200],
    [{ method: 'POST', path: '/-/admin/v1/check' }, 200],
    [{ method: 'DELETE', path: '/canary/none' }, 204],
  ]
  const places: Place[] = []
  for (const [options, status] of requests) {
    const answer = await send(identity, options)
    expect(answer.status, `${options.method} ${options.path}: ${answer.text}`).to.equal(status)
    places.push(placeOf(`${options.method ?? 'GET'} ${options.path}`, answer))
  }
  const framed = await putFramed(
    identity,
    { path: `${path}-framed`, payload: SIGNED, decodedBytes: 7 },
    (request) => signedFrames(request.signing, [Buffer.from('content')]),
  )
  expect(framed.status, framed.text).to.equal(200)
  const presigned = await sendPresigned(identity, { path })
  expect(presigned.status).to.equal(200)
  return [...places, placeOf('a framed body', framed), placeOf('a presigned request', presigned)]
}

/** Requests that are to be refused, some of which carry a secret where none belongs. */
async function driveWrong(identity: Identity, metricsToken: string): Promise<Place[]> {
  const path = '/canary/key'
  const { accessKey, secretKey } = identity
  const basic = Buffer.from(`${accessKey}:${secretKey}`).toString('base64')
  const headers = [
    '',
    'AWS4-HMAC-SHA256',
    'AWS4-HMAC-SHA256 Credential=',
    `AWS ${accessKey}:${secretKey}`,
    `Basic ${basic}`,
    `Bearer ${metricsToken}`,
    `AWS4-HMAC-SHA256 ${secretKey}`,
    `AWS4-HMAC-SHA256 Credential=${accessKey}/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=${secretKey}`,
  ]
  const answers = [
    await send({ ...identity, secretKey: canary() }, { path }),
    await send({ ...identity, accessKey: 'nobody' }, { path }),
    await send(identity, { path, region: 'eu-west-1' }),
    await send(identity, { path, atMs: Date.now() - 3_600_000 }),
    await send(identity, { path, unsigned: { 'x-amz-meta-late': '1' } }),
    await send({ ...identity, secretKey: canary() }, { path: '/-/admin/v1/status' }),
    await sendPresigned(identity, { path, atMs: Date.now() - 7_200_000 }),
    await postForm({ ...identity, secretKey: canary() }, { bucket: 'canary', key: 'form' }),
    await sendUnsigned(identity, {
      path: '/-/admin/v1/status',
      headers: { authorization: `Bearer ${secretKey}` },
    }),
  ]
  for (const authorization of headers) {
    answers.push(await sendUnsigned(identity, { path, headers: { authorization } }))
  }
  for (const { status, text } of answers) expect(status, text).to.be.within(400, 499)
  return [
    ...answers.map((answer, at) => placeOf(`refusal ${at}`, answer)),
    await sendGarbage(identity, `GET ${path} HTTP/9\r\nauthorization: ${secretKey}\r\n\r\n`),
    await sendGarbage(identity, `\0${secretKey}\r\n\r\n`),
  ]
}

/** What no parser takes; whatever comes back. */
async function sendGarbage(identity: Identity, bytes: string): Promise<Place> {
  const connection = await WireConnection.open(identity)
  try {
    await connection.write(bytes)
    const answer = await connection.read().catch(() => undefined)
    return { name: 'the answer to garbage', content: answer?.text ?? '' }
  } finally {
    connection.destroy()
  }
}

/** What lies in etcd. */
async function rowsOf(etcd: EtcdCluster): Promise<Place[]> {
  const said = await etcd.control('get', '', '--prefix', '--write-out=json')
  const { kvs } = JSON.parse(said) as {
    readonly kvs: readonly { readonly key: string; readonly value?: string }[]
  }
  return kvs.map(({ key, value = '' }) => ({
    name: `the row ${Buffer.from(key, 'base64')}`,
    content: Buffer.from(value, 'base64'),
  }))
}

describe('secrets', function () {
  this.timeout(TIMEOUT_MS)
  let folder: string

  beforeEach(async () => {
    folder = await temporaryFolder('secrets')
  })
  afterEach(() => removeFolder(folder))

  /** What commands say, with the settings of the server. */
  async function driveCommands(env: Record<string, string>): Promise<Place[]> {
    const commands = [
      ['status', '--json'],
      ['status'],
      ['fsck', '--json'],
      ['health'],
      ['wait', '--healthy', '--timeout', '60'],
      ['node', 'list'],
      ['cluster', 'feature-level'],
      ['metadata', 'backup', join(folder, 'backup')],
      ['help'],
      ['start'],
      ['start', '--port', 'none', '--cluster-secret', 'short'],
    ]
    const places: Place[] = []
    for (const args of commands) {
      const { stdout, stderr } = await run(process.execPath, [CAIRN, ...args], { env })
      places.push({ name: `cairn ${args.join(' ')}`, content: stdout.toString() + stderr })
    }
    return places
  }

  it('are found in each form by the search that the other tests stand on', () => {
    const secret = { name: 'it', bytes: Buffer.from('a secret of some length ÿ?>') }
    const text = secret.bytes.toString()
    const forms = [text, secret.bytes.toString('hex'), secret.bytes.toString('hex').toUpperCase()]
    for (const before of ['', 'x', 'xy', 'xyz']) {
      const around = Buffer.from(`${before}${text}z`)
      forms.push(around.toString('base64'), around.toString('base64url'))
    }
    for (const content of forms)
      expect(findSecrets([secret], [{ name: 'there', content }]), content).not.to.be.empty
    expect(findSecrets([secret], [{ name: 'there', content: text.slice(1) }])).to.be.empty
  })

  it('that were given to a server are in no log, answer, metric, backup or file of it', async function () {
    if (!(await hasTool('openssl'))) return this.skip()
    const { certFile, keyFile } = await (await makeAuthority(folder)).issue('server')
    const [secretKey, clusterSecret, metricsToken] = [canary(), canary(), canary()]
    const dataDir = join(folder, 'data')
    const env = {
      CAIRN_ROOT_ACCESS_KEY: 'canary-root',
      CAIRN_ROOT_SECRET_KEY: secretKey,
      CAIRN_CLUSTER_SECRET: clusterSecret,
      CAIRN_METRICS_TOKEN: metricsToken,
      CAIRN_TLS_CERT: certFile,
      CAIRN_TLS_KEY: keyFile,
      CAIRN_PLAIN_PORT: '0',
      CAIRN_LOG_LEVEL: 'debug',
      CAIRN_GC_GRACE_SECONDS: '0',
    }
    const server = await startServer({ dataDir, env })
    const endpoint = /^S3 endpoint: (http:.*)$/m.exec(server.output())?.[1] ?? ''
    const identity = { endpoint, accessKey: 'canary-root', secretKey }
    const port = new URL(server.endpoint).port
    const places: Place[] = []
    try {
      places.push(...(await driveRight(identity)), ...(await driveWrong(identity, metricsToken)))
      const headers = { authorization: `Bearer ${metricsToken}` }
      places.push(placeOf('the metrics', await sendUnsigned(identity, { path: '/-/metrics', headers })))
      places.push(...(await driveCommands({ ...env, CAIRN_DATA_DIR: dataDir, CAIRN_PORT: port })))
      places.push(...(await filesBelow(dataDir)))
    } finally {
      await server.stop()
    }
    places.push(...outputOf('the server', server), ...(await filesBelow(dataDir)))
    places.push({ name: 'the backup', content: await readFile(join(folder, 'backup')) })
    const secrets: Secret[] = [
      ...secretKeyForms('secret key', secretKey, Date.now()),
      { name: 'cluster secret', bytes: Buffer.from(clusterSecret) },
      { name: 'metrics token', bytes: Buffer.from(metricsToken) },
      ...privateKeyForms('TLS key', await readFile(keyFile, 'utf8')),
    ]
    expect(places.length).to.be.above(50)
    expect(findSecrets(secrets, places)).to.deep.equal([])
  })

  it('that a server has made stand in its two files for them alone, which only its user may read', async () => {
    const dataDir = join(folder, 'data')
    const server = await startServer({ dataDir, env: { CAIRN_LOG_LEVEL: 'debug' } })
    const places: Place[] = []
    try {
      places.push(...(await driveRight(server)), ...(await driveWrong(server, 'none')))
    } finally {
      await server.stop()
    }
    const kept = await readFile(join(dataDir, 'cluster.json'), 'utf8')
    const { clusterSecret } = JSON.parse(kept) as { clusterSecret: string }
    const secrets = [
      ...secretKeyForms('secret key', server.secretKey, Date.now()),
      { name: 'cluster secret', bytes: Buffer.from(clusterSecret) },
      { name: 'bytes of the cluster secret', bytes: Buffer.from(clusterSecret, 'hex') },
    ]
    for (const file of ['root.json', 'cluster.json']) {
      const path = join(dataDir, file)
      expect((await stat(path)).mode & 0o777, file).to.equal(0o600)
      expect(findSecrets(secrets, [{ name: file, content: await readFile(path) }]), file).not.to.be.empty
    }
    places.push(...outputOf('the server', server))
    places.push(...(await filesBelow(dataDir, ['/data/root.json', '/data/cluster.json'])))
    expect(findSecrets(secrets, places)).to.deep.equal([])
  })

  it('that roles share are in no log, metric, file or row of any of them', async () => {
    const env = { CAIRN_LOG_LEVEL: 'debug', CAIRN_METRICS_TOKEN: canary() }
    const { cluster, etcd, stop } = await startRolesCluster({ folder, env })
    const [gateway] = cluster.gateways as [Server]
    const services = [...cluster.metadataServices, ...cluster.chunkServers]
    const places: Place[] = []
    try {
      places.push(...(await driveRight(gateway)), ...(await driveWrong(gateway, env.CAIRN_METRICS_TOKEN)))
      for (const { httpEndpoint: endpoint } of services) {
        const identity = { ...gateway, endpoint }
        for (const path of ['/-/metrics', '/-/health/ready', '/-/admin/v1/status']) {
          const authorization = `Bearer ${cluster.clusterSecret}`
          const answer = await sendUnsigned(identity, { path, headers: { authorization } })
          places.push(placeOf(`${endpoint}${path}`, answer))
        }
      }
      for (const { rpcAddress } of services) {
        const address = { ...gateway, endpoint: `http://${rpcAddress}` }
        places.push(await sendGarbage(address, `${cluster.clusterSecret}\r\n\r\n`))
      }
      if (etcd !== undefined) places.push(...(await rowsOf(etcd)))
    } finally {
      await stop()
    }
    for (const server of [gateway, ...services]) places.push(...outputOf(server.dataDir, server))
    places.push(...(await filesBelow(folder, ['root.json'])))
    const secrets: Secret[] = [
      ...secretKeyForms('secret key', gateway.secretKey, Date.now()),
      { name: 'cluster secret', bytes: Buffer.from(cluster.clusterSecret) },
      { name: 'bytes of the cluster secret', bytes: Buffer.from(cluster.clusterSecret, 'hex') },
      { name: 'metrics token', bytes: Buffer.from(env.CAIRN_METRICS_TOKEN) },
    ]
    expect(findSecrets(secrets, places)).to.deep.equal([])
  })
})
