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
  const counts = countPositions(cluster.known.pools)
  return cluster.known.drives.map((drive) => {
    const { id, server } = drive
    const report = heartbeats.ofDrive(id)?.report
    const silentMs = heartbeats.silentMs(server)
    return {
      id,
      server,
      state: stateOf(drive, states),
      path: cluster.drives.get(id)?.path ?? '',
      positions: counts.held.get(id) ?? 0,
      leaving: counts.leaving.get(id) ?? 0,
      joining: counts.joining.get(id) ?? 0,
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

function countPositions(pools: readonly Pool[]): PositionCounts {
  const counts: PositionCounts = { held: new Map(), leaving: new Map(), joining: new Map() }
  const add = (to: Map<DriveId, number>, drive: DriveId | undefined, count = 1): void => {
    if (drive !== undefined) to.set(drive, (to.get(drive) ?? 0) + count)
  }
  for (const pool of pools) {
    for (const [drive, count] of positionsOf(pool)) add(counts.held, drive, count)
    for (const { leaver, joiner } of changesOf(pool)) {
      add(counts.leaving, leaver)
      add(counts.joining, joiner)
    }
  }
  return counts
}
