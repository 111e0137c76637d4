/**
 * Judges what drives say of one block, and what the store says of its owner. Pure.
 *
 * ● A block is copied only if the store, at one revision, shows that its map is live; dead or unknown is left. A
 * drive that did not answer is `unknown`, never without the block.
 */
import { type BlockEntry, type BlockId, type BlockOwner, type DriveId, sameBytes } from '@cairn/protocol'
import type { StoreRow } from '../../ports.js'
import { parseUploadKey } from '../rows/keys.js'
import { UploadRow, VersionRow } from '../rows/rows.js'
import { isLive } from '../uploads/uploads-state.js'
import { judgeMap } from './garbage.js'
import { UPLOADS_OF_KEY_MAX } from './orphans.js'

/** What a drive said of a block: its entry, that it has none, or nothing. */
export type CopyState = BlockEntry | 'absent' | 'unknown'

/** What a block is, as its copies agree on it. */
export interface CopyFacts {
  readonly owner: BlockOwner
  readonly sizeBytes: number
  readonly hash: Uint8Array
}

/** The copies of one block. */
export interface CopyJudgement {
  /** `undefined` if no drive that answered has it, or if good copies disagree. */
  readonly facts: CopyFacts | undefined
  /** Drives with a good copy: members of the group first. */
  readonly good: readonly DriveId[]
  /** How many of them are members. */
  readonly goodMembers: number
  /** Members that answered and have no good copy. */
  readonly lacking: readonly DriveId[]
  /** Members that did not answer. */
  readonly unknown: readonly DriveId[]
  /** Some drive that answered has a copy, good or not. */
  readonly isPresent: boolean
}

/** Judges the copies of a block by what each drive that was asked said. */
export function judgeCopies(
  states: ReadonlyMap<DriveId, CopyState>,
  members: readonly DriveId[],
): CopyJudgement {
  const entryOf = (drive: DriveId): BlockEntry | undefined => {
    const state = states.get(drive)
    return typeof state === 'object' ? state : undefined
  }
  const isGood = (drive: DriveId): boolean => {
    const entry = entryOf(drive)
    return entry !== undefined && entry.damaged !== true
  }
  const stateOf = (drive: DriveId): CopyState => states.get(drive) ?? 'unknown'
  const others = [...states.keys()].filter((drive) => !members.includes(drive))
  const good = [...members, ...others].filter(isGood)
  const entries = [...good, ...states.keys()].flatMap((drive) => entryOf(drive) ?? [])
  return {
    facts: factsOf(
      entries,
      good.flatMap((drive) => entryOf(drive) ?? []),
    ),
    good,
    goodMembers: members.filter(isGood).length,
    lacking: members.filter((drive) => stateOf(drive) !== 'unknown' && !isGood(drive)),
    unknown: members.filter((drive) => stateOf(drive) === 'unknown'),
    isPresent: entries.length > 0,
  }
}

function factsOf(entries: readonly BlockEntry[], good: readonly BlockEntry[]): CopyFacts | undefined {
  const [first] = good.length > 0 ? good : entries
  const owner = entries.find((entry) => entry.owner !== undefined)?.owner
  if (first === undefined || owner === undefined) return undefined
  const agree = good.every(
    ({ hash, sizeBytes }) => sizeBytes === first.sizeBytes && sameBytes(hash, first.hash),
  )
  return agree ? { owner, sizeBytes: first.sizeBytes, hash: first.hash } : undefined
}

/** `live`: a row names the block, or may; `dead`: none does; `unknown`: that was not to be found out. */
export type BlockLiveness = 'live' | 'dead' | 'unknown'

/**
 * Judges a block by the answers of `orphanReads(owner)`, all of one revision. A key may have more uploads than are read:
 * that hides the upload of this block, but not the row that names it.
 */
export function judgeBlock(
  block: BlockId,
  owner: BlockOwner,
  answers: readonly (readonly StoreRow[])[],
): BlockLiveness {
  const [birth = [], referrers = [], uploads] = answers
  if (uploads === undefined) return 'unknown'
  const upload = uploads.find(({ key }) => sameBytes(parseUploadKey(key).op, owner.map))
  if (upload !== undefined && isLive(UploadRow.decode(upload.value))) return 'live'
  const unnamed = uploads.length < UPLOADS_OF_KEY_MAX ? 'dead' : 'unknown'
  if (judgeMap(owner.map, birth, referrers) === 'dead') return unnamed
  if (referrers.length > 0) return 'live'
  return birth[0] !== undefined && leavesOut(VersionRow.decode(birth[0].value), block) ? unnamed : 'live'
}

/** The whole map stands in the row, and the block is not in it: a part that was replaced, or not listed. */
function leavesOut({ map }: VersionRow, block: BlockId): boolean {
  if (map === undefined || map.pages.length > 0) return false
  return !map.slices.some((slice) => sameBytes(slice.block, block))
}
