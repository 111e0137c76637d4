/** Objects: put, get, head, delete, and the headers they carry, as an SDK and a raw client see them. */
import { randomBytes } from 'node:crypto'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { base64Digest, md5Hex } from './support/digests.js'
import { encodeKey, signRequest } from './support/signing.js'
import { send, WireConnection } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, refusalOf } from './support/xml.js'

describe('objects', () => {
  let world: World
  const Bucket = freshName()

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('objects')
    await world.s3.send(new CreateBucketCommand({ Bucket }))
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  async function read(Key: string): Promise<Buffer> {
    const { Body } = await world.s3.send(new GetObjectCommand({ Bucket, Key }))
    return Buffer.from((await Body?.transformToByteArray()) ?? [])
  }

  it('gives back bytes, length, ETag and time', async () => {
    const Body = randomBytes(200_000)
    const put = await world.s3.send(new PutObjectCommand({ Bucket, Key: 'plain', Body }))
    expect(put.ETag).to.equal(`"${md5Hex(Body)}"`)
    expect(put.VersionId).to.equal(undefined)
    expect((await read('plain')).equals(Body)).to.equal(true)
    const head = await world.s3.send(new HeadObjectCommand({ Bucket, Key: 'plain' }))
    expect(head.ContentLength).to.equal(Body.length)
    expect(head.ETag).to.equal(put.ETag)
    expect(head.AcceptRanges).to.equal('bytes')
    expect(head.VersionId).to.equal(undefined)
    expect(Math.abs((head.LastModified?.getTime() ?? 0) - Date.now())).to.be.below(120_000)
    const listed = await world.s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'plain' }))
    const entry = listed.Contents?.[0]
    expect([entry?.ETag, entry?.Size, entry?.StorageClass]).to.deep.equal([put.ETag, Body.length, 'STANDARD'])
    const seconds = (time: Date | undefined): number => Math.floor((time?.getTime() ?? 0) / 1000)
    expect(seconds(entry?.LastModified)).to.equal(seconds(head.LastModified))
  })

  it('writes times with whole seconds in headers and milliseconds in XML', async () => {
    const head = await send(world.server, { method: 'HEAD', path: `/${Bucket}/plain` })
    expect(head.headers['last-modified']).to.match(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/)
    const listing = await send(world.server, { path: `/${Bucket}`, query: 'prefix=plain' })
    expect(listing.text).to.match(/<LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z<\/LastModified>/)
  })

  it('keeps an empty object, whose HEAD has a length of 0', async () => {
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: Buffer.alloc(0) }))
    const head = await send(world.server, { method: 'HEAD', path: `/${Bucket}/empty` })
    expect(head.status).to.equal(200)
    expect(head.headers['content-length']).to.equal('0')
    expect((await read('empty')).length).to.equal(0)
  })

  it('keeps system headers and metadata as they were given', async () => {
    const path = `/${Bucket}/described`
    const headers = {
      'cache-control': 'max-age=17, private',
      'content-disposition': 'attachment; filename="a b.txt"',
      'content-encoding': 'gzip',
      'content-language': 'de, en',
      'content-type': 'text/plain; charset=UTF-8',
      expires: 'not a date at all',
      'x-amz-meta-Color': 'Red  and blue',
      'x-amz-meta-empty': '',
      'x-amz-website-redirect-location': '/elsewhere',
    }
    const put = await send(world.server, { method: 'PUT', path, headers, body: 'x' })
    expect(put.status, put.text).to.equal(200)
    for (const method of ['GET', 'HEAD']) {
      const got = await send(world.server, { method, path })
      for (const [name, value] of Object.entries(headers)) {
        if (name === 'x-amz-meta-Color') continue
        expect(got.headers[name.toLowerCase()], name).to.equal(value)
      }
      expect(got.headers['x-amz-meta-color']).to.match(/^Red +and blue$/)
    }
  })

  it('replaces all metadata on overwrite', async () => {
    const before = { ContentType: 'text/a', CacheControl: 'no-cache', Metadata: { one: '1' } }
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'replaced', Body: '1', ...before }))
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'replaced', Body: '2', Metadata: { two: '2' } }))
    const head = await world.s3.send(new HeadObjectCommand({ Bucket, Key: 'replaced' }))
    expect(head.Metadata).to.deep.equal({ two: '2' })
    expect(head.CacheControl).to.equal(undefined)
    expect(head.ContentType).to.not.equal('text/a')
  })

  it('answers binary/octet-stream for an object stored without a type, or with an empty one', async () => {
    const path = `/${Bucket}/untyped`
    for (const headers of [{}, { 'content-type': '' }]) {
      await send(world.server, { method: 'PUT', path, headers, body: 'x' })
      expect((await send(world.server, { path })).headers['content-type']).to.equal('binary/octet-stream')
    }
  })

  it('gives back headers beyond ASCII byte for byte, UTF-8 or not', async () => {
    const path = `/${Bucket}/named`
    for (const name of ['Zürich.txt', '報告書.pdf', 'отчёт.doc', Buffer.from([0xe9, 0xff])]) {
      const value = `attachment; filename="${Buffer.from(name).toString('latin1')}"`
      const headers = { 'content-disposition': value, 'cache-control': value }
      const put = await send(world.server, { method: 'PUT', path, headers, body: 'content' })
      expect(put.status, put.text).to.equal(200)
      for (const method of ['GET', 'HEAD']) {
        const got = await send(world.server, { method, path })
        expect(got.status, got.text).to.equal(200)
        expect(got.headers['content-disposition']).to.equal(value)
        expect(got.headers['cache-control']).to.equal(value)
        expect(got.headers['content-length']).to.equal('7')
      }
    }
  })

  it('answers metadata beyond ASCII in the form of RFC 2047', async () => {
    const path = `/${Bucket}/umlaut`
    const value = Buffer.from('Zürich').toString('latin1')
    const put = await send(world.server, {
      method: 'PUT',
      path,
      headers: { 'x-amz-meta-city': value },
      body: 'x',
    })
    expect(put.status, put.text).to.equal(200)
    const shown = (await send(world.server, { path })).headers['x-amz-meta-city'] ?? ''
    const [, form = '', encoded = ''] = /^=\?UTF-8\?([BQ])\?(.*)\?=$/i.exec(shown) ?? []
    expect(form).to.equal('B')
    expect(Buffer.from(encoded, 'base64').toString()).to.equal('Zürich')
  })

  it('answers metadata that came as an encoded word of RFC 2047 as it was sent', async () => {
    const path = `/${Bucket}/encoded-words`
    const sent = { 'x-amz-meta-b': '=?UTF-8?B?YWJj?=', 'x-amz-meta-q': '=?UTF-8?Q?=C3=84?=' }
    expect((await send(world.server, { method: 'PUT', path, headers: sent, body: 'x' })).status).to.equal(200)
    expect((await send(world.server, { method: 'HEAD', path })).headers).to.include(sent)
  })

  it('round-trips keys of every kind through put, get, list and delete', async () => {
    const keys = [
      '..',
      '../x',
      './y',
      'a//b',
      '/lead',
      'trail/',
      '%2F',
      '%2e%2e',
      'a b',
      'a+b',
      '"q"',
      "'s'",
      '<&>',
    ]
    keys.push(
      'a?b',
      '?versionId=1',
      'a#b',
      'a&b=c',
      '\u0001\u001f',
      '€',
      '日本',
      '\u{1f600}',
      'é',
      'e\u0301',
      'a',
      'a/',
      'a/b',
    )
    keys.push(
      '$',
      '_ ',
      ':',
      'a\\b',
      '*',
      '~',
      '!()',
      'x'.repeat(1018),
      'con\ttab',
      'new\nline',
      '\u007f',
      '\ufffe',
    )
    for (const key of keys) {
      const path = `/${Bucket}/round/${encodeKey(key)}`
      const put = await send(world.server, { method: 'PUT', path, body: key })
      expect(put.status, `${JSON.stringify(key)} ${put.text}`).to.equal(200)
    }
    for (const key of keys) {
      const got = await send(world.server, { path: `/${Bucket}/round/${encodeKey(key)}` })
      expect(got.text, JSON.stringify(key)).to.equal(key)
    }
    const list = new ListObjectsV2Command({ Bucket, Prefix: 'round/', EncodingType: 'url' })
    const listed = (await world.s3.send(list)).Contents?.map((entry) => decodeURIComponent(entry.Key ?? ''))
    const sorted = keys
      .map((key) => `round/${key}`)
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    expect(listed).to.deep.equal(sorted)
    for (const key of keys) {
      await send(world.server, { method: 'DELETE', path: `/${Bucket}/round/${encodeKey(key)}` })
    }
    expect((await world.s3.send(list)).KeyCount).to.equal(0)
  })

  it('keeps a, a/ and a/b apart', async () => {
    for (const Key of ['deep', 'deep/', 'deep/er']) {
      await world.s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))
    }
    await world.s3.send(new DeleteObjectCommand({ Bucket, Key: 'deep/' }))
    expect((await read('deep')).toString()).to.equal('deep')
    expect((await read('deep/er')).toString()).to.equal('deep/er')
    expect(await refusalOf(read('deep/'))).to.deep.equal({ code: 'NoSuchKey', status: 404 })
  })

  it('answers 204 to the deletion of a missing key, 404 in a missing bucket', async () => {
    const gone = await send(world.server, { method: 'DELETE', path: `/${Bucket}/never-there` })
    expect(gone.status).to.equal(204)
    expect(gone.headers['x-amz-delete-marker']).to.equal(undefined)
    expectError(await send(world.server, { method: 'DELETE', path: '/absent-bucket/k' }), 404, 'NoSuchBucket')
  })

  it('shows a checksum only on demand, and never with a range', async () => {
    const Body = 'checked content'
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'checked', Body, ChecksumAlgorithm: 'SHA256' }))
    const path = `/${Bucket}/checked`
    const mode = { 'x-amz-checksum-mode': 'ENABLED' }
    const asked = await send(world.server, { path, headers: mode })
    expect(asked.headers['x-amz-checksum-sha256']).to.equal(base64Digest('SHA256', Buffer.from(Body)))
    const head = await send(world.server, { method: 'HEAD', path, headers: mode })
    expect(head.headers['x-amz-checksum-sha256']).to.equal(asked.headers['x-amz-checksum-sha256'])
    expect((await send(world.server, { path })).headers['x-amz-checksum-sha256']).to.equal(undefined)
    const ranged = await send(world.server, { path, headers: { ...mode, range: 'bytes=0-3' } })
    expect(ranged.status).to.equal(206)
    expect(ranged.headers['x-amz-checksum-sha256']).to.equal(undefined)
  })

  it('shows readers of an object that is being overwritten the old or the new one, never a mix', async function () {
    this.timeout(60_000)
    const contents = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(300_000))
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'contended', Body: contents[0] ?? '' }))
    let writing = true
    const write = async (Body: string): Promise<void> => {
      for (let round = 0; round < 10; round++) {
        await world.s3.send(new PutObjectCommand({ Bucket, Key: 'contended', Body }))
      }
    }
    const readOn = async (): Promise<void> => {
      while (writing) {
        const { Body, ETag } = await world.s3.send(new GetObjectCommand({ Bucket, Key: 'contended' }))
        const content = (await Body?.transformToString()) ?? ''
        expect(contents).to.include(content)
        expect(ETag).to.equal(`"${md5Hex(content)}"`)
      }
    }
    const readers = [readOn(), readOn(), readOn()]
    await Promise.all(contents.map(write)).finally(() => {
      writing = false
    })
    await Promise.all(readers)
    expect(contents).to.include((await read('contended')).toString())
  })

  it('does not let a slow writer block others, and leaves the object until its body is whole', async () => {
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'slow', Body: 'before' }))
    const connection = await WireConnection.open(world.server)
    const request = signRequest(world.server, { method: 'PUT', path: `/${Bucket}/slow`, body: 'slowly' })
    await connection.write(request.head)
    await connection.write('slo')
    expect((await read('slow')).toString()).to.equal('before')
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'slow', Body: 'quick' }))
    expect((await read('slow')).toString()).to.equal('quick')
    await connection.write('wly')
    expect((await connection.read()).status).to.equal(200)
    expect((await read('slow')).toString()).to.equal('slowly')
    connection.destroy()
  })
})
