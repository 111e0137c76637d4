/** The metadata service: buckets, objects, versions, uploads, sessions, the cluster map, and their upkeep. */

export {
  createMemoryEntryStore,
  type MemoryEntryStoreOptions,
} from './adapters/embedded/memory-entry-store.js'
export type { EtcdLog } from './adapters/etcd/etcd-connection.js'
export type { Defragmented } from './adapters/etcd/etcd-defragment.js'
export type { EtcdTls } from './adapters/etcd/etcd-endpoint.js'
export {
  type EtcdEntryStore,
  type EtcdEntryStoreOptions,
  openEtcdEntryStore,
} from './adapters/etcd/etcd-entry-store.js'
export type { CheckpointFacts } from './adapters/journal/checkpoint-file.js'
export {
  type JournalDriveStatus,
  type JournaledEntryStore,
  type JournaledEntryStoreOptions,
  type JournalStatus,
  openJournaledEntryStore,
} from './adapters/journal/journal-entry-store.js'
export { copiesFolder, listCopies } from './adapters/journal/journal-files.js'
export type { JournalLog } from './adapters/journal/journal-log.js'
export { noteUnfollowed } from './adapters/journal/unfollowed-store.js'
export {
  type MirroredEntryStore,
  type MirroredEntryStoreOptions,
  openMirroredEntryStore,
} from './adapters/mirror/mirror-entry-store.js'
export type { MirrorLog, MirrorStatus } from './adapters/mirror/mirror-status.js'
export {
  type EmbeddedEntryStore,
  openSqliteEntryStore,
  type SqliteEntryStoreOptions,
} from './adapters/sqlite/sqlite-entry-store.js'
export { type MovedMark, readMovedMark } from './adapters/sqlite/sqlite-moved.js'
export { SPACE_RESERVE_BYTES } from './adapters/sqlite/sqlite-reserve.js'
export type { StoreSyncs } from './adapters/sqlite/sync-count.js'
export {
  type BackupResult,
  backupRunning,
  backupStopped,
  readBackup,
  restoreBackup,
} from './adapters/transfer/backup.js'
export {
  backupCluster,
  type ClusterBackupOptions,
  type ClusterBackupResult,
} from './adapters/transfer/cluster-backup.js'
export {
  type ClusterRestoreOptions,
  type ClusterRestoreReport,
  restoreCluster,
} from './adapters/transfer/cluster-restore.js'
export {
  describeMark,
  type MigrateOptions,
  type MigratePlace,
  type MigrateReport,
  migrateStore,
  type UndoReport,
  undoMigration,
} from './adapters/transfer/migrate.js'
export {
  type RecoverOptions,
  type RecoverProgress,
  type RecoverReport,
  recoverStore,
  STORE_FILE,
} from './adapters/transfer/recover.js'
export { createMetadataService } from './app.js'
export type { ServerHeartbeat } from './core/cluster/heartbeats.js'
export { MOVE_KEY } from './core/rows/store-move.js'
export { readServiceAddresses } from './core/services/service-lease.js'
export type { EntryStore } from './ports.js'
export type {
  MetadataService,
  MetadataServiceOptions,
  MetadataServiceStatus,
  ServiceLog,
} from './service.js'
export type { GarbageCounts } from './workers/garbage-worker.js'
export type { OrphanCounts } from './workers/orphan-worker.js'
export type { UpkeepCounts, UpkeepStatus } from './workers/upkeep.js'
