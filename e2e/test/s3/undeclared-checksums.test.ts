/** Checksums of multipart uploads that declare no algorithm, whatever their parts come with. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { base64Digest } from './support/digests.js'
import { useSuite } from './support/suite.js'
import { completeBody, createUpload, type ListedPart } from './support/uploads.js'
import { send, type WireResponse } from './support/wire.js'
import { expectError, text } from './support/xml.js'

const FIRST = randomBytes(5 * 1024 * 1024)
const COPIED = randomBytes(5 * 1024 * 1024)
const LAST = randomBytes(70_001)
const WHOLE = Buffer.concat([FIRST, COPIED, LAST])
const ASKED = { 'x-amz-checksum-mode': 'ENABLED' }

describe('multipart uploads without an algorithm', () => {
  const suite = useSuite('undeclared-checksums')
  const { bucket, freshPath } = suite

  function put(path: string, query: string, content: Uint8Array, headers = {}): Promise<WireResponse> {
    const request = { method: 'PUT', path, query, headers, body: content, payload: 'UNSIGNED-PAYLOAD' }
    return send(suite.server, request)
  }

  interface Case {
    readonly path: string
    readonly id: string
    readonly parts: ListedPart[]
  }

  /** A part as SDKs send it by default, one that is copied, and one without a checksum. */
  async function upload(): Promise<Case> {
    const path = freshPath()
    const id = await createUpload(suite.server, path)
    const value = base64Digest('CRC32', FIRST)
    const first = await put(path, `partNumber=1&uploadId=${id}`, FIRST, { 'x-amz-checksum-crc32': value })
    expect(first.headers['x-amz-checksum-crc32'], first.text).to.equal(value)
    expect(first.headers['x-amz-checksum-crc64nvme']).to.equal(undefined)
    const source = `/${bucket}/source`
    await put(source, '', COPIED)
    const copied = await send(suite.server, {
      method: 'PUT',
      path,
      query: `partNumber=2&uploadId=${id}`,
      headers: { 'x-amz-copy-source': source },
    })
    expect(copied.text).to.contain('<ETag>').and.not.contain('Checksum')
    const last = await put(path, `partNumber=3&uploadId=${id}`, LAST)
    const etags = [first.headers.etag, text(copied.text, 'ETag'), last.headers.etag]
    return { path, id, parts: etags.map((etag, index) => ({ number: index + 1, etag: etag ?? '' })) }
  }

  function complete({ path, id, parts }: Case, headers: Record<string, string> = {}): Promise<WireResponse> {
    const request = { method: 'POST', path, query: `uploadId=${id}`, headers, body: completeBody(parts) }
    return send(suite.server, request)
  }

  it('get CRC64NVME of the full object, whatever checksums their parts came with', async function () {
    this.timeout(60_000)
    const made = await upload()
    const done = await complete(made)
    const value = base64Digest('CRC64NVME', WHOLE)
    expect(text(done.text, 'ChecksumCRC64NVME'), done.text).to.equal(value)
    expect(text(done.text, 'ChecksumType')).to.equal('FULL_OBJECT')
    const head = await send(suite.server, { method: 'HEAD', path: made.path, headers: ASKED })
    expect(head.headers['x-amz-checksum-crc64nvme']).to.equal(value)
    expect(head.headers['x-amz-checksum-type']).to.equal('FULL_OBJECT')
  })

  it('show no checksums of their parts, before they are completed and after', async function () {
    this.timeout(60_000)
    const made = await upload()
    const listed = await send(suite.server, { path: made.path, query: `uploadId=${made.id}` })
    expect(listed.text).to.contain('<Part>').and.not.contain('Checksum')
    expect((await complete(made)).status).to.equal(200)
    for (const method of ['GET', 'HEAD']) {
      const query = 'partNumber=3'
      const part = await send(suite.server, { method, path: made.path, query, headers: ASKED })
      expect(part.status).to.equal(206)
      expect(Object.keys(part.headers).filter((name) => name.startsWith('x-amz-checksum'))).to.deep.equal([])
    }
    const headers = { 'x-amz-object-attributes': 'Checksum,ObjectParts' }
    const shown = await send(suite.server, { path: made.path, query: 'attributes', headers })
    expect(text(shown.text, 'ChecksumCRC64NVME')).to.equal(base64Digest('CRC64NVME', WHOLE))
    expect(shown.text).to.contain('<ObjectParts><PartsCount>3</PartsCount></ObjectParts>')
  })

  it('refuse a part that its own checksum does not fit', async () => {
    const path = freshPath()
    const id = await createUpload(suite.server, path)
    const headers = { 'x-amz-checksum-crc32': base64Digest('CRC32', LAST) }
    expectError(await put(path, `partNumber=1&uploadId=${id}`, FIRST, headers), 400, 'BadDigest')
    const listed = await send(suite.server, { path, query: `uploadId=${id}` })
    expect(listed.text).to.not.contain('<Part>')
  })

  it('take no checksums of parts and no type when they are completed', async function () {
    this.timeout(60_000)
    const made = await upload()
    for (const algorithm of ['CRC32', 'SHA256', 'CRC64NVME'] as const) {
      const [first, ...others] = made.parts as [ListedPart, ...ListedPart[]]
      const checksum = [`Checksum${algorithm}`, base64Digest(algorithm, FIRST)] as const
      const refused = await complete({ ...made, parts: [{ ...first, checksum }, ...others] })
      expectError(refused, 400, 'InvalidPart')
      expect(text(refused.text, 'PartNumber')).to.equal('1')
    }
    for (const type of ['FULL_OBJECT', 'COMPOSITE']) {
      const refused = await complete(made, { 'x-amz-checksum-type': type })
      expectError(refused, 400, 'InvalidRequest')
      expect(text(refused.text, 'Message')).to.contain('created using the null checksum mode')
    }
    expect((await complete(made)).status).to.equal(200)
  })

  it('compare the checksum expected of the object only with the one that it gets', async function () {
    this.timeout(60_000)
    const made = await upload()
    const wrong = { 'x-amz-checksum-crc64nvme': base64Digest('CRC64NVME', FIRST) }
    expectError(await complete(made, wrong), 400, 'BadDigest')
    const other = { 'x-amz-checksum-crc32c': `${base64Digest('CRC32C', FIRST)}-2` }
    const done = await complete(made, other)
    expect(text(done.text, 'ChecksumCRC64NVME'), done.text).to.equal(base64Digest('CRC64NVME', WHOLE))
  })
})
