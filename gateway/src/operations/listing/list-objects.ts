import { document, element } from '../../xml/writer.js'
import { readEncoding, readPageSize } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { skipGroup } from './listing-marker.js'
import { commonPrefixesXml, objectsXml } from './listing-xml.js'

/** `GET /B`: version 1 of the listing, with markers. */
export const listObjects: Operation = { name: 'ListObjects', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const { query, bucket } = context
  const encoding = readEncoding(query)
  const prefix = query.find('prefix') ?? ''
  const delimiter = query.find('delimiter') ?? ''
  const marker = query.find('marker') ?? ''
  const limit = readPageSize(query, 'max-keys')
  const page = await context.client.listObjects(bucket, {
    prefix,
    delimiter,
    after: skipGroup(marker, { prefix, delimiter }),
    limit,
    signal: context.signal,
  })
  const content =
    element('Name', bucket) +
    element('Prefix', encoding.encode(prefix)) +
    element('Marker', encoding.encode(marker)) +
    (page.truncated && delimiter !== '' ? element('NextMarker', encoding.encode(page.next)) : '') +
    element('MaxKeys', limit) +
    (delimiter === '' ? '' : element('Delimiter', encoding.encode(delimiter))) +
    element('EncodingType', encoding.name) +
    element('IsTruncated', page.truncated) +
    objectsXml(page.objects, encoding, context) +
    commonPrefixesXml(page.commonPrefixes, encoding)
  return xmlResponse(document('ListBucketResult', content))
}
