/** The canonical request of SigV4, as S3 makes it: the path is encoded once and never normalised. */
import type { Query } from '../http/query.js'

export interface CanonicalParts {
  readonly method: string
  /** As sent. */
  readonly rawPath: string
  readonly query: Query
  /** Name, value, name, value … as they came. */
  readonly rawHeaders: readonly string[]
  readonly signedHeaders: readonly string[]
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
  const values = collectValues(parts.rawHeaders, parts.signedHeaders)
  values.set('host', parts.host)
  let lines = ''
  for (const name of parts.signedHeaders) lines += `${name}:${trim(values.get(name) ?? '')}\n`
  return [
    parts.method,
    canonicalPath(parts.rawPath),
    canonicalQuery(parts.query),
    lines,
    parts.signedHeaders.join(';'),
    parts.payloadHash,
  ].join('\n')
}

/** Decodes and encodes again, for clients differ in what they escape on the wire. */
export function canonicalPath(rawPath: string): string {
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
  const pairs: [string, string][] = []
  for (const { name, value } of query.parameters) {
    if (name !== 'X-Amz-Signature') pairs.push([encode(name), encode(value)])
  }
  if (pairs.length > 1) pairs.sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
  return pairs.map(([name, value]) => `${name}=${value}`).join('&')
}

function collectValues(raw: readonly string[], signed: readonly string[]): Map<string, string> {
  const values = new Map<string, string>()
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase()
    if (!signed.includes(name)) continue
    const value = trim(raw[at + 1] ?? '')
    const before = values.get(name)
    values.set(name, before === undefined ? value : `${before},${value}`)
  }
  return values
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
