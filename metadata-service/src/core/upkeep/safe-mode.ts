/**
 * ● Nothing is repaired or deleted after a start, and after another service may have coordinated, until every group has
 * a read quorum of drives that were reported since, and some time has passed: what has not answered yet is not absent.
 * A server that was heard says nothing of a disk of its that did not mount. Who is gone and was given up is not waited
 * for.
 */
import { type Clock, type ClusterMap, type DriveId, GROUPS_PER_POOL, type Pool } from '@cairn/protocol'
import type { ClusterState } from '../cluster/cluster-state.js'
import { isGivenUp, type KnownDrives, knowsAll } from '../cluster/group-holders.js'

export interface SafeModeOptions {
  readonly clock: Clock
  readonly cluster: ClusterState
  /** From the moment at which every group had its quorum. */
  readonly delaySeconds: number
}

export class SafeMode {
  private readonly options: SafeModeOptions
  /** Who was heard before does not count. */
  private begunAtMs: number
  private wholeSinceMs: number | undefined

  constructor(options: SafeModeOptions) {
    this.options = options
    this.begunAtMs = options.clock.monotonicMs()
  }

  /** Begins anew: another service may have coordinated in between. */
  restart(): void {
    this.begunAtMs = this.options.clock.monotonicMs()
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
    const { heartbeats, drives } = this.options.cluster
    const heard = new Set(
      map.drives
        .filter(({ id, server }) => heartbeats.isReported(server, id, this.begunAtMs))
        .map(({ id }) => id),
    )
    const known: KnownDrives = {
      isKnown: (id: DriveId) => heard.has(id),
      isGivenUp: (id: DriveId) => isGivenUp(drives.get(id)),
    }
    return map.pools.length > 0 && map.pools.every((pool) => hasReadQuorums(pool, known))
  }
}

function hasReadQuorums(pool: Pool, known: KnownDrives): boolean {
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    if (!knowsAll(pool, group, known)) return false
  }
  return true
}
