import type { DeleteTarget } from '@cairn/client'
import { canonicalIdOf } from '../authentication/principal.js'
import { S3Error } from '../errors.js'
import { parseEtags } from './conditions.js'
import { readVersionId } from './parameters.js'
import type { Operation, OperationContext, S3Response } from './types.js'

/** `DELETE /B/K`: removes the current version, writes a marker, or removes the version that is named. */
export const deleteObject: Operation = { name: 'DeleteObject', handle }

const UNBUILT_CONDITIONS = ['x-amz-if-match-size', 'x-amz-if-match-last-modified-time']

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

function readTarget(context: OperationContext): DeleteTarget {
  const versionId = readVersionId(context.query)
  const ifMatch = parseEtags(context.headers['if-match'])
  for (const header of UNBUILT_CONDITIONS) if (context.headers[header] !== undefined) throw unbuilt(header)
  if (ifMatch.length > 0 && versionId !== undefined && !context.config.compatibility.deleteConditions) {
    throw unbuilt('If-Match')
  }
  return {
    key: context.key,
    ...(versionId === undefined ? {} : { versionId }),
    ...(ifMatch.length === 0 ? {} : { preconditions: { ifMatch, ifNoneMatch: [] } }),
  }
}

function unbuilt(header: string): S3Error {
  return new S3Error('NotImplemented', `${header} is not implemented for this request.`, {
    elements: { Header: header },
  })
}
