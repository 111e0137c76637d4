/** The lineage of a store: its life between two restores. Copies of another lineage never mix with its own. */
import { createHash } from 'node:crypto'
import { HEAD_KEY } from '../../core/commit/commit-rows.js'
import { CLUSTER_KEY, ClusterRow } from '../../core/rows/cluster-state-rows.js'
import type { Entry, EntryStore } from '../../ports.js'
import { LINEAGE_BYTES } from './journal-frame.js'

/** What the journal knows of a store from its rows. */
export interface StoreFacts {
  /** `undefined` until the cluster is made. */
  readonly cluster: ClusterRow | undefined
  /** Revision of the last entry; 0 if there was none. Every entry rewrites the row `head`. */
  readonly head: number
}

/** Reads what the journal needs to know of a store. */
export async function readFacts(store: EntryStore): Promise<StoreFacts> {
  const { results } = await store.read([
    { kind: 'get', key: CLUSTER_KEY },
    { kind: 'get', key: HEAD_KEY },
  ])
  const row = results[0]?.[0]
  return {
    cluster: row === undefined ? undefined : ClusterRow.decode(row.value),
    head: results[1]?.[0]?.revision ?? 0,
  }
}

/** Eight bytes that stand in all copies of one lineage. */
export function lineageOf({ clusterId, incarnation }: Pick<ClusterRow, 'clusterId' | 'incarnation'>): Buffer {
  return createHash('sha256').update(`${clusterId}/${incarnation}`).digest().subarray(0, LINEAGE_BYTES)
}

/** The cluster row that an entry puts, if it does. */
export function clusterRowIn(entry: Entry): ClusterRow | undefined {
  for (const { puts } of entry.commits) {
    const put = puts?.find(({ key }) => Buffer.compare(key, CLUSTER_KEY) === 0)
    if (put !== undefined) return ClusterRow.decode(put.value)
  }
  return undefined
}
