import type { DeleteTarget } from '@cairn/client'
import { canonicalIdOf } from '../../authentication/principal.js'
import { readVersionId } from '../parameters.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { deletePreconditions, refuseConditions } from './conditions.js'

/** `DELETE /B/K`: removes the current version, writes a marker, or removes the version that is named. */
export const deleteObject: Operation = { name: 'DeleteObject', handle }

const CONDITION_NAMES = {
  etag: 'If-Match',
  size: 'x-amz-if-match-size',
  lastModified: 'x-amz-if-match-last-modified-time',
}

async function handle(context: OperationContext): Promise<S3Response> {
  const outcome = await context.client.deleteObject(context.bucket, readTarget(context), {
    owner: canonicalIdOf(context.principal),
    signal: context.signal,
  })
  return {
    status: 204,
    headers: {
      'x-amz-delete-marker': outcome.deleteMarker ? 'true' : undefined,
      'x-amz-version-id': outcome.versionId,
    },
  }
}

function readTarget({ key, query, headers, config }: OperationContext): DeleteTarget {
  const versionId = readVersionId(query)
  refuseConditions(headers)
  const texts = {
    etag: headers['if-match'],
    size: headers['x-amz-if-match-size'],
    lastModified: headers['x-amz-if-match-last-modified-time'],
  }
  const { compatibility } = config
  const preconditions = deletePreconditions(texts, CONDITION_NAMES, { compatibility, versionId })
  return {
    key,
    ...(versionId === undefined ? {} : { versionId }),
    ...(preconditions === undefined ? {} : { preconditions }),
  }
}
