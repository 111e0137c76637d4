import { S3Error } from '../../errors.js'
import { readSeconds, refuseConditions } from '../objects/conditions.js'
import { readUploadId } from '../parameters.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { findUpload } from './find-upload.js'

/** `DELETE /B/K?uploadId`: ends an upload; its parts are freed later. */
export const abortMultipartUpload: Operation = { name: 'AbortMultipartUpload', handle }

const INITIATED = 'x-amz-if-match-initiated-time'

async function handle(context: OperationContext): Promise<S3Response> {
  const { client, bucket, key, headers, signal } = context
  const upload = { bucket, key, uploadId: readUploadId(context.query) }
  refuseConditions(headers)
  const initiated = readSeconds(headers[INITIATED], INITIATED)
  if (initiated !== undefined) {
    // The time never changes: looking before the abort is as good as looking within it.
    const found = await findUpload(context, upload)
    // As in S3, such an abort of an upload that is not there succeeds.
    if (found === undefined) return { status: 204 }
    if (Math.floor(found.initiatedMs / 1000) !== initiated) throw new S3Error('PreconditionFailed')
  }
  await client.abortUpload(upload, { signal })
  return { status: 204 }
}
