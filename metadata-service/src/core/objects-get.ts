/** Finds one version of an object for a reader: with one request of the store, at one revision. */
import { CairnError, type GetObjectRequest, type GetObjectResponse } from '@cairn/protocol'
import type { ObjectWorld } from './objects-attempts.js'
import { noSuchKey } from './preconditions.js'
import { checkKey, resolve } from './resolve.js'
import type { VersionRow } from './rows.js'
import { type FoundVersion, readKey, showVersion } from './versions.js'

/**
 * `NoSuchBucket`; `NoSuchKey` (details.deleteMarker and details.versionId if a marker is current); with a version
 * id `NoSuchVersion`, or `VersionIsDeleteMarker` (details.modifiedMs).
 */
export async function getObject(
  world: Pick<ObjectWorld, 'resolver'>,
  { bucket, key, versionId }: GetObjectRequest,
): Promise<GetObjectResponse> {
  checkKey(key)
  const { state, found } = await readKey(world.resolver, bucket, key, versionId)
  const { version, isCurrent } = requireVersion(found, versionId)
  return {
    object: showVersion(version, resolve(state.bucket, key), isCurrent),
    versioning: state.bucket.row.versioning,
  }
}

/** The version itself, or the error for one that is not there or is a marker, as of `getObject`. */
export function requireVersion(found: FoundVersion | undefined, versionId: string | undefined): FoundVersion {
  if (found === undefined) throw versionId === undefined ? noSuchKey(undefined) : noSuchVersion(versionId)
  if (!found.version.deleteMarker) return found
  throw versionId === undefined ? noSuchKey(found.version) : versionIsMarker(found.version, versionId)
}

function noSuchVersion(versionId: string): CairnError {
  return new CairnError('NoSuchVersion', 'no such version', { details: { versionId } })
}

function versionIsMarker({ modifiedMs }: VersionRow, versionId: string): CairnError {
  const details = { deleteMarker: 'true', versionId, modifiedMs: String(modifiedMs) }
  return new CairnError('VersionIsDeleteMarker', 'this version is a delete marker', { details })
}
