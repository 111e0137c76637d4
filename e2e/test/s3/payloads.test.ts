/** The five payload kinds, made by hand on raw sockets, whole and broken in every way that must be noticed. */
import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { ALGORITHMS, base64Digest, digest, md5Hex } from './support/digests.js'
import {
  type Identity,
  type RequestOptions,
  type SignedRequest,
  signedFrames,
  signRequest,
  unsignedFrames,
} from './support/signing.js'
import { send, WireConnection, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text } from './support/xml.js'

const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
const SIGNED_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'
const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
/** Larger than one verification unit, so that several frames and reads are needed. */
const CONTENT = randomBytes(70_000)
const CHUNKS = [CONTENT.subarray(0, 65_536), CONTENT.subarray(65_536)]

describe('payload kinds', () => {
  let world: World
  let server: Identity
  let bucket: string
  let keys = 0

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('payloads')
    server = world.server
    bucket = freshName()
    expect((await send(server, { method: 'PUT', path: `/${bucket}` })).status).to.equal(200)
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  function freshPath(): string {
    keys += 1
    return `/${bucket}/key-${keys}`
  }

  /** A framed PUT; `frame` makes the body from the signed head. */
  async function putFramed(
    options: RequestOptions & { readonly decodedBytes?: number; readonly pieceBytes?: number },
    frame: (request: SignedRequest) => Buffer,
  ): Promise<WireResponse> {
    const { decodedBytes = CONTENT.length, pieceBytes = 1_000_000, ...rest } = options
    const headers = {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': String(decodedBytes),
      ...rest.headers,
    }
    // The length of the frames is no part of the signature, but must be known for the head.
    const draft = frame(signRequest(server, { method: 'PUT', ...rest, headers }))
    const unsigned = { 'content-length': String(draft.length) }
    const atMs = rest.atMs ?? Date.now()
    const request = signRequest(server, { method: 'PUT', ...rest, headers, unsigned, atMs })
    const connection = await WireConnection.open(server)
    try {
      await connection.write(request.head)
      void connection.writePieces(frame(request), pieceBytes)
      return await connection.read()
    } finally {
      connection.destroy()
    }
  }

  async function expectStored(path: string, content: Uint8Array = CONTENT): Promise<WireResponse> {
    const response = await send(server, { path, headers: { 'x-amz-checksum-mode': 'ENABLED' } })
    expect(response.status, response.text.slice(0, 300)).to.equal(200)
    expect(response.body.equals(content)).to.equal(true)
    return response
  }

  async function expectNothing(path: string): Promise<void> {
    expectError(await send(server, { path }), 404, 'NoSuchKey')
  }

  describe('whole', () => {
    it('takes a literal hash and an unsigned payload', async () => {
      for (const payload of [undefined, 'UNSIGNED-PAYLOAD']) {
        const path = freshPath()
        const options = { method: 'PUT', path, body: CONTENT, ...(payload === undefined ? {} : { payload }) }
        const put = await send(server, options)
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
          send(server, { method: 'PUT', path, headers, body: CONTENT })
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
        const plain = await send(server, { path })
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
      await send(server, { method: 'PUT', path: plain, body: CONTENT })
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
      const request = signRequest(server, { method: 'PUT', path, headers, payload: SIGNED })
      const frames = signedFrames(request.signing, CHUNKS)
      const connection = await WireConnection.open(server)
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

  describe('broken', () => {
    /** Flips one bit of the byte at the place of `marker`, plus an offset. */
    function flip(frames: Buffer, at: number): Buffer {
      const changed = Buffer.from(frames)
      changed[at] = (changed[at] ?? 0) ^ 1
      return changed
    }

    const name = 'x-amz-checksum-crc32'
    const trailers = { [name]: base64Digest('CRC32', CONTENT) }

    for (const [what, damage] of [
      ['a byte of the first chunk', (frames: Buffer) => flip(frames, 200)],
      ['a byte of the last chunk', (frames: Buffer) => flip(frames, frames.length - 300)],
      ['the first signature', (frames: Buffer) => flip(frames, frames.indexOf('signature=') + 12)],
      [
        'the signature of the final chunk',
        (frames: Buffer) => flip(frames, frames.lastIndexOf('signature=') + 12),
      ],
    ] as const) {
      it(`refuses a change of ${what} of signed chunks`, async () => {
        const path = freshPath()
        const put = await putFramed({ path, payload: SIGNED }, ({ signing }) =>
          damage(signedFrames(signing, CHUNKS)),
        )
        expectError(put, 403, 'SignatureDoesNotMatch')
        await expectNothing(path)
      })
    }

    it('refuses chunks that were swapped, repeated or left out', async () => {
      const chunks = [
        CONTENT.subarray(0, 20_000),
        CONTENT.subarray(20_000, 40_000),
        CONTENT.subarray(40_000, 60_000),
      ]
      for (const order of [
        [1, 0, 2],
        [0, 0, 1],
        [0, 2],
      ]) {
        const path = freshPath()
        const put = await putFramed({ path, payload: SIGNED, decodedBytes: 60_000 }, ({ signing }) => {
          const frames = signedFrames(signing, chunks)
          const sizeBytes = frames.indexOf('\r\n') + 2 + 20_000 + 2
          const pieces = order.map((at) => frames.subarray(at * sizeBytes, (at + 1) * sizeBytes))
          return Buffer.concat([...pieces, frames.subarray(3 * sizeBytes)])
        })
        expectError(put, 403, 'SignatureDoesNotMatch')
        await expectNothing(path)
      }
    })

    it('refuses a signed trailer that was changed, or lost its signature', async () => {
      const options = { payload: SIGNED_TRAILER, headers: { 'x-amz-trailer': name } }
      const path = freshPath()
      const changed = await putFramed({ path, ...options }, ({ signing }) => {
        const frames = signedFrames(signing, CHUNKS, trailers)
        return flip(frames, frames.lastIndexOf('trailer-signature:') + 30)
      })
      expectError(changed, 403, 'SignatureDoesNotMatch')
      const value = await putFramed({ path, ...options }, ({ signing }) => {
        const frames = signedFrames(signing, CHUNKS, trailers)
        return flip(frames, frames.lastIndexOf(name) + name.length + 2)
      })
      expectError(value, 403, 'SignatureDoesNotMatch')
      const without = await putFramed({ path, ...options }, ({ signing }) => {
        const frames = signedFrames(signing, CHUNKS, trailers).toString('latin1')
        return Buffer.from(frames.replace(/x-amz-trailer-signature:.*\r\n/, ''), 'latin1')
      })
      expect(without.status).to.be.within(400, 403)
      await expectNothing(path)
    })

    it('refuses a trailer with a wrong, broken, missing or unannounced checksum', async () => {
      const path = freshPath()
      const options = { path, payload: UNSIGNED_TRAILER, headers: { 'x-amz-trailer': name } }
      const wrong = { [name]: base64Digest('CRC32', CONTENT.subarray(1)) }
      expectError(await putFramed(options, () => unsignedFrames(CHUNKS, wrong)), 400, 'BadDigest')
      const broken = await putFramed(options, () => unsignedFrames(CHUNKS, { [name]: 'AAAA' }))
      expectError(broken, 400, 'InvalidRequest')
      const missing = await putFramed(options, () => unsignedFrames(CHUNKS))
      expectError(missing, 400, 'MalformedTrailerError')
      const other = { 'x-amz-checksum-sha1': base64Digest('SHA1', CONTENT) }
      const unannounced = await putFramed(options, () => unsignedFrames(CHUNKS, other))
      expectError(unannounced, 400, 'MalformedTrailerError')
      await expectNothing(path)
    })

    it('refuses frames that hold less or more than declared', async () => {
      for (const decodedBytes of [CONTENT.length - 1, CONTENT.length + 1, 0]) {
        const path = freshPath()
        const signed = await putFramed({ path, payload: SIGNED, decodedBytes }, ({ signing }) =>
          signedFrames(signing, CHUNKS),
        )
        expectError(signed, 400, 'IncompleteBody')
        const unsigned = await putFramed({ path, payload: UNSIGNED_TRAILER, decodedBytes }, () =>
          unsignedFrames(CHUNKS),
        )
        expectError(unsigned, 400, 'IncompleteBody')
        await expectNothing(path)
      }
    })

    it('refuses frames that end early, wherever the cut is', async function () {
      this.timeout(60_000)
      const whole = unsignedFrames(CHUNKS, trailers).length
      for (const keptBytes of [
        0,
        3,
        7,
        1000,
        65_541,
        65_545,
        65_560,
        whole - 40,
        whole - 4,
        whole - 2,
        whole - 1,
      ]) {
        const path = freshPath()
        const options = { path, payload: UNSIGNED_TRAILER, headers: { 'x-amz-trailer': name } }
        const put = await putFramed(options, () => unsignedFrames(CHUNKS, trailers).subarray(0, keptBytes))
        expectError(put, 400, text(put.text, 'Code') ?? '')
        expect(text(put.text, 'Code')).to.be.oneOf(['IncompleteBody', 'MalformedTrailerError'])
        await expectNothing(path)
      }
    })

    it('refuses what is no framing at all, and data after the last chunk', async () => {
      const path = freshPath()
      for (const body of [CONTENT, Buffer.from('xyz\r\n'), Buffer.from('-5\r\nabc\r\n0\r\n\r\n')]) {
        const put = await putFramed({ path, payload: UNSIGNED_TRAILER }, () => Buffer.from(body))
        expect(put.status, put.text).to.equal(400)
      }
      const more = await putFramed({ path, payload: UNSIGNED_TRAILER }, () =>
        Buffer.concat([unsignedFrames(CHUNKS), Buffer.from('more')]),
      )
      expect(more.status, more.text).to.equal(400)
      await expectNothing(path)
    })

    it('refuses a declared length without framing, framing without one, and unknown kinds', async () => {
      const path = freshPath()
      const headers = { 'x-amz-decoded-content-length': '3' }
      const unframed = await send(server, { method: 'PUT', path, headers, body: 'abc' })
      expect(unframed.status).to.be.oneOf([400, 501])
      const undeclared = await send(server, { method: 'PUT', path, body: 'abc', payload: SIGNED })
      expectError(undeclared, 411, 'MissingContentLength')
      const unknown = await send(server, { method: 'PUT', path, body: 'abc', payload: 'STREAMING-OTHER' })
      expect(unknown.status).to.equal(400)
      await expectNothing(path)
    })

    it('leaves the object before untouched when an overwrite fails', async () => {
      const path = freshPath()
      await send(server, { method: 'PUT', path, body: 'first' })
      const put = await putFramed({ path, payload: SIGNED }, ({ signing }) =>
        flip(signedFrames(signing, CHUNKS), 70_000),
      )
      expectError(put, 403, 'SignatureDoesNotMatch')
      expect((await send(server, { path })).text).to.equal('first')
    })

    it('stores nothing when the connection ends within the body', async () => {
      const path = freshPath()
      await send(server, { method: 'PUT', path, body: 'first' })
      for (const keptBytes of [0, 1, 65_536, 69_999]) {
        const request = signRequest(server, {
          method: 'PUT',
          path,
          body: CONTENT,
          payload: 'UNSIGNED-PAYLOAD',
        })
        const connection = await WireConnection.open(server)
        await connection.write(request.head)
        await connection.write(CONTENT.subarray(0, keptBytes))
        connection.destroy()
        expect((await send(server, { path })).text).to.equal('first')
      }
    })

    it('judges Content-MD5 by its shape first, then by its value', async () => {
      const path = freshPath()
      const put = (md5: string): Promise<WireResponse> =>
        send(server, { method: 'PUT', path, headers: { 'content-md5': md5 }, body: CONTENT })
      const right = createHash('md5').update(CONTENT).digest('base64')
      for (const invalid of ['', 'no base64!', 'AAAA', right.slice(0, -4)]) {
        expectError(await put(invalid), 400, 'InvalidDigest')
      }
      const other = createHash('md5').update('other').digest('base64')
      expectError(await put(other), 400, 'BadDigest')
      await expectNothing(path)
      expect((await put(right)).status).to.equal(200)
    })
  })
})
