/** Requests that say more than their operation has, or say it wrongly: each is refused by name and changes nothing. */
import { expect } from 'chai'
import { base64Digest } from './support/digests.js'
import { unsignedFrames } from './support/signing.js'
import { useSuite } from './support/suite.js'
import { createUpload, putPart, uploadCalls } from './support/uploads.js'
import { send } from './support/wire.js'
import { freshName } from './support/world.js'
import { expectError, text, texts } from './support/xml.js'

const CONTENT = 'content'
const SUM = base64Digest('CRC32', Buffer.from(CONTENT))
const ZERO_SHA1 = Buffer.alloc(20).toString('base64')

interface Refused {
  readonly what: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: string
  readonly expected: readonly [status: number, code: string]
}

const SOURCE = { 'x-amz-copy-source': '/bucket/key' }

const ON_A_KEY: readonly Refused[] = [
  { what: 'a copy with a body', headers: SOURCE, body: 'x', expected: [400, 'InvalidRequest'] },
  { what: 'a read from a copy source', method: 'GET', headers: SOURCE, expected: [400, 'InvalidArgument'] },
  {
    what: 'a delete of a copy source',
    method: 'DELETE',
    headers: SOURCE,
    expected: [400, 'InvalidArgument'],
  },
  {
    what: 'a piece of a body',
    headers: { 'content-range': 'bytes 0-0/7' },
    body: 'x',
    expected: [501, 'NotImplemented'],
  },
  {
    what: 'a redirect that leads nowhere',
    headers: { 'x-amz-website-redirect-location': 'elsewhere' },
    body: 'x',
    expected: [400, 'InvalidRedirectLocation'],
  },
  {
    what: 'a checksum of no known algorithm',
    headers: { 'x-amz-checksum-sha10': 'AAAA' },
    body: 'x',
    expected: [400, 'InvalidRequest'],
  },
  {
    what: 'the name of an algorithm without a checksum',
    headers: { 'x-amz-sdk-checksum-algorithm': 'CRC32' },
    body: 'x',
    expected: [400, 'InvalidRequest'],
  },
  ...['public-read', 'bucket-owner-read'].map(
    (acl): Refused => ({
      what: `the ACL ${acl}`,
      headers: { 'x-amz-acl': acl },
      body: 'x',
      expected: [400, 'AccessControlListNotSupported'],
    }),
  ),
  {
    what: 'an ACL that S3 does not have',
    headers: { 'x-amz-acl': 'nobody' },
    body: 'x',
    expected: [400, 'InvalidArgument'],
  },
  {
    what: 'a canned ACL beside grants',
    headers: { 'x-amz-acl': 'private', 'x-amz-grant-read': 'id="a"' },
    body: 'x',
    expected: [400, 'InvalidRequest'],
  },
  ...['192.0.2.1/key', 'Bucket/key', 'a..b/key', 'bucket/%zz'].map(
    (source): Refused => ({
      what: `the copy source ${source}`,
      headers: { 'x-amz-copy-source': source },
      expected: [400, 'InvalidArgument'],
    }),
  ),
  ...['a=1&a=2', '=b', 'a%'].map(
    (tags): Refused => ({
      what: `the tags ${tags}`,
      headers: { 'x-amz-tagging': tags },
      body: 'x',
      expected: [400, 'InvalidArgument'],
    }),
  ),
  ...['""', ''].map(
    (etag): Refused => ({
      what: `If-Match with the ETag ${etag || 'left out'}`,
      headers: { 'if-match': etag },
      body: 'x',
      expected: [412, 'PreconditionFailed'],
    }),
  ),
  {
    what: 'If-None-Match with no ETag',
    headers: { 'if-none-match': '' },
    body: 'x',
    expected: [501, 'NotImplemented'],
  },
  {
    what: 'a delete with an empty ETag',
    method: 'DELETE',
    headers: { 'if-match': '""' },
    expected: [412, 'PreconditionFailed'],
  },
]

describe('refused requests', () => {
  const suite = useSuite('refused-requests')
  const { complete } = uploadCalls(() => suite.server)

  for (const { what, method = 'PUT', expected, ...request } of ON_A_KEY) {
    it(`are those with ${what}`, async () => {
      const path = suite.freshPath()
      expect((await send(suite.server, { method: 'PUT', path, body: CONTENT })).status).to.equal(200)
      expectError(await send(suite.server, { method, path, ...request }), ...expected)
      const after = await send(suite.server, { path })
      expect([after.text, after.headers['x-amz-website-redirect-location']]).to.deep.equal([
        CONTENT,
        undefined,
      ])
    })
  }

  it('are those that name a version for what makes one, but not those with words for the access log', async () => {
    const path = `/${suite.bucket}/versions`
    await send(suite.server, { method: 'PUT', path, body: 'before' })
    const refused = await send(suite.server, {
      method: 'PUT',
      path,
      query: 'versionId=null',
      body: 'after',
    })
    expectError(refused, 400, 'InvalidArgument')
    expect(text(refused.text, 'Message')).to.equal('This operation does not accept a version-id.')
    expect(text(refused.text, 'ArgumentValue')).to.equal('null')
    expect((await send(suite.server, { path, query: 'x-user=someone' })).text).to.equal('before')
    const logged = await send(suite.server, {
      method: 'PUT',
      path,
      query: 'x-user=someone',
      body: 'logged',
    })
    expect(logged.status, logged.text).to.equal(200)
    expect((await send(suite.server, { path })).text).to.equal('logged')
  })

  it('are trailers that carry no checksum', async () => {
    for (const name of ['x-amz-checksum-sha10', 'x-amz-meta-color', 'etag']) {
      const path = suite.freshPath()
      const response = await send(suite.server, {
        method: 'PUT',
        path,
        headers: { 'x-amz-decoded-content-length': '7', 'x-amz-trailer': name },
        payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        body: unsignedFrames([Buffer.from(CONTENT)], { [name]: SUM }),
      })
      expectError(response, 400, 'InvalidRequest')
      expectError(await send(suite.server, { path }), 404, 'NoSuchKey')
    }
  })

  it('are frames whose decoded length is no number', async () => {
    for (const length of ['seven', '7x', '']) {
      const path = suite.freshPath()
      const response = await send(suite.server, {
        method: 'PUT',
        path,
        headers: { 'x-amz-decoded-content-length': length },
        payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        body: unsignedFrames([Buffer.from(CONTENT)], {}),
      })
      expectError(response, 411, 'MissingContentLength')
      expectError(await send(suite.server, { path }), 404, 'NoSuchKey')
    }
  })

  it('are Completes with a part number that none can have', async () => {
    const path = suite.freshPath()
    const id = await createUpload(suite.server, path)
    const put = await putPart(suite.server, { path, id, number: 1, content: Buffer.from(CONTENT) })
    for (const number of [-4, 0, 10_001]) {
      expectError(await complete(path, id, [{ ...put, number }]), 400, 'InvalidArgument')
    }
  })

  it('are buckets with an ownership that S3 does not have, or with an ACL that grants', async () => {
    const path = `/${freshName()}`
    const cases = [
      [{ 'x-amz-object-ownership': 'Nobody' }, 400, 'InvalidArgument'],
      [{ 'x-amz-object-ownership': 'ObjectWriter' }, 501, 'NotImplemented'],
      [{ 'x-amz-acl': 'public-read' }, 400, 'InvalidBucketAclWithObjectOwnership'],
      [{ 'x-amz-grant-read': 'id="a"' }, 400, 'InvalidBucketAclWithObjectOwnership'],
      [{ 'x-amz-acl': 'nobody' }, 400, 'InvalidArgument'],
    ] as const
    for (const [headers, status, code] of cases) {
      expectError(await send(suite.server, { method: 'PUT', path, headers }), status, code)
    }
    expectError(await send(suite.server, { path }), 404, 'NoSuchBucket')
  })

  it('are parts without a number: an upload itself cannot be put', async () => {
    const path = suite.freshPath()
    const id = await createUpload(suite.server, path)
    const response = await send(suite.server, { method: 'PUT', path, query: `uploadId=${id}`, body: 'x' })
    expectError(response, 405, 'MethodNotAllowed')
    expect((response.headers.allow ?? '').split(', ').sort()).to.deep.equal(['DELETE', 'GET', 'POST'])
  })

  it('are ETags left empty in a list of keys to delete', async () => {
    const path = suite.freshPath()
    await send(suite.server, { method: 'PUT', path, body: CONTENT })
    const key = path.slice(`/${suite.bucket}/`.length)
    const body = `<Delete><Object><Key>${key}</Key><ETag></ETag></Object></Delete>`
    const answer = await send(suite.server, {
      method: 'POST',
      path: `/${suite.bucket}`,
      query: 'delete',
      body,
    })
    expect(texts(answer.text, 'Code')).to.deep.equal(['PreconditionFailed'])
    expect((await send(suite.server, { path })).text).to.equal(CONTENT)
  })

  it('are Completes with several checksums, or with what is none', async () => {
    const path = suite.freshPath()
    const id = await createUpload(suite.server, path, { 'x-amz-checksum-algorithm': 'CRC32' })
    const headers = { 'x-amz-checksum-crc32': SUM }
    const put = await putPart(suite.server, { path, id, number: 1, content: Buffer.from(CONTENT), headers })
    const part = { ...put, checksum: ['ChecksumCRC32', SUM] as const }
    const ofObject = [
      { 'x-amz-checksum-crc32': SUM, 'x-amz-checksum-sha1': ZERO_SHA1 },
      { 'x-amz-checksum-crc32': 'none' },
      { 'x-amz-checksum-crc32': 'none-1' },
    ]
    for (const given of ofObject) {
      expectError(await complete(path, id, [part], given), 400, 'InvalidRequest')
    }
    const none = { ...put, checksum: ['ChecksumCRC32', 'none'] as const }
    expectError(await complete(path, id, [none]), 400, 'InvalidArgument')
    const several = `${SUM}</ChecksumCRC32><ChecksumSHA1>${ZERO_SHA1}</ChecksumSHA1><ChecksumCRC32>`
    const twice = { ...put, checksum: ['ChecksumCRC32', several] as const }
    expectError(await complete(path, id, [twice]), 400, 'InvalidArgument')
    const good = await complete(path, id, [part])
    expect(good.status, good.text).to.equal(200)
  })

  it('are buckets of kinds that are not built', async () => {
    const path = `/${freshName()}`
    const namespaced = { method: 'PUT', path, headers: { 'x-amz-bucket-namespace': 'account-regional' } }
    expectError(await send(suite.server, namespaced), 501, 'NotImplemented')
    for (const content of [
      '<Bucket><Type>Directory</Type></Bucket>',
      '<Location><Name>a</Name></Location>',
    ]) {
      const body = `<CreateBucketConfiguration>${content}</CreateBucketConfiguration>`
      expectError(await send(suite.server, { method: 'PUT', path, body }), 501, 'NotImplemented')
    }
    const tagged = (tags: string): string =>
      `<CreateBucketConfiguration><Tags>${tags}</Tags></CreateBucketConfiguration>`
    const broken = tagged('<Tag><Key></Key><Value>1</Value></Tag>')
    expectError(await send(suite.server, { method: 'PUT', path, body: broken }), 400, 'InvalidTag')
    expectError(await send(suite.server, { path }), 404, 'NoSuchBucket')
    const body = tagged('<Tag><Key>color</Key><Value>red</Value></Tag>')
    expect((await send(suite.server, { method: 'PUT', path, body })).status).to.equal(200)
    const shown = await send(suite.server, { path, query: 'tagging' })
    expect([text(shown.text, 'Key'), text(shown.text, 'Value')]).to.deep.equal(['color', 'red'])
  })
})
