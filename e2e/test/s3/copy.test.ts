/** CopyObject in all its forms. */
import { randomBytes } from 'node:crypto'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { base64Digest, md5Hex } from './support/digests.js'
import { encode, encodeKey, type Identity } from './support/signing.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text } from './support/xml.js'

const PART_BYTES = 5 * 1024 * 1024

describe('copies', () => {
  let world: World
  let server: Identity
  const Bucket = freshName()
  const versioned = freshName()

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('copies')
    server = world.server
    await world.s3.send(new CreateBucketCommand({ Bucket }))
    await world.s3.send(new CreateBucketCommand({ Bucket: versioned }))
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await world.s3.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration }))
    await put('source', 'content', { 'content-type': 'text/a', 'x-amz-meta-color': 'red', expires: 'soon' })
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  function put(key: string, body: string, headers: Record<string, string> = {}): Promise<WireResponse> {
    return send(server, { method: 'PUT', path: `/${Bucket}/${encodeKey(key)}`, headers, body })
  }

  function copy(source: string, key: string, headers: Record<string, string> = {}): Promise<WireResponse> {
    const all = { 'x-amz-copy-source': source, ...headers }
    return send(server, { method: 'PUT', path: `/${Bucket}/${encodeKey(key)}`, headers: all })
  }

  async function content(key: string): Promise<string> {
    return (await send(server, { path: `/${Bucket}/${encodeKey(key)}` })).text
  }

  it('takes a bare plus in the name of a source for a space, as S3 does', async () => {
    await put('with plus', 'a space')
    await put('with+plus', 'a plus')
    for (const [source, found] of [
      ['with+plus', 'a space'],
      ['with%20plus', 'a space'],
      ['with%2Bplus', 'a plus'],
    ]) {
      expect((await copy(`/${Bucket}/${source}`, 'of-plus')).status).to.equal(200)
      expect(await content('of-plus'), source).to.equal(found)
    }
  })

  it('answers with ETag and time in XML, and copies bytes and metadata', async () => {
    const response = await copy(`/${Bucket}/source`, 'copy')
    expect(response.status, response.text).to.equal(200)
    expect(text(response.text, 'ETag')).to.equal(`"${md5Hex('content')}"`)
    expect(text(response.text, 'LastModified')).to.match(/^\d{4}-.*\.\d{3}Z$/)
    const got = await send(server, { path: `/${Bucket}/copy` })
    expect(got.text).to.equal('content')
    expect(got.headers['content-type']).to.equal('text/a')
    expect(got.headers['x-amz-meta-color']).to.equal('red')
    expect(got.headers.expires).to.equal('soon')
  })

  it('takes the source with or without a slash, encoded wholly or in part', async () => {
    for (const key of ['a b+c', 'per%20cent', '?versionId=x', 'ä/ü', 'a//b', '..']) {
      await put(key, key)
      for (const source of [
        `/${Bucket}/${encodeKey(key)}`,
        `${Bucket}/${encodeKey(key)}`,
        encode(`${Bucket}/${key}`),
      ]) {
        const response = await copy(source, 'named')
        expect(response.status, `${source} ${response.text}`).to.equal(200)
        expect(await content('named')).to.equal(key)
      }
    }
  })

  it('survives the removal of its source', async () => {
    const Body = randomBytes(300_000)
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'mortal', Body }))
    await copy(`${Bucket}/mortal`, 'heir')
    await world.s3.send(new DeleteObjectCommand({ Bucket, Key: 'mortal' }))
    const { Body: kept } = await world.s3.send(new GetObjectCommand({ Bucket, Key: 'heir' }))
    expect(Buffer.from((await kept?.transformToByteArray()) ?? []).equals(Body)).to.equal(true)
  })

  it('copies nothing and much', async () => {
    for (const sizeBytes of [0, 16 * 1024 * 1024]) {
      const Body = randomBytes(sizeBytes)
      await world.s3.send(new PutObjectCommand({ Bucket, Key: 'sized', Body }))
      await copy(`${Bucket}/sized`, 'sized-copy')
      const { Body: got } = await world.s3.send(new GetObjectCommand({ Bucket, Key: 'sized-copy' }))
      expect(Buffer.from((await got?.transformToByteArray()) ?? []).equals(Body)).to.equal(true)
    }
  })

  it('replaces the metadata with REPLACE, and takes it from the request alone', async () => {
    const headers = {
      'x-amz-metadata-directive': 'REPLACE',
      'x-amz-meta-shape': 'round',
      'content-type': 'text/b',
    }
    expect((await copy(`${Bucket}/source`, 'replaced', headers)).status).to.equal(200)
    const got = await send(server, { path: `/${Bucket}/replaced` })
    expect(got.headers['x-amz-meta-shape']).to.equal('round')
    expect(got.headers['x-amz-meta-color']).to.equal(undefined)
    expect(got.headers['content-type']).to.equal('text/b')
    expect(got.headers.expires).to.equal(undefined)
    const ignored = { 'x-amz-meta-shape': 'round', 'content-type': 'text/b' }
    await copy(`${Bucket}/source`, 'kept', ignored)
    const kept = await send(server, { path: `/${Bucket}/kept` })
    expect(kept.headers['x-amz-meta-shape']).to.equal(undefined)
    expect(kept.headers['content-type']).to.equal('text/a')
    const unknown = await copy(`${Bucket}/source`, 'never', { 'x-amz-metadata-directive': 'OTHER' })
    expectError(unknown, 400, 'InvalidArgument')
  })

  it('copies an object onto itself only with a change', async () => {
    await put('self', 'me', { 'x-amz-meta-color': 'red' })
    expectError(await copy(`${Bucket}/self`, 'self'), 400, 'InvalidRequest')
    for (const headers of [
      { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-color': 'blue' },
      { 'x-amz-storage-class': 'STANDARD' },
      { 'x-amz-website-redirect-location': '/elsewhere' },
    ]) {
      const response = await copy(`${Bucket}/self`, 'self', headers as never)
      expect(response.status, response.text).to.equal(200)
    }
    const got = await send(server, { path: `/${Bucket}/self` })
    expect([got.text, got.headers['x-amz-meta-color']]).to.deep.equal(['me', 'blue'])
    expect(got.headers['x-amz-website-redirect-location']).to.equal('/elsewhere')
  })

  it('refuses missing and malformed sources', async () => {
    expectError(await copy(`${Bucket}/absent`, 'never'), 404, 'NoSuchKey')
    expectError(await copy('absent-bucket/key', 'never'), 404, 'NoSuchBucket')
    for (const source of ['', 'nothing', `${Bucket}/`, '/', `${Bucket}/%zz`]) {
      expectError(await copy(source, 'never'), 400, 'InvalidArgument')
    }
    expectError(await send(server, { path: `/${Bucket}/never` }), 404, 'NoSuchKey')
  })

  it('refuses a source in a bucket of another owner than expected', async () => {
    const headers = { 'x-amz-source-expected-bucket-owner': '123456789012' }
    expectError(await copy(`${Bucket}/source`, 'never', headers), 403, 'AccessDenied')
  })

  it('evaluates conditions on the source, and answers 412 to both kinds of failure', async () => {
    const head = await send(server, { method: 'HEAD', path: `/${Bucket}/source` })
    const { etag = '', 'last-modified': modified = '' } = head.headers
    const earlier = new Date(Date.parse(modified) - 10_000).toUTCString()
    const prefix = 'x-amz-copy-source-if-'
    for (const [conditions, status] of [
      [{ match: etag }, 200],
      [{ match: '"other"' }, 412],
      [{ 'none-match': etag }, 412],
      [{ 'none-match': '"other"' }, 200],
      [{ 'modified-since': modified }, 412],
      [{ 'modified-since': earlier }, 200],
      [{ 'unmodified-since': modified }, 200],
      [{ 'unmodified-since': earlier }, 412],
      [{ match: etag, 'unmodified-since': earlier }, 200],
      [{ 'none-match': etag, 'modified-since': earlier }, 412],
    ] as const) {
      const headers = Object.fromEntries(
        Object.entries(conditions).map(([name, value]) => [prefix + name, value]),
      )
      const response = await copy(`${Bucket}/source`, 'conditional', headers)
      expect(response.status, JSON.stringify(conditions)).to.equal(status)
      if (status === 412) expectError(response, 412, 'PreconditionFailed')
    }
  })

  it('evaluates conditions on the destination', async () => {
    await put('taken', 'before')
    const none = await copy(`${Bucket}/source`, 'taken', { 'if-none-match': '*' })
    expectError(none, 412, 'PreconditionFailed')
    const other = await copy(`${Bucket}/source`, 'taken', { 'if-match': '"other"' })
    expectError(other, 412, 'PreconditionFailed')
    expect(await content('taken')).to.equal('before')
    const match = await copy(`${Bucket}/source`, 'taken', { 'if-match': `"${md5Hex('before')}"` })
    expect(match.status).to.equal(200)
    expect((await copy(`${Bucket}/source`, 'fresh', { 'if-none-match': '*' })).status).to.equal(200)
  })

  it('copies a version by its id, and names it', async () => {
    const first = await world.s3.send(new PutObjectCommand({ Bucket: versioned, Key: 'k', Body: 'first' }))
    await world.s3.send(new PutObjectCommand({ Bucket: versioned, Key: 'k', Body: 'second' }))
    const source = `${versioned}/k?versionId=${first.VersionId}`
    const response = await copy(source, 'of-version')
    expect(response.status, response.text).to.equal(200)
    expect(response.headers['x-amz-copy-source-version-id']).to.equal(first.VersionId)
    expect(response.headers['x-amz-version-id']).to.equal(undefined)
    expect(await content('of-version')).to.equal('first')
    const restored = await world.s3.send(
      new CopyObjectCommand({ Bucket: versioned, Key: 'k', CopySource: source }),
    )
    expect(restored.VersionId).to.be.a('string').and.not.equal(first.VersionId)
    const { Body } = await world.s3.send(new GetObjectCommand({ Bucket: versioned, Key: 'k' }))
    expect(await Body?.transformToString()).to.equal('first')
    const plain = await copy(`${Bucket}/source`, 'of-plain')
    expect(plain.headers['x-amz-copy-source-version-id']).to.equal(undefined)
  })

  it('refuses a delete marker as a source, by key and by version', async () => {
    await world.s3.send(new PutObjectCommand({ Bucket: versioned, Key: 'dead', Body: 'x' }))
    const marker = await world.s3.send(new DeleteObjectCommand({ Bucket: versioned, Key: 'dead' }))
    expectError(await copy(`${versioned}/dead`, 'never'), 404, 'NoSuchKey')
    const byVersion = await copy(`${versioned}/dead?versionId=${marker.VersionId}`, 'never')
    expectError(byVersion, 400, 'InvalidRequest')
  })

  it('makes the copy of a multipart object one object with its plain MD5', async function () {
    this.timeout(60_000)
    const parts = [randomBytes(PART_BYTES), randomBytes(1000)]
    const whole = Buffer.concat(parts)
    const Key = 'of-parts'
    const { UploadId } = await world.s3.send(
      new CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'CRC32' }),
    )
    const Parts: { PartNumber: number; ETag?: string; ChecksumCRC32?: string }[] = []
    for (const [index, Body] of parts.entries()) {
      const PartNumber = index + 1
      const command = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body })
      const { ETag, ChecksumCRC32 } = await world.s3.send(command)
      Parts.push({ PartNumber, ...(ETag && { ETag }), ...(ChecksumCRC32 && { ChecksumCRC32 }) })
    }
    const MultipartUpload = { Parts }
    await world.s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }))
    const response = await copy(`${Bucket}/${Key}`, 'of-parts-copy')
    expect(response.status, response.text).to.equal(200)
    expect(text(response.text, 'ETag')).to.equal(`"${md5Hex(whole)}"`)
    const options = { Bucket, Key: 'of-parts-copy', ChecksumMode: 'ENABLED' } as const
    const { Body, ETag, ChecksumType, ChecksumCRC32 } = await world.s3.send(new GetObjectCommand(options))
    expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(whole)).to.equal(true)
    expect(ETag).to.equal(`"${md5Hex(whole)}"`)
    if (ChecksumCRC32 !== undefined) {
      expect([ChecksumType, ChecksumCRC32]).to.deep.equal(['FULL_OBJECT', base64Digest('CRC32', whole)])
    }
    const second = new HeadObjectCommand({ ...options, PartNumber: 2 })
    expect(await world.s3.send(second).catch((error) => error.$metadata.httpStatusCode)).to.equal(416)
  })

  it('keeps the checksum, or makes the one that is asked for', async () => {
    const mode = { 'x-amz-checksum-mode': 'ENABLED' }
    const content = Buffer.from('content')
    await copy(`${Bucket}/source`, 'kept-sum')
    const kept = await send(server, { path: `/${Bucket}/kept-sum`, headers: mode })
    expect(kept.headers['x-amz-checksum-crc64nvme']).to.equal(base64Digest('CRC64NVME', content))
    const asked = await copy(`${Bucket}/source`, 'new-sum', { 'x-amz-checksum-algorithm': 'SHA256' })
    expect(text(asked.text, 'ChecksumSHA256')).to.equal(base64Digest('SHA256', content))
    const made = await send(server, { path: `/${Bucket}/new-sum`, headers: mode })
    expect(made.headers['x-amz-checksum-sha256']).to.equal(base64Digest('SHA256', content))
    const unknown = await copy(`${Bucket}/source`, 'never', { 'x-amz-checksum-algorithm': 'OTHER' })
    expectError(unknown, 400, 'InvalidRequest')
  })
})
