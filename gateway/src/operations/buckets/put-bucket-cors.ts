import { BUCKET_CONFIGURATION_BYTES_MAX } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import { corsCacheOf } from '../../http/cors-cache.js'
import { readDocument } from '../../payload/read-document.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { encodeCorsRules, readCorsRules } from './cors-rules.js'

/** Headers that carry a digest of the body, or say that it follows. */
const DIGEST = /^(?:content-md5|x-amz-trailer|x-amz-checksum-(?!algorithm$|mode$|type$).*)$/

/** `PUT /B?cors`: replaces all rules. The document must be covered by a digest, as S3 wants it. */
export const putBucketCors: Operation = { name: 'PutBucketCors', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const { bucket, client, signal } = context
  requireDigest(context)
  const rules = encodeCorsRules(readCorsRules(await readDocument(context)))
  if (rules.length > BUCKET_CONFIGURATION_BYTES_MAX) throw new S3Error('MaxMessageLengthExceeded')
  await client.setBucketConfiguration(bucket, 'cors', rules, { signal })
  corsCacheOf(client).forget(bucket)
  return { status: 200 }
}

function requireDigest({ headers }: OperationContext): void {
  if (Object.keys(headers).some((name) => DIGEST.test(name))) return
  throw new S3Error(
    'InvalidRequest',
    'Missing required header for this request: Content-MD5 OR x-amz-checksum-*',
  )
}
