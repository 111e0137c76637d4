import { S3Error } from '../errors.js'
import { checksumHeaders } from './attributes.js'
import { quoted } from './object-headers.js'
import { readPartNumber, readUploadId } from './parameters.js'
import type { Operation, OperationContext, S3Response } from './types.js'

/** `PUT /B/K?partNumber&uploadId`: stores one part; the one that commits last wins its number. */
export const uploadPart: Operation = { name: 'UploadPart', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const upload = { bucket: context.bucket, key: context.key, uploadId: readUploadId(context.query) }
  const partNumber = requirePartNumber(context)
  const { checksumAlgorithm } = await context.client.getUpload(upload, { signal: context.signal })
  const { body, ...sealing } = context.openBody({ checksumDefault: checksumAlgorithm ?? 'CRC64NVME' })
  const part = await context.client.uploadPart(upload, partNumber, body, {
    ...sealing,
    signal: context.signal,
  })
  return { status: 200, headers: { ETag: quoted(part.etag), ...partChecksumHeaders(part) } }
}

function partChecksumHeaders(part: {
  readonly checksum?: Parameters<typeof checksumHeaders>[0]
}): S3Response['headers'] {
  return { ...checksumHeaders(part.checksum), 'x-amz-checksum-type': undefined }
}

/** The part number, which must be there. */
export function requirePartNumber(context: OperationContext): number {
  const partNumber = readPartNumber(context.query.find('partNumber'))
  if (partNumber === undefined) throw new S3Error('InvalidArgument', 'A part number must be given.')
  return partNumber
}
