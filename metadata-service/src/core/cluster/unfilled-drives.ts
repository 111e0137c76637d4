/**
 * Drives that took, empty, the place of one whose folder was removed: `unfilledSince` of their rows. Pure.
 *
 * They are members at once, are written, read and filled, but know nothing of what was acknowledged before. ● The mark
 * of a group goes when a comparison begun after it has found the group whole, or when the drive is no member of it: any
 * other way into a group leads by `next`, filled.
 */
import { type DriveId, drivesOfGroup, GROUPS_PER_POOL, type Pool } from '@cairn/protocol'
import type { DriveRow } from '../rows/cluster-state-rows.js'
import type { ClusterChange, RegisteredDrives } from './drive-registration.js'
import { bitsOf, hasGroup } from './group-bits.js'

/** What a comparison of a pool has found. */
export interface ComparedGroups {
  readonly pool: Pool
  /** Rows as they were when it began. */
  readonly drives: ReadonlyMap<DriveId, DriveRow>
  /** It was compared, and every member has all that the others have. */
  isWhole(group: number): boolean
}

const ALL_GROUPS = Array.from({ length: GROUPS_PER_POOL }, (_, group) => group)

/** The row of a drive that takes the place of another in the change of this epoch. */
export function asUnfilled(row: DriveRow, epoch: number): DriveRow {
  return { ...row, unfilledSince: epoch, unfilledGroups: bitsOf(ALL_GROUPS) }
}

/** The row of a drive that has all that its groups have. */
export function asFilled({ unfilledSince: _, unfilledGroups: __, ...row }: DriveRow): DriveRow {
  return row
}

/** In this group the drive may lack what was acknowledged before it came. */
export function isUnfilled(row: DriveRow | undefined, group: number): boolean {
  return row?.unfilledGroups !== undefined && hasGroup(row.unfilledGroups, group)
}

/** Marks of groups that were found whole go, unless they are younger than the comparison. */
export function planFilled({ drives }: RegisteredDrives, compared: ComparedGroups): ClusterChange {
  const rows = [...drives.values()].filter(
    ({ drive: { id }, unfilledSince }) =>
      unfilledSince !== undefined &&
      unfilledSince === compared.drives.get(id)?.unfilledSince &&
      compared.pool.drives.includes(id),
  )
  const changed = rows.flatMap((row) => {
    const marked = ALL_GROUPS.filter((group) => isUnfilled(row, group))
    const left = marked.filter((group) => lacks(row.drive.id, group, compared))
    if (left.length === marked.length) return []
    return left.length === 0 ? asFilled(row) : { ...row, unfilledGroups: bitsOf(left) }
  })
  return { members: [], drives: changed, pools: [], indebted: [] }
}

function lacks(drive: DriveId, group: number, { pool, isWhole }: ComparedGroups): boolean {
  return drivesOfGroup(pool, group).includes(drive) && !isWhole(group)
}
