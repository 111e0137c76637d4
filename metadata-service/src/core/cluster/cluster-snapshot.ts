/** The cluster map as it stands in the store: read as of one revision, or made where there is none. */
import { CairnError, type Clock, type ClusterMap, formatId, Member, Pool, type Random } from '@cairn/protocol'
import type { Compare, KeyValueStore, StoreRow } from '../../ports.js'
import {
  CLUSTER_KEY,
  CLUSTER_RANGE,
  ClusterRow,
  carriesChange,
  clusterRowKind,
  DriveRow,
  poolKey,
} from '../rows/cluster-state-rows.js'
import { MOVE_KEY } from '../rows/store-move.js'

/** One reading of the map: all rows at one revision. */
export interface ClusterSnapshot {
  readonly clusterRow: ClusterRow
  /** Revision of `m/cluster`: the copy stands as long as it stays. */
  readonly revision: number
  readonly map: ClusterMap
  readonly drives: ReadonlyMap<string, DriveRow>
  /** What writers to a pool compare: the same object until the map is read again. */
  readonly poolCompares: ReadonlyMap<number, Compare>
  readonly rebalancing: boolean
  readonly balanceEpoch: number
}

/** What a cluster is made with. */
export interface NewClusterOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly random: Random
  /** A random one unless given. */
  readonly clusterId?: string
  readonly featureLevel: number
}

/** Rows of the map in one reading: members, drives and pools of a large cluster. */
const CLUSTER_ROWS_MAX = 10_000

/** `undefined` for a store without a cluster. */
export async function readClusterSnapshot(
  store: Pick<KeyValueStore, 'read'>,
): Promise<ClusterSnapshot | undefined> {
  const { results } = await store.read([{ kind: 'scan', range: CLUSTER_RANGE, limit: CLUSTER_ROWS_MAX }])
  const rows = results[0] ?? []
  const cluster = rows.find((row) => clusterRowKind(row.key) === 'cluster')
  if (cluster === undefined) return undefined
  const clusterRow = ClusterRow.decode(cluster.value)
  const ofKind = (kind: string): StoreRow[] => rows.filter((row) => clusterRowKind(row.key) === kind)
  const driveRows = ofKind('drive').map((row) => DriveRow.decode(row.value))
  const pools = ofKind('pool').map((row) => ({ pool: Pool.decode(row.value), revision: row.revision }))
  const { clusterId, incarnation, featureLevel, epoch, defaultPool, featureLevelTarget = 0 } = clusterRow
  const { rebalancing = false, balanceEpoch = 0 } = clusterRow
  return {
    clusterRow,
    revision: cluster.revision,
    drives: new Map(driveRows.map((row) => [row.drive.id, row])),
    poolCompares: new Map(
      pools.map(({ pool, revision }) => [pool.id, { kind: 'revision', key: poolKey(pool.id), revision }]),
    ),
    rebalancing,
    balanceEpoch,
    map: {
      clusterId,
      incarnation,
      featureLevel,
      epoch,
      members: ofKind('member').map((row) => Member.decode(row.value)),
      drives: driveRows.map((row) => row.drive),
      pools: pools.map(({ pool }) => pool),
      ...(defaultPool === undefined ? {} : { defaultPool }),
      ...(featureLevelTarget === 0 ? {} : { featureLevelTarget }),
    },
  }
}

/**
 * Makes the cluster in an empty store; of those who try at once one does, and all get what it has made. `Busy` while
 * the store is being filled from another one.
 */
export async function createCluster(options: NewClusterOptions): Promise<ClusterSnapshot> {
  const { store, random, clock } = options
  const row: ClusterRow = {
    clusterId: options.clusterId ?? formatId(random.bytes(16)),
    incarnation: formatId(random.bytes(8)),
    featureLevel: options.featureLevel,
    epoch: 1,
    createdMs: Math.floor(clock.wallMicros() / 1000),
    change: random.bytes(16),
  }
  await store.commit({
    compares: [
      { kind: 'absent', key: CLUSTER_KEY },
      { kind: 'absent', key: MOVE_KEY },
    ],
    puts: [{ key: CLUSTER_KEY, value: ClusterRow.encode(row) }],
    proof: { keys: [CLUSTER_KEY], carries: (rows) => carriesChange(rows[0], row.change) },
  })
  const snapshot = await readClusterSnapshot(store)
  if (snapshot === undefined) throw new CairnError('Busy', 'the store is being filled from another one')
  return snapshot
}
