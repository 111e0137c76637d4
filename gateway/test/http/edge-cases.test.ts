import { expect } from 'chai'
import { HEADERS_MAX, PIPELINED_REQUESTS_MAX } from '../../src/limits.js'
import { RawConnection, type RawResponse } from './raw-connection.js'
import {
  HOST,
  presignedTarget,
  signedByHand,
  signedHead,
  startTestGateway,
  type TestGateway,
} from './test-gateway.js'

describe('HTTP edge cases', () => {
  let server: TestGateway
  let connection: RawConnection

  before(async () => {
    server = await startTestGateway()
  })

  after(() => server.gateway.close())

  beforeEach(async () => {
    connection = await RawConnection.open(server.port)
  })

  afterEach(() => connection.destroy())

  /** On a connection of its own: after an ambiguous head none is used again. */
  async function askAlone(text: string): Promise<RawResponse> {
    connection.destroy()
    connection = await RawConnection.open(server.port)
    return ask(text)
  }

  async function ask(text: string, method = 'GET'): Promise<RawResponse> {
    connection.send(text)
    return connection.read(method)
  }

  function expectError(response: RawResponse, status: number, code: string): void {
    expect(response.body).to.include(`<Code>${code}</Code>`)
    expect(response.status).to.equal(status)
    expect(response.headers['content-type']).to.equal('application/xml')
    const id = response.headers['x-amz-request-id']
    expect(id).to.match(/^[0-9A-F]{16}$/)
    expect(response.body).to.include(`<RequestId>${id}</RequestId>`)
    expect(response.body).to.match(/^<\?xml version="1.0" encoding="UTF-8"\?>\n<Error>/)
  }

  const plain = (line: string, ...headers: string[]): string =>
    `${[`${line} HTTP/1.1`, `Host: ${HOST}`, ...headers].join('\r\n')}\r\n\r\n`

  it('answers S3 XML to anonymous requests of every shape', async () => {
    expectError(await ask(plain('GET /bucket/key')), 403, 'AccessDenied')
    expectError(await ask(plain('GET /bucket')), 403, 'AccessDenied')
    expectError(await ask(plain('GET /bucket?unknown')), 403, 'AccessDenied')
  })

  it('answers S3 XML to broken escapes, unknown methods and odd targets', async () => {
    expectError(await ask(plain('GET /bucket/%zz')), 400, 'InvalidURI')
    expectError(await ask(plain('GET /bucket?a=%zz')), 400, 'InvalidURI')
    expectError(await ask(plain('PROPFIND /bucket')), 405, 'MethodNotAllowed')
    expectError(await ask(plain('TRACE /bucket')), 405, 'MethodNotAllowed')
    expectError(await ask(plain('PATCH /bucket/key')), 405, 'MethodNotAllowed')
    expectError(await ask(plain('OPTIONS *')), 400, 'InvalidURI')
  })

  it('answers S3 XML to what is not HTTP', async () => {
    expectError(await ask('FOO BAR BAZ\r\n\r\n'), 400, 'BadRequest')
    expect(await connection.closed()).to.equal('')
  })

  it('answers S3 XML to a negative and to a contradictory length', async () => {
    expectError(await ask(plain('PUT /bucket/key', 'Content-Length: -1')), 400, 'BadRequest')
    connection.destroy()
    connection = await RawConnection.open(server.port)
    const both = plain('PUT /bucket/key', 'Content-Length: 3', 'Transfer-Encoding: chunked')
    expectError(await ask(both), 400, 'BadRequest')
  })

  it('refuses CONNECT', async () => {
    expectError(
      await ask(`CONNECT example.com:443 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`),
      405,
      'MethodNotAllowed',
    )
  })

  it('treats an Upgrade header as absent', async () => {
    expectError(await ask(plain('GET /b/k', 'Connection: Upgrade', 'Upgrade: h2c')), 403, 'AccessDenied')
  })

  it('refuses header sections above 8 KiB and more than 100 headers', async () => {
    expectError(
      await askAlone(plain('GET /b/k', `x-big: ${'a'.repeat(9000)}`)),
      400,
      'RequestHeaderSectionTooLarge',
    )
    const many = Array.from({ length: 101 }, (_, at) => `x-h${at}: 1`)
    expectError(await askAlone(plain('GET /b/k', ...many)), 400, 'RequestHeaderSectionTooLarge')
    expectError(
      await askAlone(plain('GET /b/k', `x-big: ${'a'.repeat(40_000)}`)),
      400,
      'RequestHeaderSectionTooLarge',
    )
  })

  it('refuses requests without a Host, with two, and with critical headers twice', async () => {
    expectError(await askAlone('GET /b/k HTTP/1.1\r\n\r\n'), 400, 'InvalidRequest')
    expectError(await askAlone(plain('GET /b/k', 'Host: other')), 400, 'InvalidRequest')
    expectError(await askAlone(plain('GET /b/k', 'Range: a', 'Range: b')), 400, 'InvalidRequest')
    expectError(await askAlone(plain('GET /b/k', 'x-amz-date: a', 'X-Amz-Date: b')), 400, 'InvalidRequest')
  })

  it('survives absurd and prototype-named headers', async () => {
    const absurd = plain(
      'GET /b/k',
      '__proto__: x',
      'constructor: y',
      'Content-Type: ;;;',
      'Accept-Version: 9',
    )
    expectError(await ask(absurd), 403, 'AccessDenied')
    expectError(await ask(plain('GET /b/k', 'Expect: nonsense')), 403, 'AccessDenied')
    expectError(await ask(plain('GET /b/k', 'Expect:')), 403, 'AccessDenied')
  })

  it('sends no body with errors to HEAD', async () => {
    const refused = await ask(plain('HEAD /bucket/key'), 'HEAD')
    expect(refused.status).to.equal(403)
    const after = await ask(signedHead({ method: 'HEAD', path: '/bucket/key' }), 'HEAD')
    expect(after.status).to.equal(200)
    expect(after.headers['content-length']).to.equal('7')
  })

  it('accepts an absolute-form target and uses its authority', async () => {
    const head = signedHead({ method: 'DELETE', path: '/bucket/key' })
    const absolute = head
      .replace('DELETE /bucket', `DELETE http://${HOST}/bucket`)
      .replace(`Host: ${HOST}`, 'Host: other')
    expect((await ask(absolute)).status).to.equal(204)
  })

  it('stores and returns an object', async () => {
    const head = signedHead({ method: 'PUT', path: '/bucket/key', headers: { 'Content-Length': '5' } })
    const stored = await ask(`${head}hello`)
    expect(stored.status).to.equal(200)
    expect(stored.headers['content-length']).to.equal('0')
    const read = await ask(signedHead({ method: 'GET', path: '/bucket/key' }))
    expect(read.body).to.equal('hello')
    expect(read.headers['x-amz-request-id']).to.match(/^[0-9A-F]{16}$/)
    expect(read.headers.date).to.equal('Tue, 03 Feb 2026 04:05:06 GMT')
  })

  it('keeps keys as they are', async () => {
    for (const [path, key] of [
      ['/bucket/../x', '../x'],
      ['/bucket/a//b', 'a//b'],
      ['/bucket/a/./b/', 'a/./b/'],
      ['/bucket/%252F', '%2F'],
      ['/bucket/%2e%2e', '..'],
      ['/bucket/a%2Bb', 'a+b'],
      ['/bucket/%01%7F', '\u0001\u007f'],
      ['/bucket/%F0%9F%98%80', '😀'],
      ['/bucket/a%3FversionId', 'a?versionId'],
    ] as const) {
      const head = signedHead({ method: 'PUT', path, headers: { 'Content-Length': '0' } })
      expect((await ask(head)).status, path).to.equal(200)
      expect(server.objects.has(key), path).to.equal(true)
    }
  })

  it('refuses NUL and keys above 1,024 bytes', async () => {
    expectError(await ask(signedHead({ method: 'GET', path: '/bucket/a%00' })), 400, 'InvalidArgument')
    const long = signedHead({ method: 'GET', path: `/bucket/${'a'.repeat(1025)}` })
    expectError(await ask(long), 400, 'KeyTooLongError')
  })

  it('finds no key that is not UTF-8, and lets none be written', async () => {
    expectError(await ask(plain('GET /bucket/%AE%8A')), 403, 'AccessDenied')
    const sent = (method: string): string => signedByHand(method, '/bucket/%AE%8A')
    expectError(await ask(sent('GET')), 404, 'NoSuchKey')
    expectError(await ask(sent('PUT')), 400, 'InvalidURI')
    expectError(await ask(sent('DELETE')), 400, 'InvalidURI')
  })

  it('finds the bucket in the host name', async () => {
    const virtual = await startTestGateway({ config: { domain: 's3.example.com' } })
    const other = await RawConnection.open(virtual.port)
    const host = 'bucket.S3.example.com:9000'
    other.send(signedHead({ method: 'PUT', path: '/a/b', host, headers: { 'Content-Length': '0' } }))
    expect((await other.read()).status).to.equal(200)
    expect([...virtual.objects.keys()]).to.deep.equal(['a/b'])
    expect(virtual.observed.map((facts) => facts.bucket)).to.deep.equal(['bucket'])
    other.send(
      signedHead({ method: 'PUT', path: '/-/health/live', host, headers: { 'Content-Length': '0' } }),
    )
    expect((await other.read()).status).to.equal(200)
    expect(virtual.objects.has('-/health/live')).to.equal(true)
    other.destroy()
    await virtual.gateway.close()
  })

  it('serves its own paths, and answers S3 XML below them too', async () => {
    expect((await ask(plain('GET /-/health/live'))).body).to.equal('alive')
    expectError(await ask(plain('GET /-/nothing')), 404, 'NoSuchKey')
    expectError(await ask(plain('GET /-/%zz')), 400, 'BadRequest')
    expectError(
      await ask(plain('POST /-/x', 'Content-Type: ;;', 'Content-Length: 1', 'Connection: close')),
      400,
      'BadRequest',
    )
  })

  it('refuses a transfer encoding that could be read in two ways, on its own paths too', async () => {
    for (const path of ['/bucket/key', '/-/health/live']) {
      const answer = await askAlone(
        `${plain(`GET ${path}`, 'Transfer-Encoding: identity, chunked')}0\r\n\r\n`,
      )
      expectError(answer, 501, 'NotImplemented')
      expect(await connection.closed()).to.equal('')
    }
  })

  it('waits for no body below its own paths', async () => {
    for (const framing of ['Content-Length: 900000', 'Transfer-Encoding: chunked']) {
      for (const line of ['POST /-/health/live', 'POST /-/nothing', 'GET /-/health/live']) {
        expectError(await askAlone(plain(line, 'Content-Type: application/json', framing)), 400, 'BadRequest')
        expect(await connection.closed()).to.equal('')
      }
    }
  })

  it('puts nothing of its own into an answer when a CONNECT follows the request', async () => {
    server.objects.set('large', Buffer.alloc(4 * 1024 * 1024, 'x'))
    const read = signedHead({ method: 'GET', path: '/bucket/large' })
    connection.destroy()
    connection = await RawConnection.open(server.port)
    connection.send(`${read}CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n`)
    expect(await connection.closed()).not.to.include('MethodNotAllowed')
    expectError(
      await askAlone('CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n'),
      405,
      'MethodNotAllowed',
    )
  })

  it('does nothing after an answer that closes the connection', async () => {
    const after = signedHead({ method: 'PUT', path: '/bucket/after-cut', headers: { 'Content-Length': '0' } })
    const put = `${plain('PUT /bucket/key', 'Content-Length: 3')}abc`
    const many = Array.from({ length: HEADERS_MAX }, (_, at) => `x-${at}: 1`)
    const cuts: [string, string][] = [
      [plain('GET /bucket/key', 'Host: other'), 'InvalidRequest'],
      // The parser lets others work after each piece of a body: the answer may be over within the packet.
      [plain('GET /bucket/key', 'Host: other') + put, 'InvalidRequest'],
      [`${plain('PUT /bucket/key', ...many, 'Content-Length: 3')}abc`, 'RequestHeaderSectionTooLarge'],
    ]
    for (const [cut, code] of cuts) {
      expectError(await askAlone(cut + after), 400, code)
      expect(await connection.closed(), cut).to.equal('')
      expect(server.objects.has('after-cut'), cut).to.equal(false)
    }
  })

  it('answers pipelined requests one after the other', async () => {
    const body = 'x'.repeat(200_000)
    const length = { 'Content-Length': String(body.length) }
    const write = signedHead({ method: 'PUT', path: '/bucket/pipelined', headers: length }) + body
    const read = signedHead({ method: 'GET', path: '/bucket/pipelined' })
    connection.send(write + read + read)
    expect((await connection.read()).status).to.equal(200)
    expect((await connection.read()).body.length).to.equal(body.length)
    expect((await connection.read()).body.length).to.equal(body.length)
    expect((await ask(read)).status).to.equal(200)
  })

  it('answers the requests before bytes that are none, then says so once and closes', async () => {
    for (const [number, extra] of ['r', 'rrrr\r\n\r\n', `${plain('GET /bucket')}\0`].entries()) {
      const path = `/bucket/longer-${number}`
      const write = `${signedHead({ method: 'PUT', path, headers: { 'Content-Length': '2' } })}ab`
      expect((await askAlone(write + write + extra)).status).to.equal(200)
      expect((await connection.read()).status).to.equal(200)
      if (number === 2) expectError(await connection.read(), 403, 'AccessDenied')
      expectError(await connection.read(), 400, 'BadRequest')
      expect(await connection.closed()).to.equal('')
      expect(server.objects.has(`longer-${number}`)).to.equal(true)
    }
  })

  it('says nothing of broken framing within a body', async () => {
    const head = signedHead({
      method: 'PUT',
      path: '/bucket/broken',
      headers: { 'Transfer-Encoding': 'chunked' },
    })
    connection.send(`${head}zz\r\n`)
    expect(await connection.closed()).to.equal('')
    expect(server.objects.has('broken')).to.equal(false)
  })

  it('cuts off a client that sends too many requests at once', async () => {
    connection.send(signedHead({ method: 'GET', path: '/bucket/none' }).repeat(PIPELINED_REQUESTS_MAX * 4))
    await connection.closed()
  })

  it('refuses names in a presigned query that could not be answered as headers', async () => {
    for (const name of ['x-amz-meta-a%0D%0Ax-evil', 'x-amz-meta-%C4%80', 'x-amz-meta-a%20b']) {
      const target = presignedTarget({ method: 'PUT', path: `/bucket/named?${name}=x` }, { dated: true })
      expectError(await ask(plain(`PUT ${target}`, 'Content-Length: 0')), 400, 'InvalidArgument')
    }
    expect(server.objects.has('named')).to.equal(false)
  })

  it('names what is not built, and refuses unknown sub-resources', async () => {
    const acl = await ask(signedHead({ method: 'GET', path: '/bucket?acl' }))
    expectError(acl, 501, 'NotImplemented')
    expect(acl.body).to.include('GetBucketAcl')
    const unknown = await ask(signedHead({ method: 'GET', path: '/bucket/key?frobnicate' }))
    expectError(unknown, 501, 'NotImplemented')
    expect(unknown.body).to.include('frobnicate')
    expectError(await ask(signedHead({ method: 'POST', path: '/bucket/key?acl' })), 405, 'MethodNotAllowed')
    expect((await ask(plain('POST /', 'Content-Length: 0'))).body).to.include('QueryApi')
  })

  it('compares the expected owner of the bucket', async () => {
    const sent = (owner: string): string =>
      signedHead({ method: 'DELETE', path: '/bucket/key', headers: { 'x-amz-expected-bucket-owner': owner } })
    expect((await ask(sent('owner'))).status).to.equal(204)
    expectError(await ask(sent('somebody')), 403, 'AccessDenied')
  })

  it('takes x-amz parameters of a presigned URL as headers, unless a header contradicts them', async () => {
    const presigned = (owner: string): string =>
      presignedTarget(
        { method: 'DELETE', path: `/bucket/key?x-amz-expected-bucket-owner=${owner}` },
        { dated: true },
      )
    expect((await ask(plain(`DELETE ${presigned('owner')}`))).status).to.equal(204)
    expectError(await ask(plain(`DELETE ${presigned('somebody')}`)), 403, 'AccessDenied')
    const contradicting = plain(`DELETE ${presigned('owner')}`, 'x-amz-expected-bucket-owner: other')
    expectError(await ask(contradicting), 400, 'InvalidRequest')
  })
})
