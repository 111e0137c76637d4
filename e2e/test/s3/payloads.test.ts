/** The five payload kinds, made by hand on raw sockets. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { ALGORITHMS, base64Digest, digest, md5Hex } from './support/digests.js'
import { SIGNED, SIGNED_TRAILER, putFramed as sendFramed, UNSIGNED_TRAILER } from './support/framed.js'
import {
  type RequestOptions,
  type SignedRequest,
  signedFrames,
  signRequest,
  unsignedFrames,
} from './support/signing.js'
import { useSuite } from './support/suite.js'
import { send, WireConnection, type WireResponse } from './support/wire.js'
import { expectError } from './support/xml.js'

/** Larger than one verification unit, so that several frames and reads are needed. */
const CONTENT = randomBytes(70_000)
const CHUNKS = [CONTENT.subarray(0, 65_536), CONTENT.subarray(65_536)]

describe('payload kinds', () => {
  const suite = useSuite('payloads')
  const { freshPath } = suite

  function putFramed(
    options: RequestOptions & { readonly decodedBytes?: number; readonly pieceBytes?: number },
    frame: (request: SignedRequest) => Buffer,
  ): Promise<WireResponse> {
    return sendFramed(suite.server, { decodedBytes: CONTENT.length, ...options }, frame)
  }

  async function expectStored(path: string, content: Uint8Array = CONTENT): Promise<WireResponse> {
    const response = await send(suite.server, { path, headers: { 'x-amz-checksum-mode': 'ENABLED' } })
    expect(response.status, response.text.slice(0, 300)).to.equal(200)
    expect(response.body.equals(content)).to.equal(true)
    return response
  }

  async function expectNothing(path: string): Promise<void> {
    expectError(await send(suite.server, { path }), 404, 'NoSuchKey')
  }

  it('takes a literal hash and an unsigned payload', async () => {
    for (const payload of [undefined, 'UNSIGNED-PAYLOAD']) {
      const path = freshPath()
      const options = { method: 'PUT', path, body: CONTENT, ...(payload === undefined ? {} : { payload }) }
      const put = await send(suite.server, options)
      expect(put.status, put.text).to.equal(200)
      expect(put.headers.etag).to.equal(`"${md5Hex(CONTENT)}"`)
      await expectStored(path)
    }
  })

  for (const pieceBytes of [1_000_000, 8_192, 997, 61]) {
    it(`takes signed chunks that arrive in writes of ${pieceBytes} bytes`, async function () {
      this.timeout(30_000)
      const path = freshPath()
      const put = await putFramed({ path, payload: SIGNED, pieceBytes }, ({ signing }) =>
        signedFrames(signing, CHUNKS),
      )
      expect(put.status, put.text).to.equal(200)
      const stored = await expectStored(path)
      expect(stored.headers['content-encoding']).to.equal(undefined)
      expect(stored.headers['content-length']).to.equal(String(CONTENT.length))
    })
  }

  for (const algorithm of ALGORITHMS) {
    const name = `x-amz-checksum-${algorithm.toLowerCase()}`
    const trailers = { [name]: base64Digest(algorithm, CONTENT) }

    it(`takes ${algorithm} in a signed trailer`, async () => {
      const path = freshPath()
      const options = { path, payload: SIGNED_TRAILER, headers: { 'x-amz-trailer': name }, pieceBytes: 701 }
      const put = await putFramed(options, ({ signing }) => signedFrames(signing, CHUNKS, trailers))
      expect(put.status, put.text).to.equal(200)
      expect(put.headers[name]).to.equal(trailers[name])
      expect((await expectStored(path)).headers[name]).to.equal(trailers[name])
    })

    it(`takes ${algorithm} in an unsigned trailer`, async () => {
      const path = freshPath()
      const options = { path, payload: UNSIGNED_TRAILER, headers: { 'x-amz-trailer': name } }
      const put = await putFramed(options, () => unsignedFrames(CHUNKS, trailers))
      expect(put.status, put.text).to.equal(200)
      expect((await expectStored(path)).headers[name]).to.equal(trailers[name])
    })

    it(`takes ${algorithm} in a header, and refuses a wrong, a broken and a second one`, async () => {
      const path = freshPath()
      const put = (headers: Record<string, string>): Promise<WireResponse> =>
        send(suite.server, { method: 'PUT', path, headers, body: CONTENT })
      const wrong = { [name]: base64Digest(algorithm, CONTENT.subarray(1)) }
      expectError(await put(wrong), 400, 'BadDigest')
      expectError(await put({ [name]: 'no digest' }), 400, 'InvalidRequest')
      const other = algorithm === 'SHA1' ? 'CRC32' : 'SHA1'
      const second = { [`x-amz-checksum-${other.toLowerCase()}`]: base64Digest(other, CONTENT) }
      expectError(await put({ ...trailers, ...second }), 400, 'InvalidRequest')
      await expectNothing(path)
      const good = await put(trailers)
      expect(good.status, good.text).to.equal(200)
      expect(good.headers['x-amz-checksum-type']).to.equal('FULL_OBJECT')
      const stored = await expectStored(path)
      expect(stored.headers[name]).to.equal(trailers[name])
      expect(stored.headers['x-amz-checksum-type']).to.equal('FULL_OBJECT')
      const plain = await send(suite.server, { path })
      expect(plain.headers[name]).to.equal(undefined)
    })
  }

  it('knows the check values of the CRCs it compares with', () => {
    const nine = Buffer.from('123456789')
    expect(digest('CRC32', nine).toString('hex')).to.equal('cbf43926')
    expect(digest('CRC32C', nine).toString('hex')).to.equal('e3069283')
    expect(digest('CRC64NVME', nine).toString('hex')).to.equal('ae8b14860a799888')
  })

  it('computes CRC64NVME where nothing is sent, also for a trailer that is announced nowhere', async () => {
    const crc = base64Digest('CRC64NVME', CONTENT)
    const plain = freshPath()
    await send(suite.server, { method: 'PUT', path: plain, body: CONTENT })
    expect((await expectStored(plain)).headers['x-amz-checksum-crc64nvme']).to.equal(crc)
    const framed = freshPath()
    const put = await putFramed({ path: framed, payload: UNSIGNED_TRAILER }, () => unsignedFrames(CHUNKS))
    expect(put.status, put.text).to.equal(200)
    expect((await expectStored(framed)).headers['x-amz-checksum-crc64nvme']).to.equal(crc)
  })

  it('keeps the content encoding without the framing, wherever that stands', async () => {
    for (const [given, kept] of [
      ['gzip, aws-chunked', 'gzip'],
      ['aws-chunked, gzip', 'gzip'],
      ['aws-chunked', undefined],
      ['aws-chunked,aws-chunked', undefined],
      ['gzip,aws-chunked,br', 'gzip, br'],
    ] as const) {
      const path = freshPath()
      const headers = { 'content-encoding': given }
      const put = await putFramed({ path, payload: SIGNED, headers }, ({ signing }) =>
        signedFrames(signing, CHUNKS),
      )
      expect(put.status, put.text).to.equal(200)
      expect((await expectStored(path)).headers['content-encoding']?.replace(',b', ', b')).to.equal(kept)
    }
  })

  it('takes frames of an empty object', async () => {
    const path = freshPath()
    const put = await putFramed({ path, payload: SIGNED, decodedBytes: 0 }, ({ signing }) =>
      signedFrames(signing, []),
    )
    expect(put.status, put.text).to.equal(200)
    await expectStored(path, Buffer.alloc(0))
  })

  it('takes frames that are chunked by HTTP as well', async () => {
    const path = freshPath()
    const headers = {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': String(CONTENT.length),
      'transfer-encoding': 'chunked',
    }
    const request = signRequest(suite.server, { method: 'PUT', path, headers, payload: SIGNED })
    const frames = signedFrames(request.signing, CHUNKS)
    const connection = await WireConnection.open(suite.server)
    await connection.write(request.head)
    for (let at = 0; at < frames.length; at += 5000) {
      const piece = frames.subarray(at, at + 5000)
      await connection.write(
        Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]),
      )
    }
    await connection.write('0\r\n\r\n')
    const put = await connection.read()
    expect(put.status, put.text).to.equal(200)
    connection.destroy()
    await expectStored(path)
  })
})
