/** GetObjectAttributes: what is asked for of one version, with the parts page by page. */
import {
  CreateBucketCommand,
  GetObjectAttributesCommand,
  ObjectAttributes,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { base64Digest, digest, multipartEtag } from './support/digests.js'
import type { Identity } from './support/signing.js'
import { createUpload, type ListedPart, putPart, uploadCalls } from './support/uploads.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text, texts } from './support/xml.js'

const PARTS = [Buffer.alloc(5 * 1024 * 1024, 1), Buffer.alloc(5 * 1024 * 1024, 2), Buffer.from('last')]
const ALL = 'ETag,Checksum,ObjectParts,StorageClass,ObjectSize'

describe('object attributes', () => {
  let world: World
  let server: Identity
  const Bucket = freshName()
  const calls = uploadCalls(() => server)

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('attributes')
    server = world.server
    await world.s3.send(new CreateBucketCommand({ Bucket }))
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'plain', Body: 'content' }))
    await makeParts(`/${Bucket}/parts`)
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  /** Parts 1, 3 and 5, with a composite checksum. */
  async function makeParts(path: string): Promise<void> {
    const id = await createUpload(server, path, { 'x-amz-checksum-algorithm': 'SHA256' })
    const parts: ListedPart[] = []
    for (const [index, content] of PARTS.entries()) {
      const value = base64Digest('SHA256', content)
      const headers = { 'x-amz-checksum-sha256': value }
      const part = await putPart(server, { path, id, number: index * 2 + 1, content, headers })
      parts.push({ ...part, checksum: ['ChecksumSHA256', value] })
    }
    expect((await calls.complete(path, id, parts)).status).to.equal(200)
  }

  function get(key: string, attributes: string, more: Record<string, string> = {}): Promise<WireResponse> {
    const headers = { 'x-amz-object-attributes': attributes, ...more }
    return send(server, { path: `/${Bucket}/${key}`, query: 'attributes', headers })
  }

  it('are those that are asked for, and no others', async () => {
    const whole = await get('plain', ALL)
    expect(whole.status, whole.text).to.equal(200)
    expect(text(whole.text, 'ETag')).to.equal('9a0364b9e99bb480dd25e1f0284c8555')
    expect(text(whole.text, 'ObjectSize')).to.equal('7')
    expect(text(whole.text, 'StorageClass')).to.equal('STANDARD')
    expect(text(whole.text, 'ChecksumType')).to.equal('FULL_OBJECT')
    expect(whole.text).to.not.contain('ObjectParts')
    expect(whole.headers['last-modified']).to.match(/ GMT$/)
    expect(whole.headers['x-amz-version-id']).to.equal(undefined)
    const size = await get('plain', 'ObjectSize')
    expect(size.text).to.match(/<GetObjectAttributesResponse[^>]*><ObjectSize>7<\/ObjectSize><\/Get/)
  })

  it('list the parts with sizes and checksums, as the SDK reads them', async () => {
    const shown = await world.s3.send(
      new GetObjectAttributesCommand({
        Bucket,
        Key: 'parts',
        ObjectAttributes: Object.values(ObjectAttributes),
      }),
    )
    expect(shown.ETag).to.equal(multipartEtag(PARTS))
    expect(shown.Checksum?.ChecksumType).to.equal('COMPOSITE')
    // Headers show the number of parts behind it, this does not.
    const sums = PARTS.map((part) => digest('SHA256', part))
    expect(shown.Checksum?.ChecksumSHA256).to.equal(base64Digest('SHA256', Buffer.concat(sums)))
    expect(shown.ObjectParts?.TotalPartsCount).to.equal(3)
    expect(shown.ObjectParts?.IsTruncated).to.equal(false)
    const expected = PARTS.map((part, index) => ({
      PartNumber: index * 2 + 1,
      Size: part.length,
      ChecksumSHA256: base64Digest('SHA256', part),
    }))
    expect(shown.ObjectParts?.Parts).to.deep.equal(expected)
  })

  it('go through the parts page by page', async () => {
    const seen: string[] = []
    let marker = '0'
    for (let page = 0; page < 3; page++) {
      const headers = { 'x-amz-max-parts': '1', 'x-amz-part-number-marker': marker }
      const { text: xml } = await get('parts', 'ObjectParts', headers)
      expect([text(xml, 'MaxParts'), text(xml, 'PartNumberMarker'), text(xml, 'PartsCount')]).to.deep.equal([
        '1',
        marker,
        '3',
      ])
      expect(text(xml, 'IsTruncated')).to.equal(String(page < 2))
      marker = text(xml, 'NextPartNumberMarker') ?? ''
      seen.push(...texts(xml, 'PartNumber'))
    }
    expect(seen).to.deep.equal(['1', '3', '5'])
    const none = await get('parts', 'ObjectParts', { 'x-amz-max-parts': '0' })
    expect([text(none.text, 'IsTruncated'), texts(none.text, 'Part')]).to.deep.equal(['false', []])
    const whole = await get('parts', 'ObjectParts', {
      'x-amz-max-parts': 'x',
      'x-amz-part-number-marker': '-1',
    })
    expect(texts(whole.text, 'PartNumber')).to.deep.equal(['1', '3', '5'])
  })

  it('are refused when none or an unknown one is asked for', async () => {
    expectError(await send(server, { path: `/${Bucket}/plain`, query: 'attributes' }), 400, 'InvalidRequest')
    expectError(await get('plain', ''), 400, 'InvalidRequest')
    expectError(await get('plain', 'ETag,Colour'), 400, 'InvalidArgument')
  })

  it('are those of the version that is named', async () => {
    const bucket = freshName()
    await world.s3.send(new CreateBucketCommand({ Bucket: bucket }))
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await world.s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }))
    const path = `/${bucket}/key`
    const first = (await send(server, { method: 'PUT', path, body: 'one' })).headers['x-amz-version-id']
    await send(server, { method: 'PUT', path, body: 'second' })
    const headers = { 'x-amz-object-attributes': 'ObjectSize' }
    const old = await send(server, { path, query: `attributes&versionId=${first}`, headers })
    expect([text(old.text, 'ObjectSize'), old.headers['x-amz-version-id']]).to.deep.equal(['3', first])
    const marker = (await send(server, { method: 'DELETE', path })).headers['x-amz-version-id']
    const gone = await send(server, { path, query: 'attributes', headers })
    expectError(gone, 404, 'NoSuchKey')
    expect(gone.headers['x-amz-delete-marker']).to.equal('true')
    const named = await send(server, { path, query: `attributes&versionId=${marker}`, headers })
    expectError(named, 405, 'MethodNotAllowed')
    expect([named.headers.allow, named.headers['last-modified']?.slice(-3)]).to.deep.equal(['DELETE', 'GMT'])
    expectError(
      await send(server, { path: '/absent-bucket/key', query: 'attributes', headers }),
      404,
      'NoSuchBucket',
    )
  })
})
