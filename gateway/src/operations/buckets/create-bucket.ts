import { type CairnError, hasCode, type Tag } from '@cairn/protocol'
import { canonicalIdOf } from '../../authentication/principal.js'
import { S3Error } from '../../errors.js'
import { readDocument } from '../../payload/read-document.js'
import { findChild, findText, parseXml } from '../../xml/reader.js'
import { bucketArn, checkBucketName } from '../bucket-name.js'
import { grantsAccess } from '../objects/attributes.js'
import { BUCKET_TAGS_MAX, readTagSet, taggingXml } from '../objects/tag-set.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `PUT /B`: makes a bucket. Again by its owner is a no-op in us-east-1, unless with tags, and a conflict elsewhere. */
export const createBucket: Operation = { name: 'CreateBucket', handle }

const UNBUILT = ['x-amz-bucket-object-lock-enabled', 'x-amz-object-ownership', 'x-amz-bucket-namespace']
/** Values of these headers that ask for nothing beyond the default. */
const NEUTRAL = new Set(['false', 'BucketOwnerEnforced', 'global'])
/** The ownerships that S3 has. */
const OWNERSHIPS = new Set(['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'])

async function handle(context: OperationContext): Promise<S3Response> {
  checkBucketName(context.bucket)
  refuseUnbuilt(context)
  const { region, tags } = await readConfiguration(context)
  const owner = canonicalIdOf(context.principal)
  try {
    await context.client.createBucket(context.bucket, { owner, region, signal: context.signal })
  } catch (error) {
    if (!hasCode(error, 'BucketAlreadyExists')) throw error
    await settleExisting(context, { owner, tags }, error)
  }
  if (tags.length > 0) await tagUntagged(context, tags)
  return {
    status: 200,
    headers: { Location: `/${context.bucket}`, 'x-amz-bucket-arn': bucketArn(context.bucket) },
  }
}

function refuseUnbuilt({ headers }: OperationContext): void {
  const ownership = headers['x-amz-object-ownership']
  if (ownership !== undefined && !OWNERSHIPS.has(ownership)) {
    throw new S3Error('InvalidArgument', `Invalid x-amz-object-ownership header: ${ownership}`, {
      elements: { ArgumentName: 'x-amz-object-ownership', ArgumentValue: ownership },
    })
  }
  for (const header of UNBUILT) {
    const value = headers[header]
    if (value === undefined || NEUTRAL.has(value)) continue
    throw new S3Error(
      'NotImplemented',
      `The header ${header} implies functionality that is not implemented.`,
      {
        elements: { Header: header },
      },
    )
  }
  if (grantsAccess(headers)) throw new S3Error('InvalidBucketAclWithObjectOwnership')
}

interface Configuration {
  readonly region: string
  readonly tags: readonly Tag[]
}

async function readConfiguration(context: OperationContext): Promise<Configuration> {
  const document = await readDocument(context)
  if (document.length === 0) return { region: context.config.region, tags: [] }
  const configuration = parseXml(document, 'CreateBucketConfiguration')
  for (const name of ['Location', 'Bucket']) {
    if (findChild(configuration, name) === undefined) continue
    throw new S3Error('NotImplemented', `${name} is for directory buckets, which are not implemented.`)
  }
  const tags = findChild(configuration, 'Tags')
  return {
    region: readRegion(context, findText(configuration, 'LocationConstraint')),
    tags: tags === undefined ? [] : readTagSet(tags, BUCKET_TAGS_MAX),
  }
}

function readRegion({ config }: OperationContext, wanted: string | undefined): string {
  if (wanted === undefined || wanted === '' || wanted === config.region) return config.region
  throw new S3Error('InvalidLocationConstraint', undefined, { elements: { LocationConstraint: wanted } })
}

/**
 * A commit of its own: a failure between the two leaves a bucket without tags, and asking again does not change that.
 * Tags that somebody else has put meanwhile are newer.
 */
async function tagUntagged(context: OperationContext, tags: readonly Tag[]): Promise<void> {
  const { client, bucket, signal } = context
  const before = await client.getBucketConfiguration(bucket, 'tagging', { signal })
  if (before !== undefined) return
  await client.setBucketConfiguration(bucket, 'tagging', Buffer.from(taggingXml(tags)), { signal })
}

async function settleExisting(
  context: OperationContext,
  { owner, tags }: { readonly owner: string; readonly tags: readonly Tag[] },
  cause: CairnError,
): Promise<void> {
  const bucket = await context.client.getBucket(context.bucket, { signal: context.signal })
  if (bucket.owner !== owner) throw new S3Error('BucketAlreadyExists', undefined, { cause })
  const isFine = bucket.region === 'us-east-1' && tags.length === 0
  if (!isFine) throw new S3Error('BucketAlreadyOwnedByYou', undefined, { cause })
}
