/**
 * The raw request target becomes bucket and key. Keys are opaque bytes: they are split off and percent-decoded
 * once, and nothing else happens to them; no URL class ever sees them, for those normalise.
 */
import { KEY_BYTES_MAX } from '@cairn/protocol'
import { S3Error } from '../errors.js'

export interface RequestTarget {
  /** Effective host with its port: the authority of an absolute target, else the `Host` header. */
  readonly host: string
  /** As sent, from the first slash to the question mark. */
  readonly rawPath: string
  /** As sent, after the question mark. */
  readonly rawQuery: string
  /** Empty if the target names none. */
  readonly bucket: string
  /** Empty if the target names none. */
  readonly key: string
  /** The path is not UTF-8: no such key can exist, and none may be written. `key` is then not usable. */
  readonly undecodable: boolean
}

const ABSOLUTE = /^https?:\/\/([^/?]+)/i
const BROKEN_ESCAPE = /%(?![0-9a-fA-F]{2})/

/** Throws `InvalidURI` for broken escapes and unusable forms, `KeyTooLongError`, and `InvalidArgument` for NUL. */
export function parseRequestTarget(raw: string, hostHeader: string, domain?: string): RequestTarget {
  const absolute = raw.startsWith('/') ? null : ABSOLUTE.exec(raw)
  if (absolute === null && !raw.startsWith('/')) throw new S3Error('InvalidURI')
  const host = absolute?.[1] ?? hostHeader
  const rest = absolute === null ? raw : raw.slice(absolute[0].length)
  const question = rest.indexOf('?')
  const rawPath = (question < 0 ? rest : rest.slice(0, question)) || '/'
  const rawQuery = question < 0 ? '' : rest.slice(question + 1)
  const virtualBucket = findVirtualBucket(host, domain)
  const { bucket, key, undecodable } = splitPath(rawPath, virtualBucket)
  return { host, rawPath, rawQuery, bucket, key, undecodable }
}

/** The bucket in a virtual-host style host name, or `undefined` for path style. */
export function findVirtualBucket(host: string, domain: string | undefined): string | undefined {
  if (domain === undefined) return undefined
  const name = host.replace(/:\d+$/, '').toLowerCase()
  const suffix = `.${domain.toLowerCase()}`
  return name.length > suffix.length && name.endsWith(suffix) ? name.slice(0, -suffix.length) : undefined
}

function splitPath(
  rawPath: string,
  virtualBucket: string | undefined,
): Pick<RequestTarget, 'bucket' | 'key' | 'undecodable'> {
  const slash = virtualBucket === undefined ? rawPath.indexOf('/', 1) : 0
  const bucket = virtualBucket ?? decode(rawPath.slice(1, slash < 0 ? undefined : slash))
  const key = slash < 0 ? '' : decode(rawPath.slice(slash + 1))
  if (bucket === undefined || key === undefined) return { bucket: bucket ?? '', key: '', undecodable: true }
  checkKey(key)
  return { bucket, key, undecodable: false }
}

/** `undefined` if the bytes are not UTF-8. */
function decode(raw: string): string | undefined {
  if (!raw.includes('%')) return raw
  if (BROKEN_ESCAPE.test(raw)) throw new S3Error('InvalidURI')
  try {
    return decodeURIComponent(raw)
  } catch {
    return undefined
  }
}

/** Throws `InvalidArgument` for a NUL and `KeyTooLongError` above 1,024 bytes. */
export function checkKey(key: string): void {
  if (key.includes('\u0000')) throw new S3Error('InvalidArgument', 'Object keys must not contain NUL.')
  const sizeBytes = key.length * 3 <= KEY_BYTES_MAX ? key.length : Buffer.byteLength(key)
  if (sizeBytes <= KEY_BYTES_MAX) return
  throw new S3Error('KeyTooLongError', undefined, {
    elements: { Size: String(sizeBytes), MaxSizeAllowed: String(KEY_BYTES_MAX) },
  })
}
