/** HTTPS: real clients with an authority of our own, renewal under load, and what is refused. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, readFile, rename, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { type Authority, makeAuthority } from '../src/harness/certificates.js'
import { removeFolder, temporaryFolder } from '../src/harness/folders.js'
import { rcloneEnv } from '../src/harness/rclone.js'
import { type RunningRoles, startRoles } from '../src/harness/roles.js'
import { type RunResult, run, runOk } from '../src/harness/run.js'
import { CAIRN, type Server } from '../src/harness/server.js'
import { hasTool } from '../src/harness/tools.js'
import { BOUNDARY, encodeForm, signForm } from './s3/support/form.js'

const START_TIMEOUT_MS = 120_000
const CLIENT_TIMEOUT_MS = 120_000
const RENEWAL_TIMEOUT_MS = 60_000

describe('HTTPS', function () {
  this.timeout(CLIENT_TIMEOUT_MS)
  let folder: string
  let authority: Authority
  let roles: RunningRoles
  let server: Server
  let plainEndpoint: string
  let env: Record<string, string>
  let certFile: string
  let keyFile: string

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    if (!(await hasTool('openssl'))) this.skip()
    folder = await temporaryFolder('tls')
    authority = await makeAuthority(folder)
    ;({ certFile, keyFile } = await authority.issue('first'))
    env = {
      CAIRN_DURABILITY: 'none',
      CAIRN_TLS_CERT: certFile,
      CAIRN_TLS_KEY: keyFile,
      CAIRN_PLAIN_PORT: '0',
      CAIRN_LOG_LEVEL: 'info',
    }
    roles = await startRoles({ folder, env })
    server = roles.server
    plainEndpoint = /^S3 endpoint: (http:.*)$/m.exec(server.output())?.[1] ?? ''
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await roles?.stop()
    if (folder !== undefined) await removeFolder(folder)
  })

  /** A connection that trusts our authority; rejects where the handshake fails. */
  async function shake(options: { readonly maxVersion?: 'TLSv1.1' | 'TLSv1.2' } = {}): Promise<TLSSocket> {
    const { hostname, port } = new URL(server.endpoint)
    const ca = await readFile(authority.caFile)
    const socket = connect({ host: hostname, port: Number(port), ca, minVersion: 'TLSv1', ...options })
    await once(socket, 'secureConnect')
    return socket
  }

  async function get(path: string, agent: Agent): Promise<number> {
    const asked = request(`${server.endpoint}${path}`, { agent })
    asked.end()
    const [response] = await once(asked, 'response')
    response.resume()
    await once(response, 'end')
    return response.statusCode
  }

  it('says one endpoint a line, HTTPS first', () => {
    const lines = server.output().match(/^S3 endpoint: .*$/gm) ?? []
    expect(lines).to.have.length(2)
    expect(lines[0]).to.match(/^S3 endpoint: https:\/\/127\.0\.0\.1:\d+$/)
    expect(lines[1]).to.match(/^S3 endpoint: http:\/\/127\.0\.0\.1:\d+$/)
  })

  it('serves the AWS SDK, trailers with checksums included, and the same objects over plain HTTP', async () => {
    const ca = await readFile(authority.caFile)
    const agent = new Agent({ ca, keepAlive: true })
    const s3 = connectSdk(server.endpoint, agent)
    const headers: Record<string, string>[] = []
    s3.middlewareStack.add(
      (next) => (args) => {
        headers.push((args.request as { headers: Record<string, string> }).headers)
        return next(args)
      },
      { step: 'finalizeRequest', priority: 'low' },
    )
    const Bucket = 'by-sdk-over-tls'
    await s3.send(new CreateBucketCommand({ Bucket }))
    const content = randomBytes(300_000)
    const put = new PutObjectCommand({
      Bucket,
      Key: 'key',
      Body: Readable.from(streamOf(content)),
      ContentLength: content.length,
    })
    const { ChecksumCRC32 } = await s3.send(put)
    expect(headers.at(-1)).to.include({
      'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      'x-amz-trailer': 'x-amz-checksum-crc32',
    })
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'key', ChecksumMode: 'ENABLED' }))
    expect(head.ChecksumCRC32).to.equal(ChecksumCRC32).and.match(/==$/)
    const plain = connectSdk(plainEndpoint, undefined)
    const { Body } = await plain.send(new GetObjectCommand({ Bucket, Key: 'key' }))
    expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(content)).to.equal(true)
    s3.destroy()
    plain.destroy()
  })

  function connectSdk(endpoint: string, httpsAgent: Agent | undefined): S3Client {
    return new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
      ...(httpsAgent === undefined ? {} : { requestHandler: { httpsAgent } }),
    })
  }

  it('serves aws-cli, trailers with checksums included', async function () {
    if (!(await hasTool('aws'))) this.skip()
    const [large, small] = [join(folder, 'large'), join(folder, 'small')]
    const named = ['--bucket', 'by-aws', '--key', 'small']
    await writeFile(large, randomBytes(9_000_000))
    await writeFile(small, randomBytes(100_000))
    const aws = (...args: string[]): Promise<RunResult> =>
      runOk('aws', ['--endpoint-url', server.endpoint, ...args], {
        env: { ...server.awsEnv, AWS_CA_BUNDLE: authority.caFile },
      })
    await aws('s3', 'mb', 's3://by-aws')
    await aws('s3', 'cp', '--only-show-errors', large, 's3://by-aws/large')
    await aws('s3api', 'put-object', ...named, '--body', small)
    // Old versions of the tool know no trailers.
    const version = (await run('aws', ['--version'])).stdout.toString()
    if (/botocore\/1\.(?:3[6-9]|[4-9]\d)|aws-cli\/2\.(?:2[3-9]|[3-9]\d)/.test(version)) {
      const head = await aws('s3api', 'head-object', ...named, '--checksum-mode', 'ENABLED')
      expect(head.stdout.toString()).to.match(/Checksum(?:CRC32|CRC64NVME)"/)
    }
    for (const file of [large, small]) {
      const key = basename(file)
      const down = `${file}-down`
      await aws('s3', 'cp', '--only-show-errors', `s3://by-aws/${key}`, down)
      expect((await readFile(down)).equals(await readFile(file))).to.equal(true)
    }
  })

  it('serves rclone', async function () {
    if (!(await hasTool('rclone'))) this.skip()
    const file = join(folder, 'rclone-file')
    await writeFile(file, randomBytes(7_000_000))
    const rclone = (...args: string[]): Promise<RunResult> =>
      runOk('rclone', args, {
        env: rcloneEnv(server, authority.caFile),
      })
    await rclone('mkdir', 'cairn:by-rclone')
    await rclone('copyto', file, 'cairn:by-rclone/file')
    await rclone('copyto', 'cairn:by-rclone/file', `${file}-down`)
    expect((await readFile(`${file}-down`)).equals(await readFile(file))).to.equal(true)
  })

  it('takes forms, and names what it stored by its secure URL', async () => {
    const options = { bucket: 'by-form-over-tls', key: 'key', fields: { success_action_status: '201' } }
    const s3 = connectSdk(plainEndpoint, undefined)
    await s3.send(new CreateBucketCommand({ Bucket: options.bucket }))
    s3.destroy()
    const body = encodeForm(signForm(server, options), { content: 'x' })
    const asked = request(`${server.endpoint}/${options.bucket}`, {
      method: 'POST',
      ca: await readFile(authority.caFile),
      headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    })
    asked.end(body)
    const [response] = await once(asked, 'response')
    response.resume()
    expect([response.statusCode, response.headers.location]).to.deep.equal([
      201,
      `${server.endpoint}/${options.bucket}/key`,
    ])
  })

  it('refuses versions below TLS 1.2, and clients that do not trust the authority', async () => {
    const old = await shake({ maxVersion: 'TLSv1.1' }).catch((error: Error) => error)
    expect(old).to.be.instanceOf(Error)
    const stranger = await get('/-/health/live', new Agent()).catch(
      (error: NodeJS.ErrnoException) => error.code,
    )
    expect(stranger).to.match(/UNABLE_TO_VERIFY|SELF_SIGNED/)
    const socket = await shake({ maxVersion: 'TLSv1.2' })
    expect(socket.getProtocol()).to.equal('TLSv1.2')
    socket.destroy()
  })

  it('tells a client of plain HTTP that the port speaks HTTPS, and closes', async () => {
    const { hostname, port } = new URL(server.endpoint)
    const socket = connectPlain(Number(port), hostname)
    socket.write('GET /bucket/key HTTP/1.1\r\nHost: x\r\n\r\n')
    let said = ''
    for await (const bytes of socket) said += String(bytes)
    expect(said)
      .to.match(/^HTTP\/1\.1 400 /)
      .and.include('This port speaks HTTPS only.')
  })

  it('takes a renewed certificate without dropping a connection, and keeps the old one before a bad one', async () => {
    const ca = await readFile(authority.caFile)
    const kept = new Agent({ ca, keepAlive: true, maxSockets: 1 })
    expect(await get('/-/health/live', kept)).to.equal(200)
    const [open] = Object.values(kept.freeSockets).flat() as TLSSocket[]
    await writeFile(certFile, 'not a certificate')
    await waitFor(() => server.log().includes('new certificate refused, the old one stays'))
    expect(await subject()).to.equal('CN=first')
    const next = await authority.issue('second')
    // The key comes first: until the certificate follows, the pair does not fit, and the old one stays again.
    await rename(next.keyFile, keyFile)
    await copyFile(next.certFile, certFile)
    await waitFor(async () => (await subject()) === 'CN=second')
    expect(await get('/-/health/live', kept)).to.equal(200)
    expect(Object.values(kept.freeSockets).flat()[0]).to.equal(open)
    expect(open?.getPeerX509Certificate()?.subject).to.equal('CN=first')
    kept.destroy()
  })

  async function subject(): Promise<string | undefined> {
    const socket = await shake()
    const found = socket.getPeerX509Certificate()?.subject
    socket.destroy()
    return found
  }

  it('is found by the commands: env, wait and health', async () => {
    const { port } = new URL(server.endpoint)
    const root = { CAIRN_ROOT_ACCESS_KEY: server.accessKey, CAIRN_ROOT_SECRET_KEY: server.secretKey }
    const settings = { ...env, ...root, CAIRN_DATA_DIR: server.dataDir, CAIRN_PORT: port }
    const cairn = (...args: string[]): Promise<RunResult> =>
      run(process.execPath, [CAIRN, ...args], { env: settings })
    expect((await cairn('health')).status).to.equal(0)
    expect((await cairn('wait', '--healthy', '--timeout', '60')).status).to.equal(0)
    const said = (await cairn('env')).stdout.toString()
    expect(said).to.include(`export AWS_ENDPOINT_URL=${server.endpoint}\n`).and.include('AWS_CA_BUNDLE')
    const other = await authority.issue('other')
    const mistaken = { ...settings, CAIRN_TLS_CERT: other.certFile, CAIRN_TLS_KEY: other.keyFile }
    expect((await run(process.execPath, [CAIRN, 'health'], { env: mistaken })).status).to.equal(1)
  })

  it('does not start with mistakes, and lists them all', async () => {
    const other = await authority.issue('another')
    const settings = {
      CAIRN_DATA_DIR: join(folder, 'none'),
      CAIRN_TLS_CERT: other.certFile,
      CAIRN_TLS_KEY: keyFile,
      CAIRN_REGION: '',
    }
    const started = await run(process.execPath, [CAIRN, 'start'], { env: settings })
    expect(started.status).to.equal(1)
    expect(started.stderr).to.include('CAIRN_REGION').and.include('CAIRN_TLS_KEY: is not the key')
  })

  it('ends both ports when it is told to', async () => {
    expect(await server.stop()).to.equal(0)
    for (const endpoint of [server.endpoint, plainEndpoint]) {
      const { hostname, port } = new URL(endpoint)
      const refused = await once(connectPlain(Number(port), hostname), 'connect').catch(
        (error: NodeJS.ErrnoException) => error.code,
      )
      expect(refused).to.equal('ECONNREFUSED')
    }
  })
})

async function waitFor(done: () => boolean | Promise<boolean>): Promise<void> {
  const until = performance.now() + RENEWAL_TIMEOUT_MS
  while (!(await done())) {
    if (performance.now() > until) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function* streamOf(content: Buffer): AsyncIterable<Uint8Array> {
  for (let at = 0; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536)
}
