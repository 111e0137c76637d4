/** Which drives should hold what. Pure. */
import {
  type BlockId,
  type ClusterMap,
  type DriveId,
  type DriveState,
  drivesOfGroup,
  GROUPS_PER_POOL,
  groupOf,
  joinersOfGroup,
  type Pool,
  writeQuorum,
} from '@cairn/protocol'
import type { DriveRow } from '../rows/cluster-state-rows.js'

/** The members of a block's group that still count: one that is out holds nothing that matters. */
export function membersOf(map: ClusterMap, pool: Pool, block: BlockId): DriveId[] {
  const stateOf = statesOf(map)
  return drivesOfGroup(pool, groupOf(block)).filter(
    (id): id is DriveId => id !== undefined && stateOf(id) !== 'out',
  )
}

/** Every drive that a block should be on now: see `holdersOfGroup`. */
export function holdersOf(map: ClusterMap, pool: Pool, block: BlockId): DriveId[] {
  return holdersOfGroup(map, pool, groupOf(block))
}

/**
 * The drives of a group that still count, in order, and after them those that join it. A dead drive that is about to
 * be replaced does not count any more: nobody can wait for it.
 */
export function holdersOfGroup(map: ClusterMap, pool: Pool, group: number): DriveId[] {
  return listHolders(statesOf(map), pool, group)
}

/** `holdersOfGroup` of every group; groups of the same drives share one list. */
export function holdersTable(map: ClusterMap, pool: Pool): (readonly DriveId[])[] {
  const stateOf = statesOf(map)
  const lists = new Map<string, readonly DriveId[]>()
  return Array.from({ length: GROUPS_PER_POOL }, (_, group) => {
    const name = `${drivesOfGroup(pool, group).join()}/${pool.next && joinersOfGroup(pool, group).join()}`
    const list = lists.get(name) ?? listHolders(stateOf, pool, group)
    lists.set(name, list)
    return list
  })
}

/**
 * The pool that a block on this drive belongs to: a drive serves one pool. What lies on a drive without a pool can
 * only belong to the one that is there; with more of them it cannot be told, and `undefined` leaves it alone.
 */
export function poolOfDrive(map: ClusterMap, drive: DriveId): Pool | undefined {
  const own = map.pools.filter((pool) => pool.drives.includes(drive))
  if (own.length === 1) return own[0]
  return own.length === 0 && map.pools.length === 1 ? map.pools[0] : undefined
}

/** By drive: groups that it held, or got blocks of to join them, and has nothing to do with any more. */
export function groupsLeft(before: Pool, after: Pool): Map<DriveId, number[]> {
  const left = new Map<DriveId, number[]>()
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    const staying = involved(after, group)
    for (const drive of involved(before, group)) {
      if (staying.has(drive)) continue
      const groups = left.get(drive)
      if (groups === undefined) left.set(drive, [group])
      else groups.push(group)
    }
  }
  return left
}

/** As many members of a group as make sure that one of them has every acknowledged write. */
function readQuorum({ replicas }: Pool): number {
  return replicas - writeQuorum(replicas) + 1
}

/**
 * Whether these drives are enough members of a group to know all that was acknowledged, dead members counted as the
 * others: a read quorum of those that saw it all, or every one there is. Members that were given up need not be among
 * them: who gave them up bears the loss.
 */
export function knowsAll(pool: Pool, group: number, drives: KnownDrives): boolean {
  const members = drivesOfGroup(pool, group).filter((id) => id !== undefined)
  const sawAll = members.filter((id) => drives.isKnown(id) && !drives.isUnfilled(id, group)).length
  return sawAll >= readQuorum(pool) || members.every((id) => drives.isKnown(id) || drives.isGivenUp(id))
}

/** See `knowsAll`. */
export interface KnownDrives {
  isKnown(drive: DriveId): boolean
  /** In this group it saw only what was acknowledged since it took the place of another. */
  isUnfilled(drive: DriveId, group: number): boolean
  isGivenUp(drive: DriveId): boolean
}

/** It is gone, and somebody has drained it by force: what it alone had is given up with it. */
export function isGivenUp(row: DriveRow | undefined): boolean {
  return row?.drain === 'forced' && (row.drive.state === 'dead' || row.drive.state === 'out')
}

type StateOf = (drive: DriveId) => DriveState | undefined

function statesOf({ drives }: ClusterMap): StateOf {
  return (id) => drives.find((drive) => drive.id === id)?.state
}

function listHolders(stateOf: StateOf, pool: Pool, group: number): DriveId[] {
  const members = drivesOfGroup(pool, group)
  const joiners = pool.next === undefined ? [] : joinersOfGroup(pool, group)
  const counts = (id: DriveId | undefined, position: number): id is DriveId => {
    if (id === undefined || stateOf(id) === 'out') return false
    return joiners[position] === undefined || stateOf(id) !== 'dead'
  }
  const joining = joiners.filter((id): id is DriveId => id !== undefined)
  // A member may join at another position.
  return [...new Set([...members.filter(counts), ...joining])]
}

/** Members and joiners of a group. */
function involved(pool: Pool, group: number): Set<DriveId> {
  const drives = [...drivesOfGroup(pool, group), ...joinersOfGroup(pool, group)]
  return new Set(drives.filter((drive) => drive !== undefined))
}
