/**
 * ● Nothing is repaired or deleted after a start, and after another service may have coordinated, until every group has
 * a read quorum of drives that were reported since, and some time has passed: what has not answered yet is not absent.
 * A server that was heard says nothing of a disk of its that did not mount. Who is gone and was given up is not waited
 * for: by how long it has been silent, since the map learns of nobody's death before this is over.
 */
import { type Clock, type ClusterMap, type DriveId, GROUPS_PER_POOL, type Pool } from '@cairn/protocol'
import type { ClusterState } from '../cluster/cluster-state.js'
import type { DriveStates } from '../cluster/drive-states.js'
import { isGivenUp, type KnownDrives, knowsAll } from '../cluster/group-holders.js'

export interface SafeModeOptions {
  readonly clock: Clock
  readonly cluster: ClusterState
  readonly states: DriveStates
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

  /** Why it does not end by itself; for people. */
  findObstacle(): string | undefined {
    const { cluster, states } = this.options
    if (this.wholeSinceMs !== undefined) return undefined
    const known = this.knownDrives(cluster.known)
    const isMissed = (id: DriveId): boolean =>
      states.of(id) === 'dead' && !known.isKnown(id) && !known.isGivenUp(id)
    const waiting = cluster.known.pools.filter((pool) => !hasReadQuorums(pool, known))
    const missed = new Set(waiting.flatMap(({ drives }) => drives).filter(isMissed))
    if (missed.size === 0) return undefined
    return `safe mode waits for dead drives: bring back, or drain by force, ${[...missed].join()}`
  }

  private isWhole(map: ClusterMap): boolean {
    const known = this.knownDrives(map)
    return map.pools.length > 0 && map.pools.every((pool) => hasReadQuorums(pool, known))
  }

  private knownDrives(map: ClusterMap): KnownDrives {
    const { cluster, states } = this.options
    const { heartbeats, drives } = cluster
    const heard = new Set(
      map.drives
        .filter(({ id, server }) => heartbeats.isReported(server, id, this.begunAtMs))
        .map(({ id }) => id),
    )
    const isGone = (id: DriveId): boolean => drives.get(id)?.drain === 'forced' && states.of(id) === 'dead'
    return {
      isKnown: (id: DriveId) => heard.has(id),
      // Such a drive is filled only after this; comparisons heed it.
      isUnfilled: () => false,
      isGivenUp: (id: DriveId) => isGivenUp(drives.get(id)) || isGone(id),
    }
  }
}

function hasReadQuorums(pool: Pool, known: KnownDrives): boolean {
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    if (!knowsAll(pool, group, known)) return false
  }
  return true
}
