/** Multipart uploads: their life, their lists, and copies as parts. */
import { randomBytes } from 'node:crypto'
import { CreateBucketCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { md5Hex, multipartEtag } from './support/digests.js'
import { useSuite } from './support/suite.js'
import { createUpload, type ListedPart, putPart, uploadCalls } from './support/uploads.js'
import { send } from './support/wire.js'
import { freshName } from './support/world.js'
import { expectError, text } from './support/xml.js'

const PART_BYTES = 5 * 1024 * 1024
const FIRST = randomBytes(PART_BYTES)
const SECOND = randomBytes(PART_BYTES)
const LAST = randomBytes(1234)

describe('multipart uploads', () => {
  const suite = useSuite('multipart')
  const { bucket, freshPath } = suite

  const { complete, putParts } = uploadCalls(() => suite.server)

  async function bytesOf(path: string): Promise<Buffer> {
    const response = await send(suite.server, { path })
    expect(response.status, response.text.slice(0, 300)).to.equal(200)
    return response.body
  }

  describe('completed', () => {
    it('become one object of the parts in order, with the ETag of their MD5s', async () => {
      const path = freshPath()
      const headers = { 'content-type': 'text/own', 'x-amz-meta-color': 'red' }
      const id = await createUpload(suite.server, path, headers)
      expectError(await send(suite.server, { path }), 404, 'NoSuchKey')
      const parts = await putParts(path, id, [FIRST, SECOND, LAST])
      expect(parts.map((part) => part.etag)).to.deep.equal(
        [FIRST, SECOND, LAST].map((part) => `"${md5Hex(part)}"`),
      )
      expectError(await send(suite.server, { path }), 404, 'NoSuchKey')
      const response = await complete(path, id, parts)
      expect(response.status, response.text).to.equal(200)
      const etag = `"${multipartEtag([FIRST, SECOND, LAST])}"`
      expect(text(response.text, 'ETag')).to.equal(etag)
      expect(text(response.text, 'Bucket')).to.equal(bucket)
      expect(`/${bucket}/${text(response.text, 'Key')}`).to.equal(path)
      expect(text(response.text, 'Location')).to.equal(`${suite.server.endpoint}${path}`)
      const got = await send(suite.server, { path })
      expect(got.body.equals(Buffer.concat([FIRST, SECOND, LAST]))).to.equal(true)
      expect(got.headers.etag).to.equal(etag)
      expect(got.headers['content-type']).to.equal('text/own')
      expect(got.headers['x-amz-meta-color']).to.equal('red')
      expect(got.headers['x-amz-version-id']).to.equal(undefined)
    })

    it('show each part by its number, and ranges across parts', async () => {
      const path = freshPath()
      const id = await createUpload(suite.server, path)
      const parts: ListedPart[] = []
      for (const [number, content] of [
        [3, FIRST],
        [5, SECOND],
        [9, LAST],
      ] as const) {
        parts.push(await putPart(suite.server, { path, id, number, content }))
      }
      expect((await complete(path, id, parts)).status).to.equal(200)
      const whole = await send(suite.server, { method: 'HEAD', path })
      for (const [number, content] of [
        [3, FIRST],
        [9, LAST],
      ] as const) {
        const part = await send(suite.server, { path, query: `partNumber=${number}` })
        expect(part.status).to.equal(206)
        expect(part.body.equals(content)).to.equal(true)
        expect(part.headers['x-amz-mp-parts-count']).to.equal('3')
        expect(part.headers.etag).to.equal(whole.headers.etag)
        const head = await send(suite.server, { method: 'HEAD', path, query: `partNumber=${number}` })
        expect(head.headers['content-length']).to.equal(String(content.length))
      }
      expectError(await send(suite.server, { path, query: 'partNumber=10' }), 416, 'InvalidPartNumber')
      const headers = { range: `bytes=${PART_BYTES - 2}-${PART_BYTES + 1}` }
      const ranged = await send(suite.server, { path, headers })
      expect(ranged.body.equals(Buffer.concat([FIRST.subarray(-2), SECOND.subarray(0, 2)]))).to.equal(true)
    })

    it('answer a repeat with the same list by the same result', async () => {
      const path = freshPath()
      const id = await createUpload(suite.server, path)
      const parts = await putParts(path, id, [LAST])
      const first = await complete(path, id, parts)
      const second = await complete(path, id, parts)
      expect(second.status, second.text).to.equal(200)
      expect(text(second.text, 'ETag')).to.equal(text(first.text, 'ETag'))
      expect(text(second.text, 'ChecksumCRC64NVME')).to.equal(text(first.text, 'ChecksumCRC64NVME'))
    })

    it('give concurrent completers one result', async () => {
      const path = freshPath()
      const id = await createUpload(suite.server, path)
      const parts = await putParts(path, id, [FIRST, LAST])
      const answers = await Promise.all(Array.from({ length: 8 }, () => complete(path, id, parts)))
      for (const answer of answers) expect(answer.status, answer.text).to.equal(200)
      expect(new Set(answers.map((answer) => text(answer.text, 'ETag'))).size).to.equal(1)
      expect((await bytesOf(path)).equals(Buffer.concat([FIRST, LAST]))).to.equal(true)
    })

    it('take the part uploaded last under a number, and drop parts that are not listed', async () => {
      const path = freshPath()
      const id = await createUpload(suite.server, path)
      const [before] = await putParts(path, id, [SECOND, LAST])
      const again = await putPart(suite.server, { path, id, number: 1, content: FIRST })
      expectError(await complete(path, id, [before as ListedPart]), 400, 'InvalidPart')
      expect((await complete(path, id, [again])).status).to.equal(200)
      expect((await bytesOf(path)).equals(FIRST)).to.equal(true)
    })

    it('replace an object, and appear although it was deleted meanwhile', async () => {
      const path = freshPath()
      await send(suite.server, { method: 'PUT', path, body: 'before' })
      const id = await createUpload(suite.server, path)
      const parts = await putParts(path, id, [LAST])
      expect((await bytesOf(path)).toString()).to.equal('before')
      await send(suite.server, { method: 'DELETE', path })
      expect((await complete(path, id, parts)).status).to.equal(200)
      expect((await bytesOf(path)).equals(LAST)).to.equal(true)
    })

    it('obey conditions', async () => {
      const path = freshPath()
      await send(suite.server, { method: 'PUT', path, body: 'before' })
      const id = await createUpload(suite.server, path)
      const parts = await putParts(path, id, [LAST])
      expectError(await complete(path, id, parts, { 'if-none-match': '*' }), 412, 'PreconditionFailed')
      expectError(await complete(path, id, parts, { 'if-match': '"other"' }), 412, 'PreconditionFailed')
      expect((await bytesOf(path)).toString()).to.equal('before')
      const match = await complete(path, id, parts, { 'if-match': `"${md5Hex('before')}"` })
      expect(match.status, match.text).to.equal(200)
    })

    it('check the size that is expected', async () => {
      const path = freshPath()
      const id = await createUpload(suite.server, path)
      const parts = await putParts(path, id, [LAST])
      const wrong = await complete(path, id, parts, { 'x-amz-mp-object-size': '1' })
      expectError(wrong, 400, 'InvalidRequest')
      const right = await complete(path, id, parts, { 'x-amz-mp-object-size': String(LAST.length) })
      expect(right.status, right.text).to.equal(200)
    })

    it('show a version id in a versioned bucket', async () => {
      const Bucket = freshName()
      await suite.world.s3.send(new CreateBucketCommand({ Bucket }))
      const VersioningConfiguration = { Status: 'Enabled' } as const
      await suite.world.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
      const path = `/${Bucket}/k`
      const id = await createUpload(suite.server, path)
      const response = await complete(path, id, await putParts(path, id, [LAST]))
      const version = response.headers['x-amz-version-id']
      expect(version).to.be.a('string').and.not.equal('null')
      expect((await send(suite.server, { method: 'HEAD', path })).headers['x-amz-version-id']).to.equal(
        version,
      )
    })
  })

  describe('refused', () => {
    let path: string
    let id: string
    let parts: ListedPart[]

    beforeEach(async () => {
      path = freshPath()
      id = await createUpload(suite.server, path)
      parts = await putParts(path, id, [LAST, LAST])
    })

    /** The upload must still be usable after whatever was refused. */
    afterEach(async () => {
      const good = await complete(path, id, parts.slice(0, 1))
      expect(good.status, good.text).to.equal(200)
    })

    it('when parts are out of order or repeated', async () => {
      const [one, two] = parts as [ListedPart, ListedPart]
      expectError(await complete(path, id, [two, one]), 400, 'InvalidPartOrder')
      expectError(await complete(path, id, [one, one]), 400, 'InvalidPartOrder')
    })

    it('when an ETag is wrong or a part is not there', async () => {
      const [one] = parts as [ListedPart]
      expectError(await complete(path, id, [{ ...one, etag: '"other"' }]), 400, 'InvalidPart')
      expectError(await complete(path, id, [{ number: 7, etag: one.etag }]), 400, 'InvalidPart')
    })

    it('when a part before the last is smaller than 5 MiB', async () => {
      expectError(await complete(path, id, parts), 400, 'EntityTooSmall')
    })

    it('when the list is empty or no XML', async () => {
      for (const body of ['', '<CompleteMultipartUpload/>', '<CompleteMultipartUpload>', '<Other/>', 'x']) {
        const query = `uploadId=${id}`
        expectError(await send(suite.server, { method: 'POST', path, query, body }), 400, 'MalformedXML')
      }
    })

    it('when a part number is outside 1 to 10,000', async () => {
      for (const number of ['0', '10001', '-1', 'x', '1.5']) {
        const query = `partNumber=${number}&uploadId=${id}`
        expectError(
          await send(suite.server, { method: 'PUT', path, query, body: 'x' }),
          400,
          'InvalidArgument',
        )
      }
      const first = await putPart(suite.server, { path, id, number: 10_000, content: LAST })
      expect(first.etag).to.equal(`"${md5Hex(LAST)}"`)
    })

    it('when uploadId stands without partNumber, and the other way round', async () => {
      const put = (query: string) => send(suite.server, { method: 'PUT', path, query, body: 'x' })
      expectError(await put(`uploadId=${id}`), 405, 'MethodNotAllowed')
      expectError(await put('partNumber=1'), 400, 'InvalidArgument')
      expectError(await send(suite.server, { path }), 404, 'NoSuchKey')
    })
  })

  describe('that are not there', () => {
    it('answer NoSuchUpload to every operation', async () => {
      const path = freshPath()
      const id = await createUpload(suite.server, path)
      const aborted = await send(suite.server, { method: 'DELETE', path, query: `uploadId=${id}` })
      expect(aborted.status).to.equal(204)
      const [part] = await putParts(path, await createUpload(suite.server, path), [LAST])
      for (const unknown of [id, 'nonsense', '0'.repeat(48)]) {
        const query = `uploadId=${unknown}`
        const put = await send(suite.server, {
          method: 'PUT',
          path,
          query: `partNumber=1&${query}`,
          body: 'x',
        })
        expectError(put, 404, 'NoSuchUpload')
        expectError(await send(suite.server, { path, query }), 404, 'NoSuchUpload')
        expectError(await send(suite.server, { method: 'DELETE', path, query }), 404, 'NoSuchUpload')
        expectError(await complete(path, unknown, [part as ListedPart]), 404, 'NoSuchUpload')
      }
    })

    it('are not found under another key', async () => {
      const path = freshPath()
      const id = await createUpload(suite.server, path)
      const other = { method: 'PUT', path: freshPath(), query: `partNumber=1&uploadId=${id}`, body: 'x' }
      expectError(await send(suite.server, other), 404, 'NoSuchUpload')
    })

    it('cannot be made in a missing bucket', async () => {
      const response = await send(suite.server, {
        method: 'POST',
        path: '/absent-bucket/k',
        query: 'uploads',
      })
      expectError(response, 404, 'NoSuchBucket')
    })
  })
})
