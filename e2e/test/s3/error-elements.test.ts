/** What the documents of errors name, in the words that were recorded from AWS. */
import { createHash } from 'node:crypto'
import { PutBucketVersioningCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import type { RequestOptions } from './support/signing.js'
import { useSuite } from './support/suite.js'
import { createUpload, uploadCalls } from './support/uploads.js'
import { send } from './support/wire.js'
import { freshName } from './support/world.js'
import { expectError, text } from './support/xml.js'

const NO_SUCH_UPLOAD =
  'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.'
const PRECONDITION = 'At least one of the pre-conditions you specified did not hold'

describe('documents of errors', () => {
  const suite = useSuite('error-elements')
  const { putParts, complete } = uploadCalls(() => suite.server)

  interface Expected {
    readonly status: number
    readonly code: string
    readonly message?: string
    readonly elements: Readonly<Record<string, string | undefined>>
  }

  async function refuse(options: RequestOptions, expected: Expected): Promise<void> {
    const refused = await send(suite.server, options)
    expectError(refused, expected.status, expected.code)
    if (expected.message !== undefined) expect(text(refused.text, 'Message')).to.equal(expected.message)
    for (const [name, value] of Object.entries(expected.elements)) {
      expect(text(refused.text, name), refused.text).to.equal(value)
    }
  }

  async function stored(content = 'content'): Promise<string> {
    const path = suite.freshPath()
    expect((await send(suite.server, { method: 'PUT', path, body: content })).status).to.equal(200)
    return path
  }

  async function versionedBucket(): Promise<string> {
    const Bucket = freshName()
    await send(suite.server, { method: 'PUT', path: `/${Bucket}` })
    const VersioningConfiguration = { Status: 'Enabled' as const }
    await suite.world.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
    return Bucket
  }

  it('name the bucket', async () => {
    const missing = freshName()
    const expected = {
      status: 404,
      code: 'NoSuchBucket',
      message: 'The specified bucket does not exist',
      elements: { BucketName: missing },
    }
    for (const options of [
      { path: `/${missing}` },
      { path: `/${missing}/key` },
      { method: 'PUT', path: `/${missing}/key`, body: 'x' },
      { method: 'DELETE', path: `/${missing}` },
      { method: 'PUT', path: `/${suite.bucket}/k`, headers: { 'x-amz-copy-source': `/${missing}/key` } },
    ]) {
      await refuse(options, expected)
    }
    await refuse(
      { path: `/${suite.bucket}`, query: 'tagging' },
      { status: 404, code: 'NoSuchTagSet', elements: { BucketName: suite.bucket } },
    )
  })

  it('name a bucket that is not empty, and say where versions are what fills it', async () => {
    await stored()
    const [status, code] = [409, 'BucketNotEmpty']
    await refuse(
      { method: 'DELETE', path: `/${suite.bucket}` },
      {
        status,
        code,
        message: 'The bucket you tried to delete is not empty',
        elements: { BucketName: suite.bucket },
      },
    )
    const bucket = await versionedBucket()
    await send(suite.server, { method: 'PUT', path: `/${bucket}/key`, body: 'x' })
    await refuse(
      { method: 'DELETE', path: `/${bucket}` },
      {
        status,
        code,
        message: 'The bucket you tried to delete is not empty. You must delete all versions in the bucket.',
        elements: { BucketName: bucket },
      },
    )
  })

  it('name the key, escaped, and that of the source of a copy', async () => {
    const status = 404
    const code = 'NoSuchKey'
    await refuse({ path: `/${suite.bucket}/%3Ca%26b%3E` }, { status, code, elements: { Key: '<a&b>' } })
    const headers = { 'x-amz-copy-source': `/${suite.bucket}/absent` }
    await refuse(
      { method: 'PUT', path: `/${suite.bucket}/copy`, headers },
      { status, code, elements: { Key: 'absent' } },
    )
  })

  it('name a version that is not there, and a version id that is none', async () => {
    const bucket = await versionedBucket()
    const path = `/${bucket}/key`
    const put = await send(suite.server, { method: 'PUT', path, body: 'x' })
    const id = put.headers['x-amz-version-id'] ?? ''
    await send(suite.server, { method: 'DELETE', path, query: `versionId=${id}` })
    await refuse(
      { path, query: `versionId=${id}` },
      { status: 404, code: 'NoSuchVersion', elements: { Key: 'key', VersionId: id } },
    )
    for (const method of ['GET', 'DELETE']) {
      await refuse(
        { method, path, query: 'versionId=bad' },
        {
          status: 400,
          code: 'InvalidArgument',
          message: 'Invalid version id specified',
          elements: { ArgumentName: 'versionId', ArgumentValue: 'bad' },
        },
      )
    }
  })

  it('tell a delete marker by its version id', async () => {
    const bucket = await versionedBucket()
    const path = `/${bucket}/key`
    const marker = await send(suite.server, { method: 'DELETE', path })
    await refuse(
      { path, query: `versionId=${marker.headers['x-amz-version-id']}` },
      { status: 405, code: 'MethodNotAllowed', elements: { Method: 'GET', ResourceType: 'DeleteMarker' } },
    )
  })

  it('tell a delete marker that is current to tagging and PutObjectAcl, not to GetObjectAcl', async () => {
    const path = `/${await versionedBucket()}/key`
    const { headers } = await send(suite.server, { method: 'DELETE', path })
    const body = '<Tagging><TagSet/></Tagging>'
    for (const options of [
      { method: 'GET', path, query: 'tagging' },
      { method: 'PUT', path, query: 'tagging', body },
      { method: 'DELETE', path, query: 'tagging' },
      { method: 'PUT', path, query: 'acl', headers: { 'x-amz-acl': 'private' } },
    ]) {
      const { method } = options
      const expected = { status: 405, code: 'MethodNotAllowed' }
      await refuse(options, { ...expected, elements: { Method: method, ResourceType: 'DeleteMarker' } })
      const refused = await send(suite.server, options)
      expect(refused.headers['x-amz-version-id']).to.equal(headers['x-amz-version-id'])
      expect(refused.headers['x-amz-delete-marker']).to.equal('true')
    }
    await refuse({ path, query: 'acl' }, { status: 404, code: 'NoSuchKey', elements: { Key: 'key' } })
  })

  it('name the upload', async () => {
    const path = suite.freshPath()
    const query = 'uploadId=fakeid'
    const expected = {
      status: 404,
      code: 'NoSuchUpload',
      message: NO_SUCH_UPLOAD,
      elements: { UploadId: 'fakeid' },
    }
    await refuse({ path, query }, expected)
    await refuse({ method: 'DELETE', path, query }, expected)
    await refuse({ method: 'PUT', path, query: `${query}&partNumber=1`, body: 'x' }, expected)
  })

  it('name the upload and the part that make a Complete fail', async () => {
    const path = suite.freshPath()
    const id = await createUpload(suite.server, path)
    const [first, second] = await putParts(path, id, [Buffer.from('tiny'), Buffer.from('last')])
    if (first === undefined || second === undefined) throw new Error('two parts were put')
    const small = await complete(path, id, [first, second])
    expectError(small, 400, 'EntityTooSmall')
    expect(text(small.text, 'Message')).to.equal(
      'Your proposed upload is smaller than the minimum allowed size',
    )
    const names = ['ProposedSize', 'MinSizeAllowed', 'PartNumber', 'ETag']
    const etag = first.etag.replaceAll('"', '')
    expect(names.map((name) => text(small.text, name))).to.deep.equal(['4', '5242880', '1', etag])
    const unordered = await complete(path, id, [second, first])
    expectError(unordered, 400, 'InvalidPartOrder')
    expect(text(unordered.text, 'Message')).to.equal(
      'The list of parts was not in ascending order. Parts must be ordered by part number.',
    )
    expect(text(unordered.text, 'UploadId')).to.equal(id)
    const absent = await complete(path, id, [{ ...first, number: 5 }])
    expectError(absent, 400, 'InvalidPart')
    const found = ['UploadId', 'PartNumber', 'ETag'].map((name) => text(absent.text, name))
    expect(found).to.deep.equal([id, '5', etag])
  })

  it('name the condition that did not hold', async () => {
    const path = await stored()
    const etag = `"${createHash('md5').update('content').digest('hex')}"`
    const past = 'Sat, 01 Jan 2000 00:00:00 GMT'
    const source = { 'x-amz-copy-source': path }
    const target = `/${suite.bucket}/copy`
    for (const [condition, options] of Object.entries<RequestOptions>({
      'If-Match': { path, headers: { 'if-match': '"other"' } },
      'If-Unmodified-Since': { path, headers: { 'if-unmodified-since': past } },
      'If-None-Match': { method: 'PUT', path, headers: { 'if-none-match': '*' }, body: 'x' },
      'x-amz-copy-source-If-Match': {
        method: 'PUT',
        path: target,
        headers: { ...source, 'x-amz-copy-source-if-match': '"other"' },
      },
      'x-amz-copy-source-If-None-Match': {
        method: 'PUT',
        path: target,
        headers: { ...source, 'x-amz-copy-source-if-none-match': etag },
      },
      'x-amz-copy-source-If-Unmodified-Since': {
        method: 'PUT',
        path: target,
        headers: { ...source, 'x-amz-copy-source-if-unmodified-since': past },
      },
    })) {
      const [status, code, message] = [412, 'PreconditionFailed', PRECONDITION]
      await refuse(options, { status, code, message, elements: { Condition: condition } })
    }
    await refuse(
      { method: 'PUT', path, headers: { 'if-match': '"other"' }, body: 'x' },
      { status: 412, code: 'PreconditionFailed', elements: { Condition: 'If-Match' } },
    )
  })

  it('name the range and the part that were asked for, and what there is', async () => {
    const path = await stored('12345678')
    await refuse(
      { path, headers: { range: 'bytes=1024-4096' } },
      {
        status: 416,
        code: 'InvalidRange',
        elements: { RangeRequested: 'bytes=1024-4096', ActualObjectSize: '8' },
      },
    )
    await refuse(
      { path, query: 'partNumber=2' },
      {
        status: 416,
        code: 'InvalidPartNumber',
        elements: { PartNumberRequested: '2', ActualPartCount: '1' },
      },
    )
  })

  it('name the argument that is wrong', async () => {
    const path = await stored()
    const range = 'bytes=-1'
    for (const [options, ArgumentName, ArgumentValue, message] of [
      [
        { path, query: 'response-cache-control=%E2%80%94' },
        'response-cache-control',
        '\u2014',
        'Header value cannot be represented using ISO-8859-1.',
      ],
      [
        { path: '/', query: 'continuation-token=x' },
        'continuation-token',
        undefined,
        'The continuation token provided is incorrect',
      ],
      [
        {
          method: 'PUT',
          path,
          query: `partNumber=1&uploadId=${await createUpload(suite.server, path)}`,
          headers: { 'x-amz-copy-source': path, 'x-amz-copy-source-range': range },
        },
        'x-amz-copy-source-range',
        range,
        'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
      ],
      [
        { method: 'PUT', path, headers: { 'x-amz-tagging': 'k=1&k=2' }, body: 'x' },
        'x-amz-tagging',
        'k=1&k=2',
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      ],
      [
        { method: 'PUT', path, headers: { 'x-amz-acl': 'fake-acl' }, body: 'x' },
        'x-amz-acl',
        'fake-acl',
        undefined,
      ],
    ] as const) {
      const elements = { ArgumentName, ArgumentValue }
      const expected = { status: 400, code: 'InvalidArgument', elements }
      await refuse(options, message === undefined ? expected : { ...expected, message })
    }
  })

  it('show the digests of a body that is not what its MD5 says', async () => {
    const path = suite.freshPath()
    const md5 = (of: string): string => createHash('md5').update(of).digest('base64')
    const put = { method: 'PUT', path, body: 'content' }
    await refuse(
      { ...put, headers: { 'content-md5': md5('other') } },
      {
        status: 400,
        code: 'BadDigest',
        message: 'The Content-MD5 you specified did not match what we received.',
        elements: { ExpectedDigest: md5('other'), CalculatedDigest: md5('content') },
      },
    )
    await refuse(
      { ...put, headers: { 'content-md5': 'MTIz' } },
      { status: 400, code: 'InvalidDigest', elements: { 'Content-MD5': 'MTIz' } },
    )
  })

  it('have the words of AWS for documents and signatures that are wrong', async () => {
    await refuse(
      { method: 'PUT', path: `/${suite.bucket}`, query: 'tagging', body: '<Tagging>' },
      {
        status: 400,
        code: 'MalformedXML',
        message: 'The XML you provided was not well-formed or did not validate against our published schema',
        elements: {},
      },
    )
    const refused = await send({ ...suite.server, secretKey: 'another' }, { path: `/${suite.bucket}` })
    expectError(refused, 403, 'SignatureDoesNotMatch')
    expect(text(refused.text, 'Message')).to.equal(
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    )
  })
})
