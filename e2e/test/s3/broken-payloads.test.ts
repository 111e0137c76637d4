/** Payloads that are broken in every way that must be noticed: an error, and nothing stored. */
import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { base64Digest } from './support/digests.js'
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
import { expectError, text } from './support/xml.js'

/** Larger than one verification unit, so that several frames and reads are needed. */
const CONTENT = randomBytes(70_000)
const CHUNKS = [CONTENT.subarray(0, 65_536), CONTENT.subarray(65_536)]

describe('broken payloads', () => {
  const suite = useSuite('broken-payloads')
  const { freshPath } = suite

  function putFramed(
    options: RequestOptions & { readonly decodedBytes?: number; readonly pieceBytes?: number },
    frame: (request: SignedRequest) => Buffer,
  ): Promise<WireResponse> {
    return sendFramed(suite.server, { decodedBytes: CONTENT.length, ...options }, frame)
  }

  async function expectNothing(path: string): Promise<void> {
    expectError(await send(suite.server, { path }), 404, 'NoSuchKey')
  }

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
    const unframed = await send(suite.server, { method: 'PUT', path, headers, body: 'abc' })
    expect(unframed.status).to.be.oneOf([400, 501])
    const undeclared = await send(suite.server, { method: 'PUT', path, body: 'abc', payload: SIGNED })
    expectError(undeclared, 411, 'MissingContentLength')
    const unknown = await send(suite.server, { method: 'PUT', path, body: 'abc', payload: 'STREAMING-OTHER' })
    expect(unknown.status).to.equal(400)
    await expectNothing(path)
  })

  it('leaves the object before untouched when an overwrite fails', async () => {
    const path = freshPath()
    await send(suite.server, { method: 'PUT', path, body: 'first' })
    const put = await putFramed({ path, payload: SIGNED }, ({ signing }) =>
      flip(signedFrames(signing, CHUNKS), 70_000),
    )
    expectError(put, 403, 'SignatureDoesNotMatch')
    expect((await send(suite.server, { path })).text).to.equal('first')
  })

  it('stores nothing when the connection ends within the body', async () => {
    const path = freshPath()
    await send(suite.server, { method: 'PUT', path, body: 'first' })
    for (const keptBytes of [0, 1, 65_536, 69_999]) {
      const request = signRequest(suite.server, {
        method: 'PUT',
        path,
        body: CONTENT,
        payload: 'UNSIGNED-PAYLOAD',
      })
      const connection = await WireConnection.open(suite.server)
      await connection.write(request.head)
      await connection.write(CONTENT.subarray(0, keptBytes))
      connection.destroy()
      expect((await send(suite.server, { path })).text).to.equal('first')
    }
  })

  it('judges Content-MD5 by its shape first, then by its value', async () => {
    const path = freshPath()
    const put = (md5: string): Promise<WireResponse> =>
      send(suite.server, { method: 'PUT', path, headers: { 'content-md5': md5 }, body: CONTENT })
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
