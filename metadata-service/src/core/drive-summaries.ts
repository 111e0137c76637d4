/** Drives as people see them: what the map says, and what has been heard of them since. */
import type { Drive, DriveSummary } from '@cairn/protocol'
import type { ClusterState } from './cluster-state.js'
import type { DriveStates } from './drive-states.js'

/** In the order of the map. */
export function summarizeDrives(cluster: ClusterState, states: DriveStates): DriveSummary[] {
  const { heartbeats } = cluster
  return cluster.known.drives.map((drive) => {
    const { id, server } = drive
    const report = heartbeats.ofDrive(id)?.report
    const silentMs = heartbeats.silentMs(server)
    return {
      id,
      server,
      state: stateOf(drive, states),
      path: cluster.drives.get(id)?.path ?? '',
      ...(silentMs === undefined ? {} : { silentMs: Math.floor(silentMs) }),
      ...(report === undefined ? {} : { report }),
    }
  })
}

/** The map's word, unless it says `up`: then what is heard counts. */
function stateOf({ id, state }: Drive, states: DriveStates): string {
  return state === 'up' ? states.of(id) : state
}
