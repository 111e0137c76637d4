import { bucketArn } from '../bucket-name.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `HEAD /B`: whether the bucket is there, and where. */
export const headBucket: Operation = { name: 'HeadBucket', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const { region } = await context.client.getBucket(context.bucket, { signal: context.signal })
  return {
    status: 200,
    headers: {
      'Content-Type': 'application/xml',
      'x-amz-bucket-arn': bucketArn(context.bucket),
      'x-amz-bucket-region': region,
      'x-amz-access-point-alias': 'false',
    },
  }
}
