import { CairnError, type Clock, systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import type { Operation } from '../../src/operations/types.js'
import { RawConnection } from './raw-connection.js'
import { HOST, NOW_MS, signedHead, startTestGateway, type TestGateway } from './test-gateway.js'

const MEBIBYTE = 1024 * 1024

describe('bodies over HTTP', () => {
  let server: TestGateway
  let connection: RawConnection
  let aborted: Promise<void>

  before(async () => {
    let onAbort: () => void
    aborted = new Promise((resolve) => {
      onAbort = resolve
    })
    const operations: Operation[] = [
      {
        name: 'GetObjectAttributes',
        handle: ({ signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              onAbort()
              reject(new Error('aborted'))
            })
          }),
      },
      {
        name: 'GetObjectTorrent',
        handle: async () => ({ status: 200, headers: { 'Content-Length': 2 * MEBIBYTE }, body: broken() }),
      },
      {
        name: 'GetObjectAcl',
        handle: async () => ({ status: 200, headers: { 'Content-Length': 10 }, body: short() }),
      },
      {
        name: 'GetObjectRetention',
        handle: async () => ({ status: 200, headers: { 'Content-Length': 10 }, body: lost() }),
      },
      { name: 'GetObjectTagging', handle: async () => ({ status: 200, headers: { 'x-bad': 'a\r\nb' } }) },
    ]
    server = await startTestGateway({ operations })
  })

  after(() => server.gateway.close())

  beforeEach(async () => {
    connection = await RawConnection.open(server.port)
  })

  afterEach(() => connection.destroy())

  async function* broken(): AsyncIterable<Uint8Array> {
    yield Buffer.alloc(MEBIBYTE)
    throw new Error('replica lost')
  }

  // biome-ignore lint/correctness/useYield: it fails before it yields anything.
  async function* lost(): AsyncIterable<Uint8Array> {
    throw new CairnError('BlockUnavailable', 'no replica')
  }

  async function* short(): AsyncIterable<Uint8Array> {
    yield Buffer.from('12345')
  }

  const putHead = (headers: Record<string, string>, path = '/bucket/key'): string =>
    signedHead({ method: 'PUT', path, headers })

  it('sends 100 Continue to an authorised upload and then takes the body', async () => {
    connection.send(putHead({ 'Content-Length': '5', Expect: '100-continue' }))
    expect((await connection.read()).status).to.equal(100)
    connection.send('hello')
    expect((await connection.read()).status).to.equal(200)
  })

  it('refuses an unauthorised upload without 100 Continue', async () => {
    connection.send(
      `PUT /bucket/key HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`,
    )
    const response = await connection.read()
    expect(response.status).to.equal(403)
    expect(response.headers.connection).to.equal('close')
    connection.destroy()
  })

  it('keeps the connection after an early error when little of the body is left', async () => {
    connection.send(`PUT /bucket/key HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\n\r\nhello`)
    expect((await connection.read()).status).to.equal(403)
    connection.send(putHead({ 'Content-Length': '2' }))
    connection.send('ok')
    expect((await connection.read()).status).to.equal(200)
    expect(server.objects.get('key')?.toString()).to.equal('ok')
  })

  it('lets a client that is still sending see the error, then closes', async () => {
    connection.send(`PUT /bucket/key HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${4 * MEBIBYTE}\r\n\r\n`)
    for (let sent = 0; sent < 4; sent++) connection.send(Buffer.alloc(MEBIBYTE, 'GET / HTTP/1.1\r\n\r\n'))
    const response = await connection.read()
    expect(response.status).to.equal(403)
    expect(response.headers.connection).to.equal('close')
    expect(await connection.closed()).to.equal('')
  })

  it('stores nothing of a body that is not what was signed', async () => {
    server.objects.delete('key')
    const headers = { 'Content-Length': '5', 'X-Amz-Content-Sha256': 'a'.repeat(64) }
    connection.send(`${putHead(headers)}hello`)
    const response = await connection.read()
    expect(response.status).to.equal(400)
    expect(response.body).to.include('XAmzContentSHA256Mismatch')
    expect(server.objects.has('key')).to.equal(false)
  })

  it('answers a frame that breaks in the middle of a body, and uses the connection no more', async () => {
    const headers = {
      'Content-Length': '1000',
      'x-amz-decoded-content-length': '900',
      'X-Amz-Content-Sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    }
    connection.send(`${putHead(headers)}5\r\nhelloXX\r\n`)
    const response = await connection.read()
    expect(response.body).to.include('<Code>IncompleteBody</Code>')
    expect(response.headers.connection).to.equal('close')
    connection.send(Buffer.alloc(1000))
    expect(await connection.closed()).to.equal('')
  })

  it('takes a chunked body without a length', async () => {
    connection.send(`${putHead({ 'Transfer-Encoding': 'chunked' })}5\r\nhello\r\n0\r\n\r\n`)
    expect((await connection.read()).status).to.equal(200)
    expect(server.objects.get('key')?.toString()).to.equal('hello')
  })

  it('demands a length otherwise', async () => {
    connection.send(putHead({}))
    const response = await connection.read()
    expect(response.status).to.equal(411)
    expect(response.body).to.include('MissingContentLength')
  })

  it('moves a large body in and out unchanged', async () => {
    const bytes = Buffer.alloc(8 * MEBIBYTE)
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32BE(at, at)
    connection.send(putHead({ 'Content-Length': String(bytes.length) }, '/bucket/large'))
    connection.send(bytes)
    expect((await connection.read()).status).to.equal(200)
    expect(server.objects.get('large')?.equals(bytes)).to.equal(true)
    const ascii = Buffer.alloc(3 * MEBIBYTE + 17, 'abcdefg')
    server.objects.set('ascii', ascii)
    connection.send(signedHead({ method: 'GET', path: '/bucket/ascii' }))
    expect((await connection.read()).body === ascii.toString()).to.equal(true)
  })

  it('answers requests that were sent without waiting, in their order', async () => {
    server.objects.set('one', Buffer.from('1'))
    server.objects.set('two', Buffer.from('2'))
    const requests = ['one', 'two', 'one'].map((key) => signedHead({ method: 'GET', path: `/bucket/${key}` }))
    connection.send(requests.join(''))
    const bodies: string[] = []
    for (const _ of requests) bodies.push((await connection.read()).body)
    expect(bodies).to.deep.equal(['1', '2', '1'])
  })

  it('cuts the connection when a body fails or ends early after the head was sent', async () => {
    for (const sub of ['torrent', 'acl']) {
      const own = await RawConnection.open(server.port)
      own.send(signedHead({ method: 'GET', path: `/bucket/key?${sub}` }))
      const failed = await own.read().catch((error: Error) => error.message)
      expect(failed, sub).to.match(/^connection closed/)
    }
  })

  it('answers an error when a body fails before its first byte', async () => {
    connection.send(signedHead({ method: 'GET', path: '/bucket/key?retention' }))
    const response = await connection.read()
    expect(response.status).to.equal(503)
    expect(response.body).to.include('<Code>ServiceUnavailable</Code>')
  })

  it('answers 500, logged, when a response header could not be sent', async () => {
    server.logged.length = 0
    connection.send(signedHead({ method: 'GET', path: '/bucket/key?tagging' }))
    const response = await connection.read()
    expect(response.status).to.equal(500)
    expect(response.body).to.include('<Code>InternalError</Code>')
    expect(server.logged).to.deep.equal(['request failed'])
  })

  it('aborts the operation when the client goes away, and counts it as 499', async () => {
    const observed = server.nextObserved()
    connection.send(signedHead({ method: 'GET', path: '/bucket/key?attributes' }))
    connection.send('')
    setImmediate(() => connection.destroy())
    await aborted
    expect(await observed).to.include({ status: 499, operation: 'GetObjectAttributes', bucket: 'bucket' })
  })

  it('stores nothing of an upload that breaks off', async () => {
    server.objects.delete('key')
    const observed = server.nextObserved()
    connection.send(`${putHead({ 'Content-Length': '500', Expect: '100-continue' })}`)
    await connection.read()
    connection.send('hello')
    connection.destroy()
    expect(await observed).to.include({ status: 499, operation: 'PutObject' })
    expect(server.objects.has('key')).to.equal(false)
  })

  it('tells the observer bytes in and out', async () => {
    const observed = server.nextObserved()
    connection.send(`${putHead({ 'Content-Length': '5' })}hello`)
    await connection.read()
    expect(await observed).to.include({ status: 200, operation: 'PutObject', bytesIn: 5, bytesOut: 0 })
  })

  it('cuts a request that does not end within the time to close', async () => {
    const timers: { delayMs: number; task: () => void }[] = []
    const clock: Clock = {
      ...systemClock,
      wallMicros: () => NOW_MS * 1000,
      setTimer(delayMs, task) {
        timers.push({ delayMs, task })
        return () => undefined
      },
    }
    const closing = await startTestGateway({ clock })
    const own = await RawConnection.open(closing.port)
    own.send(putHead({ 'Content-Length': '5', Expect: '100-continue' }))
    await own.read()
    const closed = closing.gateway.close()
    timers.find(({ delayMs }) => delayMs === 10_000)?.task()
    await closed
    expect(await own.closed()).to.equal('')
    expect(closing.objects.size).to.equal(0)
  })

  it('finishes a running request when it closes, and takes no further one on its connection', async () => {
    const closing = await startTestGateway()
    const own = await RawConnection.open(closing.port)
    const idle = await RawConnection.open(closing.port)
    own.send(putHead({ 'Content-Length': '5', Expect: '100-continue' }))
    expect((await own.read()).status).to.equal(100)
    const closed = closing.gateway.close()
    await idle.closed()
    own.send('hello')
    const response = await own.read()
    expect(response.status).to.equal(200)
    expect(response.headers.connection).to.equal('close')
    await closed
    await own.closed()
  })
})
