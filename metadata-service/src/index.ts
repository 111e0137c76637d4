/** The metadata service: buckets, objects, versions, uploads, sessions, the cluster map, and their upkeep. */
export {
  type BackupResult,
  backupRunning,
  backupStopped,
  readBackup,
  restoreBackup,
} from './adapters/backup.js'
export type { CheckpointFacts } from './adapters/checkpoint-file.js'
export {
  backupCluster,
  type ClusterRestoreOptions,
  type ClusterRestoreReport,
  restoreCluster,
} from './adapters/cluster-backup.js'
export type { EtcdLog } from './adapters/etcd-connection.js'
export type { Defragmented } from './adapters/etcd-defragment.js'
export type { EtcdTls } from './adapters/etcd-endpoint.js'
export {
  type EtcdEntryStore,
  type EtcdEntryStoreOptions,
  openEtcdEntryStore,
} from './adapters/etcd-entry-store.js'
export {
  type JournalDriveStatus,
  type JournaledEntryStore,
  type JournaledEntryStoreOptions,
  type JournalStatus,
  openJournaledEntryStore,
} from './adapters/journal-entry-store.js'
export { copiesFolder, listCopies } from './adapters/journal-files.js'
export type { JournalLog } from './adapters/journal-log.js'
export { createMemoryEntryStore, type MemoryEntryStoreOptions } from './adapters/memory-entry-store.js'
export {
  describeMark,
  type MigrateOptions,
  type MigratePlace,
  type MigrateReport,
  migrateStore,
  type UndoReport,
  undoMigration,
} from './adapters/migrate.js'
export {
  type MirroredEntryStore,
  type MirroredEntryStoreOptions,
  openMirroredEntryStore,
} from './adapters/mirror-entry-store.js'
export type { MirrorLog, MirrorStatus } from './adapters/mirror-status.js'
export {
  type RecoverOptions,
  type RecoverProgress,
  type RecoverReport,
  recoverStore,
  STORE_FILE,
} from './adapters/recover.js'
export {
  type EmbeddedEntryStore,
  openSqliteEntryStore,
  type SqliteEntryStoreOptions,
} from './adapters/sqlite-entry-store.js'
export { type MovedMark, readMovedMark } from './adapters/sqlite-moved.js'
export { SPACE_RESERVE_BYTES } from './adapters/sqlite-reserve.js'
export type { StoreSyncs } from './adapters/sync-count.js'
export { createMetadataService } from './app.js'
export type { ServerHeartbeat } from './core/heartbeats.js'
export { readServiceAddresses } from './core/service-lease.js'
export { MOVE_KEY } from './core/store-move.js'
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
