/** Errors and the HTTP layer, on raw sockets: what a client sees when a request is wrong. */
import { expect } from 'chai'
import { NOT_BUILT } from './support/not-built.js'
import { type Identity, type RequestOptions, signRequest, unsignedRequest } from './support/signing.js'
import { send, WireConnection } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text } from './support/xml.js'

describe('errors on the wire', () => {
  let world: World
  let server: Identity
  let bucket: string

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('errors')
    server = world.server
    bucket = freshName()
    expect((await send(server, { method: 'PUT', path: `/${bucket}` })).status).to.equal(200)
    const put = await send(server, { method: 'PUT', path: `/${bucket}/key`, body: 'content' })
    expect(put.status).to.equal(200)
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  /** An answer on a connection that must then serve another request. */
  async function refuseAndGoOn(options: RequestOptions): Promise<void> {
    const connection = await WireConnection.open(server)
    try {
      const refused = await connection.send(signRequest(server, options))
      expect(refused.status, refused.text).to.be.within(400, 599)
      expect(refused.headers.connection).to.not.equal('close')
      const good = await connection.send(signRequest(server, { path: `/${bucket}/key` }))
      expect(good.status, good.text).to.equal(200)
      expect(good.text).to.equal('content')
    } finally {
      connection.destroy()
    }
  }

  describe('shape', () => {
    it('names the missing key in the XML, with the request id of the header', async () => {
      const response = await send(server, { path: `/${bucket}/absent` })
      expectError(response, 404, 'NoSuchKey')
      expect(text(response.text, 'Resource')).to.equal(`/${bucket}/absent`)
    })

    it('gives every answer a request id of its own', async () => {
      const first = await send(server, { path: `/${bucket}/key` })
      const second = await send(server, { path: `/${bucket}/key` })
      expect(first.headers['x-amz-request-id']).to.be.a('string').and.not.equal('')
      expect(second.headers['x-amz-request-id']).to.not.equal(first.headers['x-amz-request-id'])
    })

    it('escapes the resource', async () => {
      const response = await send(server, { path: `/${bucket}/%3Ca%26b%3E` })
      expectError(response, 404, 'NoSuchKey')
      expect(response.text).to.not.match(/<a&b>/)
    })

    it('answers HEAD with the status alone, and the connection goes on', async () => {
      const connection = await WireConnection.open(server)
      for (const path of [`/${bucket}/absent`, '/absent-bucket', '/absent-bucket/key']) {
        const head = await connection.send(signRequest(server, { method: 'HEAD', path }))
        expect(head.status).to.equal(404)
        expect(connection.pendingBytes).to.equal(0)
      }
      const good = await connection.send(signRequest(server, { path: `/${bucket}/key` }))
      expect(good.text).to.equal('content')
      connection.destroy()
    })

    it('answers 304 without a body, with ETag and Last-Modified', async () => {
      const plain = await send(server, { path: `/${bucket}/key` })
      const connection = await WireConnection.open(server)
      const headers = { 'if-none-match': plain.headers.etag ?? '' }
      const response = await connection.send(signRequest(server, { path: `/${bucket}/key`, headers }))
      expect(response.status).to.equal(304)
      expect(response.headers.etag).to.equal(plain.headers.etag)
      expect(response.headers['last-modified']).to.equal(plain.headers['last-modified'])
      const good = await connection.send(signRequest(server, { path: `/${bucket}/key` }))
      expect(good.text).to.equal('content')
      connection.destroy()
    })

    it('says NoSuchBucket, not NoSuchKey, for an object in a missing bucket', async () => {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        expectError(await send(server, { method, path: '/absent-bucket/key' }), 404, 'NoSuchBucket')
      }
    })
  })

  describe('requests that are no operation', () => {
    it('refuses a broken escape', async () => {
      expectError(await send(server, { path: '/b/%zz' }), 400, 'InvalidURI')
    })

    it('refuses PROPFIND as a method that is not allowed', async () => {
      expectError(await send(server, { method: 'PROPFIND', path: `/${bucket}` }), 405, 'MethodNotAllowed')
    })

    for (const [name, bytes] of [
      ['no HTTP', 'nonsense\r\n\r\n'],
      ['an unknown method', 'FROBNICATE / HTTP/1.1\r\nHost: a\r\n\r\n'],
      ['a negative Content-Length', 'PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n'],
      ['two lengths', 'PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'],
      ['a space in a header name', 'GET / HTTP/1.1\r\nHost: a\r\nbad name: x\r\n\r\n'],
    ] as const) {
      it(`answers ${name} with an S3 error and closes`, async () => {
        const connection = await WireConnection.open(server)
        await connection.write(bytes)
        const response = await connection.read()
        expect(response.status).to.equal(400)
        expectError(response, 400, text(response.text, 'Code') ?? '')
        await connection.closed()
        connection.destroy()
      })
    }

    it('answers a sub-resource nobody knows with 501 and names it', async () => {
      for (const path of [`/${bucket}`, `/${bucket}/key`]) {
        for (const method of ['GET', 'PUT', 'DELETE']) {
          const response = await send(server, { method, path, query: 'frobnicate' })
          expectError(response, 501, 'NotImplemented')
          expect(response.text).to.contain('frobnicate')
        }
      }
      expect((await send(server, { path: `/${bucket}/key` })).text).to.equal('content')
    })

    it('answers a known sub-resource with another method by 405', async () => {
      for (const [method, path, query] of [
        ['POST', `/${bucket}`, 'location'],
        ['DELETE', `/${bucket}`, 'versioning'],
        ['PUT', `/${bucket}`, 'versions'],
        ['PUT', `/${bucket}`, 'uploads'],
        ['DELETE', `/${bucket}/key`, 'uploads'],
        ['PUT', '/', ''],
      ] as const) {
        const response = await send(server, { method, path, query })
        expectError(response, 405, 'MethodNotAllowed')
      }
      expect((await send(server, { path: `/${bucket}/key` })).text).to.equal('content')
    })

    it('answers every operation that is not built with 501 and its name', async function () {
      this.timeout(60_000)
      for (const [name, method, path, query] of NOT_BUILT) {
        const at = path.replace('BUCKET', bucket)
        const body = method === 'GET' || method === 'DELETE' ? '' : '<Any/>'
        const response = await send(server, { method, path: at, query, body })
        expectError(response, 501, 'NotImplemented')
        expect(response.text, name).to.contain(name)
      }
      expect((await send(server, { path: `/${bucket}/key` })).text).to.equal('content')
    })

    it('refuses headers of features that are not built instead of ignoring them', async () => {
      for (const name of [
        'x-amz-server-side-encryption',
        'x-amz-server-side-encryption-customer-algorithm',
        'x-amz-object-lock-mode',
        'x-amz-object-lock-legal-hold',
        'x-amz-write-offset-bytes',
      ]) {
        const headers = { [name]: '1' }
        const response = await send(server, { method: 'PUT', path: `/${bucket}/unbuilt`, headers, body: 'x' })
        expectError(response, 501, 'NotImplemented')
        expect(response.text).to.contain(name)
      }
      expectError(await send(server, { path: `/${bucket}/unbuilt` }), 404, 'NoSuchKey')
    })

    it('keeps the connection usable after each error', async () => {
      await refuseAndGoOn({ path: `/${bucket}/absent` })
      await refuseAndGoOn({ path: '/b/%zz' })
      await refuseAndGoOn({ method: 'PUT', path: '/absent-bucket/key', body: 'x'.repeat(5000) })
      await refuseAndGoOn({ method: 'PUT', path: `/${bucket}/k`, query: 'acl', body: '<Any/>' })
      await refuseAndGoOn({ method: 'PUT', path: `/${bucket}/k`, query: 'unknown', body: 'x'.repeat(60_000) })
      await refuseAndGoOn({ method: 'POST', path: `/${bucket}`, query: 'location', body: 'x' })
      await refuseAndGoOn({
        method: 'PUT',
        path: `/${bucket}/k`,
        unsigned: { 'x-amz-meta-a': '1' },
        body: 'x',
      })
      await refuseAndGoOn({ method: 'PUT', path: `/${bucket}/k`, body: 'abc', payload: '0'.repeat(64) })
      await refuseAndGoOn({ path: `/${bucket}/key`, headers: { range: 'bytes=100-' } })
      await refuseAndGoOn({ path: `/${bucket}/key`, headers: { 'if-match': '"other"' } })
    })

    it('does not take a large refused body for the next request', async () => {
      const connection = await WireConnection.open(server)
      const smuggled = `GET /${bucket}/key HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(5000)
      const request = signRequest(server, { method: 'PUT', path: '/absent-bucket/key', body: smuggled })
      await connection.write(request.head)
      void connection.write(request.body)
      expectError(await connection.read(), 404, 'NoSuchBucket')
      await connection.closed()
      expect(connection.pendingBytes).to.equal(0)
      connection.destroy()
    })
  })

  describe('Expect: 100-continue', () => {
    const expectHeader = { expect: '100-continue' }

    it('is answered with 403 at once for a request that is not let in', async () => {
      const connection = await WireConnection.open(server)
      const options = { method: 'PUT', path: `/${bucket}/expected`, headers: expectHeader, body: 'x' }
      const request = unsignedRequest(server, options)
      await connection.write(request.head)
      expectError(await connection.read(), 403, 'AccessDenied')
      connection.destroy()
    })

    it('is answered with 100 for an authorised request, which then stores its body', async () => {
      const connection = await WireConnection.open(server)
      const options = { method: 'PUT', path: `/${bucket}/expected`, headers: expectHeader, body: 'late' }
      const request = signRequest(server, options)
      await connection.write(request.head)
      expect((await connection.read()).status).to.equal(100)
      await connection.write(request.body)
      expect((await connection.read()).status).to.equal(200)
      const good = await connection.send(signRequest(server, { path: `/${bucket}/expected` }))
      expect(good.text).to.equal('late')
      connection.destroy()
    })

    it('is not answered with 100 where the request is refused anyway', async () => {
      const connection = await WireConnection.open(server)
      const options = { method: 'PUT', path: '/absent-bucket/key', headers: expectHeader, body: 'x' }
      await connection.write(signRequest(server, options).head)
      expectError(await connection.read(), 404, 'NoSuchBucket')
      connection.destroy()
    })

    it('ignores any other expectation', async () => {
      for (const value of ['200-ok', '']) {
        const headers = { expect: value }
        const options = { method: 'PUT', path: `/${bucket}/expected`, headers, body: 'x' }
        expect((await send(server, options)).status).to.equal(200)
      }
    })
  })

  describe('lengths and sizes', () => {
    it('refuses a PUT without length', async () => {
      const options = { method: 'PUT', path: `/${bucket}/k`, withoutLength: true }
      expectError(await send(server, options), 411, 'MissingContentLength')
    })

    it('takes an unframed chunked PUT', async () => {
      const connection = await WireConnection.open(server)
      const request = signRequest(server, {
        method: 'PUT',
        path: `/${bucket}/chunked`,
        headers: { 'transfer-encoding': 'chunked' },
        payload: 'UNSIGNED-PAYLOAD',
      })
      await connection.write(request.head)
      await connection.write('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n')
      expect((await connection.read()).status).to.equal(200)
      const good = await connection.send(signRequest(server, { path: `/${bucket}/chunked` }))
      expect(good.text).to.equal('abcde')
      connection.destroy()
    })

    it('refuses a header section above 8 KiB', async () => {
      for (const sizeBytes of [9_000, 40_000]) {
        const headers = { 'x-padding': 'x'.repeat(sizeBytes) }
        const response = await send(server, { path: `/${bucket}/key`, headers })
        expectError(response, 400, 'RequestHeaderSectionTooLarge')
      }
    })

    it('takes a key of 1,024 bytes and refuses one of 1,025', async () => {
      const path = `/${bucket}/${'%C3%A9'.repeat(512)}`
      expect((await send(server, { method: 'PUT', path, body: 'x' })).status).to.equal(200)
      const response = await send(server, { method: 'PUT', path: `${path}a`, body: 'x' })
      expectError(response, 400, 'KeyTooLongError')
    })

    it('refuses to write a key that is not UTF-8, and finds none', async () => {
      const path = `/${bucket}/%AE%8A`
      const put = await send(server, { method: 'PUT', path, body: 'x' })
      expect(put.status).to.equal(400)
      expectError(put, 400, text(put.text, 'Code') ?? '')
      expectError(await send(server, { path }), 404, 'NoSuchKey')
    })

    it('refuses user metadata above 2 KB', async () => {
      const headers = { 'x-amz-meta-a': 'x'.repeat(2048) }
      const response = await send(server, { method: 'PUT', path: `/${bucket}/k`, headers, body: 'x' })
      expectError(response, 400, 'MetadataTooLarge')
    })

    it('refuses a declared size above 5 GiB before it reads a byte', async () => {
      const connection = await WireConnection.open(server)
      const headers = { 'content-length': String(5 * 1024 ** 3 + 1) }
      const options = { method: 'PUT', path: `/${bucket}/k`, headers, payload: 'UNSIGNED-PAYLOAD' }
      await connection.write(signRequest(server, options).head)
      expectError(await connection.read(), 400, 'EntityTooLarge')
      connection.destroy()
    })
  })
})
