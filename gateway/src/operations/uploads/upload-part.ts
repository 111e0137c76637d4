import type { ObjectChecksum, UploadInfo } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import { malformedChecksumCode, readDeclaredChecksum } from '../../payload/checksum.js'
import { checksumHeaders, refuseUnbuilt } from '../objects/attributes.js'
import { quoted } from '../objects/object-headers.js'
import { readPartNumber, readUploadId } from '../parameters.js'
import type { Operation, OperationContext, RequestHeaders, S3Response } from '../types.js'

/** `PUT /B/K?partNumber&uploadId`: stores one part; the one that commits last wins its number. */
export const uploadPart: Operation = { name: 'UploadPart', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const upload = { bucket: context.bucket, key: context.key, uploadId: readUploadId(context.query) }
  const partNumber = requirePartNumber(context)
  refuseUnbuilt(context.headers)
  const info = await context.client.getUpload(upload, { signal: context.signal })
  checkAlgorithm(context, info)
  const opened = context.openBody({ checksumDefault: info.checksumAlgorithm ?? 'CRC64NVME' })
  const { body, seal, ...sealing } = opened
  // What the part came with is told, whatever is kept: see `storePart`.
  let sealed: ObjectChecksum | undefined
  const part = await context.client.uploadPart(upload, partNumber, body, {
    ...sealing,
    seal: (digests, sizeBytes) => {
      const given = seal(digests, sizeBytes)
      sealed = given.checksum
      return given
    },
    signal: context.signal,
  })
  return { status: 200, headers: { ETag: quoted(part.etag), ...partChecksumHeaders(sealed) } }
}

/** An upload that declares an algorithm takes no other; one with a composite checksum wants it with every part. */
function checkAlgorithm({ headers, config }: OperationContext, upload: UploadInfo): void {
  const { checksumAlgorithm: expected, checksumType } = upload
  if (expected === undefined) return
  const malformed = malformedChecksumCode(config.compatibility)
  const actual = readDeclaredChecksum(headers, trailerNames(headers), malformed)?.algorithm
  if (actual === expected || (actual === undefined && checksumType === 'FULL_OBJECT')) return
  throw new S3Error(
    'InvalidRequest',
    `Checksum Type mismatch occurred, expected checksum Type: ${expected.toLowerCase()}, actual checksum Type: ${actual?.toLowerCase() ?? 'null'}`,
  )
}

function trailerNames(headers: RequestHeaders): readonly string[] {
  return (headers['x-amz-trailer'] ?? '').split(',').map((name) => name.trim().toLowerCase())
}

function partChecksumHeaders(checksum: ObjectChecksum | undefined): S3Response['headers'] {
  return { ...checksumHeaders(checksum), 'x-amz-checksum-type': undefined }
}

/** The part number, which must be there. */
export function requirePartNumber(context: OperationContext): number {
  const partNumber = readPartNumber(context.query.find('partNumber'))
  if (partNumber === undefined) throw new S3Error('InvalidArgument', 'A part number must be given.')
  return partNumber
}
