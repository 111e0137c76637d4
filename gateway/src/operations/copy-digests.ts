/** What a copy is given anew: the digests that its source does not have in the form a copy shows. */
import type { OpenedObject } from '@cairn/client'
import { type ChecksumAlgorithm, createDigest, type ObjectChecksum } from '@cairn/protocol'

export interface CopyDigests {
  /** MD5 of the bytes, for a source whose ETag is that of a multipart upload. */
  readonly etag?: string
  readonly checksum?: ObjectChecksum
}

/**
 * Sources of multipart uploads up to this size are read for the MD5 that AWS shows as a copy's ETag. Larger ones
 * keep their ETag, parts and checksum, so that a copy costs the same whatever its size (decision 1).
 */
export const COPY_DIGEST_BYTES_MAX: number = 64 * 1024 * 1024

/**
 * A copy is one object, uploaded in no parts: its ETag is its MD5 and its checksum that of the whole, in the
 * algorithm that was asked for or else the source's. The bytes are read only if one of these is not known.
 */
export async function digestCopy(
  { object, read }: Pick<OpenedObject, 'object' | 'read'>,
  wanted: ChecksumAlgorithm | undefined,
): Promise<CopyDigests> {
  const isMultipart = object.parts.length > 0
  if (wanted === undefined && object.sizeBytes > COPY_DIGEST_BYTES_MAX) return {}
  const algorithm = wanted ?? object.checksum?.algorithm ?? 'CRC64NVME'
  const isKept = object.checksum?.algorithm === algorithm && object.checksum.type === 'FULL_OBJECT'
  const needsChecksum = !isKept && (isMultipart || wanted !== undefined)
  const whole = needsChecksum ? createDigest(algorithm) : undefined
  const md5 = isMultipart ? createDigest('MD5') : undefined
  if (whole === undefined && md5 === undefined) return {}
  for await (const bytes of read()) for (const digest of [md5, whole]) digest?.update(bytes)
  return {
    ...(md5 && { etag: Buffer.from(md5.digest()).toString('hex') }),
    ...(whole && { checksum: wholeChecksum(algorithm, whole.digest()) }),
  }
}

function wholeChecksum(algorithm: ChecksumAlgorithm, digest: Uint8Array): ObjectChecksum {
  return { algorithm, type: 'FULL_OBJECT', value: Buffer.from(digest).toString('base64') }
}
