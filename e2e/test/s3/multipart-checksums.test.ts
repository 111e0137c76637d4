/** Checksums of multipart uploads: composite and of the full object, in every algorithm. */
import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { ALGORITHMS, type Algorithm, base64Digest, digest } from './support/digests.js'
import type { Identity } from './support/signing.js'
import { completeBody, createUpload, type ListedPart, putPart } from './support/uploads.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text } from './support/xml.js'

const PART_BYTES = 5 * 1024 * 1024
/** Large parts of repeated bytes: their content does not matter, the arithmetic does. */
const PARTS = [randomBytes(PART_BYTES), randomBytes(70_001)]
const WHOLE = Buffer.concat(PARTS)

describe('multipart checksums', () => {
  let world: World
  let server: Identity
  const bucket = freshName()
  let keys = 0

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('multipart-checksums')
    server = world.server
    await send(server, { method: 'PUT', path: `/${bucket}` })
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  interface Case {
    readonly path: string
    readonly id: string
    /** With the checksums that the client knows. */
    readonly parts: ListedPart[]
  }

  /** An upload of both parts, each with its checksum in a header. */
  async function upload(algorithm: Algorithm, type?: string): Promise<Case> {
    keys += 1
    const path = `/${bucket}/key-${keys}`
    const kind = type === undefined ? {} : { 'x-amz-checksum-type': type }
    const id = await createUpload(server, path, { 'x-amz-checksum-algorithm': algorithm, ...kind })
    const parts: ListedPart[] = []
    for (const [index, content] of PARTS.entries()) {
      const value = base64Digest(algorithm, content)
      const headers = { [`x-amz-checksum-${algorithm.toLowerCase()}`]: value }
      const part = await putPart(server, { path, id, number: index + 1, content, headers })
      parts.push({ ...part, checksum: [`Checksum${algorithm}`, value] })
    }
    return { path, id, parts }
  }

  function complete({ path, id, parts }: Case, headers: Record<string, string> = {}): Promise<WireResponse> {
    return send(server, { method: 'POST', path, query: `uploadId=${id}`, headers, body: completeBody(parts) })
  }

  async function expectChecksum(
    made: Case,
    algorithm: Algorithm,
    type: string,
    value: string,
  ): Promise<void> {
    const done = await complete(made)
    expect(done.status, done.text).to.equal(200)
    expect(text(done.text, `Checksum${algorithm}`)).to.equal(value)
    expect(text(done.text, 'ChecksumType')).to.equal(type)
    const again = await complete(made)
    expect(text(again.text, `Checksum${algorithm}`)).to.equal(value)
    const name = `x-amz-checksum-${algorithm.toLowerCase()}`
    const headers = { 'x-amz-checksum-mode': 'ENABLED' }
    const head = await send(server, { method: 'HEAD', path: made.path, headers })
    expect(head.headers[name]).to.equal(value)
    expect(head.headers['x-amz-checksum-type']).to.equal(type)
  }

  for (const algorithm of ALGORITHMS.filter((name) => name !== 'CRC64NVME')) {
    it(`composes ${algorithm} of those of the parts, and appends their number`, async function () {
      this.timeout(60_000)
      const digests = Buffer.concat(PARTS.map((part) => digest(algorithm, part)))
      const made = await upload(algorithm)
      await expectChecksum(made, algorithm, 'COMPOSITE', `${base64Digest(algorithm, digests)}-2`)
    })
  }

  for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME'] as const) {
    it(`combines ${algorithm} to that of the full object`, async function () {
      this.timeout(60_000)
      const made = await upload(algorithm, 'FULL_OBJECT')
      await expectChecksum(made, algorithm, 'FULL_OBJECT', base64Digest(algorithm, WHOLE))
    })
  }

  it('stores CRC64NVME of the full object where nothing is sent', async function () {
    this.timeout(60_000)
    const path = `/${bucket}/nothing-sent`
    const id = await createUpload(server, path)
    const parts: ListedPart[] = []
    for (const [index, content] of PARTS.entries()) {
      parts.push(await putPart(server, { path, id, number: index + 1, content }))
    }
    const value = base64Digest('CRC64NVME', WHOLE)
    await expectChecksum({ path, id, parts }, 'CRC64NVME', 'FULL_OBJECT', value)
  })

  it('refuses kinds that do not exist', async () => {
    for (const [algorithm, type] of [
      ['SHA1', 'FULL_OBJECT'],
      ['SHA256', 'FULL_OBJECT'],
      ['SHA512', 'FULL_OBJECT'],
      ['MD5', 'FULL_OBJECT'],
      ['XXHASH3', 'FULL_OBJECT'],
      ['XXHASH128', 'FULL_OBJECT'],
      ['CRC64NVME', 'COMPOSITE'],
      ['OTHER', undefined],
      ['CRC32', 'OTHER'],
      [undefined, 'COMPOSITE'],
    ] as const) {
      const headers = {
        ...(algorithm === undefined ? {} : { 'x-amz-checksum-algorithm': algorithm }),
        ...(type === undefined ? {} : { 'x-amz-checksum-type': type }),
      }
      const options = { method: 'POST', path: `/${bucket}/refused`, query: 'uploads', headers }
      expectError(await send(server, options), 400, 'InvalidRequest')
    }
  })

  it('refuses parts with a wrong checksum, with another algorithm, or without one', async () => {
    const path = `/${bucket}/parts-refused`
    const id = await createUpload(server, path, { 'x-amz-checksum-algorithm': 'SHA256' })
    const put = (headers: Record<string, string>): Promise<WireResponse> =>
      send(server, { method: 'PUT', path, query: `partNumber=1&uploadId=${id}`, headers, body: 'content' })
    const other = createHash('sha256').update('other').digest('base64')
    expectError(await put({ 'x-amz-checksum-sha256': other }), 400, 'BadDigest')
    const crc = { 'x-amz-checksum-crc32': base64Digest('CRC32', Buffer.from('content')) }
    expectError(await put(crc), 400, 'InvalidRequest')
    expectError(await put({}), 400, 'InvalidRequest')
    const listed = await send(server, { path, query: `uploadId=${id}` })
    expect(listed.text).to.not.contain('<Part>')
  })

  it('refuses a list that lacks the checksums of a composite upload, or names wrong ones', async function () {
    this.timeout(60_000)
    const made = await upload('SHA1')
    const [one, two] = made.parts as [ListedPart, ListedPart]
    const without = { ...made, parts: [one, { number: two.number, etag: two.etag }] }
    expectError(await complete(without), 400, 'InvalidRequest')
    const swapped = { ...made, parts: [{ ...one, ...(two.checksum && { checksum: two.checksum }) }, two] }
    expectError(await complete(swapped), 400, 'InvalidPart')
    expect((await complete(made)).status).to.equal(200)
  })

  it('compares the checksum that the caller expects of the object', async function () {
    this.timeout(60_000)
    const made = await upload('CRC32', 'FULL_OBJECT')
    const wrong = { 'x-amz-checksum-crc32': base64Digest('CRC32', PARTS[0] as Buffer) }
    expectError(await complete(made, wrong), 400, 'BadDigest')
    const right = {
      'x-amz-checksum-crc32': base64Digest('CRC32', WHOLE),
      'x-amz-checksum-type': 'FULL_OBJECT',
    }
    expect((await complete(made, right)).status).to.equal(200)
  })

  it('gives the same values when parts are uploaded again', async function () {
    this.timeout(60_000)
    const made = await upload('CRC32C')
    const content = PARTS[1] as Buffer
    const headers = { 'x-amz-checksum-crc32c': base64Digest('CRC32C', content) }
    await putPart(server, { path: made.path, id: made.id, number: 2, content, headers })
    const digests = Buffer.concat(PARTS.map((part) => digest('CRC32C', part)))
    await expectChecksum(made, 'CRC32C', 'COMPOSITE', `${base64Digest('CRC32C', digests)}-2`)
  })

  it('shows that of a part to whoever gets the part, and none with a range', async function () {
    this.timeout(60_000)
    const made = await upload('CRC32')
    expect((await complete(made)).status).to.equal(200)
    const headers = { 'x-amz-checksum-mode': 'ENABLED' }
    for (const method of ['GET', 'HEAD']) {
      const part = await send(server, { method, path: made.path, query: 'partNumber=2', headers })
      expect(part.status).to.equal(206)
      expect(part.headers['x-amz-checksum-crc32']).to.equal(base64Digest('CRC32', PARTS[1] as Buffer))
    }
    const unasked = await send(server, { path: made.path, query: 'partNumber=2' })
    expect(unasked.headers['x-amz-checksum-crc32']).to.equal(undefined)
    const ranged = await send(server, { path: made.path, headers: { ...headers, range: 'bytes=0-9' } })
    expect(ranged.headers['x-amz-checksum-crc32']).to.equal(undefined)
  })

  it('keeps those of the parts with the object and its copies', async function () {
    this.timeout(60_000)
    const headers = { 'x-amz-checksum-mode': 'ENABLED' }
    const made = await upload('XXHASH128')
    expect((await complete(made)).status).to.equal(200)
    const copy = `${made.path}-copy`
    const large = await upload('CRC64NVME', 'FULL_OBJECT')
    expect((await complete(large)).status).to.equal(200)
    const source = { 'x-amz-copy-source': large.path, 'x-amz-metadata-directive': 'REPLACE' }
    expect((await send(server, { method: 'PUT', path: copy, headers: source })).status).to.equal(200)
    for (const [{ path, parts }, algorithm] of [
      [made, 'XXHASH128'],
      [large, 'CRC64NVME'],
    ] as const) {
      for (const { number, checksum } of parts) {
        const head = await send(server, { method: 'HEAD', path, query: `partNumber=${number}`, headers })
        expect(head.headers[`x-amz-checksum-${algorithm.toLowerCase()}`]).to.equal(checksum?.[1])
        expect(head.headers['x-amz-mp-parts-count']).to.equal('2')
      }
    }
  })

  it('refuses a list whose type is not that of the upload', async function () {
    this.timeout(60_000)
    const made = await upload('CRC32')
    expectError(await complete(made, { 'x-amz-checksum-type': 'FULL_OBJECT' }), 400, 'InvalidRequest')
    expect((await complete(made, { 'x-amz-checksum-type': 'COMPOSITE' })).status).to.equal(200)
  })

  it('computes those of copied parts in the algorithm of the upload', async () => {
    const source = `/${bucket}/copied`
    await send(server, { method: 'PUT', path: source, body: 'content' })
    const path = `/${bucket}/of-copies`
    const id = await createUpload(server, path, { 'x-amz-checksum-algorithm': 'SHA256' })
    const headers = { 'x-amz-copy-source': source }
    const copied = await send(server, { method: 'PUT', path, query: `partNumber=1&uploadId=${id}`, headers })
    const sha = base64Digest('SHA256', Buffer.from('content'))
    expect(text(copied.text, 'ChecksumSHA256')).to.equal(sha)
    const etag = text(copied.text, 'ETag') ?? ''
    const done = await complete({ path, id, parts: [{ number: 1, etag, checksum: ['ChecksumSHA256', sha] }] })
    expect(done.status, done.text).to.equal(200)
    const composite = base64Digest('SHA256', Buffer.from(sha, 'base64'))
    expect(text(done.text, 'ChecksumSHA256')).to.equal(`${composite}-1`)
  })
})
