/** `?tagging` of a bucket. The document is kept as it is answered. */
import { S3Error } from '../../errors.js'
import { readDocument } from '../../payload/read-document.js'
import { BUCKET_TAGS_MAX, parseTagging, taggingXml } from '../objects/tag-set.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `GET /B?tagging`: 404 `NoSuchTagSet` for a bucket without tags. */
export const getBucketTagging: Operation = { name: 'GetBucketTagging', handle: get }

/** `PUT /B?tagging`: replaces all tags; an empty set removes them. */
export const putBucketTagging: Operation = { name: 'PutBucketTagging', handle: put }

/** `DELETE /B?tagging`: removes all tags. */
export const deleteBucketTagging: Operation = { name: 'DeleteBucketTagging', handle: remove }

async function get({ client, bucket, signal }: OperationContext): Promise<S3Response> {
  const document = await client.getBucketConfiguration(bucket, 'tagging', { signal })
  if (document === undefined) throw new S3Error('NoSuchTagSet')
  return xmlResponse(Buffer.from(document).toString())
}

async function put(context: OperationContext): Promise<S3Response> {
  const tags = parseTagging(await readDocument(context), BUCKET_TAGS_MAX)
  const document = tags.length === 0 ? undefined : Buffer.from(taggingXml(tags))
  await context.client.setBucketConfiguration(context.bucket, 'tagging', document, { signal: context.signal })
  return { status: 204 }
}

async function remove({ client, bucket, signal }: OperationContext): Promise<S3Response> {
  await client.setBucketConfiguration(bucket, 'tagging', undefined, { signal })
  return { status: 204 }
}
