/** UploadPartCopy: parts made of other objects. */
import { randomBytes } from 'node:crypto'
import { CreateBucketCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { md5Hex, multipartEtag } from './support/digests.js'
import { useSuite } from './support/suite.js'
import { createUpload, type ListedPart, putPart, uploadCalls } from './support/uploads.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName } from './support/world.js'
import { expectError, text } from './support/xml.js'

const PART_BYTES = 5 * 1024 * 1024
const FIRST = randomBytes(PART_BYTES)
const SECOND = randomBytes(PART_BYTES)
const LAST = randomBytes(1234)

describe('copied parts', () => {
  const suite = useSuite('multipart-copy')
  const { bucket, freshPath } = suite

  const { complete } = uploadCalls(() => suite.server)

  async function bytesOf(path: string): Promise<Buffer> {
    const response = await send(suite.server, { path })
    expect(response.status, response.text.slice(0, 300)).to.equal(200)
    return response.body
  }

  const source = `/${bucket}/source`
  const content = Buffer.concat([FIRST, SECOND, LAST])

  before(async () => {
    await send(suite.server, { method: 'PUT', path: source, body: content, payload: 'UNSIGNED-PAYLOAD' })
  })

  function copy(
    path: string,
    id: string,
    number: number,
    headers: Record<string, string>,
  ): Promise<WireResponse> {
    const all = { 'x-amz-copy-source': source, ...headers }
    return send(suite.server, {
      method: 'PUT',
      path,
      query: `partNumber=${number}&uploadId=${id}`,
      headers: all,
    })
  }

  it('hold exactly the range, whatever blocks it crosses, and mix with uploaded parts', async () => {
    const path = freshPath()
    const id = await createUpload(suite.server, path)
    const ranges = [
      [3, PART_BYTES + 2],
      [PART_BYTES - 7, 2 * PART_BYTES + 10],
    ] as const
    const parts: ListedPart[] = []
    const expected: Buffer[] = []
    for (const [index, [first, last]] of ranges.entries()) {
      const response = await copy(path, id, index + 1, {
        'x-amz-copy-source-range': `bytes=${first}-${last}`,
      })
      expect(response.status, response.text).to.equal(200)
      const bytes = content.subarray(first, last + 1)
      const etag = text(response.text, 'ETag') ?? ''
      expect(etag).to.equal(`"${md5Hex(bytes)}"`)
      expect(text(response.text, 'LastModified')).to.match(/Z$/)
      parts.push({ number: index + 1, etag })
      expected.push(bytes)
    }
    parts.push(await putPart(suite.server, { path, id, number: 3, content: LAST }))
    expected.push(LAST)
    const done = await complete(path, id, parts)
    expect(text(done.text, 'ETag')).to.equal(`"${multipartEtag(expected)}"`)
    expect((await bytesOf(path)).equals(Buffer.concat(expected))).to.equal(true)
  })

  it('hold the whole source without a range, and outlive it', async () => {
    const mortal = freshPath()
    await send(suite.server, { method: 'PUT', path: mortal, body: LAST })
    const path = freshPath()
    const id = await createUpload(suite.server, path)
    const response = await copy(path, id, 1, { 'x-amz-copy-source': mortal })
    const etag = text(response.text, 'ETag') ?? ''
    await send(suite.server, { method: 'DELETE', path: mortal })
    expect((await complete(path, id, [{ number: 1, etag }])).status).to.equal(200)
    expect((await bytesOf(path)).equals(LAST)).to.equal(true)
  })

  it('refuse ranges that are malformed, open, or beyond the source', async () => {
    const path = freshPath()
    const id = await createUpload(suite.server, path)
    for (const range of ['bytes=0-', 'bytes=-5', 'bytes=5-2', '0-5', 'bytes=a-b', 'bytes=0-1,3-4']) {
      expectError(await copy(path, id, 1, { 'x-amz-copy-source-range': range }), 400, 'InvalidArgument')
    }
    for (const range of [`bytes=0-${content.length}`, `bytes=${content.length}-${content.length + 1}`]) {
      expectError(await copy(path, id, 1, { 'x-amz-copy-source-range': range }), 400, 'InvalidRange')
    }
  })

  it('refuse sources that are missing or fail a condition', async () => {
    const path = freshPath()
    const id = await createUpload(suite.server, path)
    expectError(await copy(path, id, 1, { 'x-amz-copy-source': `/${bucket}/absent` }), 404, 'NoSuchKey')
    expectError(
      await copy(path, id, 1, { 'x-amz-copy-source-if-match': '"other"' }),
      412,
      'PreconditionFailed',
    )
    const owner = { 'x-amz-source-expected-bucket-owner': '123456789012' }
    expectError(await copy(path, id, 1, owner), 403, 'AccessDenied')
    expectError(await copy(path, 'nonsense', 1, {}), 404, 'NoSuchUpload')
  })

  it('come from versions by their id', async () => {
    const Bucket = freshName()
    await suite.world.s3.send(new CreateBucketCommand({ Bucket }))
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await suite.world.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
    const first = await send(suite.server, { method: 'PUT', path: `/${Bucket}/k`, body: 'first' })
    await send(suite.server, { method: 'PUT', path: `/${Bucket}/k`, body: 'second' })
    const version = first.headers['x-amz-version-id'] ?? ''
    const path = freshPath()
    const id = await createUpload(suite.server, path)
    const headers = { 'x-amz-copy-source': `/${Bucket}/k?versionId=${version}` }
    const response = await copy(path, id, 1, headers)
    expect(response.headers['x-amz-copy-source-version-id']).to.equal(version)
    await complete(path, id, [{ number: 1, etag: text(response.text, 'ETag') ?? '' }])
    expect((await bytesOf(path)).toString()).to.equal('first')
  })
})
