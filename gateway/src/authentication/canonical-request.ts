/** The canonical request of SigV4, as S3 makes it: the path is encoded once and never normalised. */
import { hash } from 'node:crypto'
import type { Query } from '../http/query.js'
import type { RequestHeaders } from '../operations/types.js'

export interface CanonicalParts {
  readonly method: string
  /** As sent. */
  readonly rawPath: string
  readonly query: Query
  readonly headers: RequestHeaders
  readonly signedHeaders: readonly string[]
  /** The same as they were sent, with `;` between. */
  readonly signedHeaderList: string
  /** Stands in for the `Host` header. */
  readonly host: string
  readonly payloadHash: string
}

const UNRESERVED_PATH = /^[A-Za-z0-9\-._~/]*$/
/** What `trim` would change. */
const BLANKS = /^ | $|\t| {2}/
const UNRESERVED = /^[A-Za-z0-9\-._~]*$/

/** A latin1 string: its bytes are what is hashed. */
export function canonicalRequest(parts: CanonicalParts): string {
  let text = `${parts.method}\n${canonicalPath(parts.rawPath)}\n${canonicalQuery(parts.query)}\n`
  for (const name of parts.signedHeaders) {
    const value = name === 'host' ? parts.host : parts.headers[name]
    text += `${name}:${value === undefined ? '' : trim(value)}\n`
  }
  return `${text}\n${parts.signedHeaderList}\n${parts.payloadHash}`
}

/** What is signed: the date, the scope and the digest of the canonical request. */
export function stringToSign(
  { date, scope }: { readonly date: string; readonly scope: string },
  canonicalText: string,
): string {
  const digest = hash('sha256', Buffer.from(canonicalText, 'latin1'), 'hex')
  return `AWS4-HMAC-SHA256\n${date}\n${scope}\n${digest}`
}

/** Decodes and encodes again, for clients differ in what they escape on the wire. */
function canonicalPath(rawPath: string): string {
  if (UNRESERVED_PATH.test(rawPath)) return rawPath
  try {
    return encode(decodeURIComponent(rawPath)).replaceAll('%2F', '/')
  } catch {
    // Not UTF-8: the escapes themselves are the bytes.
    return rawPath.replace(/%[0-9a-f]{2}/gi, (escaped) => escaped.toUpperCase())
  }
}

/** Sorted by encoded name, then value; without the signature itself. */
export function canonicalQuery(query: Query): string {
  if (query.parameters.length === 0) return ''
  const pairs: [string, string][] = []
  for (const { name, value } of query.parameters) {
    if (name !== 'X-Amz-Signature') pairs.push([encode(name), encode(value)])
  }
  if (pairs.length > 1) pairs.sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
  return pairs.map(([name, value]) => `${name}=${value}`).join('&')
}

/** Blanks and tabs only: `trim` would also take a byte A0, which ends many letters of UTF-8. */
function trim(value: string): string {
  if (!BLANKS.test(value)) return value
  return value.replace(/^[ \t]+|[ \t]+$/g, '').replace(/[ \t]+/g, ' ')
}

function encode(text: string): string {
  if (UNRESERVED.test(text)) return text
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
