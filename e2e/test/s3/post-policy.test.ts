/** Forms that must be refused: each condition violated, each mistake in policy, signature and form. */
import { CreateBucketCommand, HeadObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import {
  BOUNDARY,
  changed,
  encodeForm,
  type Field,
  filePart,
  formRequest,
  part,
  postBody,
  postForm,
  signedHeaders,
  signForm,
} from './support/form.js'
import { CONDITIONS, DOCUMENTS, FIELDS, type Refused, SIGNATURES } from './support/refused-forms.js'
import { unsignedRequest } from './support/signing.js'
import { WireConnection, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text } from './support/xml.js'

const ten = { content: '0123456789' }

describe('forms that are refused', () => {
  let world: World
  const Bucket = freshName()
  const key = 'key'

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('post-policy')
    await world.s3.send(new CreateBucketCommand({ Bucket }))
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  afterEach(async () => {
    const { Contents = [] } = await world.s3.send(new ListObjectsV2Command({ Bucket }))
    expect(Contents.map(({ Key }) => Key)).to.deep.equal([])
  })

  function sendRefused({
    options = {},
    changes = {},
    file = { content: 'x' },
  }: Refused): Promise<WireResponse> {
    const fields = changed(signForm(world.server, { bucket: Bucket, key, ...options }), changes)
    return postBody(world.server, Bucket, encodeForm(fields, file))
  }

  for (const [group, table] of Object.entries({ CONDITIONS, DOCUMENTS, SIGNATURES, FIELDS })) {
    for (const [name, refused] of Object.entries(table)) {
      it(`${group.toLowerCase()}: ${name}`, async () => {
        expectError(await sendRefused(refused), refused.status, refused.code)
      })
    }
  }

  it('by name, where a policy does not hold', async () => {
    const failed = await sendRefused(CONDITIONS['an eq condition that fails'] as Refused)
    expect(text(failed.text, 'Message')).to.equal(
      'Invalid according to Policy: Policy Condition failed: ["eq","$key","other"]',
    )
    const extra = await sendRefused(CONDITIONS['a field that no condition covers'] as Refused)
    expect(text(extra.text, 'Message')).to.equal(
      'Invalid according to Policy: Extra input fields: x-amz-meta-extra',
    )
  })

  it('of an unknown access key', async () => {
    const nobody = { ...world.server, accessKey: 'AKIANOBODY' }
    expectError(await postForm(nobody, { bucket: Bucket, key }), 403, 'InvalidAccessKeyId')
  })

  it('of nobody at all', async () => {
    expectError(
      await postBody(world.server, Bucket, encodeForm([['key', key]], { content: 'x' })),
      403,
      'AccessDenied',
    )
  })

  it('of a bucket that does not exist', async () => {
    expectError(await postForm(world.server, { bucket: 'no-such-bucket-here', key }), 404, 'NoSuchBucket')
  })

  it('with a signature in the head or in the query beside that of the form', async () => {
    const body = encodeForm(signForm(world.server, { bucket: Bucket, key }), { content: 'x' })
    const authorization = signedHeaders(world.server, formRequest(Bucket, body))
    const inHead = await postBody(world.server, Bucket, body, { headers: { authorization } })
    expectError(inHead, 400, 'InvalidArgument')
    const query = 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=x'
    const inQuery = await postBody(world.server, Bucket, body, { query })
    expectError(inQuery, 400, 'InvalidArgument')
  })

  it('by no header of the request: only fields decide what is stored', async () => {
    const body = encodeForm(changed(signForm(world.server, { bucket: Bucket, key }), { 'x-amz-date': 'x' }), {
      content: 'x',
    })
    const headers = { 'x-amz-copy-source': '/other/secret', 'x-amz-date': '20260101T000000Z' }
    expectError(
      await postBody(world.server, Bucket, body, { headers }),
      400,
      'AuthorizationQueryParametersError',
    )
  })

  const END = `--${BOUNDARY}--\r\n`

  /** Bodies that are no form, made of the fields of one that would be taken. */
  const BODIES: Record<string, (fields: readonly Field[]) => [Buffer, status: number, code: string]> = {
    'without a file': (fields) => [encodeForm(fields), 400, 'InvalidArgument'],
    'with two files': (fields) => [encodeForm(fields, ten, ten), 400, 'InvalidArgument'],
    'with a file under another name': (fields) => [
      encodeForm(fields, { ...ten, name: 'a', field: 'upload' }),
      400,
      'InvalidArgument',
    ],
    'with a field twice': (fields) => [
      encodeForm([...fields, ['KEY', 'other']], ten),
      400,
      'InvalidArgument',
    ],
    'with 201 fields': (fields) => [
      encodeForm([...fields, ...Array.from({ length: 201 }, (_, at): Field => [`x-ignore-${at}`, ''])], ten),
      400,
      'MaxPostPreDataLengthExceededError',
    ],
    'with an endless name': (fields) => [
      encodeForm([...fields, [`x-ignore-${'n'.repeat(3000)}`, '']], ten),
      400,
      'MaxPostPreDataLengthExceededError',
    ],
    'with a field named like a member of every object': (fields) => [
      encodeForm([...fields, ['constructor', 'x'], ['__proto__', 'x']], ten),
      400,
      'MalformedPOSTRequest',
    ],
    'that ends within the file': (fields) => [
      encodeForm(fields, ten).subarray(0, -END.length - 4),
      400,
      'MalformedPOSTRequest',
    ],
    'that ends before its last boundary': (fields) => [
      encodeForm(fields, ten).subarray(0, -END.length),
      400,
      'MalformedPOSTRequest',
    ],
    'that ends within a field': (fields) => [
      encodeForm(fields).subarray(0, 100),
      400,
      'MalformedPOSTRequest',
    ],
    'that is empty': () => [Buffer.alloc(0), 400, 'InvalidArgument'],
    'that is no form': () => [Buffer.from('a=b&c=d'), 400, 'MalformedPOSTRequest'],
    'whose key is not UTF-8': (fields) => [
      Buffer.concat([
        encodeForm(changed(fields, { key: undefined })).subarray(0, -END.length),
        part('name="key"', Buffer.from([0x61, 0xff])),
        filePart(ten),
        Buffer.from(END),
      ]),
      400,
      'InvalidArgument',
    ],
    'with a field of JSON': (fields) => [
      Buffer.concat([
        Buffer.from(
          `--${BOUNDARY}\r\nContent-Disposition: form-data; name="x-ignore-a"\r\nContent-Type: application/json\r\n\r\n{}\r\n`,
        ),
        encodeForm(fields, ten),
      ]),
      400,
      'MalformedPOSTRequest',
    ],
  }

  for (const [name, make] of Object.entries(BODIES)) {
    it(`with a body ${name}`, async () => {
      const [body, status, code] = make(signForm(world.server, { bucket: Bucket, key }))
      expectError(await postBody(world.server, Bucket, body), status, code)
    })
  }

  const TYPES: Record<string, [status: number, code: string]> = {
    'multipart/form-data': [400, 'MalformedPOSTRequest'],
    'multipart/form-data; boundary=': [400, 'InvalidArgument'],
    'multipart/form-data; boundary=other': [400, 'MalformedPOSTRequest'],
    'multipart/form-data;;;=': [400, 'MalformedPOSTRequest'],
    'application/x-www-form-urlencoded': [412, 'PreconditionFailed'],
    'text/plain': [412, 'PreconditionFailed'],
    '': [412, 'PreconditionFailed'],
  }

  for (const [type, [status, code]] of Object.entries(TYPES)) {
    it(`with the content type "${type}"`, async () => {
      const body = encodeForm(signForm(world.server, { bucket: Bucket, key }), ten)
      expectError(
        await postBody(world.server, Bucket, body, { headers: { 'content-type': type } }),
        status,
        code,
      )
    })
  }

  it('on an object', async () => {
    const body = encodeForm(signForm(world.server, { bucket: Bucket, key }), ten)
    const response = await postBody(world.server, Bucket, body, { path: `/${Bucket}/key` })
    expect(response.status).to.be.oneOf([403, 405])
  })

  it('while the file still flows: nothing is read beyond the range', async function () {
    this.timeout(60_000)
    const connection = await WireConnection.open(world.server)
    const options = { bucket: Bucket, key, conditions: [['content-length-range', 0, 1_000_000]] }
    const head = encodeForm(signForm(world.server, options)).subarray(0, -END.length)
    const fileHead = Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n\r\n`)
    const headers = { 'content-length': String(8 * 1024 ** 3) }
    await connection.write(
      unsignedRequest(world.server, formRequest(Bucket, Buffer.alloc(0), { headers })).head,
    )
    await connection.write(Buffer.concat([head, fileHead, Buffer.alloc(1_100_000)]))
    expectError(await connection.read('POST'), 400, 'EntityTooLarge')
    connection.destroy()
  })

  it('when they are cut off at every KiB', async function () {
    this.timeout(60_000)
    const fields = signForm(world.server, { bucket: Bucket, key })
    const body = encodeForm(fields, { content: Buffer.alloc(64 * 1024, 'x') })
    const { head } = unsignedRequest(world.server, formRequest(Bucket, body))
    for (let sizeBytes = 0; sizeBytes < body.length; sizeBytes += 1024) {
      const connection = await WireConnection.open(world.server)
      await connection.write(Buffer.concat([head, body.subarray(0, sizeBytes)]))
      connection.destroy()
    }
    const gone = await world.s3
      .send(new HeadObjectCommand({ Bucket, Key: key }))
      .catch((error: Error) => error.name)
    expect(gone).to.equal('NotFound')
  })
})
