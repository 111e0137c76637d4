/**
 * Who keeps which block map alive.
 *
 * ● A map is live while the row at `o/<space>/<key>` of its birth carries its id, or the range `r/<map>/` is not
 * empty. So a version needs an `r/` row, under its own version id, for each map it uses, with one exception: the
 * map born at its key while the version is the current one there. A copy takes its `r/` rows when it is made; a
 * version takes the missing one when it moves to `v/`, and keeps it if it ever moves back.
 *
 * A dead map stays dead: only a version that uses it could lend it, and there is none.
 */
import { type BlockMap, CairnError, type OpId, type SpaceId, sameBytes } from '@cairn/protocol'
import type { Put, StoreKey } from '../../ports.js'
import { referenceKey } from '../rows/keys.js'
import { versionIdBytes } from '../rows/keys-version-id.js'
import { type MapReference, ReferenceRow, type VersionRow } from '../rows/rows.js'

/** `r/` rows that one commit puts, and likewise deletes: with its debts they stay below 122 operations. */
export const REFERENCES_PER_COMMIT_MAX = 40

/** Where a row stands: the name of one key in one life of a bucket. */
export interface KeyPlace {
  readonly space: SpaceId
  readonly key: string
}

/** Whether a map names any block. */
export function hasBlocks(map: BlockMap | undefined): boolean {
  return map !== undefined && map.slices.length + map.pages.length > 0
}

/** Where a version's own map was born: at its key, unless a reference says otherwise. */
export function birthplaceOf(version: VersionRow, place: KeyPlace): KeyPlace {
  const { mapId } = version
  if (mapId === undefined) return place
  return version.references.find(({ map }) => sameBytes(map, mapId)) ?? place
}

/**
 * The references that somebody takes who uses all of a version's blocks from elsewhere. `MessageTooLarge` if they
 * are too many for one commit; then bytes must be copied instead.
 */
export function borrowMaps(version: VersionRow, place: KeyPlace, referrer: Uint8Array): MapReference[] {
  if (version.mapId === undefined || !hasBlocks(version.map)) return []
  const { space, key } = birthplaceOf(version, place)
  const borrowed: MapReference[] = [{ map: version.mapId, referrer, space, key }]
  for (const reference of version.references) {
    if (!borrowed.some(({ map }) => sameBytes(map, reference.map))) borrowed.push({ ...reference, referrer })
  }
  if (borrowed.length > REFERENCES_PER_COMMIT_MAX) {
    throw new CairnError('MessageTooLarge', `the source refers to ${borrowed.length} block maps`)
  }
  return borrowed
}

/** The rows that make references count. `holder` is the key on whose behalf they stand. */
export function referencePuts(references: readonly MapReference[], holder: KeyPlace): Put[] {
  if (references.length === 0) return []
  const value = ReferenceRow.encode({ space: holder.space, key: holder.key })
  return references.map(({ map, referrer }) => ({ key: referenceKey(map, referrer), value }))
}

/** The keys of the rows behind references. */
export function referenceKeys(references: readonly MapReference[]): StoreKey[] {
  return references.map(({ map, referrer }) => referenceKey(map, referrer))
}

/** The reference a version still lacks when it stops being current. */
export function missingReference(version: VersionRow, place: KeyPlace): MapReference | undefined {
  const mapId: OpId | undefined = version.mapId
  if (mapId === undefined || !hasBlocks(version.map)) return undefined
  if (version.references.some(({ map }) => sameBytes(map, mapId))) return undefined
  return { map: mapId, referrer: versionIdBytes(version), space: place.space, key: place.key }
}
