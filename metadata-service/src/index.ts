/** The metadata service: buckets, objects, versions, uploads, sessions, the cluster map, and their upkeep. */
export { createMemoryEntryStore, type MemoryEntryStoreOptions } from './adapters/memory-entry-store.js'
export { openSqliteEntryStore, type SqliteEntryStoreOptions } from './adapters/sqlite-entry-store.js'
export {
  createMetadataService,
  type MetadataService,
  type MetadataServiceOptions,
  type MetadataServiceStatus,
  type ServiceLog,
} from './app.js'
export type { ServerHeartbeat } from './core/heartbeats.js'
export type { EntryStore } from './ports.js'
export type { GarbageCounts } from './workers/garbage-worker.js'
export type { OrphanCounts } from './workers/orphan-worker.js'
export type { UpkeepCounts, UpkeepStatus } from './workers/upkeep.js'
