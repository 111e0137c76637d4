/** ListParts and ListMultipartUploads. */
import { randomBytes } from 'node:crypto'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { useSuite } from './support/suite.js'
import { createUpload, putPart, uploadCalls } from './support/uploads.js'
import { send } from './support/wire.js'
import { freshName } from './support/world.js'
import { blocks, expectError, text, texts } from './support/xml.js'

const LAST = randomBytes(1234)

describe('multipart listings', () => {
  const suite = useSuite('multipart-listing')
  const { bucket, freshPath } = suite

  const { complete, putParts } = uploadCalls(() => suite.server)

  async function listUploads(Bucket: string, query: string): Promise<string> {
    const response = await send(suite.server, { path: `/${Bucket}`, query: `uploads&${query}` })
    expect(response.status, response.text).to.equal(200)
    return response.text
  }

  /** Keys and ids of the uploads of a page. */
  function found(xml: string): string[][] {
    return blocks(xml, 'Upload').map((entry) => [text(entry, 'Key') ?? '', text(entry, 'UploadId') ?? ''])
  }

  /** Uploads of all pages of at most so many. */
  async function listPages(Bucket: string, limit: number): Promise<string[][]> {
    const paged: string[][] = []
    let markers = ''
    for (;;) {
      const page = await listUploads(Bucket, `${markers}max-uploads=${limit}`)
      paged.push(...found(page))
      if (text(page, 'IsTruncated') !== 'true') return paged
      const key = encodeURIComponent(text(page, 'NextKeyMarker') ?? '')
      markers = `key-marker=${key}&upload-id-marker=${text(page, 'NextUploadIdMarker')}&`
    }
  }

  it('show parts with number, ETag, size, time and checksum, page by page', async () => {
    const path = freshPath()
    const id = await createUpload(suite.server, path, {
      'x-amz-checksum-algorithm': 'CRC32',
      'x-amz-checksum-type': 'FULL_OBJECT',
    })
    for (const number of [2, 4, 7, 9]) await putPart(suite.server, { path, id, number, content: LAST })
    const all = (await send(suite.server, { path, query: `uploadId=${id}` })).text
    expect(texts(all, 'PartNumber')).to.deep.equal(['2', '4', '7', '9'])
    expect(texts(all, 'Size')).to.deep.equal(Array(4).fill(String(LAST.length)))
    expect(texts(all, 'ChecksumCRC32')).to.have.length(4)
    expect(text(all, 'ChecksumAlgorithm')).to.equal('CRC32')
    expect(text(all, 'ChecksumType')).to.equal('FULL_OBJECT')
    expect([text(all, 'Bucket'), text(all, 'UploadId'), text(all, 'MaxParts')]).to.deep.equal([
      bucket,
      id,
      '1000',
    ])
    expect(text(all, 'IsTruncated')).to.equal('false')
    expect(texts(all, 'ID')).to.have.length(2)
    const first = (await send(suite.server, { path, query: `max-parts=2&uploadId=${id}` })).text
    expect(texts(first, 'PartNumber')).to.deep.equal(['2', '4'])
    expect([text(first, 'IsTruncated'), text(first, 'NextPartNumberMarker')]).to.deep.equal(['true', '4'])
    const second = (
      await send(suite.server, { path, query: `max-parts=2&part-number-marker=4&uploadId=${id}` })
    ).text
    expect(texts(second, 'PartNumber')).to.deep.equal(['7', '9'])
    expect(text(second, 'IsTruncated')).to.equal('false')
  })

  it('come by key, those of one key as they were begun, in pages, by prefix and delimiter', async () => {
    const Bucket = freshName()
    await suite.world.s3.send(new CreateBucketCommand({ Bucket }))
    const ids: [string, string][] = []
    for (const key of ['b', 'a', 'b', 'c/1', 'c/2', 'b'])
      ids.push([key, await createUpload(suite.server, `/${Bucket}/${key}`)])
    const sorted = [...ids].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    const list = (query: string): Promise<string> => listUploads(Bucket, query)
    const all = await list('')
    expect(found(all)).to.deep.equal(sorted)
    const entry = blocks(all, 'Upload')[0] ?? ''
    expect(texts(entry, 'ID')).to.have.length(2)
    expect(text(entry, 'StorageClass')).to.equal('STANDARD')
    expect(text(entry, 'Initiated')).to.match(/Z$/)
    for (const limit of [1, 2, 4]) expect(await listPages(Bucket, limit)).to.deep.equal(sorted)
    expect(found(await list('key-marker=b')).map(([key]) => key)).to.deep.equal(['c/1', 'c/2'])
    expect(found(await list('prefix=c')).map(([key]) => key)).to.deep.equal(['c/1', 'c/2'])
    const grouped = await list('delimiter=%2F')
    expect(found(grouped).map(([key]) => key)).to.deep.equal(['a', 'b', 'b', 'b'])
    expect(blocks(grouped, 'CommonPrefixes').map((group) => text(group, 'Prefix'))).to.deep.equal(['c/'])
  })

  it('skip the common prefix that a marker lies in', async () => {
    const Bucket = freshName()
    await suite.world.s3.send(new CreateBucketCommand({ Bucket }))
    const ids: Record<string, string> = {}
    for (const key of ['f/a/1', 'f/a/2', 'f/b'])
      ids[key] = await createUpload(suite.server, `/${Bucket}/${key}`)
    for (const more of ['', `&upload-id-marker=${ids['f/a/1']}`]) {
      const page = await listUploads(Bucket, `prefix=f%2F&delimiter=%2F&key-marker=f%2Fa%2F1${more}`)
      expect(found(page)).to.deep.equal([['f/b', ids['f/b']]])
      expect(blocks(page, 'CommonPrefixes')).to.deep.equal([])
      expect(text(page, 'KeyMarker')).to.equal('f/a/1')
    }
  })

  it('refuse markers that are no upload id, or of another key, but not those of ended uploads', async () => {
    const Bucket = freshName()
    await suite.world.s3.send(new CreateBucketCommand({ Bucket }))
    const a = await createUpload(suite.server, `/${Bucket}/a`)
    const b = await createUpload(suite.server, `/${Bucket}/b`)
    for (const marker of ['nonsense', `${a}0`, b]) {
      const query = `uploads&key-marker=a&upload-id-marker=${marker}`
      const refused = await send(suite.server, { path: `/${Bucket}`, query })
      expectError(refused, 400, 'InvalidArgument')
      expect(text(refused.text, 'Message')).to.equal('Invalid uploadId marker')
      expect(text(refused.text, 'ArgumentName')).to.equal('upload-id-marker')
    }
    await send(suite.server, { method: 'DELETE', path: `/${Bucket}/a`, query: `uploadId=${a}` })
    for (const marker of [`key-marker=a&upload-id-marker=${a}`, 'key-marker=a&upload-id-marker=']) {
      expect(found(await listUploads(Bucket, marker))).to.deep.equal([['b', b]])
    }
    // Without a key it is ignored.
    expect(found(await listUploads(Bucket, 'upload-id-marker=nonsense'))).to.deep.equal([['b', b]])
  })

  it('are gone after Complete and Abort', async () => {
    const Bucket = freshName()
    await suite.world.s3.send(new CreateBucketCommand({ Bucket }))
    const [done, aborted] = [`/${Bucket}/done`, `/${Bucket}/aborted`]
    const [first, second] = [
      await createUpload(suite.server, done),
      await createUpload(suite.server, aborted),
    ]
    await complete(done, first, await putParts(done, first, [LAST]))
    await send(suite.server, { method: 'DELETE', path: aborted, query: `uploadId=${second}` })
    const listed = await send(suite.server, { path: `/${Bucket}`, query: 'uploads' })
    expect(blocks(listed.text, 'Upload')).to.deep.equal([])
  })
})
