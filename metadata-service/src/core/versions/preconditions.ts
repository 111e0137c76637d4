/** Preconditions of writes and deletes, judged by the row that the commit compares. */
import { CairnError, type ObjectSource, sameBytes, type WritePreconditions } from '@cairn/protocol'
import { formatVersionId, NULL_VERSION_ID } from '../rows/keys-version-id.js'
import type { VersionRow } from '../rows/rows.js'

/**
 * `NoSuchKey` if something must match and there is no object, else `PreconditionFailed`. A delete marker counts as
 * absent; the error then says so in `details.deleteMarker`. `details.currentEtag` is what stood in the way.
 */
export function checkPreconditions(
  preconditions: WritePreconditions | undefined,
  version: VersionRow | undefined,
): void {
  if (preconditions === undefined) return
  const { ifMatch, ifNoneMatch } = preconditions
  const object = version === undefined || version.deleteMarker ? undefined : version
  const etag = object?.etag
  if (matches(ifNoneMatch, etag)) throw failed('an ETag of If-None-Match is current', etag)
  if (!needsObject(preconditions)) return
  if (object === undefined) {
    checkAbsent(preconditions, version)
    return
  }
  if (ifMatch.length > 0 && !matches(ifMatch, etag)) throw failed('no ETag of If-Match is current', etag)
  const { ifSizeBytes = object.sizeBytes, ifModifiedSeconds } = preconditions
  if (ifSizeBytes !== object.sizeBytes) throw failed('the size is another', etag)
  const modifiedSeconds = Math.floor(object.modifiedMs / 1000)
  if (ifModifiedSeconds !== undefined && ifModifiedSeconds !== modifiedSeconds) {
    throw failed('the time of the last change is another', etag)
  }
}

function needsObject({ ifMatch, ifSizeBytes, ifModifiedSeconds }: WritePreconditions): boolean {
  return ifMatch.length > 0 || ifSizeBytes !== undefined || ifModifiedSeconds !== undefined
}

/** Where a missing key is fine, a delete marker still is nothing but what `*` means. */
function checkAbsent({ missingIsFine, ifMatch }: WritePreconditions, version: VersionRow | undefined): void {
  if (missingIsFine !== true) throw noSuchKey(version)
  if (version !== undefined && !ifMatch.includes('*')) throw failed('a delete marker is current', undefined)
}

/** Whether anything at all is asked. */
export function hasPreconditions(preconditions: WritePreconditions | undefined): boolean {
  return preconditions !== undefined && (preconditions.ifNoneMatch.length > 0 || needsObject(preconditions))
}

/**
 * `PreconditionFailed` with `details.sourceChanged` unless the source of a copy is the version that the caller saw. The
 * map counts as well as the ETag: slices that the caller took from another map name blocks that nobody would keep.
 */
export function checkSource(version: VersionRow, { etag, mapId }: ObjectSource): void {
  const { mapId: found } = version
  const isSameMap = mapId === undefined || (found !== undefined && sameBytes(found, mapId))
  if (version.etag === etag && isSameMap) return
  throw new CairnError('PreconditionFailed', 'the source has changed', { details: { sourceChanged: 'true' } })
}

/** The error for a key without a current object; names the delete marker if there is one. */
export function noSuchKey(current: VersionRow | undefined): CairnError {
  const details = current === undefined ? {} : { deleteMarker: 'true', versionId: shownVersionId(current) }
  return new CairnError('NoSuchKey', 'no such key', { details })
}

/** The version id that S3 shows: `null`, or 48 hex digits. */
export function shownVersionId(version: Pick<VersionRow, 'seq' | 'op' | 'isNull'>): string {
  return version.isNull ? NULL_VERSION_ID : formatVersionId(version)
}

function matches(etags: readonly string[], etag: string | undefined): boolean {
  return etag !== undefined && etags.some((wanted) => wanted === '*' || wanted === etag)
}

function failed(message: string, etag: string | undefined): CairnError {
  return new CairnError('PreconditionFailed', message, {
    details: etag === undefined ? {} : { currentEtag: etag },
  })
}
