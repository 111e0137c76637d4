import type { DeleteTarget } from '@cairn/client'
import { type DeleteOutcome, hasCode } from '@cairn/protocol'
import { canonicalIdOf } from '../../authentication/principal.js'
import { toS3Error } from '../../errors.js'
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
  const target = readTarget(context)
  const outcome = await remove(context, target)
  return {
    status: 204,
    headers: {
      'x-amz-delete-marker': outcome.deleteMarker ? 'true' : undefined,
      'x-amz-version-id': outcome.versionId,
    },
  }
}

async function remove(context: OperationContext, target: DeleteTarget): Promise<DeleteOutcome> {
  try {
    return await context.client.deleteObject(context.bucket, target, {
      owner: canonicalIdOf(context.principal),
      signal: context.signal,
    })
  } catch (cause) {
    const { versionId } = target
    if (versionId === undefined || !hasCode(cause, 'InvalidArgument')) throw cause
    throw toS3Error(cause, { ArgumentName: 'versionId', ArgumentValue: versionId })
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
