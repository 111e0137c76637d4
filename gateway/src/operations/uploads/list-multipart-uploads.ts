import type { UploadInfo } from '@cairn/protocol'
import type { Principal } from '../../authentication/principal.js'
import { S3Error } from '../../errors.js'
import { document, element, formatTime, parent } from '../../xml/writer.js'
import { skipGroup } from '../listing/listing-marker.js'
import { commonPrefixesXml, initiatorXml } from '../listing/listing-xml.js'
import { type KeyEncoding, readEncoding, readPageSize } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { findUpload } from './find-upload.js'

/** `GET /B?uploads`: open uploads by key, those of one key in the order they began. */
export const listMultipartUploads: Operation = { name: 'ListMultipartUploads', handle }

const UPLOAD_ID = /^[0-9a-f]{48}$/

async function handle(context: OperationContext): Promise<S3Response> {
  const { query, bucket } = context
  const encoding = readEncoding(query)
  const prefix = query.find('prefix') ?? ''
  const delimiter = query.find('delimiter') ?? ''
  const afterKey = query.find('key-marker') ?? ''
  // Without a key marker S3 ignores this one.
  const afterUploadId = afterKey === '' ? '' : (query.find('upload-id-marker') ?? '')
  const limit = readPageSize(query, 'max-uploads')
  if (afterUploadId !== '') await checkMarker(context, afterKey, afterUploadId)
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

/**
 * A marker must look like an upload id, and not be known as one of another key. That of an upload that has ended is
 * as good as any: whoever aborts a page of uploads goes on behind them.
 */
async function checkMarker(context: OperationContext, key: string, uploadId: string): Promise<void> {
  if (UPLOAD_ID.test(uploadId) && !(await isOfAnotherKey(context, key, uploadId))) return
  throw new S3Error('InvalidArgument', 'Invalid uploadId marker', {
    elements: { ArgumentName: 'upload-id-marker', ArgumentValue: uploadId },
  })
}

/** An id names no key: what was begun under another one is found as far as one page of uploads goes. */
async function isOfAnotherKey(context: OperationContext, key: string, uploadId: string): Promise<boolean> {
  const { client, bucket, signal } = context
  if ((await findUpload(context, { bucket, key, uploadId })) !== undefined) return false
  const { uploads } = await client.listUploads(bucket, { signal })
  return uploads.some((upload) => upload.uploadId === uploadId && upload.key !== key)
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
