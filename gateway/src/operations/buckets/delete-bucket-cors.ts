import { corsCacheOf } from '../../http/cors-cache.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `DELETE /B?cors`: no page of another origin may read an answer any more. Repeats are fine. */
export const deleteBucketCors: Operation = { name: 'DeleteBucketCors', handle }

async function handle({ bucket, client, signal }: OperationContext): Promise<S3Response> {
  await client.setBucketConfiguration(bucket, 'cors', undefined, { signal })
  corsCacheOf(client).forget(bucket)
  return { status: 204 }
}
