/**
 * ● Nothing is deleted after a start until every group has a read quorum of drives whose servers have been heard,
 * and some time has passed since: what has not answered yet is not absent.
 */
import { type Clock, type ClusterMap, drivesOfGroup, GROUPS_PER_POOL, type Pool } from '@cairn/protocol'
import type { ClusterState } from '../cluster/cluster-state.js'
import { readQuorum } from '../cluster/group-holders.js'

export interface SafeModeOptions {
  readonly clock: Clock
  readonly cluster: ClusterState
  /** From the moment at which every group had its quorum. */
  readonly delaySeconds: number
}

export class SafeMode {
  private readonly options: SafeModeOptions
  private wholeSinceMs: number | undefined

  constructor(options: SafeModeOptions) {
    this.options = options
  }

  /** Begins anew: another service may have coordinated in between. */
  restart(): void {
    this.wholeSinceMs = undefined
  }

  /** Whether deletions are allowed. Once over it stays over until it begins anew. */
  isOver(): boolean {
    const { clock, cluster, delaySeconds } = this.options
    const nowMs = clock.monotonicMs()
    if (this.wholeSinceMs === undefined && this.isWhole(cluster.known)) this.wholeSinceMs = nowMs
    return this.wholeSinceMs !== undefined && nowMs - this.wholeSinceMs >= delaySeconds * 1000
  }

  private isWhole(map: ClusterMap): boolean {
    const heard = new Set(
      map.drives
        .filter(({ server }) => this.options.cluster.heartbeats.silentMs(server) !== undefined)
        .map(({ id }) => id),
    )
    return map.pools.length > 0 && map.pools.every((pool) => hasReadQuorums(pool, heard))
  }
}

function hasReadQuorums(pool: Pool, heard: ReadonlySet<string>): boolean {
  const quorum = readQuorum(pool)
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    const count = drivesOfGroup(pool, group).filter((id) => id !== undefined && heard.has(id)).length
    if (count < quorum) return false
  }
  return true
}
