import type { PartInfo, UploadInfo } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import { document, element, formatTime, parent } from '../../xml/writer.js'
import { initiatorXml } from '../listing/listing-xml.js'
import { partChecksumXml } from '../objects/checksum-xml.js'
import { quoted } from '../objects/object-headers.js'
import { readEncoding, readPageSize, readUploadId } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `GET /B/K?uploadId`: the parts of an upload in the order of their numbers. */
export const listParts: Operation = { name: 'ListParts', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const { query, bucket, key } = context
  const uploadId = readUploadId(query)
  const limit = readPageSize(query, 'max-parts')
  const afterPart = readMarker(query.find('part-number-marker'))
  const encoding = readEncoding(query)
  const page = await context.client.listParts(
    { bucket, key, uploadId },
    { afterPart, limit, signal: context.signal },
  )
  const { upload } = page
  const content =
    element('Bucket', bucket) +
    element('Key', encoding.encode(key)) +
    element('UploadId', uploadId) +
    initiatorXml(upload.owner, context.principal) +
    element('StorageClass', upload.attributes.storageClass ?? 'STANDARD') +
    element('PartNumberMarker', afterPart) +
    element('NextPartNumberMarker', page.parts.at(-1)?.partNumber ?? 0) +
    element('MaxParts', limit) +
    element('IsTruncated', page.truncated) +
    element('EncodingType', encoding.name) +
    element('ChecksumAlgorithm', upload.checksumAlgorithm) +
    element('ChecksumType', upload.checksumType) +
    page.parts.map((part) => partXml(part, upload)).join('')
  return xmlResponse(document('ListPartsResult', content))
}

function readMarker(text: string | undefined): number {
  if (text === undefined || text === '') return 0
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new S3Error('InvalidArgument', 'Provided part-number-marker not an integer or within integer range')
}

function partXml(part: PartInfo, upload: UploadInfo): string {
  return parent(
    'Part',
    element('PartNumber', part.partNumber) +
      element('LastModified', formatTime(part.modifiedMs)) +
      element('ETag', quoted(part.etag)) +
      element('Size', part.sizeBytes) +
      partChecksumXml(part, upload),
  )
}
