/** What recovery does with rows: each is decoded once, to prove that it can be, and some begin a new life. */
import { formatId, Member, PART_NUMBER_MAX, Pool, type Random } from '@cairn/protocol'
import { ChangeRecord } from '../../core/commit/commit-change-record.js'
import {
  CLUSTER_KEY,
  ClusterRow,
  clusterRowKind,
  DriveRow,
  poolKey,
} from '../../core/rows/cluster-state-rows.js'
import {
  BucketConfigurationRow,
  BucketRow,
  DirtyRow,
  GarbageRow,
  PartRow,
  ReferenceRow,
  UploadRow,
  VersionRow,
} from '../../core/rows/rows.js'
import { restoredPut } from '../../core/upkeep/restore-hold.js'
import type { StoreKey } from '../../ports.js'

/**
 * Epochs of a new life are those of the copy and so many more, and never below the time of the restore in ms: drives refuse
 * epochs below the highest that they saw, in the life that the copy is of or in one restored from a later copy.
 */
const EPOCH_JUMP = 1_000

/** In a key `p/<op><number>`. */
const PART_NUMBER_AT = 2 + 16

const MESSAGES: readonly (readonly [prefix: string, decode: (value: Uint8Array) => unknown])[] = [
  ['b/', BucketRow.decode],
  ['bc/', BucketConfigurationRow.decode],
  ['o/', VersionRow.decode],
  ['v/', VersionRow.decode],
  ['u/', UploadRow.decode],
  ['r/', ReferenceRow.decode],
  ['g/', GarbageRow.decode],
  ['c/', ChangeRecord.decode],
  ['dirty/', DirtyRow.decode],
]

/** Decodes a row by the prefix of its key. `MessageCorrupt` or `FormatTooNew`; unknown kinds pass. */
export function checkRow(key: StoreKey, value: Uint8Array): void {
  const name = Buffer.from(key.buffer, key.byteOffset, Math.min(key.length, 16)).toString('latin1')
  if (name.startsWith('m/')) checkClusterRow(key, value)
  else if (name.startsWith('p/')) checkPartRow(key, value)
  else MESSAGES.find(([prefix]) => name.startsWith(prefix))?.[1](value)
}

/** Under numbers that no part can have stand other rows of the upload. */
function checkPartRow(key: StoreKey, value: Uint8Array): void {
  const view = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  if (view.readUInt16BE(PART_NUMBER_AT) <= PART_NUMBER_MAX) PartRow.decode(value)
}

function checkClusterRow(key: StoreKey, value: Uint8Array): void {
  const kind = clusterRowKind(key)
  if (kind === 'cluster') ClusterRow.decode(value)
  else if (kind === 'drive') DriveRow.decode(value)
  else if (kind === 'pool') Pool.decode(value)
  else if (kind === 'member') Member.decode(value)
}

/** Rows to read and to put so that a copy can be used: new incarnation, higher epochs, garbage held. */
export interface NewLife {
  readonly clusterId: string
  readonly incarnation: string
  readonly puts: readonly { readonly key: StoreKey; readonly value: Uint8Array }[]
}

/** `undefined` if the rows hold no cluster. */
export function newLife(
  clusterRows: readonly { readonly key: StoreKey; readonly value: Uint8Array }[],
  options: { readonly random: Random; readonly nowMs: number },
): NewLife | undefined {
  const cluster = clusterRows.find(({ key }) => clusterRowKind(key) === 'cluster')
  if (cluster === undefined) return undefined
  const { random, nowMs } = options
  const row = ClusterRow.decode(cluster.value)
  const incarnation = formatId(random.bytes(8))
  const epochAfter = (epoch: number): number => Math.max(epoch + EPOCH_JUMP, nowMs)
  const next = { ...row, incarnation, epoch: epochAfter(row.epoch), change: random.bytes(16) }
  const pools = clusterRows
    .filter(({ key }) => clusterRowKind(key) === 'pool')
    .map(({ value }) => Pool.decode(value))
    .map((pool) => ({ ...pool, epoch: epochAfter(pool.epoch) }))
  return {
    clusterId: row.clusterId,
    incarnation,
    puts: [
      { key: CLUSTER_KEY, value: ClusterRow.encode(next) },
      restoredPut({ incarnation, atMs: nowMs }),
      ...pools.map((pool) => ({ key: poolKey(pool.id), value: Pool.encode(pool) })),
    ],
  }
}
