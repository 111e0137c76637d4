/** `?tagging` of an object: the tags of one version. */
import type { Tag } from '@cairn/protocol'
import { readDocument } from '../../payload/read-document.js'
import { readVersionId } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { refusingMarker } from './current-marker.js'
import { versionHeader } from './object-headers.js'
import { OBJECT_TAGS_MAX, parseTagging, taggingXml } from './tag-set.js'

/** `GET /B/K?tagging`: an empty set for an object without tags. */
export const getObjectTagging: Operation = { name: 'GetObjectTagging', handle: get }

/** `PUT /B/K?tagging`: replaces all tags; id and time of the version stay. */
export const putObjectTagging: Operation = { name: 'PutObjectTagging', handle: put }

/** `DELETE /B/K?tagging`: removes all tags. */
export const deleteObjectTagging: Operation = { name: 'DeleteObjectTagging', handle: remove }

async function get(context: OperationContext): Promise<S3Response> {
  const { client, bucket, key } = context
  const { object, versioning } = await refusingMarker(client.openObject(bucket, key, versionOptions(context)))
  return xmlResponse(taggingXml(object.attributes.tags ?? []), versionHeader(versioning, object.versionId))
}

async function put(context: OperationContext): Promise<S3Response> {
  const tags = parseTagging(await readDocument(context), OBJECT_TAGS_MAX)
  const versionId = await setTags(context, tags)
  return { status: 200, headers: { 'x-amz-version-id': versionId } }
}

async function remove(context: OperationContext): Promise<S3Response> {
  const versionId = await setTags(context, [])
  return { status: 204, headers: { 'x-amz-version-id': versionId } }
}

async function setTags(context: OperationContext, tags: readonly Tag[]): Promise<string | undefined> {
  const { client, bucket, key } = context
  const { versionId } = await refusingMarker(client.setObjectTags(bucket, key, tags, versionOptions(context)))
  return versionId
}

function versionOptions({ query, signal }: OperationContext): { signal: AbortSignal; versionId?: string } {
  const versionId = readVersionId(query)
  return versionId === undefined ? { signal } : { signal, versionId }
}
