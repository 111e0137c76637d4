/**
 * Decides about blocks that no commit may ever have named. Pure.
 *
 * ● A block is an orphan only if its writer's session is gone, so that no commit of it can come any more, and then,
 * at one revision, all of these are absent: its map in the row at the birthplace, any `r/` row of the map, an
 * upload of that id, and a `g/` row about it whose grace still runs. Whatever could not be read means keep.
 */
import { type BlockId, type BlockOwner, formatId, type SessionId, sameBytes } from '@cairn/protocol'
import type { Read, StoreRow } from '../ports.js'
import { judgeMap, livenessReads } from './garbage.js'
import { garbageRange, parseUploadKey, uploadRange } from './keys.js'
import { GarbageRow } from './rows.js'

/** Reads for each map; see `orphanReads`. */
export const READS_PER_OWNER = 3

/** Uploads of one key that are looked through; with more, the blocks are kept. */
const UPLOADS_OF_KEY_MAX = 1000

/** `g/` rows that are looked through; with more, everything is kept until there are less. */
const GARBAGE_ROWS_MAX = 10_000

/** Who might still name the blocks of this owner. */
export function orphanReads({ map, space, key }: BlockOwner): Read[] {
  return [
    ...livenessReads({ map, place: { space, key } }),
    { kind: 'scan', range: uploadRange(space, key), limit: UPLOADS_OF_KEY_MAX },
  ]
}

/** All garbage: only worth reading for owners that are dead otherwise. */
export function garbageRead(): Read {
  return { kind: 'scan', range: garbageRange(), limit: GARBAGE_ROWS_MAX }
}

/** `held` for long; `pending`: somebody else decides soon; `orphan`: nobody names the map, but for garbage. */
export type OrphanVerdict = 'held' | 'pending' | 'orphan'

/** Judges by the answers of `orphanReads`. */
export function judgeOwner(owner: BlockOwner, answers: readonly (readonly StoreRow[])[]): OrphanVerdict {
  const [birth = [], referrers = [], uploads] = answers
  if (uploads === undefined || uploads.length >= UPLOADS_OF_KEY_MAX) return 'pending'
  if (judgeMap(owner.map, birth, referrers) !== 'dead') return 'held'
  return uploads.some(({ key }) => sameBytes(parseUploadKey(key).op, owner.map)) ? 'pending' : 'orphan'
}

/** The maps (hex) that garbage still names; `undefined` if there is too much to be sure. */
export function mapsInGarbage(rows: readonly StoreRow[] | undefined): ReadonlySet<string> | undefined {
  if (rows === undefined || rows.length >= GARBAGE_ROWS_MAX) return undefined
  const maps = new Set<string>()
  for (const { value } of rows) {
    const row = GarbageRow.decode(value)
    if (row.freed) continue
    if (row.mapId !== undefined) maps.add(formatId(row.mapId))
    for (const { map } of row.references) maps.add(formatId(map))
  }
  return maps
}

/** The id after which the blocks of a session begin; `undefined` for the very first. */
export function beforeSession(session: SessionId): BlockId | undefined {
  const before = Buffer.alloc(16)
  before.set(session)
  const high = before.readBigUInt64BE(0)
  if (high === 0n) return undefined
  before.writeBigUInt64BE(high - 1n, 0)
  before.fill(0xff, 8)
  return before as Uint8Array as BlockId
}
