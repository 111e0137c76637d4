import { S3Error } from '../../errors.js'
import { document, element } from '../../xml/writer.js'
import { readEncoding, readPageSize } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { skipGroup } from './listing-marker.js'
import { commonPrefixesXml, versionsXml } from './listing-xml.js'

/** `GET /B?versions`: versions and delete markers in one order, newest first within a key. */
export const listObjectVersions: Operation = { name: 'ListObjectVersions', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const { query, bucket } = context
  const encoding = readEncoding(query)
  const prefix = query.find('prefix') ?? ''
  const delimiter = query.find('delimiter') ?? ''
  const afterKey = query.find('key-marker') ?? ''
  const afterVersionId = query.find('version-id-marker') ?? ''
  if (afterVersionId !== '' && afterKey === '') {
    throw new S3Error('InvalidArgument', 'A version-id marker cannot be specified without a key marker.')
  }
  const limit = readPageSize(query, 'max-keys')
  const after = skipGroup(afterKey, { prefix, delimiter })
  const page = await context.client.listVersions(bucket, {
    prefix,
    delimiter,
    afterKey: after,
    afterVersionId: after === afterKey ? afterVersionId : '',
    limit,
    signal: context.signal,
  })
  const content =
    element('Name', bucket) +
    element('Prefix', encoding.encode(prefix)) +
    element('KeyMarker', encoding.encode(afterKey)) +
    element('VersionIdMarker', afterVersionId) +
    (page.truncated ? element('NextKeyMarker', encoding.encode(page.nextKey)) : '') +
    (page.truncated && page.nextVersionId !== '' ? element('NextVersionIdMarker', page.nextVersionId) : '') +
    element('MaxKeys', limit) +
    (delimiter === '' ? '' : element('Delimiter', encoding.encode(delimiter))) +
    element('EncodingType', encoding.name) +
    element('IsTruncated', page.truncated) +
    versionsXml(page.versions, encoding, context) +
    commonPrefixesXml(page.commonPrefixes, encoding)
  return xmlResponse(document('ListVersionsResult', content))
}
