/**
 * What fences the commits of a writer: its session's row must still be the one it opened, and the pool must still
 * be at the epoch by which it placed its blocks. Both stand as compares in the commit itself.
 */
import { CairnError, type SessionId, sameBytes } from '@cairn/protocol'
import type { Compare, StoreRow } from '../../ports.js'
import type { ClusterState } from '../cluster/cluster-state.js'
import { poolKey } from '../rows/cluster-state-rows.js'
import { sessionKey } from '../rows/keys.js'
import type { Sessions } from '../services/sessions.js'

/** Who writes, and by which epoch of which pool its blocks were placed; no pool if it has no blocks. */
export interface WriterClaim {
  readonly session: SessionId
  readonly pool?: { readonly id: number; readonly epoch: number } | undefined
  /** The session's row is compared already. */
  readonly isFenced?: boolean
}

/** Makes the compares of a writer's commits and explains them when they fail. */
export interface WriterGuard {
  /**
   * `SessionExpired` or `StaleClusterMap` at once if the claim does not hold; `DriveFull` while the store has no room
   * for what does not free any.
   */
  compares(claim: WriterClaim): Promise<Compare[]>
  /** The same without waiting, in an array of the caller's own; `undefined` if it has to be found out. */
  comparesNow(claim: WriterClaim): Compare[] | undefined
  /**
   * Why a commit with these compares failed, judged by the rows of its else branch (the writer's compares and
   * their rows, in order): an error to give to the writer, or `undefined` if the writer's claim still stands.
   */
  explain(
    claim: WriterClaim,
    compares: readonly Compare[],
    rows: readonly (StoreRow | undefined)[],
  ): Promise<CairnError | undefined>
}

/** The guard over this service's sessions and cluster map; `isShort`: the store has no room for new rows. */
export function createWriterGuard(
  sessions: Sessions,
  cluster: ClusterState,
  isShort: () => boolean = () => false,
): WriterGuard {
  function requireRoom(): void {
    if (isShort()) throw new CairnError('DriveFull', 'the disk of the metadata is full')
  }

  function comparesNow({ session, pool, isFenced = false }: WriterClaim): Compare[] | undefined {
    requireRoom()
    const compares: Compare[] = []
    if (!isFenced) {
      const ofSession = sessions.knownCompare(session)
      if (ofSession === undefined) return undefined
      compares.push(ofSession)
    }
    if (pool !== undefined) {
      const ofPool = cluster.knownPoolCompare(pool.id, pool.epoch)
      if (ofPool === undefined) return undefined
      compares.push(ofPool)
    }
    return compares
  }

  async function compares({ session, pool, isFenced = false }: WriterClaim): Promise<Compare[]> {
    requireRoom()
    const ofSession = isFenced ? [] : [sessions.knownCompare(session) ?? (await sessions.compare(session))]
    if (pool === undefined) return ofSession
    const { id, epoch } = pool
    return [...ofSession, cluster.knownPoolCompare(id, epoch) ?? (await cluster.poolCompare(id, epoch))]
  }

  async function explain(
    claim: WriterClaim,
    tried: readonly Compare[],
    rows: readonly (StoreRow | undefined)[],
  ): Promise<CairnError | undefined> {
    const key = sessionKey(claim.session)
    for (const [at, compare] of tried.entries()) {
      const row = rows[at]
      if (compare.kind === 'creation' && sameBytes(compare.key, key) && row?.created !== compare.created) {
        return sessions.forget(claim.session)
      }
      const isPool = claim.pool !== undefined && compare.kind === 'revision'
      if (isPool && sameBytes(compare.key, poolKey(claim.pool.id)) && row?.revision !== compare.revision) {
        await cluster.refresh()
        return cluster.staleEpoch(claim.pool.id, claim.pool.epoch)
      }
    }
    return undefined
  }

  return { compares, comparesNow, explain }
}
