import { readUploadId } from './parameters.js'
import type { Operation, OperationContext, S3Response } from './types.js'

/** `DELETE /B/K?uploadId`: ends an upload; its parts are freed later. */
export const abortMultipartUpload: Operation = { name: 'AbortMultipartUpload', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const upload = { bucket: context.bucket, key: context.key, uploadId: readUploadId(context.query) }
  await context.client.abortUpload(upload, { signal: context.signal })
  return { status: 204 }
}
