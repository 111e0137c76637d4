/**
 * The header map of a request, made from the raw list in one pass. Node joins, drops or prefers the first of
 * repeated headers as it sees fit; whatever could be read in two ways is refused here instead.
 */
import { isPresignedVersion2 } from '../authentication/signature-version-2.js'
import { S3Error } from '../errors.js'
import { HEADER_BYTES_MAX, HEADERS_MAX } from '../limits.js'
import type { RequestHeaders } from '../operations/types.js'
import type { Query } from './query.js'

/** Headers that are no lists and may come once at most: two of them mean two readings of one request. */
const SINGLE: ReadonlySet<string> = new Set([
  'authorization',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'expect',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
  'range',
  'transfer-encoding',
  'x-amz-content-sha256',
  'x-amz-copy-source',
  'x-amz-copy-source-range',
  'x-amz-date',
  'x-amz-decoded-content-length',
  'x-amz-expected-bucket-owner',
  'x-amz-security-token',
])

/** Query parameters of a presigned URL that are about the signature and are no headers. */
const SIGNATURE_PARAMETERS: ReadonlySet<string> = new Set([
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-expires',
  'x-amz-signature',
  'x-amz-signedheaders',
])

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about.
const CONTROL = /[\u0000-\u001f\u007f]/

/** A header name of HTTP, in lower case: what is stored under another could never be answered. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/** What header maps inherit from: an object made from `null` itself would be a hash table, which is slow to walk. */
const NOTHING: object = Object.freeze(Object.create(null))

/** All headers of a request in one map, with what there is to say against it. */
export interface JoinedHeaders {
  /** Those that were repeated are joined by `,`. Of more than HEADERS_MAX, the first ones. */
  readonly headers: Record<string, string | undefined>
  readonly count: number
  readonly sizeBytes: number
  /** One that may come once, and came again. */
  readonly repeated: string | undefined
}

/** From name, value, name, value … as Node hands them out. */
export function joinHeaders(raw: readonly string[]): JoinedHeaders {
  const headers: Record<string, string | undefined> = Object.create(NOTHING)
  let sizeBytes = 0
  let repeated: string | undefined
  const end = Math.min(raw.length - 1, HEADERS_MAX * 2)
  for (let at = 0; at < end; at += 2) {
    const name = (raw[at] ?? '').toLowerCase()
    const value = raw[at + 1] ?? ''
    sizeBytes += name.length + value.length + 4
    const before = headers[name]
    if (before !== undefined && SINGLE.has(name)) repeated ??= name
    headers[name] = before === undefined ? value : `${trimBlanks(before)},${trimBlanks(value)}`
  }
  return { headers, count: raw.length / 2, sizeBytes, repeated }
}

/** The map. Throws `S3Error` for what is too much or ambiguous. */
export function checkHeaders(joined: JoinedHeaders): Record<string, string | undefined> {
  const { headers, count, sizeBytes, repeated } = joined
  if (count > HEADERS_MAX) throw tooLarge()
  if (repeated !== undefined) {
    throw new S3Error('InvalidRequest', `The ${repeated} header was sent more than once.`)
  }
  if (sizeBytes > HEADER_BYTES_MAX) throw tooLarge()
  checkFraming(headers)
  return headers
}

/** Both in one. */
export function readRequestHeaders(raw: readonly string[]): Record<string, string | undefined> {
  return checkHeaders(joinHeaders(raw))
}

/** Whether the query carries a signature, of either version. */
export function isPresigned(query: Query): boolean {
  return query.has('X-Amz-Signature') || isPresignedVersion2(query)
}

/**
 * The `x-amz-*` parameters of a presigned URL count as headers: that is where presigners put them. A header of
 * the same name must say the same, so that neither widens the other: else `InvalidRequest`.
 */
export function withPresignedHeaders(wireHeaders: RequestHeaders, query: Query): RequestHeaders {
  if (!isPresigned(query)) return wireHeaders
  const headers: Record<string, string | undefined> = Object.assign(Object.create(null), wireHeaders)
  addPresignedHeaders(headers, query)
  return headers
}

function addPresignedHeaders(headers: Record<string, string | undefined>, query: Query): void {
  for (const { name, value } of query.parameters) {
    const lower = name.toLowerCase()
    if (!lower.startsWith('x-amz-') || SIGNATURE_PARAMETERS.has(lower)) continue
    if (!HEADER_NAME.test(lower)) throw new S3Error('InvalidArgument', 'A query parameter has no valid name.')
    const text = Buffer.from(value).toString('latin1')
    if (CONTROL.test(text)) throw new S3Error('InvalidArgument', `The value of ${lower} is not valid.`)
    if (headers[lower] !== undefined && headers[lower] !== text) {
      throw new S3Error(
        'InvalidRequest',
        `The header and the query parameter ${lower} contradict each other.`,
      )
    }
    headers[lower] = text
  }
}

/** As SigV4 joins them. */
function trimBlanks(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, '')
}

function checkFraming(headers: RequestHeaders): void {
  if (headers.host === undefined) throw new S3Error('InvalidRequest', 'Exactly one Host header is required.')
  const encoding = headers['transfer-encoding']
  if (encoding === undefined) return
  if (encoding.toLowerCase() !== 'chunked') {
    throw new S3Error('NotImplemented', 'The Transfer-Encoding header asks for more than chunked.')
  }
  if (headers['content-length'] !== undefined) {
    throw new S3Error('InvalidRequest', 'Content-Length and Transfer-Encoding contradict each other.')
  }
}

function tooLarge(): S3Error {
  return new S3Error('RequestHeaderSectionTooLarge', undefined, {
    elements: { MaxSizeAllowed: String(HEADER_BYTES_MAX) },
  })
}
