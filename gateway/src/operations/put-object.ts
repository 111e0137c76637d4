import { canonicalIdOf } from '../authentication/principal.js'
import { checksumHeaders, readAttributes } from './attributes.js'
import { writePreconditions } from './conditions.js'
import { quoted, writtenVersionHeader } from './object-headers.js'
import type { Operation, OperationContext, S3Response } from './types.js'

/** `PUT /B/K`: stores the body as the current version. Visible, and durable, when it answers. */
export const putObject: Operation = { name: 'PutObject', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const attributes = readAttributes(context.headers)
  const preconditions = writePreconditions(context.headers, context.config.compatibility)
  const { body, sizeBytes, digests, seal } = context.openBody()
  const result = await context.client.putObject(context.bucket, context.key, body, {
    digests,
    seal,
    attributes,
    owner: canonicalIdOf(context.principal),
    signal: context.signal,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(preconditions === undefined ? {} : { preconditions }),
  })
  return {
    status: 200,
    headers: {
      ETag: quoted(result.etag),
      ...writtenVersionHeader(result.versionId, context.config.compatibility),
      ...checksumHeaders(result.checksum),
    },
  }
}
