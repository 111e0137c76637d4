/**
 * What the states of drives change in the cluster map. Pure.
 *
 * Only what matters is written: a drive that is dead, and one that is back. A dead drive whose groups an unused drive
 * can take gives them away for good: it is `out`, and stays so when it returns. Without an unused drive it keeps
 * them, so that its return makes everything whole again.
 */
import { type DriveId, drivesOfGroup, GROUPS_PER_POOL, type Pool, replaceDrive } from '@cairn/protocol'
import type { DriveRow } from './cluster-state-rows.js'
import { type ClusterChange, domainOf, type RegisteredDrives } from './drive-registration.js'
import type { DriveCondition } from './drive-states.js'

/** The rows that change because of what drives count as now; none if nothing that matters has changed. */
export function planMembership(
  state: RegisteredDrives,
  conditionOf: (drive: DriveId) => DriveCondition,
): ClusterChange {
  const drives = new Map<DriveId, DriveRow>()
  for (const [id, row] of state.drives) drives.set(id, withState(row, conditionOf(id)))
  let pools = state.map.pools
  for (const { drive } of drives.values()) {
    if (drive.state !== 'dead') continue
    const healthy = (id: DriveId): boolean => conditionOf(id) === 'up'
    const replaced = pools.map((pool) => replaceDead(state, { pool, pools, drives, dead: drive.id, healthy }))
    const gaveAll = !replaced.some((pool) => pool.drives.includes(drive.id))
    if (gaveAll && pools.some((pool) => pool.drives.includes(drive.id))) setState(drives, drive.id, 'out')
    pools = replaced
  }
  const changed = pools.filter((pool) => !state.map.pools.includes(pool))
  return {
    members: [],
    drives: [...drives.values()].filter((row) => row !== state.drives.get(row.drive.id)),
    pools: changed,
    indebted: changed.map(({ id }) => id),
  }
}

function withState(row: DriveRow, condition: DriveCondition): DriveRow {
  const { state } = row.drive
  if (condition === 'dead' && (state === 'up' || state === 'suspect')) {
    return { ...row, drive: { ...row.drive, state: 'dead' } }
  }
  if (condition === 'up' && (state === 'dead' || state === 'suspect')) {
    return { ...row, drive: { ...row.drive, state: 'up' } }
  }
  return row
}

function setState(drives: Map<DriveId, DriveRow>, id: DriveId, state: DriveRow['drive']['state']): void {
  const row = drives.get(id)
  if (row !== undefined) drives.set(id, { ...row, drive: { ...row.drive, state } })
}

interface Vacancy {
  readonly pool: Pool
  readonly pools: readonly Pool[]
  readonly drives: ReadonlyMap<DriveId, DriveRow>
  readonly dead: DriveId
  readonly healthy: (drive: DriveId) => boolean
}

/** The pool with the largest unused drive in the place of the dead one; the same pool if there is none. */
function replaceDead(state: RegisteredDrives, vacancy: Vacancy): Pool {
  const { pool, pools, drives, dead, healthy } = vacancy
  if (!pool.drives.includes(dead)) return pool
  const members = new Map(state.map.members.map((member) => [member.id, member]))
  const domain = (id: DriveId): string => {
    const row = drives.get(id)
    return row === undefined ? id : domainOf(row.drive, members, pool.failureDomain)
  }
  const taken = new Set([...companionsOf(pool, dead)].map(domain))
  const unused = [...drives.values()]
    .map(({ drive }) => drive)
    .filter(({ id, state: is }) => is === 'up' && healthy(id) && !pools.some((p) => p.drives.includes(id)))
    .filter(({ id }) => !taken.has(domain(id)))
    .sort((a, b) => b.capacityBytes - a.capacityBytes || (a.id < b.id ? -1 : 1))
  const [best] = unused
  return best === undefined ? pool : replaceDrive(pool, dead, best.id)
}

/** The drives that hold groups together with this one. */
function companionsOf(pool: Pool, drive: DriveId): Set<DriveId> {
  const companions = new Set<DriveId>()
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    const holders = drivesOfGroup(pool, group)
    if (!holders.includes(drive)) continue
    for (const holder of holders) if (holder !== undefined && holder !== drive) companions.add(holder)
  }
  return companions
}
