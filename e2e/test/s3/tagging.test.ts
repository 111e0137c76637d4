/** Tags of objects and buckets: by their own requests, by headers, and in copies. */
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketTaggingCommand,
  GetBucketTaggingCommand,
  GetObjectTaggingCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { runOk } from '../../src/harness/run.js'
import { hasTool } from '../../src/harness/tools.js'
import type { Identity } from './support/signing.js'
import { completeBody, createUpload, putPart } from './support/uploads.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, refusalOf } from './support/xml.js'

const TWO = [
  { Key: 'zebra', Value: 'stripes + more' },
  { Key: 'ape', Value: '' },
]

describe('tagging', () => {
  let world: World
  let server: Identity
  const Bucket = freshName()
  const versioned = freshName()

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('tagging')
    server = world.server
    await world.s3.send(new CreateBucketCommand({ Bucket }))
    await world.s3.send(new CreateBucketCommand({ Bucket: versioned }))
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await world.s3.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration }))
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  async function tagsOf(Key: string, VersionId?: string, inBucket = Bucket) {
    const named = VersionId === undefined ? {} : { VersionId }
    return (await world.s3.send(new GetObjectTaggingCommand({ Bucket: inBucket, Key, ...named }))).TagSet
  }

  function put(path: string, headers: Record<string, string> = {}): Promise<WireResponse> {
    return send(server, { method: 'PUT', path: `/${Bucket}/${path}`, headers, body: 'x' })
  }

  describe('of objects', () => {
    it('are set, replaced, counted and removed; time and ETag stay', async () => {
      await put('plain')
      const before = await send(server, { method: 'HEAD', path: `/${Bucket}/plain` })
      expect(await tagsOf('plain')).to.deep.equal([])
      expect(before.headers['x-amz-tagging-count']).to.equal(undefined)
      const Tagging = { TagSet: TWO }
      await world.s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'plain', Tagging }))
      expect(await tagsOf('plain')).to.deep.equal(TWO)
      const after = await send(server, { method: 'HEAD', path: `/${Bucket}/plain` })
      expect(after.headers['x-amz-tagging-count']).to.equal('2')
      expect([after.headers.etag, after.headers['last-modified']]).to.deep.equal([
        before.headers.etag,
        before.headers['last-modified'],
      ])
      expect((await send(server, { path: `/${Bucket}/plain` })).headers['x-amz-tagging-count']).to.equal('2')
      const removed = await send(server, { method: 'DELETE', path: `/${Bucket}/plain`, query: 'tagging' })
      expect(removed.status).to.equal(204)
      expect(await tagsOf('plain')).to.deep.equal([])
    })

    it('come with a put, and with the beginning of an upload', async () => {
      expect((await put('by-header', { 'x-amz-tagging': 'a=1&b&c%20d=%C3%A9' })).status).to.equal(200)
      const expected = [
        { Key: 'a', Value: '1' },
        { Key: 'b', Value: '' },
        { Key: 'c d', Value: 'é' },
      ]
      expect(await tagsOf('by-header')).to.deep.equal(expected)
      await put('by-header')
      expect(await tagsOf('by-header'), 'an overwrite replaces all').to.deep.equal([])
      const path = `/${Bucket}/parts`
      const id = await createUpload(server, path, { 'x-amz-tagging': 'a=1&b&c%20d=%C3%A9' })
      const part = await putPart(server, { path, id, number: 1, content: Buffer.from('part') })
      const query = `uploadId=${id}`
      await send(server, { method: 'POST', path, query, body: completeBody([part]) })
      expect(await tagsOf('parts')).to.deep.equal(expected)
    })

    it('go along with a copy unless they are replaced', async () => {
      await put('source', { 'x-amz-tagging': 'a=1', 'x-amz-meta-kept': 'yes' })
      const CopySource = `${Bucket}/source`
      const copy = (Key: string, more: object) =>
        world.s3.send(new CopyObjectCommand({ Bucket, Key, CopySource, ...more }))
      await copy('same', {})
      expect(await tagsOf('same')).to.deep.equal([{ Key: 'a', Value: '1' }])
      await copy('fresh', { MetadataDirective: 'REPLACE' })
      expect(await tagsOf('fresh')).to.deep.equal([{ Key: 'a', Value: '1' }])
      await copy('retagged', { TaggingDirective: 'REPLACE', Tagging: 'b=2' })
      expect(await tagsOf('retagged')).to.deep.equal([{ Key: 'b', Value: '2' }])
      const head = await send(server, { method: 'HEAD', path: `/${Bucket}/retagged` })
      expect(head.headers['x-amz-meta-kept']).to.equal('yes')
      await copy('untagged', { TaggingDirective: 'REPLACE' })
      expect(await tagsOf('untagged')).to.deep.equal([])
      const directive = { 'x-amz-copy-source': CopySource, 'x-amz-tagging-directive': 'MERGE' }
      const path = `/${Bucket}/never`
      expectError(await send(server, { method: 'PUT', path, headers: directive }), 400, 'InvalidArgument')
    })

    it('belong to a version', async () => {
      const at = { Bucket: versioned, Key: 'key' }
      const first = (await world.s3.send(new PutObjectCommand({ ...at, Body: '1', Tagging: 'v=1' })))
        .VersionId
      const second = (await world.s3.send(new PutObjectCommand({ ...at, Body: '2' }))).VersionId
      expect(await tagsOf('key', first, versioned)).to.deep.equal([{ Key: 'v', Value: '1' }])
      expect(await tagsOf('key', undefined, versioned)).to.deep.equal([])
      const tagged = await world.s3.send(
        new PutObjectTaggingCommand({ ...at, Tagging: { TagSet: [{ Key: 'v', Value: '2' }] } }),
      )
      expect(tagged.VersionId).to.equal(second)
      const old = await world.s3.send(
        new PutObjectTaggingCommand({ ...at, VersionId: first ?? '', Tagging: { TagSet: TWO } }),
      )
      expect(old.VersionId).to.equal(first)
      expect(await tagsOf('key', first, versioned)).to.deep.equal(TWO)
      expect(await tagsOf('key', undefined, versioned)).to.deep.equal([{ Key: 'v', Value: '2' }])
    })

    it('are refused where there is no object, and for a delete marker', async () => {
      const at = { Bucket: versioned, Key: 'gone' }
      const call = world.s3.send(new GetObjectTaggingCommand(at))
      expect(await refusalOf(call)).to.deep.equal({ code: 'NoSuchKey', status: 404 })
      const path = `/${versioned}/gone`
      const marker = (await send(server, { method: 'DELETE', path })).headers['x-amz-version-id']
      const query = `tagging&versionId=${marker}`
      const refused = await send(server, { path, query })
      expectError(refused, 405, 'MethodNotAllowed')
      expect(refused.headers['x-amz-delete-marker']).to.equal('true')
      expectError(await send(server, { path: '/absent-bucket/key', query: 'tagging' }), 404, 'NoSuchBucket')
    })

    it('are bounded in number and length, and a refusal changes nothing', async () => {
      await put('limits', { 'x-amz-tagging': 'kept=1' })
      const set = (TagSet: { Key: string; Value: string }[]) =>
        refusalOf(world.s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'limits', Tagging: { TagSet } })))
      const many = Array.from({ length: 11 }, (_, at) => ({ Key: `k${at}`, Value: '' }))
      expect(await set(many)).to.deep.equal({ code: 'BadRequest', status: 400 })
      const invalid = { code: 'InvalidTag', status: 400 }
      expect(await set([{ Key: 'k'.repeat(129), Value: '' }])).to.deep.equal(invalid)
      expect(await set([{ Key: 'k', Value: 'v'.repeat(257) }])).to.deep.equal(invalid)
      expect(await set([{ Key: '', Value: 'v' }])).to.deep.equal(invalid)
      expect(await set([{ Key: 'k<', Value: 'v' }])).to.deep.equal(invalid)
      expect(await set([{ Key: 'aws:k', Value: 'v' }])).to.deep.equal(invalid)
      expect(
        await set([
          { Key: 'twice', Value: '1' },
          { Key: 'twice', Value: '2' },
        ]),
      ).to.deep.equal(invalid)
      const path = `/${Bucket}/limits`
      for (const body of ['<Tagging/>', '<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>', '']) {
        expectError(await send(server, { method: 'PUT', path, query: 'tagging', body }), 400, 'MalformedXML')
      }
      expectError(await put('limits', { 'x-amz-tagging': 'a=1&a=2' }), 400, 'InvalidArgument')
      expectError(await put('limits', { 'x-amz-tagging': 'a=%zz' }), 400, 'InvalidArgument')
      expect(await tagsOf('limits')).to.deep.equal([{ Key: 'kept', Value: '1' }])
      const largest = [{ Key: 'k'.repeat(128), Value: 'v'.repeat(256) }, ...many.slice(2)]
      const Tagging = { TagSet: largest }
      await world.s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'limits', Tagging }))
      expect(await tagsOf('limits')).to.deep.equal(largest)
    })
  })

  describe('of buckets', () => {
    it('are set, replaced and removed, and go with the bucket', async () => {
      const name = freshName()
      await world.s3.send(new CreateBucketCommand({ Bucket: name }))
      const get = () => world.s3.send(new GetBucketTaggingCommand({ Bucket: name }))
      const absent = { code: 'NoSuchTagSet', status: 404 }
      expect(await refusalOf(get())).to.deep.equal(absent)
      await world.s3.send(new PutBucketTaggingCommand({ Bucket: name, Tagging: { TagSet: TWO } }))
      expect((await get()).TagSet).to.deep.equal(TWO)
      await world.s3.send(new DeleteBucketTaggingCommand({ Bucket: name }))
      expect(await refusalOf(get())).to.deep.equal(absent)
      await world.s3.send(new PutBucketTaggingCommand({ Bucket: name, Tagging: { TagSet: TWO } }))
      await send(server, { method: 'DELETE', path: `/${name}` })
      await world.s3.send(new CreateBucketCommand({ Bucket: name }))
      expect(await refusalOf(get())).to.deep.equal(absent)
    })

    it('are at most 50', async () => {
      const TagSet = Array.from({ length: 51 }, (_, at) => ({ Key: `k${at}`, Value: 'v' }))
      const set = (count: number) =>
        world.s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: TagSet.slice(0, count) } }))
      await set(50)
      expect(await refusalOf(set(51))).to.deep.equal({ code: 'BadRequest', status: 400 })
      expect((await world.s3.send(new GetBucketTaggingCommand({ Bucket }))).TagSet).to.have.length(50)
      const path = '/absent-bucket'
      expectError(await send(server, { path, query: 'tagging' }), 404, 'NoSuchBucket')
    })

    it('are understood by aws-cli', async function () {
      if (!(await hasTool('aws'))) this.skip()
      this.timeout(60_000)
      const aws = async (...args: string[]) => {
        const all = ['--endpoint-url', world.server.endpoint, '--output', 'json', 's3api', ...args]
        return (await runOk('aws', all, { env: world.server.awsEnv })).stdout.toString()
      }
      await aws('put-bucket-tagging', '--bucket', Bucket, '--tagging', 'TagSet=[{Key=owner,Value=me}]')
      const shown = JSON.parse(await aws('get-bucket-tagging', '--bucket', Bucket))
      expect(shown).to.deep.equal({ TagSet: [{ Key: 'owner', Value: 'me' }] })
    })
  })
})
