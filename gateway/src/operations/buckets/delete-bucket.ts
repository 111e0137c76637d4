import { hasCode } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `DELETE /B`: only an empty bucket; versions and delete markers count, pending uploads do not. */
export const deleteBucket: Operation = { name: 'DeleteBucket', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  try {
    await context.client.deleteBucket(context.bucket, { signal: context.signal })
  } catch (error) {
    if (!hasCode(error, 'BucketNotEmpty')) throw error
    throw await notEmpty(context, error)
  }
  return { status: 204 }
}

/** A listing of objects may show nothing where versions and markers remain: S3 says so. */
async function notEmpty({ client, bucket, signal }: OperationContext, cause: Error): Promise<S3Error> {
  const { versioning } = await client.getBucket(bucket, { signal })
  if (versioning === 'unset') return new S3Error('BucketNotEmpty', undefined, { cause })
  const message = 'The bucket you tried to delete is not empty. You must delete all versions in the bucket.'
  return new S3Error('BucketNotEmpty', message, { cause })
}
