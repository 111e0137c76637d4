/** What a copy is given anew: the digests that its source does not have in the form a copy shows. */
import type { OpenedObject, WriteOptions } from '@cairn/client'
import {
  type ChecksumAlgorithm,
  createDigest,
  type ObjectChecksum,
  type ObjectVersion,
} from '@cairn/protocol'

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
  if (wanted === undefined && object.sizeBytes > COPY_DIGEST_BYTES_MAX) return {}
  const md5 = object.parts.length > 0 ? createDigest('MD5') : undefined
  const algorithm = missingChecksum(object, wanted)
  const whole = algorithm && createDigest(algorithm)
  if (whole === undefined && md5 === undefined) return {}
  for await (const bytes of read()) {
    md5?.update(bytes)
    whole?.update(bytes)
  }
  return {
    ...(md5 && { etag: Buffer.from(md5.digest()).toString('hex') }),
    ...(algorithm && whole && { checksum: wholeChecksum(algorithm, whole.digest()) }),
  }
}

/** The digests of a copy that is stored anew: as of any body, its ETag is its MD5. */
export function digestsAnew(
  object: ObjectVersion,
  wanted: ChecksumAlgorithm | undefined,
): Required<Pick<WriteOptions, 'digests' | 'seal'>> {
  const algorithm = checksumOfCopy(object, wanted)
  return {
    digests: [algorithm],
    seal(digests) {
      const digest = digests[algorithm]
      return digest === undefined ? {} : { checksum: wholeChecksum(algorithm, digest) }
    },
  }
}

function checksumOfCopy(
  { checksum }: ObjectVersion,
  wanted: ChecksumAlgorithm | undefined,
): ChecksumAlgorithm {
  return wanted ?? checksum?.algorithm ?? 'CRC64NVME'
}

/** The algorithm of the checksum that the copy should have and the source has not. */
function missingChecksum(
  object: ObjectVersion,
  wanted: ChecksumAlgorithm | undefined,
): ChecksumAlgorithm | undefined {
  const { checksum, parts } = object
  if (wanted === undefined && parts.length === 0) return undefined
  const algorithm = checksumOfCopy(object, wanted)
  const isKept = checksum?.algorithm === algorithm && checksum.type === 'FULL_OBJECT'
  return isKept ? undefined : algorithm
}

function wholeChecksum(algorithm: ChecksumAlgorithm, digest: Uint8Array): ObjectChecksum {
  return { algorithm, type: 'FULL_OBJECT', value: Buffer.from(digest).toString('base64') }
}
