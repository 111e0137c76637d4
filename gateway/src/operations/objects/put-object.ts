import type { PutObjectOptions } from '@cairn/client'
import type { Draft } from '@cairn/protocol'
import { canonicalIdOf } from '../../authentication/principal.js'
import { S3Error } from '../../errors.js'
import type { MutableHeaders, Operation, OperationContext, RequestHeaders, S3Response } from '../types.js'
import { addChecksumHeaders, readAttributes } from './attributes.js'
import { writePreconditions } from './conditions.js'
import { quoted, writtenVersionId } from './object-headers.js'

/** `PUT /B/K`: stores the body as the current version. Visible, and durable, when it answers. */
export const putObject: Operation = { name: 'PutObject', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  refusePieces(context.headers)
  const attributes = readAttributes(context.headers)
  const preconditions = writePreconditions(context.headers, context.config.compatibility)
  const { body, sizeBytes, digests, seal } = context.openBody()
  const options: Draft<PutObjectOptions> = {
    digests,
    seal,
    attributes,
    owner: canonicalIdOf(context.principal),
    signal: context.signal,
  }
  if (sizeBytes !== undefined) options.sizeBytes = sizeBytes
  if (preconditions !== undefined) options.preconditions = preconditions
  const result = await context.client.putObject(context.bucket, context.key, body, options)
  const headers: MutableHeaders = {
    ETag: quoted(result.etag),
    'x-amz-version-id': writtenVersionId(result.versionId, context.config.compatibility),
  }
  addChecksumHeaders(headers, result.checksum)
  return { status: 200, headers }
}

/** A piece stored as the whole would be the loss of the rest (RFC 9110, section 14.5). */
function refusePieces(headers: RequestHeaders): void {
  if (headers['content-range'] === undefined) return
  throw new S3Error('NotImplemented', 'The header Content-Range is not implemented for this request.', {
    elements: { Header: 'Content-Range' },
  })
}
