import { type CairnError, hasCode } from '@cairn/protocol'
import { canonicalIdOf } from '../authentication/principal.js'
import { S3Error } from '../errors.js'
import { readDocument } from '../payload/read-document.js'
import { findText, parseXml } from '../xml/reader.js'
import { checkBucketName } from './bucket-name.js'
import type { Operation, OperationContext, S3Response } from './types.js'

/** `PUT /B`: makes a bucket. Again by its owner is a no-op in us-east-1 and a conflict elsewhere, as in S3. */
export const createBucket: Operation = { name: 'CreateBucket', handle }

const UNBUILT = ['x-amz-bucket-object-lock-enabled', 'x-amz-object-ownership', 'x-amz-acl']
/** Values of these headers that ask for nothing beyond the default. */
const NEUTRAL = new Set(['false', 'BucketOwnerEnforced', 'private'])

async function handle(context: OperationContext): Promise<S3Response> {
  checkBucketName(context.bucket)
  refuseUnbuilt(context)
  const region = await readRegion(context)
  const owner = canonicalIdOf(context.principal)
  try {
    await context.client.createBucket(context.bucket, { owner, region, signal: context.signal })
  } catch (error) {
    if (!hasCode(error, 'BucketAlreadyExists')) throw error
    await settleExisting(context, owner, error)
  }
  return { status: 200, headers: { Location: `/${context.bucket}` } }
}

function refuseUnbuilt(context: OperationContext): void {
  const grant = Object.keys(context.headers).some((name) => name.startsWith('x-amz-grant-'))
  if (grant) throw new S3Error('AccessControlListNotSupported')
  for (const header of UNBUILT) {
    const value = context.headers[header]
    if (value === undefined || NEUTRAL.has(value)) continue
    if (header === 'x-amz-acl') throw new S3Error('AccessControlListNotSupported')
    throw new S3Error(
      'NotImplemented',
      `The header ${header} implies functionality that is not implemented.`,
      {
        elements: { Header: header },
      },
    )
  }
}

async function readRegion(context: OperationContext): Promise<string> {
  const document = await readDocument(context)
  if (document.length === 0) return context.config.region
  const wanted = findText(parseXml(document, 'CreateBucketConfiguration'), 'LocationConstraint')
  if (wanted === undefined || wanted === '' || wanted === context.config.region) return context.config.region
  throw new S3Error('InvalidLocationConstraint', undefined, { elements: { LocationConstraint: wanted } })
}

async function settleExisting(context: OperationContext, owner: string, cause: CairnError): Promise<void> {
  const bucket = await context.client.getBucket(context.bucket, { signal: context.signal })
  if (bucket.owner !== owner) throw new S3Error('BucketAlreadyExists', undefined, { cause })
  if (bucket.region !== 'us-east-1') throw new S3Error('BucketAlreadyOwnedByYou', undefined, { cause })
}
