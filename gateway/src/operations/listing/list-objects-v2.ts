import { S3Error } from '../../errors.js'
import { document, element } from '../../xml/writer.js'
import { readEncoding, readPageSize } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { commonPrefixesXml, objectsXml } from './listing-xml.js'

/** `GET /B?list-type=2`: the listing with continuation tokens. */
export const listObjectsV2: Operation = { name: 'ListObjectsV2', handle }

/** Marks a token as ours and of this format. */
const TOKEN_MARK = '1'

async function handle(context: OperationContext): Promise<S3Response> {
  const { query, bucket } = context
  if (query.find('list-type') !== '2')
    throw new S3Error('InvalidArgument', 'Invalid List Type specified in Request')
  const encoding = readEncoding(query)
  const prefix = query.find('prefix') ?? ''
  const delimiter = query.find('delimiter') ?? ''
  const startAfter = query.find('start-after')
  const token = query.find('continuation-token')
  const limit = readPageSize(query, 'max-keys')
  const withOwner = query.find('fetch-owner') === 'true'
  const after = token === undefined || token === '' ? (startAfter ?? '') : decodeToken(token)
  const page = await context.client.listObjects(bucket, {
    prefix,
    delimiter,
    after,
    limit,
    signal: context.signal,
  })
  const content =
    element('Name', bucket) +
    element('Prefix', encoding.encode(prefix)) +
    element('ContinuationToken', token) +
    (page.truncated ? element('NextContinuationToken', encodeToken(page.next)) : '') +
    element('StartAfter', startAfter === undefined ? undefined : encoding.encode(startAfter)) +
    element('KeyCount', page.objects.length + page.commonPrefixes.length) +
    element('MaxKeys', limit) +
    (delimiter === '' ? '' : element('Delimiter', encoding.encode(delimiter))) +
    element('EncodingType', encoding.name) +
    element('IsTruncated', page.truncated) +
    objectsXml(page.objects, encoding, withOwner ? context : undefined) +
    commonPrefixesXml(page.commonPrefixes, encoding)
  return xmlResponse(document('ListBucketResult', content))
}

function encodeToken(next: string): string {
  return TOKEN_MARK + Buffer.from(next).toString('base64url')
}

function decodeToken(token: string): string {
  const next = Buffer.from(token.slice(1), 'base64url').toString()
  if (encodeToken(next) === token) return next
  throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
    elements: { ArgumentName: 'continuation-token' },
  })
}
