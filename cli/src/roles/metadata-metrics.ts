/** Metrics of a metadata service. */
import type { EmbeddedEntryStore, MetadataService, MetadataServiceStatus } from '@cairn/metadata-service'
import type { Metrics } from '../metrics.js'

type Reading = readonly [
  name: string,
  kind: 'counter' | 'gauge',
  help: string,
  read: (status: MetadataServiceStatus) => number,
]

/** What only the coordinator counts: another service would report what it found when it last was the one. */
const ifCoordinator =
  (read: (status: MetadataServiceStatus) => number) =>
  (status: MetadataServiceStatus): number =>
    status.isCoordinator ? read(status) : 0

const READINGS: readonly Reading[] = [
  ['cairn_commit_batches_total', 'counter', 'Store entries: each is one sync.', (status) => status.entries],
  ['cairn_commits_total', 'counter', 'Commits that shared these entries.', (status) => status.commits],
  [
    'cairn_commit_batch_size',
    'gauge',
    'Commits per store entry, mean since the start.',
    (status) => (status.entries === 0 ? 0 : status.commits / status.entries),
  ],
  [
    'cairn_garbage_bytes',
    'gauge',
    'Bytes of dropped versions that wait for their grace.',
    ifCoordinator((status) => status.upkeep.garbage.pendingBytes),
  ],
  [
    'cairn_garbage_rows',
    'gauge',
    'Rows of dropped versions.',
    ifCoordinator((status) => status.upkeep.garbage.pendingRows),
  ],
  [
    'cairn_garbage_freed_bytes_total',
    'counter',
    'Bytes freed after their grace.',
    (status) => status.upkeep.garbage.freedBytes,
  ],
  [
    'cairn_orphans_deleted_total',
    'counter',
    'Blocks deleted that no commit had named.',
    (status) => status.upkeep.orphans.orphansDeleted,
  ],
  [
    'cairn_blocks_underreplicated',
    'gauge',
    'Live blocks known to lack a good copy, and blocks of drives that do not answer.',
    ifCoordinator((status) => status.upkeep.repair.underReplicated),
  ],
  [
    'cairn_blocks_unavailable',
    'gauge',
    'Live blocks without a good copy that answers.',
    ifCoordinator((status) => status.upkeep.repair.unavailable),
  ],
  [
    'cairn_groups_dirty',
    'gauge',
    'Groups that owe a copy of something.',
    ifCoordinator((status) => status.upkeep.repair.dirtyGroups),
  ],
  [
    'cairn_blocks_repaired_total',
    'counter',
    'Blocks made whole again.',
    (status) => status.upkeep.repair.blocksRepaired,
  ],
  [
    'cairn_repair_bytes_total',
    'counter',
    'Bytes written by repair.',
    (status) => status.upkeep.repair.bytesRepaired,
  ],
  [
    'cairn_repair_failures_total',
    'counter',
    'Copies that failed; they are tried again.',
    (status) => status.upkeep.repair.failures,
  ],
  [
    'cairn_positions_to_move',
    'gauge',
    'Copies of groups that are to change hands.',
    ifCoordinator((status) => status.upkeep.moves.positionsLeft),
  ],
  [
    'cairn_strays_deleted_total',
    'counter',
    'Copies freed on drives that need not have them any more.',
    (status) => status.upkeep.moves.straysDeleted,
  ],
  ['cairn_cluster_map_epoch', 'gauge', 'Epoch of the cluster map.', (status) => status.map.epoch],
  [
    'cairn_coordinator',
    'gauge',
    '1 if this service looks after drives, copies and garbage.',
    (status) => (status.isCoordinator ? 1 : 0),
  ],
  ['cairn_safe_mode', 'gauge', '1 while nothing is deleted.', (status) => (status.safeMode ? 1 : 0)],
]

/** Adds the readings of this process's service. */
export function addMetadataMetrics(metrics: Metrics, service: Pick<MetadataService, 'status'>): void {
  for (const [name, kind, help, read] of READINGS) {
    metrics.add({ name, kind, help, read: () => [{ value: read(service.status()) }] })
  }
  metrics.add({
    name: 'cairn_drives',
    kind: 'gauge',
    help: 'Drives by state.',
    labels: ['state'],
    read: () => countStates(service.status()),
  })
}

/** Adds the syncs of a store that lies in a file of this process, and whether it has failed. */
export function addStoreMetrics(metrics: Metrics, store: EmbeddedEntryStore): void {
  metrics.add({
    name: 'cairn_metadata_store_failed',
    kind: 'gauge',
    help: '1 once an I/O error has ended the metadata store: it takes no more writes until it is started again.',
    read: () => [{ value: store.failure === undefined ? 0 : 1 }],
  })
  metrics.add({
    name: 'cairn_metadata_fsyncs_total',
    kind: 'counter',
    help: 'Calls of fsync for the metadata store: for its entries, and for moving them from the log to the database.',
    labels: ['kind'],
    read: () => {
      const { entries, checkpoints } = store.syncs()
      return [
        { labels: { kind: 'entry' }, value: entries },
        { labels: { kind: 'checkpoint' }, value: checkpoints },
      ]
    },
  })
}

const STATES = ['up', 'suspect', 'dead', 'draining', 'out'] as const

function countStates({ driveStates }: MetadataServiceStatus): { value: number; labels: { state: string } }[] {
  return STATES.map((state) => ({
    value: driveStates.filter((drive) => drive.state === state).length,
    labels: { state },
  }))
}
