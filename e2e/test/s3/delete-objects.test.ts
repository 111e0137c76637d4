/** DeleteObjects: many keys in one request. */
import { createHash } from 'node:crypto'
import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import type { Identity } from './support/signing.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { blocks, expectError, text, texts } from './support/xml.js'

describe('multi-object delete', () => {
  let world: World
  let server: Identity
  let Bucket: string

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('delete-objects')
    server = world.server
  })

  beforeEach(async () => {
    Bucket = freshName()
    await world.s3.send(new CreateBucketCommand({ Bucket }))
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  async function putAll(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += 50) {
      const some = keys.slice(at, at + 50)
      await Promise.all(some.map((Key) => world.s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))))
    }
  }

  async function keysLeft(): Promise<string[]> {
    const { Contents = [] } = await world.s3.send(new ListObjectsV2Command({ Bucket }))
    return Contents.map((entry) => entry.Key ?? '')
  }

  function post(body: string, headers: Record<string, string> = {}): Promise<WireResponse> {
    return send(server, { method: 'POST', path: `/${Bucket}`, query: 'delete', headers, body })
  }

  function list(...objects: string[]): string {
    return `<Delete>${objects.map((object) => `<Object>${object}</Object>`).join('')}</Delete>`
  }

  it('deletes what is there, counts what is missing as deleted, and repeats', async () => {
    await putAll(['a', 'b', 'c'])
    for (let round = 0; round < 2; round++) {
      const response = await post(list('<Key>a</Key>', '<Key>b</Key>', '<Key>never</Key>', '<Key>a</Key>'))
      expect(response.status, response.text).to.equal(200)
      expect(blocks(response.text, 'Deleted').map((entry) => text(entry, 'Key'))).to.deep.equal([
        'a',
        'b',
        'never',
        'a',
      ])
      expect(blocks(response.text, 'Error')).to.deep.equal([])
    }
    expect(await keysLeft()).to.deep.equal(['c'])
  })

  it('says nothing of successes when quiet', async () => {
    await putAll(['a'])
    const response = await post('<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>')
    expect(response.status).to.equal(200)
    expect(response.text).to.not.contain('<Key>')
    expect(await keysLeft()).to.deep.equal([])
  })

  it('deletes 1,000 keys at once and refuses 1,001', async function () {
    this.timeout(60_000)
    const keys = Array.from({ length: 1000 }, (_, index) => `key-${index}`)
    await putAll(keys)
    const objects = keys.map((key) => `<Key>${key}</Key>`)
    expectError(await post(list(...objects, '<Key>one-more</Key>')), 400, 'MalformedXML')
    expect(await keysLeft()).to.have.length(1000)
    const response = await post(list(...objects))
    expect(texts(response.text, 'Deleted')).to.have.length(1000)
    expect(await keysLeft()).to.deep.equal([])
  })

  it('unescapes keys exactly once', async () => {
    const keys = [
      'a&b',
      '<x>',
      '&amp;',
      '%2F',
      '"q"',
      'line\nbreak',
      '\u0001',
      ' lead and trail ',
      '€\u{1f600}',
    ]
    await putAll(keys)
    const escaped = ['a&amp;b', '&lt;x&gt;', '&amp;amp;', '%2F', '&quot;q&quot;', 'line&#10;break', '&#x1;']
    escaped.push(' lead and trail ', '&#8364;\u{1f600}')
    const response = await post(list(...escaped.map((key) => `<Key>${key}</Key>`)))
    expect(texts(response.text, 'Key')).to.deep.equal(keys)
    expect(await keysLeft()).to.deep.equal([])
  })

  it('refuses malformed documents and deletes nothing', async () => {
    await putAll(['a'])
    for (const body of [
      '',
      '<Delete>',
      '<Delete/>',
      '<Other><Object><Key>a</Key></Object></Other>',
      '<Delete><Object></Object></Delete>',
      '<Delete><Object><Key></Key></Object></Delete>',
      '<!DOCTYPE x [<!ENTITY e "a">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    ]) {
      expectError(await post(body), 400, 'MalformedXML')
    }
    expect(await keysLeft()).to.deep.equal(['a'])
  })

  it('takes Content-MD5, a checksum header, or none, and verifies what it is given', async () => {
    const body = list('<Key>a</Key>')
    const md5 = createHash('md5').update(body).digest('base64')
    const sha = createHash('sha256').update(body).digest('base64')
    expect((await post(body, { 'content-md5': md5 })).status).to.equal(200)
    expect((await post(body, { 'x-amz-checksum-sha256': sha })).status).to.equal(200)
    expect((await post(body)).status).to.equal(200)
    await putAll(['a'])
    const other = createHash('md5').update('other').digest('base64')
    expectError(await post(body, { 'content-md5': other }), 400, 'BadDigest')
    expectError(await post(body, { 'x-amz-checksum-sha256': sha.replace(/^./, 'A') }), 400, 'BadDigest')
    expect(await keysLeft()).to.deep.equal(['a'])
  })

  it('refuses a missing bucket as a whole', async () => {
    Bucket = 'absent-bucket'
    expectError(await post(list('<Key>a</Key>')), 404, 'NoSuchBucket')
  })

  it('deletes by ETag, with an error for each key that is another', async () => {
    const { ETag = '' } = await world.s3.send(new PutObjectCommand({ Bucket, Key: 'a', Body: '1' }))
    await putAll(['b'])
    const response = await post(
      list(
        `<Key>a</Key><ETag>${ETag}</ETag>`,
        '<Key>b</Key><ETag>"other"</ETag>',
        '<Key>c</Key><ETag>*</ETag>',
      ),
    )
    expect(response.status).to.equal(200)
    const errors = blocks(response.text, 'Error').map((entry) => [text(entry, 'Key'), text(entry, 'Code')])
    expect(errors).to.deep.equal([
      ['b', 'PreconditionFailed'],
      ['c', 'NoSuchKey'],
    ])
    expect(await keysLeft()).to.deep.equal(['b'])
  })

  it('takes the version id null in a bucket that was never versioned', async () => {
    await putAll(['a'])
    const response = await post(list('<Key>a</Key><VersionId>null</VersionId>'))
    expect(text(blocks(response.text, 'Deleted')[0] ?? '', 'VersionId')).to.equal('null')
    expect(await keysLeft()).to.deep.equal([])
  })

  it('writes markers in a versioned bucket, and removes markers and versions by id', async () => {
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await world.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
    const { VersionId } = await world.s3.send(new PutObjectCommand({ Bucket, Key: 'a', Body: '1' }))
    const marked = blocks((await post(list('<Key>a</Key>'))).text, 'Deleted')[0] ?? ''
    expect(text(marked, 'DeleteMarker')).to.equal('true')
    const marker = text(marked, 'DeleteMarkerVersionId')
    expect(marker).to.be.a('string').and.not.equal(VersionId)
    expect(await keysLeft()).to.deep.equal([])
    const unmarked = blocks(
      (await post(list(`<Key>a</Key><VersionId>${marker}</VersionId>`))).text,
      'Deleted',
    )[0]
    expect(text(unmarked ?? '', 'DeleteMarker')).to.equal('true')
    expect(text(unmarked ?? '', 'DeleteMarkerVersionId')).to.equal(marker)
    expect(text(unmarked ?? '', 'VersionId')).to.equal(marker)
    expect(await keysLeft()).to.deep.equal(['a'])
    const gone = await post(list(`<Key>a</Key><VersionId>${VersionId}</VersionId>`))
    expect(text(blocks(gone.text, 'Deleted')[0] ?? '', 'DeleteMarker')).to.equal(undefined)
    const { Versions, DeleteMarkers } = await world.s3.send(new ListObjectVersionsCommand({ Bucket }))
    expect([Versions, DeleteMarkers]).to.deep.equal([undefined, undefined])
  })

  it('says of a version id that is none that there is no such version, for its key alone', async () => {
    await putAll(['a', 'b'])
    const body = list('<Key>a</Key><VersionId>HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD</VersionId>', '<Key>b</Key>')
    const response = await post(body)
    expect(response.status).to.equal(200)
    const refused = blocks(response.text, 'Error')[0] ?? ''
    const names = ['Key', 'VersionId', 'Code', 'Message']
    expect(names.map((name) => text(refused, name))).to.deep.equal([
      'a',
      'HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD',
      'NoSuchVersion',
      'The specified version does not exist.',
    ])
    expect(await keysLeft()).to.deep.equal(['a'])
  })

  it('lets several requests delete one version list at once', async function () {
    this.timeout(60_000)
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await world.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
    for (let round = 0; round < 3; round++) await putAll(['a', 'b', 'c', 'd'])
    const { Versions = [] } = await world.s3.send(new ListObjectVersionsCommand({ Bucket }))
    expect(Versions).to.have.length(12)
    const Objects = Versions.map(({ Key = '', VersionId = '' }) => ({ Key, VersionId }))
    const answers = await Promise.all(
      Array.from({ length: 5 }, () =>
        world.s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } })),
      ),
    )
    for (const { Deleted, Errors } of answers) {
      expect(Errors ?? []).to.deep.equal([])
      expect(Deleted).to.have.length(12)
    }
    const left = await world.s3.send(new ListObjectVersionsCommand({ Bucket }))
    expect(left.Versions ?? []).to.deep.equal([])
  })
})
