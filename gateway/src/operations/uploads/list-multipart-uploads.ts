import type { UploadInfo } from '@cairn/protocol'
import type { Principal } from '../../authentication/principal.js'
import { document, element, formatTime, parent } from '../../xml/writer.js'
import { skipGroup } from '../listing/listing-marker.js'
import { commonPrefixesXml, initiatorXml } from '../listing/listing-xml.js'
import { type KeyEncoding, readEncoding, readPageSize } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `GET /B?uploads`: open uploads by key, those of one key in the order they began. */
export const listMultipartUploads: Operation = { name: 'ListMultipartUploads', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const { query, bucket } = context
  const encoding = readEncoding(query)
  const prefix = query.find('prefix') ?? ''
  const delimiter = query.find('delimiter') ?? ''
  const afterKey = query.find('key-marker') ?? ''
  // Without a key marker S3 ignores this one.
  const afterUploadId = afterKey === '' ? '' : (query.find('upload-id-marker') ?? '')
  const limit = readPageSize(query, 'max-uploads')
  const after = skipGroup(afterKey, { prefix, delimiter })
  const page = await context.client.listUploads(bucket, {
    prefix,
    delimiter,
    afterKey: after,
    afterUploadId: after === afterKey ? afterUploadId : '',
    limit,
    signal: context.signal,
  })
  const content =
    element('Bucket', bucket) +
    element('KeyMarker', encoding.encode(afterKey)) +
    element('UploadIdMarker', afterUploadId) +
    (page.truncated ? element('NextKeyMarker', encoding.encode(page.nextKey)) : '') +
    (page.truncated ? element('NextUploadIdMarker', page.nextUploadId) : '') +
    (delimiter === '' ? '' : element('Delimiter', encoding.encode(delimiter))) +
    element('Prefix', encoding.encode(prefix)) +
    element('MaxUploads', limit) +
    element('EncodingType', encoding.name) +
    element('IsTruncated', page.truncated) +
    page.uploads.map((upload) => uploadXml(upload, encoding, context.principal)).join('') +
    commonPrefixesXml(page.commonPrefixes, encoding)
  return xmlResponse(document('ListMultipartUploadsResult', content))
}

function uploadXml(upload: UploadInfo, encoding: KeyEncoding, principal: Principal): string {
  return parent(
    'Upload',
    element('Key', encoding.encode(upload.key)) +
      element('UploadId', upload.uploadId) +
      initiatorXml(upload.owner, principal) +
      element('StorageClass', upload.attributes.storageClass ?? 'STANDARD') +
      element('Initiated', formatTime(upload.initiatedMs)) +
      element('ChecksumAlgorithm', upload.checksumAlgorithm) +
      element('ChecksumType', upload.checksumType),
  )
}
