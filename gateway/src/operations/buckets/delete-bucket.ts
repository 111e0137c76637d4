import type { Operation, OperationContext, S3Response } from '../types.js'

/** `DELETE /B`: only an empty bucket; versions and delete markers count, pending uploads do not. */
export const deleteBucket: Operation = { name: 'DeleteBucket', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  await context.client.deleteBucket(context.bucket, { signal: context.signal })
  return { status: 204 }
}
