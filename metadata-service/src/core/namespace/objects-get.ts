/** Finds one version of an object for a reader: with one request of the store, at one revision. */
import {
  CairnError,
  type GetObjectRequest,
  GetObjectResponse,
  type SpaceId,
  sameBytes,
} from '@cairn/protocol'
import type { ObjectWorld } from '../attempts/objects-attempts.js'
import type { VersionRow } from '../rows/rows.js'
import { noSuchKey } from '../versions/preconditions.js'
import { checkKey, resolve } from '../versions/resolve.js'
import { RowMemory } from '../versions/row-memory.js'
import type { KeyState } from '../versions/version-write-state.js'
import { type FoundVersion, readCurrentNow, readKey, showVersion } from '../versions/versions.js'

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
  return answerFor(state, requireVersion(found, versionId))
}

/** What `getObject` would resolve with, if the store has it at hand; `undefined` for the rest. Throws as it rejects. */
export function getObjectNow(
  world: Pick<ObjectWorld, 'resolver'>,
  { bucket, key, versionId }: GetObjectRequest,
): GetObjectResponse | undefined {
  if (versionId !== undefined) return undefined
  checkKey(key)
  const read = readCurrentNow(world.resolver, bucket, key)
  return read === undefined ? undefined : answerFor(read.state, requireVersion(read.found, undefined))
}

/** An answer, and what it follows from besides the row's bytes, which may stand in several places. */
interface KnownAnswer {
  readonly space: SpaceId
  readonly key: string
  readonly isCurrent: boolean
  readonly answer: GetObjectResponse
}

const answers = new RowMemory<KnownAnswer>()

/** Made and encoded once while row and bucket do not change. */
function answerFor({ bucket, key }: KeyState, { version, isCurrent, row }: FoundVersion): GetObjectResponse {
  const { versioning, space } = bucket.row
  const known = answers.find(row.value)
  if (
    known !== undefined &&
    known.answer.versioning === versioning &&
    known.isCurrent === isCurrent &&
    known.key === key &&
    sameBytes(known.space, space)
  ) {
    return known.answer
  }
  const answer = { object: showVersion(version, resolve(bucket, key), isCurrent), versioning }
  if (answers.note(row.value, { space, key, isCurrent, answer })) GetObjectResponse.keep(answer)
  return answer
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
