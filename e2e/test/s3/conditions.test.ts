/** Conditional reads and writes, and races that conditions must decide. */
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import type { Identity } from './support/signing.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, refusalOf } from './support/xml.js'

const WRITERS = 32

describe('conditions', () => {
  let world: World
  let server: Identity
  const Bucket = freshName()
  let etag = ''
  let modified = ''

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('conditions')
    server = world.server
    await world.s3.send(new CreateBucketCommand({ Bucket }))
    await send(server, { method: 'PUT', path: `/${Bucket}/key`, body: 'content' })
    const head = await send(server, { method: 'HEAD', path: `/${Bucket}/key` })
    etag = head.headers.etag ?? ''
    modified = head.headers['last-modified'] ?? ''
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  function shifted(seconds: number): string {
    return new Date(Date.parse(modified) + seconds * 1000).toUTCString()
  }

  /** Statuses of GET and HEAD, which must agree. */
  async function statusOf(headers: Record<string, string>): Promise<number> {
    const got = await send(server, { path: `/${Bucket}/key`, headers })
    const head = await send(server, { method: 'HEAD', path: `/${Bucket}/key`, headers })
    expect(head.status).to.equal(got.status)
    if (got.status === 412) expectError(got, 412, 'PreconditionFailed')
    if (got.status === 304) expect([got.text, got.headers.etag]).to.deep.equal(['', etag])
    return got.status
  }

  describe('of reads', () => {
    it('evaluates If-Match with quotes, without, in lists and *', async () => {
      for (const good of [etag, etag.slice(1, -1), `"other", ${etag}`, '*']) {
        expect(await statusOf({ 'if-match': good }), good).to.equal(200)
      }
      expect(await statusOf({ 'if-match': '"other"' })).to.equal(412)
    })

    it('evaluates If-None-Match, weak marks included', async () => {
      for (const hit of [etag, etag.slice(1, -1), `"other", ${etag}`, '*', `W/${etag}`]) {
        expect(await statusOf({ 'if-none-match': hit }), hit).to.equal(304)
      }
      expect(await statusOf({ 'if-none-match': '"other"' })).to.equal(200)
    })

    it('evaluates dates by whole seconds and ignores future and broken ones', async () => {
      expect(await statusOf({ 'if-modified-since': modified })).to.equal(304)
      expect(await statusOf({ 'if-modified-since': shifted(-1) })).to.equal(200)
      expect(
        await statusOf({ 'if-modified-since': new Date(Date.now() + 86_400_000).toUTCString() }),
      ).to.equal(200)
      expect(await statusOf({ 'if-modified-since': 'no date' })).to.equal(200)
      expect(await statusOf({ 'if-unmodified-since': modified })).to.equal(200)
      expect(await statusOf({ 'if-unmodified-since': shifted(-1) })).to.equal(412)
      expect(await statusOf({ 'if-unmodified-since': 'no date' })).to.equal(200)
    })

    it('lets ETags win over dates', async () => {
      expect(await statusOf({ 'if-match': etag, 'if-unmodified-since': shifted(-10) })).to.equal(200)
      expect(await statusOf({ 'if-match': '"other"', 'if-unmodified-since': modified })).to.equal(412)
      expect(await statusOf({ 'if-none-match': etag, 'if-modified-since': shifted(-10) })).to.equal(304)
      expect(await statusOf({ 'if-none-match': '"other"', 'if-modified-since': modified })).to.equal(200)
    })

    it('says that a missing key is missing, whatever the condition', async () => {
      for (const headers of [{ 'if-match': etag }, { 'if-none-match': '*' }]) {
        expectError(await send(server, { path: `/${Bucket}/absent`, headers }), 404, 'NoSuchKey')
      }
    })
  })

  describe('of writes', () => {
    let keys = 0
    function freshKey(): string {
      keys += 1
      return `written-${keys}`
    }

    function put(key: string, headers: Record<string, string>, body = 'new'): Promise<WireResponse> {
      return send(server, { method: 'PUT', path: `/${Bucket}/${key}`, headers, body })
    }

    async function content(key: string): Promise<string> {
      return (await send(server, { path: `/${Bucket}/${key}` })).text
    }

    it('makes an object with If-None-Match: * only if there is none', async () => {
      const key = freshKey()
      expect((await put(key, { 'if-none-match': '*' }, 'first')).status).to.equal(200)
      expectError(await put(key, { 'if-none-match': '*' }), 412, 'PreconditionFailed')
      expect(await content(key)).to.equal('first')
      await send(server, { method: 'DELETE', path: `/${Bucket}/${key}` })
      expect((await put(key, { 'if-none-match': '*' })).status).to.equal(200)
    })

    it('replaces an object with If-Match only if it is that one', async () => {
      const key = freshKey()
      const first = (await put(key, {}, 'first')).headers.etag ?? ''
      expectError(await put(key, { 'if-match': '"other"' }), 412, 'PreconditionFailed')
      expect(await content(key)).to.equal('first')
      expect((await put(key, { 'if-match': first }, 'second')).status).to.equal(200)
      expectError(await put(key, { 'if-match': first }), 412, 'PreconditionFailed')
      expect((await put(key, { 'if-match': '*' }, 'third')).status).to.equal(200)
      expect(await content(key)).to.equal('third')
    })

    it('answers If-Match on a missing key with 404', async () => {
      for (const tag of [etag, '*']) {
        expectError(await put(freshKey(), { 'if-match': tag }), 404, 'NoSuchKey')
      }
    })

    it('refuses conditions that S3 does not evaluate, and stores nothing', async () => {
      const key = freshKey()
      await put(key, {}, 'first')
      const cases = [
        { 'if-none-match': etag },
        { 'if-match': etag, 'if-none-match': '*' },
        { 'if-modified-since': modified },
        { 'if-unmodified-since': modified },
      ]
      for (const headers of cases) expectError(await put(key, headers as never), 501, 'NotImplemented')
      expect(await content(key)).to.equal('first')
    })

    it('counts a delete marker as absent', async () => {
      const versioned = freshName()
      await world.s3.send(new CreateBucketCommand({ Bucket: versioned }))
      const VersioningConfiguration = { Status: 'Enabled' } as const
      await world.s3.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration }))
      const path = `/${versioned}/key`
      await send(server, { method: 'PUT', path, body: '1' })
      await send(server, { method: 'DELETE', path })
      const match = await send(server, { method: 'PUT', path, headers: { 'if-match': '*' }, body: '2' })
      expectError(match, 404, 'NoSuchKey')
      const none = await send(server, { method: 'PUT', path, headers: { 'if-none-match': '*' }, body: '2' })
      expect(none.status).to.equal(200)
      const again = await send(server, { method: 'PUT', path, headers: { 'if-none-match': '*' }, body: '3' })
      expectError(again, 412, 'PreconditionFailed')
    })

    for (const versioning of [false, true]) {
      it(`lets exactly one of ${WRITERS} creators win${versioning ? ' in a versioned bucket' : ''}`, async () => {
        const bucket = freshName()
        await world.s3.send(new CreateBucketCommand({ Bucket: bucket }))
        if (versioning) {
          const VersioningConfiguration = { Status: 'Enabled' } as const
          await world.s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }))
        }
        const writes = Array.from({ length: WRITERS }, (_, writer) =>
          world.s3.send(
            new PutObjectCommand({ Bucket: bucket, Key: 'raced', Body: `by ${writer}`, IfNoneMatch: '*' }),
          ),
        )
        const { won, refusals } = await settle(writes)
        expect(won).to.have.length(1)
        for (const { code, status } of refusals) {
          expect(`${status} ${code}`).to.be.oneOf([
            '412 PreconditionFailed',
            '409 ConditionalRequestConflict',
          ])
        }
        const { Body } = await world.s3.send(new GetObjectCommand({ Bucket: bucket, Key: 'raced' }))
        expect(await Body?.transformToString()).to.equal(`by ${won[0]}`)
      })
    }

    it(`lets exactly one of ${WRITERS} replace the same object`, async () => {
      const Key = freshKey()
      const first = await world.s3.send(new PutObjectCommand({ Bucket, Key, Body: 'first' }))
      const IfMatch = first.ETag ?? ''
      const writes = Array.from({ length: WRITERS }, (_, writer) =>
        world.s3.send(new PutObjectCommand({ Bucket, Key, Body: `by ${writer}`, IfMatch })),
      )
      const { won } = await settle(writes)
      expect(won).to.have.length(1)
      expect(await content(Key)).to.equal(`by ${won[0]}`)
    })

    it('counts without loss when every writer reads, adds one and replaces by ETag', async function () {
      this.timeout(60_000)
      const Key = freshKey()
      await world.s3.send(new PutObjectCommand({ Bucket, Key, Body: '0' }))
      const addOne = async (): Promise<void> => {
        for (;;) {
          const { Body, ETag } = await world.s3.send(new GetObjectCommand({ Bucket, Key }))
          const next = String(Number(await Body?.transformToString()) + 1)
          try {
            await world.s3.send(new PutObjectCommand({ Bucket, Key, Body: next, IfMatch: ETag ?? '' }))
            return
          } catch (error) {
            expect((error as Error).name).to.be.oneOf(['PreconditionFailed', 'ConditionalRequestConflict'])
          }
        }
      }
      await Promise.all(Array.from({ length: 16 }, addOne))
      expect(await content(Key)).to.equal('16')
    })
  })

  describe('of deletes', () => {
    it('deletes with If-Match only what matches', async () => {
      const Key = 'deleted'
      const { ETag } = await world.s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }))
      const wrong = world.s3.send(new DeleteObjectCommand({ Bucket, Key, IfMatch: '"other"' }))
      expect(await refusalOf(wrong)).to.deep.equal({ code: 'PreconditionFailed', status: 412 })
      await world.s3.send(new DeleteObjectCommand({ Bucket, Key, IfMatch: ETag ?? '' }))
      const gone = world.s3.send(new DeleteObjectCommand({ Bucket, Key, IfMatch: ETag ?? '' }))
      expect(await refusalOf(gone)).to.deep.equal({ code: 'NoSuchKey', status: 404 })
    })

    it('refuses what general purpose buckets do not evaluate', async () => {
      const path = `/${Bucket}/key`
      for (const [headers, query] of [
        [{ 'if-match': etag }, 'versionId=null'],
        [{ 'x-amz-if-match-size': '7' }, ''],
        [{ 'x-amz-if-match-last-modified-time': modified }, ''],
      ] as const) {
        const response = await send(server, { method: 'DELETE', path, query, headers: headers as never })
        expectError(response, 501, 'NotImplemented')
      }
      expect((await send(server, { path })).text).to.equal('content')
    })
  })
})

/** Indices of the calls that succeeded, and how the others were refused. */
async function settle(
  calls: readonly Promise<unknown>[],
): Promise<{ won: number[]; refusals: { code: string; status: number }[] }> {
  const won: number[] = []
  const refusals: { code: string; status: number }[] = []
  const settled = await Promise.allSettled(calls)
  for (const [index, outcome] of settled.entries()) {
    if (outcome.status === 'fulfilled') won.push(index)
    else refusals.push(await refusalOf(Promise.reject(outcome.reason)))
  }
  return { won, refusals }
}
