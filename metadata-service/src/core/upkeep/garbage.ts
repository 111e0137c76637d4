/**
 * Decides what garbage may be freed. Pure.
 *
 * ● A map is live while the row at its birthplace carries its id, or `r/<map>/` is not empty: both read at one
 * revision, in the store. A dead map stays dead, since only one who holds it could lend it; so deciding and freeing
 * need not be one step.
 *
 * A live map needs no row of garbage of its own, because its last holder will leave one when it goes. With one
 * exception: uploads hold only parts of the maps that they borrow. Such a row waits until they are gone too. Blocks
 * of a dead map beside borrowed blocks of a living one, which may live for ever, are left to the search for orphans.
 */
import { type BlockMap, type OpId, sameBytes } from '@cairn/protocol'
import type { Read, StoreRow } from '../../ports.js'
import { currentKey, referenceRange } from '../rows/keys.js'
import { VERSION_ID_BYTES } from '../rows/keys-version-id.js'
import { type GarbageRow, VersionRow } from '../rows/rows.js'
import { hasBlocks, type KeyPlace } from '../versions/version-write-maps.js'

/** A map and where it was born. */
export interface MapOrigin {
  readonly map: OpId
  readonly place: KeyPlace
}

/** `held`: by its birthplace or by a whole version; `lent`: only to uploads; `dead`: by nobody. */
export type MapLiveness = 'held' | 'lent' | 'dead'

/** Referrers looked at; a map with more counts as lent at least. */
const REFERRERS_MAX = 64

/** The two point reads. They must be answered at one revision. */
export function livenessReads({ map, place }: MapOrigin): Read[] {
  return [
    { kind: 'get', key: currentKey(place.space, place.key) },
    { kind: 'scan', range: referenceRange(map), limit: REFERRERS_MAX },
  ]
}

/** Judges by the answers of `livenessReads`. */
export function judgeMap(map: OpId, birth: readonly StoreRow[], referrers: readonly StoreRow[]): MapLiveness {
  const row = birth[0]
  if (row !== undefined && isMapOf(VersionRow.decode(row.value), map)) return 'held'
  if (referrers.some(({ key }) => key.length === 2 + map.length + VERSION_ID_BYTES)) return 'held'
  return referrers.length > 0 ? 'lent' : 'dead'
}

function isMapOf({ mapId }: VersionRow, map: OpId): boolean {
  return mapId !== undefined && sameBytes(mapId, map)
}

/** The maps that decide about a dropped version: its own first, then those it borrowed. */
export function mapsOf(row: GarbageRow): MapOrigin[] {
  const { mapId, birthSpace, birthKey } = row
  const borrowed = row.references
    .filter(({ map }) => mapId === undefined || !sameBytes(map, mapId))
    .map(({ map, space, key }) => ({ map, place: { space, key } }))
  if (mapId === undefined) return borrowed
  const place = { space: birthSpace ?? row.space, key: birthKey ?? row.key }
  return [{ map: mapId, place }, ...borrowed]
}

/** `free` the blocks; `settle` without, since others hold them or there are none; or `wait`. */
export type GarbageDecision = 'free' | 'settle' | 'wait'

/** Decides about a dropped version by its maps' liveness, in the order of `mapsOf`. */
export function decide(row: GarbageRow, liveness: readonly MapLiveness[]): GarbageDecision {
  if (!hasBlocks(row.map) || liveness.length === 0 || liveness.includes('held')) return 'settle'
  return liveness.every((each) => each === 'dead') ? 'free' : 'wait'
}

/** What a `g/` row asks for. */
export type GarbageTask =
  /** Only proves that an operation ran. */
  | 'none'
  /** Delete the `r/` rows of a dropped version first. */
  | 'references'
  /** A dropped version: two point reads decide. */
  | 'version'
  /** A replaced part: no row names its blocks, and none ever will, since the upload was open when it went. */
  | 'part'
  /** A completed or aborted upload. */
  | 'upload'

/** What is to be done about a row that is old enough. */
export function taskOf(row: GarbageRow): GarbageTask {
  if (row.freed || row.kind === 'nothing') return 'none'
  if (row.kind === 'version') return row.hasReferences ? 'references' : 'version'
  return isCleanUp(row) ? 'upload' : 'part'
}

/** Whether the row is about a whole upload: it bears the upload's op id. Its map, if any, is in use. */
export function isCleanUp({ kind, mapId, op }: GarbageRow): boolean {
  return kind === 'parts' && mapId !== undefined && sameBytes(mapId, op)
}

/** Bytes that a map covers: what a row of garbage holds back. */
export function coveredBytes(map: BlockMap | undefined): number {
  if (map === undefined) return 0
  const ofSlices = map.slices.reduce((sum, slice) => sum + slice.length, 0)
  return map.pages.reduce((sum, page) => sum + page.coveredBytes, ofSlices)
}
