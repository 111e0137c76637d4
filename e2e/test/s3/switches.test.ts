/** The switches of `CAIRN_COMPAT=suites`, and the landing page, on servers of their own. */
import { CreateBucketCommand, PutBucketVersioningCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { base64Digest, digest } from './support/digests.js'
import type { Identity } from './support/signing.js'
import { createUpload, putPart, uploadCalls } from './support/uploads.js'
import { send, sendUnsigned, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text, texts } from './support/xml.js'

const LANDING_PAGE = 'https://example.com/storage'

describe('switches', () => {
  let world: World
  let suites: World
  const Bucket = freshName()
  const versioned = freshName()

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('switches-aws', { CAIRN_LANDING_PAGE: LANDING_PAGE })
    suites = await startWorld('switches-suites', { CAIRN_COMPAT: 'suites' })
    for (const { s3 } of [world, suites]) {
      await s3.send(new CreateBucketCommand({ Bucket }))
      await s3.send(new CreateBucketCommand({ Bucket: versioned }))
      const VersioningConfiguration = { Status: 'Enabled' } as const
      await s3.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration }))
    }
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
    await suites?.stop()
  })

  async function put(on: World, bucket = Bucket): Promise<WireResponse> {
    return send(on.server, { method: 'PUT', path: `/${bucket}/key`, body: 'content' })
  }

  function remove(on: Identity, headers: Record<string, string>, path = `/${Bucket}/key`, query = '') {
    return send(on, { method: 'DELETE', path, query, headers })
  }

  it('send a stranger at the root to the landing page, or show no bucket', async () => {
    const sent = await sendUnsigned(world.server, { path: '/' })
    expect([sent.status, sent.headers.location]).to.deep.equal([307, LANDING_PAGE])
    const shown = await sendUnsigned(suites.server, { path: '/' })
    expect([shown.status, texts(shown.text, 'Bucket')]).to.deep.equal([200, []])
    expect(shown.text).to.contain('ListAllMyBucketsResult')
  })

  describe('of conditional deletes', () => {
    it('answer as AWS without them', async () => {
      const { server } = world
      await put(world)
      expectError(await remove(server, { 'if-match': '"other"' }), 412, 'PreconditionFailed')
      expectError(await remove(server, { 'if-match': '*' }, `/${Bucket}/absent`), 404, 'NoSuchKey')
      for (const name of ['x-amz-if-match-size', 'x-amz-if-match-last-modified-time', 'if-none-match']) {
        const refused = await remove(server, { [name]: '7' })
        expectError(refused, 501, 'NotImplemented')
        expect(refused.text.toLowerCase()).to.contain(name)
      }
      const id = (await put(world, versioned)).headers['x-amz-version-id']
      const path = `/${versioned}/key`
      expectError(await remove(server, { 'if-match': '*' }, path, `versionId=${id}`), 501, 'NotImplemented')
      await remove(server, {}, path)
      expectError(await remove(server, { 'if-match': '*' }, path), 404, 'NoSuchKey')
      expect((await remove(server, { 'if-match': '*' })).status).to.equal(204)
    })

    it('evaluate all of them as suites do', async () => {
      const { server } = suites
      await put(suites)
      const head = await send(server, { method: 'HEAD', path: `/${Bucket}/key` })
      const modified = head.headers['last-modified'] ?? ''
      const earlier = new Date(Date.parse(modified) - 1000).toUTCString()
      const time = 'x-amz-if-match-last-modified-time'
      expectError(await remove(server, { 'x-amz-if-match-size': '6' }), 412, 'PreconditionFailed')
      expectError(await remove(server, { [time]: earlier }), 412, 'PreconditionFailed')
      expectError(await remove(server, { [time]: 'once' }), 400, 'InvalidArgument')
      expect((await remove(server, { 'if-match': '*' }, `/${Bucket}/absent`)).status).to.equal(204)
      const good = { 'x-amz-if-match-size': '7', [time]: modified, 'if-match': head.headers.etag ?? '' }
      expect((await remove(server, good)).status).to.equal(204)
      const id = (await put(suites, versioned)).headers['x-amz-version-id']
      const path = `/${versioned}/key`
      const named = `versionId=${id}`
      expectError(await remove(server, { 'if-match': '"other"' }, path, named), 412, 'PreconditionFailed')
      await remove(server, {}, path)
      expectError(await remove(server, { 'if-match': '"other"' }, path), 412, 'PreconditionFailed')
      expect((await remove(server, { 'if-match': '*' }, path)).status).to.equal(204)
      expect((await remove(server, { 'if-match': '*' }, path, named)).status).to.equal(204)
    })

    it('judge each key of a batch for itself', async () => {
      const { server, s3 } = suites
      for (const Key of ['a', 'b', 'c', 'd']) await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))
      const head = await send(server, { method: 'HEAD', path: `/${Bucket}/d` })
      const modified = new Date(Date.parse(head.headers['last-modified'] ?? '')).toISOString()
      const body = `<Delete>
        <Object><Key>a</Key><ETag>"other"</ETag></Object>
        <Object><Key>b</Key><Size>2</Size></Object>
        <Object><Key>c</Key><Size>1</Size></Object>
        <Object><Key>d</Key><LastModifiedTime>${modified}</LastModifiedTime></Object>
      </Delete>`
      const answer = await send(server, { method: 'POST', path: `/${Bucket}`, query: 'delete', body })
      expect(answer.status, answer.text).to.equal(200)
      expect(texts(answer.text, 'Code')).to.deep.equal(['PreconditionFailed', 'PreconditionFailed'])
      const left = await send(server, { path: `/${Bucket}` })
      expect(texts(left.text, 'Key')).to.deep.equal(['a', 'b'])
    })
  })

  it('compare the time at which an upload began before it is aborted', async () => {
    const { server } = world
    const path = `/${Bucket}/upload`
    const id = await createUpload(server, path)
    const query = `uploadId=${id}`
    const listed = await send(server, { path: `/${Bucket}`, query: 'uploads' })
    const began = Date.parse(text(listed.text, 'Initiated') ?? '')
    const abort = (timeMs: number) =>
      remove(server, { 'x-amz-if-match-initiated-time': new Date(timeMs).toUTCString() }, path, query)
    expectError(await abort(began - 5_000), 412, 'PreconditionFailed')
    expect((await send(server, { path, query })).status).to.equal(200)
    expect((await abort(began)).status).to.equal(204)
    expect((await abort(began)).status).to.equal(204)
    expectError(await remove(server, {}, path, query), 404, 'NoSuchUpload')
  })

  it('show the attributes of an object of parts in the one way or the other', async () => {
    const path = `/${versioned}/of-parts`
    const content = Buffer.from('content')
    const sum = base64Digest('CRC32', content)
    const composite = base64Digest('CRC32', digest('CRC32', content))
    for (const [on, shown] of [
      [world, composite],
      [suites, `${composite}-1`],
    ] as const) {
      const id = await createUpload(on.server, path, { 'x-amz-checksum-algorithm': 'CRC32' })
      const headers = { 'x-amz-checksum-crc32': sum }
      const put = await putPart(on.server, { path, id, number: 1, content, headers })
      const { complete } = uploadCalls(() => on.server)
      const completed = await complete(path, id, [{ ...put, checksum: ['ChecksumCRC32', sum] }])
      expect(text(completed.text, 'ChecksumCRC32')).to.match(/-1$/)
      const asked = { 'x-amz-object-attributes': 'Checksum,ObjectParts' }
      const answer = await send(on.server, { path, query: 'attributes', headers: asked })
      expect(text(answer.text, 'ChecksumCRC32')).to.equal(shown)
      expect(texts(answer.text, 'PartNumber')).to.deep.equal(['1'])
    }
  })

  it('show the names of owners in ACLs and listings, or their ids alone', async () => {
    await put(suites, versioned)
    await put(world, versioned)
    const path = `/${versioned}`
    for (const [on, isNamed] of [
      [world, false],
      [suites, true],
    ] as const) {
      const owner = text((await send(on.server, { path: '/' })).text, 'DisplayName')
      expect(owner).to.be.a('string').and.not.equal('')
      for (const [asked, count] of [
        [{ path, query: 'acl' }, 2],
        [{ path: `${path}/key`, query: 'acl' }, 2],
        [{ path, query: 'prefix=key' }, 1],
        [{ path, query: 'list-type=2&fetch-owner=true&prefix=key' }, 1],
        [{ path, query: 'list-type=2&prefix=key' }, 0],
      ] as const) {
        const { text: xml } = await send(on.server, asked)
        const names = Array.from({ length: isNamed ? count : 0 }, () => owner)
        expect(texts(xml, 'DisplayName'), asked.query).to.deep.equal(names)
        expect(texts(xml, 'ID'), asked.query).to.have.length(count)
      }
      const versions = (await send(on.server, { path, query: 'versions' })).text
      expect(new Set(texts(versions, 'DisplayName'))).to.deep.equal(new Set(isNamed ? [owner] : []))
    }
  })

  it('tell a checksum that is none as one that is wrong, or as a request that is', async () => {
    for (const [on, code] of [
      [world, 'InvalidRequest'],
      [suites, 'BadDigest'],
    ] as const) {
      const headers = { 'x-amz-checksum-sha256': 'bad' }
      const refused = { method: 'PUT', path: `/${Bucket}/bad`, headers, body: 'content' }
      expectError(await send(on.server, refused), 400, code)
      const path = `/${Bucket}/bad-parts`
      const declared = { 'x-amz-checksum-algorithm': 'SHA256' }
      const id = await createUpload(on.server, path, declared)
      const part = { method: 'PUT', path, query: `partNumber=1&uploadId=${id}`, headers, body: 'content' }
      expectError(await send(on.server, part), 400, code)
      const query = `uploadId=${id}`
      const list = '<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>'
      const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`
      expectError(await send(on.server, { method: 'POST', path, query, headers, body }), 400, code)
    }
  })

  it('hide the null version of a put while versioning is suspended', async () => {
    for (const [on, expected] of [
      [world, 'null'],
      [suites, undefined],
    ] as const) {
      const name = freshName()
      await on.s3.send(new CreateBucketCommand({ Bucket: name }))
      const VersioningConfiguration = { Status: 'Suspended' } as const
      await on.s3.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration }))
      expect((await put(on, name)).headers['x-amz-version-id']).to.equal(expected)
    }
  })
})
