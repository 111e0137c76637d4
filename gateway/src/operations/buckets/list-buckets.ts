import type { BucketInfo, ListBucketsResponse } from '@cairn/protocol'
import { canonicalIdOf } from '../../authentication/principal.js'
import { S3Error } from '../../errors.js'
import { document, element, formatTime, parent } from '../../xml/writer.js'
import { bucketArn } from '../bucket-name.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** What a client may ask for, as in S3. */
const BUCKETS_MAX = 10_000
/** Buckets in one page: the metadata service reads one row more, to know whether others follow. */
const BUCKETS_PAGE_MAX = 9_999

/** `GET /`: the buckets in the order of their names. */
export const listBuckets: Operation = { name: 'ListBuckets', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  if (context.principal.kind === 'anonymous') return answerStranger(context)
  const prefix = context.query.find('prefix')
  const page = await readPage(context)
  const last = page.buckets.at(-1)
  const content =
    owner(context) +
    parent('Buckets', page.buckets.map(bucketXml).join('')) +
    element('ContinuationToken', page.truncated && last ? continuationToken(last.name) : undefined) +
    element('Prefix', prefix)
  return xmlResponse(document('ListAllMyBucketsResult', content))
}

/** A visit of the root without credentials, most likely by a browser. */
function answerStranger(context: OperationContext): S3Response {
  const { compatibility, landingPage } = context.config
  if (compatibility.anonymousListBuckets) {
    return xmlResponse(document('ListAllMyBucketsResult', owner(context) + parent('Buckets', '')))
  }
  if (landingPage === undefined) throw new S3Error('AccessDenied')
  return { status: 307, headers: { Location: landingPage } }
}

/** Reads on until a page of buckets in the wanted region is full, or no bucket is left. */
async function readPage({ client, query, signal }: OperationContext): Promise<ListBucketsResponse> {
  const prefix = query.find('prefix')
  const region = query.find('bucket-region')
  const limit = readMaxBuckets(query.find('max-buckets'))
  let after = readContinuationToken(query.find('continuation-token'))
  const found: BucketInfo[] = []
  for (;;) {
    const { buckets, truncated } = await client.listBuckets({
      signal,
      limit: region === undefined ? Math.min(limit + 1, BUCKETS_PAGE_MAX) : BUCKETS_PAGE_MAX,
      ...(prefix === undefined ? {} : { prefix }),
      ...(after === undefined ? {} : { after }),
    })
    found.push(...buckets.filter((bucket) => region === undefined || bucket.region === region))
    after = buckets.at(-1)?.name
    if (found.length > limit) return { buckets: found.slice(0, limit), truncated: true }
    if (!truncated) return { buckets: found, truncated: false }
  }
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
      element('BucketRegion', bucket.region) +
      element('BucketArn', bucketArn(bucket.name)),
  )
}

function readMaxBuckets(text: string | undefined): number {
  if (text === undefined) return BUCKETS_PAGE_MAX
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (count >= 1 && count <= BUCKETS_MAX) return Math.min(count, BUCKETS_PAGE_MAX)
  throw new S3Error('InvalidArgument', `max-buckets must be between 1 and ${BUCKETS_MAX}.`, {
    elements: { ArgumentName: 'max-buckets', ArgumentValue: text },
  })
}

function continuationToken(name: string): string {
  return Buffer.from(name).toString('base64url')
}

function readContinuationToken(token: string | undefined): string | undefined {
  if (token === undefined) return undefined
  const name = Buffer.from(token, 'base64url').toString()
  if (name !== '' && continuationToken(name) === token) return name
  throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
    elements: { ArgumentName: 'continuation-token' },
  })
}
