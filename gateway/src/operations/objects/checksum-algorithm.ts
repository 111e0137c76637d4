import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import type { RequestHeaders } from '../types.js'

/** The algorithm that `x-amz-checksum-algorithm` asks for, if it does. Throws `InvalidRequest` for unknown ones. */
export function readChecksumAlgorithm(headers: RequestHeaders): ChecksumAlgorithm | undefined {
  const wanted = headers['x-amz-checksum-algorithm']?.toUpperCase()
  if (wanted === undefined) return undefined
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === wanted)
  if (algorithm !== undefined) return algorithm
  throw new S3Error(
    'InvalidRequest',
    `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
  )
}
