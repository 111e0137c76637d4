/**
 * Signature Version 2: HMAC-SHA1 over method, a few headers, all `x-amz-*` headers and the resource. Old clients and
 * presigners know no other. It covers neither the body nor most query parameters, so whatever could turn a request
 * into another one without being covered is refused. Off unless a switch turns it on.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { S3Error } from '../errors.js'
import { PLAIN_PARAMETERS } from '../http/plain-parameters.js'
import type { Query } from '../http/query.js'
import type { RequestHeaders } from '../operations/types.js'

/** An unverified claim; well formed, nothing more. */
export interface Version2Claim {
  readonly kind: 'header' | 'presigned'
  readonly accessKey: string
  /** Base64 as sent. */
  readonly signature: string
  /** The fourth line of what is signed: a date, or the time of expiry. */
  readonly dateLine: string
  /** When it was signed; presigned, when it expires. */
  readonly timeMs: number
}

/** What is signed besides the headers. */
export interface Version2Request {
  readonly method: string
  /** As sent. */
  readonly rawPath: string
  /** The bucket that the host names, if it does. */
  readonly virtualBucket: string | undefined
  readonly query: Query
  /** Those of a presigned query among them. */
  readonly headers: RequestHeaders
}

const SCHEME = 'AWS '

/** Parameters that are part of the resource. */
const SIGNED_PARAMETERS: ReadonlySet<string> = new Set([
  'accelerate',
  'acl',
  'analytics',
  'cors',
  'delete',
  'inventory',
  'lifecycle',
  'location',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'partNumber',
  'policy',
  'replication',
  'requestPayment',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
  'restore',
  'select',
  'select-type',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versionId',
  'versioning',
  'versions',
  'website',
])

/** Parameters that nobody signs: they may be changed, but never turn a request into one for something else. */
const UNSIGNED_PARAMETERS: ReadonlySet<string> = new Set([...PLAIN_PARAMETERS, 'list-type'])

/** Whether the query carries a signature of this version. */
export function isPresignedVersion2(query: Query): boolean {
  return query.has('Signature') || query.has('AWSAccessKeyId')
}

/** `undefined` for a request that claims none of this version. Throws `S3Error` for mixed or malformed ones. */
export function readVersion2Claim(headers: RequestHeaders, query: Query): Version2Claim | undefined {
  const inHeader = headers.authorization?.startsWith(SCHEME) === true
  const inQuery = isPresignedVersion2(query)
  if (!inHeader && !inQuery) return undefined
  const others = query.has('X-Amz-Signature') || query.has('X-Amz-Algorithm')
  if (others || (inQuery && headers.authorization !== undefined)) {
    throw new S3Error('InvalidArgument', 'Only one auth mechanism allowed.')
  }
  return inQuery ? readPresigned(query) : readHeader(headers, headers.authorization ?? '')
}

function readHeader(headers: RequestHeaders, authorization: string): Version2Claim {
  const text = authorization.slice(SCHEME.length).trim()
  const colon = text.lastIndexOf(':')
  if (colon < 1) throw new S3Error('InvalidArgument', 'AWS authorization header is invalid.')
  const amzDate = headers['x-amz-date']
  const timeMs = readTime(amzDate ?? headers.date)
  return {
    kind: 'header',
    accessKey: text.slice(0, colon),
    signature: text.slice(colon + 1),
    dateLine: amzDate === undefined ? (headers.date ?? '') : '',
    timeMs,
  }
}

function readTime(date: string | undefined): number {
  const compact = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/
  const timeMs = Date.parse((date ?? '').replace(compact, '$1-$2-$3T$4:$5:$6Z'))
  if (!Number.isNaN(timeMs)) return timeMs
  throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header')
}

function readPresigned(query: Query): Version2Claim {
  const [accessKey, signature, expires] = ['AWSAccessKeyId', 'Signature', 'Expires'].map((name) => {
    const values = query.parameters.filter((parameter) => parameter.name === name)
    if (values.length === 1 && values[0]?.value !== '') return values[0]?.value ?? ''
    throw new S3Error(
      'AccessDenied',
      'Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters',
    )
  }) as [string, string, string]
  if (!/^\d{1,11}$/.test(expires)) {
    throw new S3Error('AccessDenied', `Invalid date (should be seconds since epoch): ${expires}`)
  }
  return {
    kind: 'presigned',
    accessKey,
    signature,
    dateLine: expires,
    timeMs: Number(expires) * 1000,
  }
}

/**
 * What may have been signed, the likeliest first: clients sign a bucket as `/bucket/`, whether they send the slash or
 * not. Throws `InvalidRequest` for a parameter that is not covered although it changes what is asked for.
 */
export function stringsToSignVersion2(
  claim: Version2Claim,
  request: Version2Request,
): readonly [string, ...string[]] {
  const { rawPath, virtualBucket } = request
  const asSent = stringToSign(claim, request)
  const isBareBucket = virtualBucket === undefined && rawPath.lastIndexOf('/') === 0 && rawPath.length > 1
  return isBareBucket ? [stringToSign(claim, { ...request, rawPath: `${rawPath}/` }), asSent] : [asSent]
}

function stringToSign(claim: Version2Claim, request: Version2Request): string {
  const { method, headers } = request
  const md5 = headers['content-md5'] ?? ''
  const type = headers['content-type'] ?? ''
  const lines = [method, md5.trim(), type.trim(), claim.dateLine]
  return `${lines.join('\n')}\n${canonicalHeaders(headers)}${canonicalResource(request)}`
}

function canonicalHeaders(headers: RequestHeaders): string {
  return Object.keys(headers)
    .filter((name) => name.startsWith('x-amz-') && headers[name] !== undefined)
    .sort()
    .map((name) => `${name}:${headers[name]?.trim()}\n`)
    .join('')
}

function canonicalResource({ rawPath, virtualBucket, query }: Version2Request): string {
  const signed: string[] = []
  for (const { name, value } of query.parameters) {
    // Signed are the bytes, as of a header: cut to one each, other characters would pass for those that were signed.
    if (SIGNED_PARAMETERS.has(name)) signed.push(value === '' ? name : `${name}=${latin1(value)}`)
    else if (!UNSIGNED_PARAMETERS.has(name) && !name.startsWith('x-amz-')) throw uncovered(name)
  }
  const path = virtualBucket === undefined ? rawPath : `/${virtualBucket}${rawPath}`
  return signed.length === 0 ? path : `${path}?${signed.sort().join('&')}`
}

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1')
}

function uncovered(name: string): S3Error {
  return new S3Error(
    'InvalidRequest',
    `Signature Version 2 does not cover the parameter ${name}. Please use AWS4-HMAC-SHA256.`,
  )
}

/** Whether `signature`, in base64, is the HMAC-SHA1 of the text. Takes as long for every signature that is not. */
export function hasSignedVersion2(secretKey: string, text: string, signature: string): boolean {
  const expected = createHmac('sha1', secretKey).update(text, 'latin1').digest()
  const claimed = Buffer.alloc(expected.length)
  const sent = Buffer.from(signature, 'base64')
  sent.copy(claimed)
  return timingSafeEqual(expected, claimed) && sent.length === expected.length
}
