import type { ListObjectsOptions } from '@cairn/client'
import type { ListObjectsResponse } from '@cairn/protocol'
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
  const page = await listEntries(context, {
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
    (page.truncated && delimiter !== '' ? element('NextMarker', encoding.encode(lastEntry(page))) : '') +
    element('MaxKeys', limit) +
    (delimiter === '' ? '' : element('Delimiter', encoding.encode(delimiter))) +
    element('EncodingType', encoding.name) +
    element('IsTruncated', page.truncated) +
    objectsXml(page.objects, encoding, context) +
    commonPrefixesXml(page.commonPrefixes, encoding)
  return xmlResponse(document('ListBucketResult', content))
}

/**
 * The service also ends a page behind very many delete markers. A client goes on behind the last entry it was shown,
 * so a page that is not the last has one.
 */
async function listEntries(
  { client, bucket }: OperationContext,
  options: ListObjectsOptions,
): Promise<ListObjectsResponse> {
  let page = await client.listObjects(bucket, options)
  while (page.truncated && page.objects.length + page.commonPrefixes.length === 0) {
    page = await client.listObjects(bucket, { ...options, after: page.next })
  }
  return page
}

function lastEntry({ objects, commonPrefixes }: ListObjectsResponse): string {
  const key = objects.at(-1)?.key ?? ''
  const prefix = commonPrefixes.at(-1) ?? ''
  return Buffer.compare(Buffer.from(key), Buffer.from(prefix)) > 0 ? key : prefix
}
