/** CORS: the configuration, preflight requests, and the headers of actual answers. */
import { createHash } from 'node:crypto'
import {
  type CORSRule,
  CreateBucketCommand,
  DeleteBucketCorsCommand,
  GetBucketCorsCommand,
  PutBucketCorsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { encodeForm, formRequest, signForm } from './support/form.js'
import { send, sendPresigned, sendUnsigned, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, refusalOf, text } from './support/xml.js'

const PAGE = 'https://app.example.com'

const RULES: CORSRule[] = [
  {
    ID: 'app',
    AllowedOrigins: [PAGE, 'https://*.pages.example.com'],
    AllowedMethods: ['GET', 'PUT'],
    AllowedHeaders: ['Content-Type', 'x-amz-*'],
    ExposeHeaders: ['ETag', 'x-amz-version-id'],
    MaxAgeSeconds: 600,
  },
  { AllowedOrigins: ['*'], AllowedMethods: ['HEAD', 'POST'], AllowedHeaders: ['*'] },
]

describe('CORS', () => {
  let world: World
  let Bucket: string

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('cors')
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  beforeEach(async () => {
    Bucket = freshName()
    await world.s3.send(new CreateBucketCommand({ Bucket }))
  })

  async function putRules(CORSRules: CORSRule[] = RULES): Promise<void> {
    await world.s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }))
  }

  function putXml(xml: string): Promise<WireResponse> {
    const body = `<CORSConfiguration>${xml}</CORSConfiguration>`
    const headers = { 'content-md5': md5(body) }
    return send(world.server, { method: 'PUT', path: `/${Bucket}`, query: 'cors=', headers, body })
  }

  function preflight(
    origin: string,
    method: string,
    headers?: string,
    path = `/${Bucket}/key`,
  ): Promise<WireResponse> {
    return sendUnsigned(world.server, {
      method: 'OPTIONS',
      path,
      headers: {
        origin,
        'access-control-request-method': method,
        ...(headers === undefined ? {} : { 'access-control-request-headers': headers }),
      },
    })
  }

  /** Only what CORS adds. */
  function added(response: WireResponse): Record<string, string> {
    const names = Object.keys(response.headers).filter((name) => /^(?:access-control-|vary$)/.test(name))
    return Object.fromEntries(names.map((name) => [name, response.headers[name] ?? '']))
  }

  const VARY = { vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method' }
  const APP = {
    'access-control-allow-origin': PAGE,
    'access-control-allow-methods': 'GET, PUT',
    'access-control-expose-headers': 'ETag, x-amz-version-id',
    'access-control-max-age': '600',
    'access-control-allow-credentials': 'true',
    ...VARY,
  }
  const ANY = { 'access-control-allow-origin': '*', 'access-control-allow-methods': 'HEAD, POST', ...VARY }

  it('keeps the rules as they were put, and forgets them when they are deleted', async () => {
    const get = new GetBucketCorsCommand({ Bucket })
    expect(await refusalOf(world.s3.send(get))).to.deep.equal({
      code: 'NoSuchCORSConfiguration',
      status: 404,
    })
    await putRules()
    expect((await world.s3.send(get)).CORSRules).to.deep.equal(RULES)
    await putRules([{ AllowedOrigins: ['*'], AllowedMethods: ['GET'] }])
    expect((await world.s3.send(get)).CORSRules).to.have.length(1)
    await world.s3.send(new DeleteBucketCorsCommand({ Bucket }))
    await world.s3.send(new DeleteBucketCorsCommand({ Bucket }))
    expect(await refusalOf(world.s3.send(get))).to.deep.equal({
      code: 'NoSuchCORSConfiguration',
      status: 404,
    })
    const nowhere = new GetBucketCorsCommand({ Bucket: 'no-such-bucket-at-all' })
    expect(await refusalOf(world.s3.send(nowhere))).to.deep.equal({ code: 'NoSuchBucket', status: 404 })
  })

  it('refuses a document without a digest, and one that does not match', async () => {
    const body = '<CORSConfiguration/>'
    const request = { method: 'PUT', path: `/${Bucket}`, query: 'cors=', body }
    expectError(await send(world.server, request), 400, 'InvalidRequest')
    const headers = { 'content-md5': md5('other') }
    expectError(await send(world.server, { ...request, headers }), 400, 'BadDigest')
  })

  const rule = (more: string): string =>
    `<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>${more}</CORSRule>`

  const MISTAKES: Record<string, [xml: string, code: string]> = {
    'no rule': ['', 'MalformedXML'],
    'something else than a rule': [`${rule('')}<Other/>`, 'MalformedXML'],
    'a rule without origin': ['<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>', 'MalformedXML'],
    'a rule without method': ['<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>', 'MalformedXML'],
    'an unknown member': [rule('<AllowedCookies>1</AllowedCookies>'), 'MalformedXML'],
    'an empty origin': [rule('<AllowedOrigin></AllowedOrigin>'), 'MalformedXML'],
    'two wildcards in an origin': [rule('<AllowedOrigin>http://*.*</AllowedOrigin>'), 'InvalidRequest'],
    'a line end in an origin': [rule('<AllowedOrigin>http://a&#10;b</AllowedOrigin>'), 'InvalidRequest'],
    'an unknown method': [rule('<AllowedMethod>PATCH</AllowedMethod>'), 'InvalidRequest'],
    'a method in lower case': [rule('<AllowedMethod>get</AllowedMethod>'), 'InvalidRequest'],
    'two wildcards in a header': [rule('<AllowedHeader>*-*</AllowedHeader>'), 'InvalidRequest'],
    'a header that is none': [rule('<AllowedHeader>a b</AllowedHeader>'), 'InvalidRequest'],
    'a wildcard in an exposed header': [rule('<ExposeHeader>x-*</ExposeHeader>'), 'InvalidRequest'],
    'a line end in an exposed header': [
      rule('<ExposeHeader>a&#13;&#10;Set-Cookie: b</ExposeHeader>'),
      'InvalidRequest',
    ],
    'a negative age': [rule('<MaxAgeSeconds>-1</MaxAgeSeconds>'), 'MalformedXML'],
    'an age that is no number': [rule('<MaxAgeSeconds>soon</MaxAgeSeconds>'), 'MalformedXML'],
    'two ages': [rule('<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>2</MaxAgeSeconds>'), 'MalformedXML'],
    'an ID of 256 characters': [rule(`<ID>${'i'.repeat(256)}</ID>`), 'InvalidArgument'],
    'an ID twice': [rule('<ID>a</ID>') + rule('<ID>a</ID>'), 'InvalidArgument'],
    '101 rules': [rule('').repeat(101), 'InvalidRequest'],
    'no XML': ['<', 'MalformedXML'],
  }

  for (const [mistake, [xml, code]] of Object.entries(MISTAKES)) {
    it(`refuses rules with ${mistake}, and keeps the old ones`, async () => {
      await putRules()
      expectError(await putXml(xml), 400, code)
      const { CORSRules } = await world.s3.send(new GetBucketCorsCommand({ Bucket }))
      expect(CORSRules).to.deep.equal(RULES)
    })
  }

  it('takes 100 rules', async () => {
    expect((await putXml(rule('').repeat(100))).status).to.equal(200)
  })

  it('lets a preflight pass that a rule allows, without any authentication', async () => {
    await putRules()
    const plain = await preflight(PAGE, 'PUT')
    expect([plain.status, added(plain), plain.body.length]).to.deep.equal([200, APP, 0])
    const asking = await preflight(PAGE, 'PUT', 'Content-Type, X-Amz-Date,x-amz-meta-a')
    expect(added(asking)).to.deep.equal({
      ...APP,
      'access-control-allow-headers': 'content-type, x-amz-date, x-amz-meta-a',
    })
    const other = await preflight('https://a.b.pages.example.com', 'GET')
    expect(other.headers['access-control-allow-origin']).to.equal('https://a.b.pages.example.com')
    expect(added(await preflight('null', 'POST', 'anything'))).to.deep.equal({
      ...ANY,
      'access-control-allow-headers': 'anything',
    })
    const onBucket = await preflight(PAGE, 'GET', undefined, `/${Bucket}`)
    expect(onBucket.status).to.equal(200)
  })

  it('refuses a preflight that no rule allows, and says nothing of the origin', async () => {
    await putRules()
    const refused = [
      await preflight('https://app.example.com.evil.example', 'PUT'),
      await preflight('http://app.example.com', 'PUT'),
      await preflight('https://pages.example.com', 'GET'),
      await preflight(PAGE, 'DELETE'),
      await preflight(PAGE, 'PUT', 'content-type, x-other'),
    ]
    for (const response of refused) {
      expectError(response, 403, 'AccessForbidden')
      expect(added(response)).to.deep.equal(VARY)
    }
  })

  it('refuses a preflight where there are no rules, or no bucket', async () => {
    const unset = 'CORSResponse: CORS is not enabled for this bucket.'
    for (const [path, message] of [
      [`/${Bucket}/key`, unset],
      [`/${Bucket}`, unset],
      ['/', unset],
      ['/no-such-bucket-at-all/key', 'CORSResponse: Bucket not found'],
    ] as const) {
      const response = await preflight(PAGE, 'GET', undefined, path)
      expectError(response, 403, 'AccessForbidden')
      expect(text(response.text, 'Message')).to.equal(message)
      expect([text(response.text, 'Method'), text(response.text, 'ResourceType')]).to.deep.equal([
        'GET',
        'BUCKET',
      ])
    }
    const options = { method: 'OPTIONS', path: `/${Bucket}`, headers: { origin: PAGE } }
    const methodless = await sendUnsigned(world.server, options)
    expectError(methodless, 403, 'AccessForbidden')
    expect(text(methodless.text, 'Method')).to.equal('OPTIONS')
  })

  it('says whether the bucket or an object is what a page may not touch', async () => {
    await putRules()
    for (const [path, resource] of [
      [`/${Bucket}`, 'BUCKET'],
      [`/${Bucket}/key`, 'OBJECT'],
    ] as const) {
      const response = await preflight('https://other.example', 'PUT', undefined, path)
      expectError(response, 403, 'AccessForbidden')
      expect(text(response.text, 'ResourceType')).to.equal(resource)
    }
  })

  it('refuses a preflight that does not say what it is about', async () => {
    await putRules()
    const options = { method: 'OPTIONS', path: `/${Bucket}/key` }
    const asks = { 'access-control-request-method': 'GET' }
    expectError(await sendUnsigned(world.server, options), 400, 'BadRequest')
    expectError(await sendUnsigned(world.server, { ...options, headers: asks }), 400, 'BadRequest')
    expectError(
      await sendUnsigned(world.server, { ...options, headers: { origin: PAGE } }),
      400,
      'BadRequest',
    )
  })

  it('marks answers for the page that asks, successes and errors', async () => {
    await putRules()
    await world.s3.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'x' }))
    const get = (path: string, origin: string): Promise<WireResponse> =>
      send(world.server, { path, headers: { origin } })
    const ok = await get(`/${Bucket}/key`, PAGE)
    expect([ok.status, added(ok)]).to.deep.equal([200, APP])
    const missing = await get(`/${Bucket}/missing`, PAGE)
    expect([missing.status, added(missing)]).to.deep.equal([404, APP])
    const anonymous = await sendUnsigned(world.server, { path: `/${Bucket}/key`, headers: { origin: PAGE } })
    expect([anonymous.status, added(anonymous)]).to.deep.equal([403, APP])
    expect(added(await get(`/${Bucket}/key`, 'https://evil.example'))).to.deep.equal(VARY)
    const head = await send(world.server, {
      method: 'HEAD',
      path: `/${Bucket}/key`,
      headers: { origin: 'https://evil.example' },
    })
    expect(added(head)).to.deep.equal(ANY)
    expect(added(await send(world.server, { path: `/${Bucket}/key` }))).to.deep.equal({})
    expect(added(await get('/no-such-bucket-at-all/key', PAGE))).to.deep.equal({})
  })

  it('adds nothing in a bucket without rules', async () => {
    const response = await send(world.server, { path: `/${Bucket}/key`, headers: { origin: PAGE } })
    expect([response.status, added(response)]).to.deep.equal([404, {}])
  })

  it('sees a change of the rules at once', async () => {
    const state = async (): Promise<number> => (await preflight(PAGE, 'PUT')).status
    for (let round = 0; round < 20; round++) {
      await putRules()
      expect(await state()).to.equal(200)
      await world.s3.send(new DeleteBucketCorsCommand({ Bucket }))
      expect(await state()).to.equal(403)
    }
  })

  it('works with presigned PUT and GET, and with forms', async () => {
    await putRules()
    const path = `/${Bucket}/presigned`
    const extra = { origin: PAGE }
    const put = await sendPresigned(world.server, { method: 'PUT', path, body: 'by URL', extra })
    expect([put.status, added(put)]).to.deep.equal([200, APP])
    const get = await sendPresigned(world.server, { path, extra })
    expect([get.text, added(get)]).to.deep.equal(['by URL', APP])
    const expired = await sendPresigned(world.server, {
      path,
      extra,
      expires: '1',
      atMs: Date.now() - 60_000,
    })
    expect([expired.status, added(expired)]).to.deep.equal([403, APP])
    const body = encodeForm(signForm(world.server, { bucket: Bucket, key: 'form' }), { content: 'by form' })
    const posted = await sendUnsigned(world.server, formRequest(Bucket, body, { headers: { origin: PAGE } }))
    expect([posted.status, added(posted)]).to.deep.equal([204, ANY])
    const refused = await sendUnsigned(
      world.server,
      formRequest(Bucket, body.subarray(0, 50), { headers: { origin: PAGE } }),
    )
    expect([refused.status, added(refused)]).to.deep.equal([400, ANY])
  })
})

function md5(body: string): string {
  return createHash('md5').update(body).digest('base64')
}
