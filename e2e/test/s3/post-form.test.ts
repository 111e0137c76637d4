/** Uploads by HTML form: what is stored, and how success is answered. Policies that refuse are in post-policy. */
import { createHash, randomBytes } from 'node:crypto'
import {
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { ALGORITHMS, base64Digest, md5Hex } from './support/digests.js'
import {
  BOUNDARY,
  changed,
  encodeForm,
  formRequest,
  part,
  postBody,
  postForm,
  signForm,
} from './support/form.js'
import { unsignedRequest } from './support/signing.js'
import { WireConnection } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text } from './support/xml.js'

describe('uploads by form', () => {
  let world: World
  const Bucket = freshName()

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('post-form')
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

  it('stores the file under the key and answers 204 without a body', async () => {
    const content = randomBytes(100_000)
    const response = await postForm(
      world.server,
      { bucket: Bucket, key: 'plain' },
      { content, name: 'a.bin' },
    )
    expect(response.status, response.text).to.equal(204)
    expect(response.headers.etag).to.equal(`"${md5Hex(content)}"`)
    expect(response.headers.location).to.equal(`${world.server.endpoint}/${Bucket}/plain`)
    expect((await read('plain')).equals(content)).to.equal(true)
  })

  it('keeps content type, headers, metadata and tags of the fields, in UTF-8', async () => {
    const tagging = '<Tagging><TagSet><Tag><Key>colour</Key><Value>grün</Value></Tag></TagSet></Tagging>'
    const fields = {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Disposition': 'attachment; filename="x"',
      'Cache-Control': 'no-store',
      Expires: 'Thu, 01 Dec 1994 16:00:00 GMT',
      'x-amz-meta-Owner': 'somebody',
      'x-amz-storage-class': 'STANDARD',
      acl: 'private',
      tagging,
    }
    const key = 'grün/日本 語+%41'
    const response = await postForm(world.server, { bucket: Bucket, key, fields })
    expect(response.status, response.text).to.equal(204)
    const head = await world.s3.send(new HeadObjectCommand({ Bucket, Key: key }))
    expect(head).to.include({
      ContentType: 'text/plain; charset=utf-8',
      ContentDisposition: 'attachment; filename="x"',
      CacheControl: 'no-store',
      ExpiresString: 'Thu, 01 Dec 1994 16:00:00 GMT',
    })
    expect(head.Metadata).to.deep.equal({ owner: 'somebody' })
    const { TagSet } = await world.s3.send(new GetObjectTaggingCommand({ Bucket, Key: key }))
    expect(TagSet).to.deep.equal([{ Key: 'colour', Value: 'grün' }])
  })

  it('answers 201 with a document, 200, and 204 for any other status', async () => {
    const answers: Record<string, number> = { '201': 201, '200': 200, '204': 204, '404': 204, '': 204 }
    for (const [wanted, status] of Object.entries(answers)) {
      const fields = { success_action_status: wanted }
      const response = await postForm(world.server, { bucket: Bucket, key: 'a b&c', fields })
      expect(response.status, wanted).to.equal(status)
      if (status !== 201) {
        expect(response.body.length).to.equal(0)
        continue
      }
      expect(response.text).to.include('<PostResponse')
      expect(text(response.text, 'Location')).to.equal(`${world.server.endpoint}/${Bucket}/a%20b%26c`)
      expect(text(response.text, 'Bucket')).to.equal(Bucket)
      expect(text(response.text, 'Key')).to.equal('a b&c')
      expect(text(response.text, 'ETag')).to.equal(`"${md5Hex(Buffer.from('content'))}"`)
    }
  })

  it('redirects with bucket, key and etag added, and ignores what is no URL', async () => {
    const to = async (target: string, name = 'success_action_redirect'): Promise<[number, string]> => {
      const response = await postForm(world.server, {
        bucket: Bucket,
        key: 'a&b',
        fields: { [name]: target },
      })
      return [response.status, response.headers.location ?? '']
    }
    const facts = `bucket=${Bucket}&key=a%26b&etag=%22${md5Hex(Buffer.from('content'))}%22`
    expect(await to('http://page.example/done')).to.deep.equal([303, `http://page.example/done?${facts}`])
    expect(await to('https://page.example/?x=1#top')).to.deep.equal([
      303,
      `https://page.example/?x=1&${facts}#top`,
    ])
    expect(await to('http://page.example/', 'redirect')).to.deep.equal([303, `http://page.example/?${facts}`])
    const own = `${world.server.endpoint}/${Bucket}/a%26b`
    for (const none of ['javascript:alert(1)', 'page.example', '//page.example/', 'http://', '']) {
      expect(await to(none), none).to.deep.equal([204, own])
    }
  })

  it('puts the name of the file, without its path, into every field that asks for it', async () => {
    const names = {
      'cat.jpg': 'cat.jpg',
      'C:\\pictures\\cat 2.jpg': 'cat 2.jpg',
      '/home/me/../kätzchen.jpg': 'kätzchen.jpg',
      '$&$1.jpg': '$&$1.jpg',
    }
    for (const [name, kept] of Object.entries(names)) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how S3 writes the variable.
      const key = 'up/${filename}/${filename}'
      const options = {
        bucket: Bucket,
        key,
        uncovered: ['key'],
        conditions: [['starts-with', '$key', 'up/']],
      }
      const response = await postForm(world.server, options, { content: name, name })
      expect(response.status, response.text).to.equal(204)
      expect((await read(`up/${kept}/${kept}`)).toString()).to.equal(name)
    }
  })

  it('ignores fields after the file and fields that begin with x-ignore-', async () => {
    const fields = changed(signForm(world.server, { bucket: Bucket, key: 'ignoring' }), {
      'x-ignore-me': 'x',
    })
    const body = Buffer.concat([
      encodeForm(fields, { content: 'file' }).subarray(0, -`--${BOUNDARY}--\r\n`.length),
      part('name="key"', 'another'),
      part('name="submit"', 'Upload'),
      Buffer.from(`--${BOUNDARY}--\r\nand an epilogue`),
    ])
    const response = await postBody(world.server, Bucket, body)
    expect(response.status, response.text).to.equal(204)
    expect((await read('ignoring')).toString()).to.equal('file')
  })

  it('stores an empty file, and one that is typed into a text field', async () => {
    for (const content of ['', 'typed']) {
      const response = await postForm(world.server, { bucket: Bucket, key: 'small' }, { content })
      expect(response.status, response.text).to.equal(204)
      expect((await read('small')).toString()).to.equal(content)
    }
  })

  it('verifies every checksum field and Content-MD5, and shows the checksum', async () => {
    const content = randomBytes(10_000)
    for (const name of ALGORITHMS) {
      const field = `x-amz-checksum-${name.toLowerCase()}`
      const value = base64Digest(name, content)
      const right = await postForm(
        world.server,
        { bucket: Bucket, key: 'sum', fields: { [field]: value } },
        { content },
      )
      expect([right.status, right.headers[field]], right.text).to.deep.equal([204, value])
      const wrong = base64Digest(name, Buffer.from('other'))
      const fields = { [field]: wrong }
      expectError(
        await postForm(world.server, { bucket: Bucket, key: 'no', fields }, { content }),
        400,
        'BadDigest',
      )
    }
    const md5 = Buffer.from(md5Hex(content), 'hex').toString('base64')
    const right = { 'Content-MD5': md5 }
    expect(
      (await postForm(world.server, { bucket: Bucket, key: 'sum', fields: right }, { content })).status,
    ).to.equal(204)
    const other = { 'Content-MD5': Buffer.alloc(16).toString('base64') }
    expectError(
      await postForm(world.server, { bucket: Bucket, key: 'no', fields: other }, { content }),
      400,
      'BadDigest',
    )
    const broken = { 'Content-MD5': 'x' }
    expectError(
      await postForm(world.server, { bucket: Bucket, key: 'no', fields: broken }),
      400,
      'InvalidDigest',
    )
    const short = { 'x-amz-checksum-crc32': 'AAAA' }
    expectError(
      await postForm(world.server, { bucket: Bucket, key: 'no', fields: short }),
      400,
      'InvalidRequest',
    )
    await expectNothing('no')
  })

  it('knows the newer checksums, too', async () => {
    const ofNothing: Record<string, string> = {
      md5: createHash('md5').digest('hex'),
      sha512: createHash('sha512').digest('hex'),
      xxhash64: 'ef46db3751d8e999',
      xxhash3: '2d06800538d394c2',
      xxhash128: '99aa06d3014798d86001c324468d497f',
    }
    for (const [name, hex] of Object.entries(ofNothing)) {
      const field = `x-amz-checksum-${name}`
      const right = { [field]: Buffer.from(hex, 'hex').toString('base64') }
      const stored = await postForm(
        world.server,
        { bucket: Bucket, key: name, fields: right },
        { content: '' },
      )
      expect([stored.status, stored.headers[field]], stored.text).to.deep.equal([204, right[field]])
      const refused = await postForm(
        world.server,
        { bucket: Bucket, key: 'no', fields: right },
        { content: 'x' },
      )
      expectError(refused, 400, 'BadDigest')
    }
    await expectNothing('no')
  })

  it('makes a version of its own in a versioned bucket', async () => {
    const versioned = freshName()
    await world.s3.send(new CreateBucketCommand({ Bucket: versioned }))
    await world.s3.send(
      new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration: { Status: 'Enabled' } }),
    )
    const response = await postForm(world.server, { bucket: versioned, key: 'k' })
    expect(response.headers['x-amz-version-id']).to.match(/.{10}/)
  })

  it('brings every byte through, however the form is cut into pieces', async () => {
    const near = Buffer.from(`\r\n--${BOUNDARY.slice(0, -1)}\r\n\r\n--\r\r\n`)
    const content = Buffer.concat(
      Array.from({ length: 60 }, (_, at) => near.subarray(0, (at * 7) % near.length)),
    )
    for (const pieceBytes of [1, 3, 17, 64, 1000]) {
      const key = `pieces-${pieceBytes}`
      const body = encodeForm(signForm(world.server, { bucket: Bucket, key }), { content, name: 'x' })
      const connection = await WireConnection.open(world.server)
      const request = unsignedRequest(world.server, formRequest(Bucket, body))
      await connection.write(request.head)
      await connection.writePieces(body, pieceBytes)
      expect((await connection.read('POST')).status).to.equal(204)
      connection.destroy()
      expect((await read(key)).equals(content), key).to.equal(true)
    }
  })

  it('answers form after form on one connection, refused ones included', async () => {
    const connection = await WireConnection.open(world.server)
    const send = (key: string, max: number, content: Buffer): Promise<number> => {
      const conditions = [['content-length-range', 0, max]]
      const body = encodeForm(signForm(world.server, { bucket: Bucket, key, conditions }), { content })
      return connection
        .send(unsignedRequest(world.server, formRequest(Bucket, body)))
        .then(({ status }) => status)
    }
    expect(await send('one', 1000, Buffer.alloc(500))).to.equal(204)
    expect(await send('two', 1000, Buffer.alloc(30_000))).to.equal(400)
    connection.destroy()
    const next = await WireConnection.open(world.server)
    next.destroy()
  })

  it('asks for the body of a client that waits for 100 Continue', async () => {
    const body = encodeForm(signForm(world.server, { bucket: Bucket, key: 'asked' }), { content: 'x' })
    const connection = await WireConnection.open(world.server)
    const request = unsignedRequest(
      world.server,
      formRequest(Bucket, body, { headers: { expect: '100-continue' } }),
    )
    await connection.write(request.head)
    expect((await connection.read()).status).to.equal(100)
    await connection.write(body)
    expect((await connection.read('POST')).status).to.equal(204)
    connection.destroy()
  })

  async function expectNothing(Key: string): Promise<void> {
    const missing = await world.s3
      .send(new HeadObjectCommand({ Bucket, Key }))
      .catch((error: Error) => error.name)
    expect(missing).to.equal('NotFound')
  }
})
