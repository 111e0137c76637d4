/**
 * The source of a part copy. The part's slices name blocks of the source's maps; `r/<map>/<upload>` rows keep these
 * alive from the commit on, which compares the source's row. They stay until the upload is aborted, or the object
 * that it became is dropped. One row under `p/` names each, so that Complete finds them without reading the parts.
 */
import { type BlockMap, CairnError, type PutPartRequest } from '@cairn/protocol'
import type { Compare, Put } from '../../ports.js'
import type { ObjectWorld } from '../attempts/objects-attempts.js'
import { MapReference } from '../rows/rows.js'
import { borrowKey } from '../rows/uploads-keys.js'
import { checkSource, noSuchKey } from '../versions/preconditions.js'
import { borrowMaps, referencePuts } from '../versions/version-write-maps.js'
import { type FoundVersion, readKey } from '../versions/versions.js'
import type { StoredUpload } from './uploads-state.js'

/** What a part copy adds to its commit. */
export interface PartSource {
  /** The map that the part's slices are taken from. */
  readonly map: BlockMap | undefined
  readonly references: readonly MapReference[]
  readonly compares: readonly Compare[]
  readonly puts: readonly Put[]
}

/**
 * Reads the source of a part copy; nothing for a part with bytes of its own. `NoSuchKey`, `NoSuchVersion`,
 * `PreconditionFailed` if it has changed.
 */
export async function loadSource(
  world: ObjectWorld,
  request: PutPartRequest,
  upload: StoredUpload,
): Promise<PartSource | undefined> {
  if (request.source === undefined) return undefined
  const { version, row, place } = await findSource(world, request.source)
  checkSource(version, request.source)
  const references = borrowMaps(version, place, upload.row.op)
  return {
    map: version.map,
    references,
    compares: [{ kind: 'revision', key: row.key, revision: row.revision }],
    puts: [...referencePuts(references, upload.place), ...borrowPuts(upload, references)],
  }
}

/** The upload compare keeps these rows from outliving the upload's clean-up. */
function borrowPuts(upload: StoredUpload, references: readonly MapReference[]): Put[] {
  return references.map((reference) => ({
    key: borrowKey(upload.row.op, reference.map),
    value: MapReference.encode(reference),
  }))
}

async function findSource(
  world: ObjectWorld,
  { bucket, key, versionId }: NonNullable<PutPartRequest['source']>,
): Promise<FoundVersion & { place: StoredUpload['place'] }> {
  const { state, found } = await readKey(world.resolver, bucket, key, versionId)
  if (found === undefined) {
    throw versionId === undefined
      ? noSuchKey(undefined)
      : new CairnError('NoSuchVersion', 'no such version of the source')
  }
  if (found.version.deleteMarker) throw noSuchKey(found.version)
  return { ...found, place: { space: state.bucket.row.space, key } }
}
