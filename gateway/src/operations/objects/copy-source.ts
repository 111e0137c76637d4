/** `x-amz-copy-source`: parsed once, decoded once, and checked like any other key. */
import { KEY_BYTES_MAX } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import { isBucketName } from '../bucket-name.js'
import type { RequestHeaders } from '../types.js'

const INCOMPLETE = 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey'

export interface CopySourceHeader {
  readonly bucket: string
  readonly key: string
  readonly versionId?: string
}

/**
 * `/bucket/key` or `bucket/key`, key percent-encoded, with an optional `?versionId=`. Throws `InvalidArgument`;
 * `InvalidRequest` for a body.
 */
export function readCopySource(headers: RequestHeaders): CopySourceHeader {
  refuseBody(headers)
  const raw = headers['x-amz-copy-source'] ?? ''
  const question = raw.lastIndexOf('?versionId=')
  const path = question < 0 ? raw : raw.slice(0, question)
  const versionId = question < 0 ? undefined : decode(raw.slice(question + '?versionId='.length))
  // As in a form: S3 takes a bare plus for a space, and a plus has to come as %2B.
  const decoded = decode(path.replaceAll('+', ' ')).replace(/^\//, '')
  const slash = decoded.indexOf('/')
  const bucket = decoded.slice(0, slash)
  const key = decoded.slice(slash + 1)
  if (slash < 1 || key === '' || key.includes('\0')) throw malformed()
  if (!isBucketName(bucket)) throw malformed('Invalid copy source bucket name')
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new S3Error('KeyTooLongError')
  return versionId === undefined ? { bucket, key } : { bucket, key, versionId }
}

/** Whoever sends one means to store it. */
function refuseBody(headers: RequestHeaders): void {
  const decoded = headers['x-amz-decoded-content-length']
  if (Number(decoded ?? headers['content-length'] ?? 0) === 0) return
  throw new S3Error(
    'InvalidRequest',
    'The request included a body. Requests of this type must not include a non-empty body.',
  )
}

function decode(text: string): string {
  // The header arrives as latin1 text; a client may also send raw UTF-8 in it.
  const utf8 = Buffer.from(text, 'latin1').toString('utf8')
  try {
    return decodeURIComponent(utf8)
  } catch (cause) {
    throw malformed('Invalid copy source encoding', { cause })
  }
}

function malformed(message = INCOMPLETE, options?: ErrorOptions): S3Error {
  return new S3Error('InvalidArgument', message, {
    elements: { ArgumentName: 'x-amz-copy-source' },
    ...options,
  })
}
