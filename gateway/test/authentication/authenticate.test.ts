import { expect } from 'chai'
import { authenticate } from '../../src/authentication/authenticate.js'
import { S3Error } from '../../src/errors.js'
import type { Credential } from '../../src/ports.js'
import { EXAMPLE, type RequestParts, rawRequest, settings } from './raw-request.js'

const NOW_MS = Date.UTC(2013, 4, 24)
const HOST = 'examplebucket.s3.amazonaws.com'
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

type Headers = [string, string][]

function authorization(signedHeaders: string, signature: string, overrides: { scope?: string } = {}): string {
  const scope = overrides.scope ?? '20130524/us-east-1/s3/aws4_request'
  return `AWS4-HMAC-SHA256 Credential=${EXAMPLE.accessKey}/${scope},SignedHeaders=${signedHeaders},Signature=${signature}`
}

/** `GET Object` of AWS's documentation. */
function getObject(): RequestParts & { headers: Headers } {
  return {
    method: 'GET',
    target: '/test.txt',
    headers: [
      ['Host', HOST],
      [
        'Authorization',
        authorization(
          'host;range;x-amz-content-sha256;x-amz-date',
          'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
        ),
      ],
      ['Range', 'bytes=0-9'],
      ['x-amz-content-sha256', EMPTY_SHA256],
      ['x-amz-date', '20130524T000000Z'],
    ],
  }
}

const PRESIGNED =
  '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404'

async function outcome(
  parts: RequestParts,
  options: { nowMs?: number; settings?: Parameters<typeof settings>[0] } = {},
): Promise<string> {
  try {
    const raw = rawRequest(parts)
    const { principal } = await authenticate(raw, settings(options.settings), options.nowMs ?? NOW_MS)
    return principal.kind
  } catch (error) {
    if (error instanceof S3Error) return `${error.status} ${error.code}`
    throw error
  }
}

function withHeader(parts: RequestParts, name: string, value: string): RequestParts {
  const headers = parts.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase())
  return { ...parts, headers: [...headers, [name, value]] }
}

describe('authenticate', () => {
  it('accepts the published GET Object example', async () => {
    expect(await outcome(getObject())).to.equal('account')
  })

  it('accepts the published PUT Object example', async () => {
    const signature = '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd'
    const parts: RequestParts = {
      method: 'PUT',
      target: '/test%24file.text',
      headers: [
        ['Host', HOST],
        ['Date', 'Fri, 24 May 2013 00:00:00 GMT'],
        [
          'Authorization',
          authorization('date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class', signature),
        ],
        ['x-amz-date', '20130524T000000Z'],
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
        ['x-amz-content-sha256', '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072'],
      ],
    }
    expect(await outcome(parts)).to.equal('account')
    expect(await outcome({ ...parts, target: '/test$file.text' })).to.equal('account')
  })

  it('accepts the published GET Bucket Lifecycle and List Objects examples', async () => {
    for (const [query, signature] of [
      ['lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
      ['max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
    ]) {
      const headers: Headers = [
        ['Host', HOST],
        ['Authorization', authorization('host;x-amz-content-sha256;x-amz-date', signature ?? '')],
        ['x-amz-date', '20130524T000000Z'],
        ['x-amz-content-sha256', EMPTY_SHA256],
      ]
      expect(await outcome({ method: 'GET', target: `/?${query}`, headers })).to.equal('account')
    }
  })

  it('accepts the published presigned example until it expires', async () => {
    const parts: RequestParts = { method: 'GET', target: PRESIGNED, headers: [['Host', HOST]] }
    expect(await outcome(parts)).to.equal('account')
    expect(await outcome(parts, { nowMs: NOW_MS + 86_400_000 })).to.equal('account')
    expect(await outcome(parts, { nowMs: NOW_MS + 86_401_000 })).to.equal('403 AccessDenied')
    expect(await outcome(parts, { nowMs: NOW_MS - 901_000 })).to.equal('403 AccessDenied')
  })

  it('refuses a presigned life of zero, below zero, or above a week', async () => {
    for (const expires of ['0', '-1', '604801', 'x']) {
      const target = PRESIGNED.replace('Expires=86400', `Expires=${expires}`)
      const result = await outcome({ method: 'GET', target, headers: [['Host', HOST]] })
      expect(result, expires).to.equal('400 AuthorizationQueryParametersError')
    }
  })

  it('refuses a request whose signed byte was changed anywhere', async () => {
    const parts = getObject()
    const changed: [string, RequestParts][] = [
      ['method', { ...parts, method: 'HEAD' }],
      ['path', { ...parts, target: '/Test.txt' }],
      ['path with slash', { ...parts, target: '//test.txt' }],
      ['query', { ...parts, target: '/test.txt?a' }],
      ['host', withHeader(parts, 'Host', `${HOST}:80`)],
      ['range', withHeader(parts, 'Range', 'bytes=0-8')],
      ['hash', withHeader(parts, 'x-amz-content-sha256', 'UNSIGNED-PAYLOAD')],
      ['date', withHeader(parts, 'x-amz-date', '20130524T000001Z')],
    ]
    for (const [what, request] of changed) {
      expect(await outcome(request), what).to.equal('403 SignatureDoesNotMatch')
    }
  })

  it('refuses every signature that differs in one digit', async () => {
    const parts = getObject()
    const header = parts.headers[1]?.[1] ?? ''
    const start = header.indexOf('Signature=') + 'Signature='.length
    for (let at = start; at < header.length; at++) {
      const digit = header[at] === '0' ? '1' : '0'
      const flipped = header.slice(0, at) + digit + header.slice(at + 1)
      expect(await outcome(withHeader(parts, 'Authorization', flipped))).to.equal('403 SignatureDoesNotMatch')
    }
  })

  it('tells what it signed when a signature does not match', async () => {
    const raw = rawRequest({ ...getObject(), target: '/other' })
    const error = await authenticate(raw, settings(), NOW_MS).catch((thrown: unknown) => thrown)
    expect(error).to.be.instanceOf(S3Error)
    const { elements } = error as S3Error
    expect(elements.StringToSign).to.match(/^AWS4-HMAC-SHA256\n20130524T000000Z\n/)
    expect(elements.CanonicalRequest).to.match(/^GET\n\/other\n/)
  })

  it('refuses an x-amz header that is not signed, by header and by presigned query', async () => {
    const copy: [string, string] = ['x-amz-copy-source', '/secret/key']
    expect(await outcome({ ...getObject(), headers: [...getObject().headers, copy] })).to.equal(
      '403 AccessDenied',
    )
    const headers: Headers = [['Host', HOST], copy]
    expect(await outcome({ method: 'PUT', target: PRESIGNED, headers })).to.equal('403 AccessDenied')
  })

  it('refuses a clock more than 15 minutes away', async () => {
    expect(await outcome(getObject(), { nowMs: NOW_MS + 900_000 })).to.equal('account')
    expect(await outcome(getObject(), { nowMs: NOW_MS + 900_001 })).to.equal('403 RequestTimeTooSkewed')
    expect(await outcome(getObject(), { nowMs: NOW_MS - 900_001 })).to.equal('403 RequestTimeTooSkewed')
  })

  it('refuses dates that do not exist', async () => {
    for (const date of [
      '20130532T000000Z',
      '20131301T000000Z',
      '20130431T000000Z',
      '20130524T240000Z',
      '20130524T006000Z',
      '2013-05-24T00:00:00Z',
      '',
    ]) {
      expect(await outcome(withHeader(getObject(), 'x-amz-date', date)), date).to.equal('403 AccessDenied')
    }
  })

  it('refuses another region, another service and another day in the scope', async () => {
    for (const scope of [
      '20130524/eu-west-1/s3/aws4_request',
      '20130524/us-east-1/sts/aws4_request',
      '20130523/us-east-1/s3/aws4_request',
      '20130524/us-east-1/s3/aws4',
    ]) {
      const header = authorization('host;range;x-amz-content-sha256;x-amz-date', 'a'.repeat(64), { scope })
      const result = await outcome(withHeader(getObject(), 'Authorization', header))
      expect(result, scope).to.equal('400 AuthorizationHeaderMalformed')
    }
  })

  it('refuses an unknown access key', async () => {
    const result = await outcome(getObject(), { settings: { credentials: { find: () => undefined } } })
    expect(result).to.equal('403 InvalidAccessKeyId')
  })

  it('refuses when the credentials cannot be known', async () => {
    const credentials = { find: () => Promise.reject(new S3Error('ServiceUnavailable')) }
    expect(await outcome(getObject(), { settings: { credentials } })).to.equal('503 ServiceUnavailable')
  })

  it('takes a request without credentials as anonymous, but not with an empty Authorization', async () => {
    const headers: Headers = [['Host', HOST]]
    expect(await outcome({ method: 'GET', target: '/x', headers })).to.equal('anonymous')
    headers.push(['Authorization', ''])
    expect(await outcome({ method: 'GET', target: '/x', headers })).to.equal('403 AccessDenied')
  })

  it('refuses mixed, old and unknown mechanisms', async () => {
    const mixed = { ...getObject(), target: PRESIGNED }
    expect(await outcome(mixed)).to.equal('400 InvalidArgument')
    expect(await outcome(withHeader(getObject(), 'Authorization', 'AWS AKID:sig'))).to.equal(
      '400 InvalidRequest',
    )
    expect(await outcome(withHeader(getObject(), 'Authorization', 'Basic x'))).to.equal('400 InvalidArgument')
    expect(await outcome(withHeader(getObject(), 'Authorization', 'AWS4-HMAC-SHA256 x'))).to.equal(
      '400 AuthorizationHeaderMalformed',
    )
  })

  it('reads the fields of an Authorization header in any order, each of them once', async () => {
    const header = getObject().headers[1]?.[1] ?? ''
    const [credential, signed, signature] = header.slice('AWS4-HMAC-SHA256 '.length).split(',')
    const sent = (...fields: (string | undefined)[]): Promise<string> =>
      outcome(withHeader(getObject(), 'Authorization', `AWS4-HMAC-SHA256 ${fields.join(', ')}`))
    expect(await sent(signature, signed, credential)).to.equal('account')
    for (const fields of [
      [credential, signed],
      [credential, signed, signature, signature],
      [credential, signed, signature, 'X=y'],
    ]) {
      expect(await sent(...fields)).to.equal('400 AuthorizationHeaderMalformed')
    }
  })

  it('refuses a repeated Authorization header', async () => {
    const parts = getObject()
    const repeated = { ...parts, headers: [...parts.headers, parts.headers[1] ?? ['', '']] as Headers }
    expect(await outcome(repeated)).to.equal('400 InvalidRequest')
  })

  it('verifies the same when the signing key is cached, and derives it anew for another secret', async () => {
    const shared = settings()
    let credential: Credential = EXAMPLE
    const own = { ...shared, credentials: { find: () => credential } }
    await authenticate(rawRequest(getObject()), own, NOW_MS)
    await authenticate(rawRequest(getObject()), own, NOW_MS)
    credential = { ...EXAMPLE, secretKey: 'rotated' }
    const error = await authenticate(rawRequest(getObject()), own, NOW_MS).catch((thrown: unknown) => thrown)
    expect(error).to.have.property('code', 'SignatureDoesNotMatch')
  })

  it('accepts signatures for a configured endpoint, and for a forwarded host only from a trusted proxy', async () => {
    const parts = withHeader(getObject(), 'Host', 'internal:9000')
    expect(await outcome(parts)).to.equal('403 SignatureDoesNotMatch')
    expect(await outcome(parts, { settings: { publicEndpoints: [HOST] } })).to.equal('account')
    const forwarded = withHeader(parts, 'X-Forwarded-Host', HOST)
    expect(await outcome(forwarded)).to.equal('403 SignatureDoesNotMatch')
    expect(await outcome(forwarded, { settings: { trustedProxies: ['127.0.0.1'] } })).to.equal('account')
  })

  it('takes no other host that names another bucket than the one asked', async () => {
    const other = withHeader(getObject(), 'Host', 'victim.example.com')
    const own = { publicEndpoints: [HOST], domain: 'example.com' }
    expect(await outcome(other, { settings: own })).to.equal('403 SignatureDoesNotMatch')
    const pathStyle = withHeader(getObject(), 'Host', 'example.com')
    const toBucket = { publicEndpoints: [HOST], domain: HOST.slice(HOST.indexOf('.') + 1) }
    expect(await outcome(pathStyle, { settings: toBucket })).to.equal('403 SignatureDoesNotMatch')
  })

  it('demands the token of a temporary credential and honours its end', async () => {
    const temporary: Credential = { ...EXAMPLE, sessionToken: 'token', expiresMs: NOW_MS }
    const credentials = { find: () => temporary }
    expect(await outcome(getObject(), { settings: { credentials } })).to.equal('400 ExpiredToken')
    const lasting = { find: () => ({ ...temporary, expiresMs: NOW_MS + 1 }) }
    expect(await outcome(getObject(), { settings: { credentials: lasting } })).to.equal('400 InvalidToken')
  })
})
