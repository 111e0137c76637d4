/** Which drives should hold what. Pure. */
import {
  type BlockId,
  type ClusterMap,
  type DriveId,
  drivesOfGroup,
  GROUPS_PER_POOL,
  groupOf,
  type Pool,
} from '@cairn/protocol'

/** The drives of a block's group that still count: one that is out holds nothing that matters. */
export function holdersOf(map: ClusterMap, pool: Pool, block: BlockId): DriveId[] {
  return holdersOfGroup(map, pool, groupOf(block))
}

/** The drives of a group that still count, in order. */
export function holdersOfGroup(map: ClusterMap, pool: Pool, group: number): DriveId[] {
  const isOut = (id: DriveId): boolean => map.drives.find((drive) => drive.id === id)?.state === 'out'
  return drivesOfGroup(pool, group).filter((id) => id !== undefined && !isOut(id)) as DriveId[]
}

/** `holdersOfGroup` of every group; groups of the same drives share one list. */
export function holdersTable(map: ClusterMap, pool: Pool): (readonly DriveId[])[] {
  const lists = new Map<string, readonly DriveId[]>()
  return Array.from({ length: GROUPS_PER_POOL }, (_, group) => {
    const name = drivesOfGroup(pool, group).join()
    const list = lists.get(name) ?? holdersOfGroup(map, pool, group)
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
