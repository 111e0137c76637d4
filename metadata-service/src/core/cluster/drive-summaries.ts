/** Drives as people see them: what the map says, and what has been heard of them since. */
import {
  changesOf,
  type Drive,
  type DriveId,
  type DriveSummary,
  type Pool,
  positionsOf,
} from '@cairn/protocol'
import type { ClusterState } from './cluster-state.js'
import type { DriveStates } from './drive-states.js'

/** In the order of the map. */
export function summarizeDrives(cluster: ClusterState, states: DriveStates): DriveSummary[] {
  const { heartbeats } = cluster
  const counts = cluster.known.pools.map(countPositions)
  const sum = (of: keyof PositionCounts, id: DriveId): number =>
    counts.reduce((total, each) => total + (each[of].get(id) ?? 0), 0)
  return cluster.known.drives.map((drive) => {
    const { id, server } = drive
    const report = heartbeats.ofDrive(id)?.report
    const silentMs = heartbeats.silentMs(server)
    return {
      id,
      server,
      state: stateOf(drive, states),
      path: cluster.drives.get(id)?.path ?? '',
      positions: sum('held', id),
      leaving: sum('leaving', id),
      joining: sum('joining', id),
      drain: cluster.drives.get(id)?.drain !== undefined,
      ...(silentMs === undefined ? {} : { silentMs: Math.floor(silentMs) }),
      ...(report === undefined ? {} : { report }),
    }
  })
}

/** The map's word, unless it says `up`: then what is heard counts. */
function stateOf({ id, state }: Drive, states: DriveStates): string {
  return state === 'up' ? states.of(id) : state
}

interface PositionCounts {
  readonly held: Map<DriveId, number>
  readonly leaving: Map<DriveId, number>
  readonly joining: Map<DriveId, number>
}

/** A pool is never changed in place: what was counted once stays right. */
const counted = new WeakMap<Pool, PositionCounts>()

function countPositions(pool: Pool): PositionCounts {
  const known = counted.get(pool)
  if (known !== undefined) return known
  const counts = { held: positionsOf(pool), leaving: new Map(), joining: new Map() } satisfies PositionCounts
  const add = (to: Map<DriveId, number>, drive: DriveId | undefined): void => {
    if (drive !== undefined) to.set(drive, (to.get(drive) ?? 0) + 1)
  }
  for (const { leaver, joiner } of changesOf(pool)) {
    add(counts.leaving, leaver)
    add(counts.joining, joiner)
  }
  counted.set(pool, counts)
  return counts
}

/** Positions of a pool that change hands now. */
export function countMoving(pool: Pool): number {
  if (pool.next === undefined) return 0
  return [...countPositions(pool).joining.values()].reduce((total, count) => total + count, 0)
}
