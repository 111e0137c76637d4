import { canonicalIdOf } from '../authentication/principal.js'
import { S3Error } from '../errors.js'
import { document, element, formatTime, parent } from '../xml/writer.js'
import { xmlResponse } from './response.js'
import type { Operation, OperationContext, S3Response } from './types.js'

/** What a client may ask for, as in S3. */
const BUCKETS_MAX = 10_000
/** Buckets in one page: the metadata service reads one row more, to know whether others follow. */
const BUCKETS_PAGE_MAX = 9_999

/** `GET /`: the buckets in the order of their names. */
export const listBuckets: Operation = { name: 'ListBuckets', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const prefix = context.query.find('prefix')
  const region = context.query.find('bucket-region')
  const after = readContinuationToken(context.query.find('continuation-token'))
  const { buckets, truncated } = await context.client.listBuckets({
    signal: context.signal,
    limit: readMaxBuckets(context.query.find('max-buckets')),
    ...(prefix === undefined ? {} : { prefix }),
    ...(after === undefined ? {} : { after }),
  })
  const last = buckets.at(-1)
  const isWanted = (bucket: { region: string }): boolean => region === undefined || bucket.region === region
  const content =
    owner(context) +
    parent('Buckets', buckets.filter(isWanted).map(bucketXml).join('')) +
    element('ContinuationToken', truncated && last ? continuationToken(last.name) : undefined) +
    element('Prefix', prefix)
  return xmlResponse(document('ListAllMyBucketsResult', content))
}

function owner(context: OperationContext): string {
  const { principal } = context
  const name = principal.kind === 'account' ? principal.account.displayName : undefined
  return parent('Owner', element('ID', canonicalIdOf(principal)) + element('DisplayName', name))
}

function bucketXml(bucket: { name: string; createdMs: number; region: string }): string {
  return parent(
    'Bucket',
    element('Name', bucket.name) +
      element('CreationDate', formatTime(bucket.createdMs)) +
      element('BucketRegion', bucket.region),
  )
}

function readMaxBuckets(text: string | undefined): number {
  if (text === undefined) return BUCKETS_PAGE_MAX
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (count >= 1 && count <= BUCKETS_MAX) return Math.min(count, BUCKETS_PAGE_MAX)
  throw new S3Error('InvalidArgument', `max-buckets must be between 1 and ${BUCKETS_MAX}.`)
}

function continuationToken(name: string): string {
  return Buffer.from(name).toString('base64url')
}

function readContinuationToken(token: string | undefined): string | undefined {
  if (token === undefined) return undefined
  const name = Buffer.from(token, 'base64url').toString()
  if (name !== '' && continuationToken(name) === token) return name
  throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect.')
}
