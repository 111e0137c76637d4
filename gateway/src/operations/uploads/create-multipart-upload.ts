import { type ChecksumAlgorithm, type ChecksumType, isCombinable } from '@cairn/protocol'
import { canonicalIdOf } from '../../authentication/principal.js'
import { S3Error } from '../../errors.js'
import { document, element } from '../../xml/writer.js'
import { readAttributes } from '../objects/attributes.js'
import { readChecksumAlgorithm } from '../objects/checksum-algorithm.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, RequestHeaders, S3Response } from '../types.js'

/** `POST /B/K?uploads`: begins an upload; metadata and checksum kind of the object to be are fixed here. */
export const createMultipartUpload: Operation = { name: 'CreateMultipartUpload', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const checksum = readChecksumKind(context.headers)
  const upload = await context.client.createUpload(context.bucket, context.key, {
    attributes: readAttributes(context.headers),
    owner: canonicalIdOf(context.principal),
    signal: context.signal,
    ...checksum,
  })
  const content =
    element('Bucket', context.bucket) + element('Key', context.key) + element('UploadId', upload.uploadId)
  return xmlResponse(document('InitiateMultipartUploadResult', content), {
    'x-amz-checksum-algorithm': checksum.checksumAlgorithm,
    'x-amz-checksum-type': checksum.checksumType,
  })
}

interface ChecksumKind {
  readonly checksumAlgorithm?: ChecksumAlgorithm
  readonly checksumType?: ChecksumType
}

/**
 * Algorithm and type. CRC64NVME is always of the full object; of the others only CRCs, which can be combined, if asked.
 */
function readChecksumKind(headers: RequestHeaders): ChecksumKind {
  const wantedType = headers['x-amz-checksum-type']?.toUpperCase()
  const algorithm = readChecksumAlgorithm(headers)
  if (algorithm === undefined) {
    if (wantedType === undefined) return {}
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    )
  }
  const type = wantedType ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE')
  if (type !== 'FULL_OBJECT' && type !== 'COMPOSITE')
    throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.')
  const impossible = type === 'FULL_OBJECT' ? !isCombinable(algorithm) : algorithm === 'CRC64NVME'
  if (impossible) {
    throw new S3Error(
      'InvalidRequest',
      `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    )
  }
  return { checksumAlgorithm: algorithm, checksumType: type }
}
