/**
 * Decides about blocks that no commit may ever have named. Pure.
 *
 * ● A block is an orphan only if its writer's session is gone, so that no commit of it can come any more, and then,
 * at one revision, all of these are absent: its map in the row at the birthplace, any `r/` row of the map, and an
 * upload of that id; and, looked for after that, a `g/` row about it whose grace still runs. A dead map stays dead
 * and a `g/` row stays until its blocks are freed: so the garbage may be read in pages of different revisions.
 * Whatever could not be read means keep.
 */
import { type BlockId, type BlockOwner, formatId, type SessionId, sameBytes } from '@cairn/protocol'
import type { Read, StoreRow } from '../../ports.js'
import { parseUploadKey, uploadRange } from '../rows/keys.js'
import { GarbageRow } from '../rows/rows.js'
import { judgeMap, livenessReads } from './garbage.js'

/** Reads for each map; see `orphanReads`. */
export const READS_PER_OWNER = 3

/** Uploads of one key that are looked through; with more, the blocks are kept. */
export const UPLOADS_OF_KEY_MAX = 1000

/** Who might still name the blocks of this owner. */
export function orphanReads({ map, space, key }: BlockOwner): Read[] {
  return [
    ...livenessReads({ map, place: { space, key } }),
    { kind: 'scan', range: uploadRange(space, key), limit: UPLOADS_OF_KEY_MAX },
  ]
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

/** The maps (hex) that rows of garbage still name. */
export function mapsInGarbage(rows: readonly StoreRow[]): string[] {
  const waiting = rows.map(({ value }) => GarbageRow.decode(value)).filter(({ freed }) => !freed)
  return waiting.flatMap(({ mapId, references }) => [
    ...(mapId === undefined ? [] : [formatId(mapId)]),
    ...references.map(({ map }) => formatId(map)),
  ])
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
