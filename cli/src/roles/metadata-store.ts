/**
 * Opens the metadata store of this process with its copies on the drives.
 *
 * ● An empty namespace is never begun over drives that hold data: where the store is gone, damaged, or older than
 *   its own journal, the start is refused and says how to bring it back.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  copiesFolder,
  describeMark,
  type EntryStore,
  type EtcdEntryStore,
  listCopies,
  MOVE_KEY,
  noteUnfollowed,
  openJournaledEntryStore,
  openMirroredEntryStore,
  openSqliteEntryStore,
  readMovedMark,
  SPACE_RESERVE_BYTES,
  STORE_FILE,
} from '@cairn/metadata-service'
import { type CairnError, hasCode } from '@cairn/protocol'
import type { Config } from '../config.js'
import { makeFolder } from '../data-folder.js'
import { assertAllowed } from '../owners.js'
import { driveFolders } from './drive-folders.js'
import type { RoleEnvironment } from './environment.js'
import { addEtcdMetrics } from './etcd-metrics.js'
import { openEtcdStore } from './etcd-store.js'
import { addJournalMetrics } from './journal-metrics.js'
import { MetadataError } from './metadata-error.js'
import { addStoreMetrics } from './metadata-metrics.js'
import { addMirrorMetrics } from './mirror-metrics.js'
import type { StoreFailure } from './store-failure.js'
import { markUnfollowed } from './unfollowed-mark.js'

/** Largest store whose tree is checked at every start: some 30 ms. */
const CHECKED_BYTES_MAX = 16 * 1024 * 1024

/**
 * Entries that a service has under way at once: one on SQLite, which takes them one by one; on etcd two, since it
 * writes the next to disk while the last one travels (measured: 1.0 to 1.3 times the commits of one, and more gain
 * nothing).
 */
export function entriesInFlight({ etcd }: Config): number {
  return etcd === undefined ? 1 : 2
}

/** The copy of etcd, in the folder of metadata. */
const MIRROR_FILE = 'mirror.sqlite'

/** Where the store of a data folder lies. */
export function metadataFolder(dataDir: string): string {
  return join(dataDir, 'metadata')
}

/**
 * etcd where it is configured, else SQLite. `MetadataError` if it must be recovered first; `FormatTooNew`,
 * `DataFolderInUse`, `DriveFull` as they are; for etcd see `openEtcdStore`.
 */
export async function openMetadataStore(
  environment: RoleEnvironment,
  failure: StoreFailure,
): Promise<EntryStore> {
  const { etcd } = environment.config
  return etcd === undefined ? openLocalStore(environment, failure) : openClusterStore(environment, etcd)
}

/**
 * What the start of a service on that store resolves with. `MetadataError` if it met a damaged row, which only its
 * reader sees: a large store is not looked through when it is opened.
 */
export async function explainDamage<T>({ dataDir, etcd }: Config, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (etcd !== undefined || !hasCode(error, 'MessageCorrupt')) throw error
    throw unusable(metadataFolder(dataDir), error)
  }
}

async function openClusterStore(
  environment: RoleEnvironment,
  endpoints: readonly string[],
): Promise<EntryStore> {
  const { config } = environment
  const store = await openEtcdStore(environment, endpoints, { compacts: true })
  try {
    await assertWhole(store)
    const isEmpty = (await store.head()).revision === 0
    const hasLocal = existsSync(join(metadataFolder(config.dataDir), STORE_FILE))
    if (!isEmpty || !(hasLocal || (await drivesHoldData(driveFolders(config)))))
      return await withMirror(environment, store)
    const where = hasLocal ? metadataFolder(config.dataDir) : 'the drives'
    throw new MetadataError(
      `etcd holds nothing below ${config.etcdPrefix}, but there is data in ${where}: give the right CAIRN_ETCD_PREFIX, ` +
        'or move it there with "cairn metadata migrate --to-etcd"',
    )
  } catch (error) {
    await store.close()
    throw error
  }
}

/** ● What is being moved to etcd, or back, is nobody's to use. */
async function assertWhole(store: EtcdEntryStore): Promise<void> {
  const { results } = await store.read([{ kind: 'get', key: MOVE_KEY }])
  if (results[0]?.[0] === undefined) return
  throw new MetadataError(
    'the metadata is being moved to etcd, or restored there: if that command did not end, run it again; ' +
      '"cairn metadata migrate --to-etcd" with --resume, or --undo to go back',
  )
}

/** Reads from a copy of etcd beside the service. */
async function withMirror(environment: RoleEnvironment, store: EtcdEntryStore): Promise<EntryStore> {
  const { config, metrics } = environment
  addEtcdMetrics(metrics, store)
  if (config.metadataReads === 'etcd') return store
  const folder = metadataFolder(config.dataDir)
  makeFolder(folder)
  const mirror = await openMirroredEntryStore({ ...environment, store, path: join(folder, MIRROR_FILE) })
  addMirrorMetrics(metrics, mirror)
  return mirror
}

async function openLocalStore(environment: RoleEnvironment, failure: StoreFailure): Promise<EntryStore> {
  const { config, clock } = environment
  const folder = metadataFolder(config.dataDir)
  const path = join(folder, STORE_FILE)
  assertAllowed([path, `${path}-wal`, `${path}-shm`])
  const mustExist = await drivesHoldData(driveFolders(config))
  if (mustExist && !existsSync(path))
    throw lost(`there is no metadata in ${folder}, but the drives hold data`)
  makeFolder(folder)
  let store: EntryStore | undefined
  try {
    const integrityCheck = needsCheck(path)
    const embedded = openSqliteEntryStore({
      path,
      clock,
      durability: config.durability,
      mustExist,
      integrityCheck,
      reserveBytes: SPACE_RESERVE_BYTES,
      onFailure: (error) => failure.note(error),
    })
    store = embedded
    addStoreMetrics(environment.metrics, embedded)
    return await withJournal(environment, store)
  } catch (error) {
    await store?.close()
    const mark = readMovedMark(path)
    if (mark !== undefined) throw new MetadataError(describeMark(mark))
    if (!hasCode(error, 'DriveFailed', 'MessageCorrupt')) throw error
    throw unusable(folder, error)
  }
}

async function withJournal(environment: RoleEnvironment, store: EntryStore): Promise<EntryStore> {
  const { config, clock, log, metrics } = environment
  // Copies that are not synced would promise what the store itself does not.
  const drives = driveFolders(config)
  const onFollowing = (isFollowed: boolean): void =>
    markUnfollowed(metadataFolder(config.dataDir), isFollowed, log)
  if (config.journal === 'off' || config.durability === 'none') {
    onFollowing(false)
    await noteUnfollowed({ store, drives, log })
    return store
  }
  const { journal: mode } = config
  const journaled = await openJournaledEntryStore({ store, clock, drives, mode, log, onFollowing })
  addJournalMetrics(metrics, journaled)
  return journaled
}

/** Blocks, or copies of the metadata: then there was a namespace. */
async function drivesHoldData(folders: readonly string[]): Promise<boolean> {
  for (const folder of folders) {
    if (holdsFiles(join(folder, 'segments'))) return true
    const { checkpoints } = await listCopies(copiesFolder(folder)).catch(() => ({ checkpoints: [] }))
    if (checkpoints.length > 0) return true
  }
  return false
}

function holdsFiles(folder: string): boolean {
  try {
    return readdirSync(folder).length > 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    // Something is there that cannot be read: no reason to believe in a fresh start.
    return true
  }
}

/** Rows carry checks of their own; the tree that finds them has none. */
function needsCheck(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) <= CHECKED_BYTES_MAX
}

function unusable(folder: string, cause: CairnError): MetadataError {
  return lost(`the metadata in ${folder} cannot be used (${describe(cause)})`, cause)
}

function lost(what: string, cause?: unknown): MetadataError {
  const help = 'bring it back with "cairn metadata recover", or "cairn metadata restore FILE" from a backup'
  return new MetadataError(`${what}: ${help}`, { cause })
}

function describe(error: CairnError): string {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return `${error.message}${cause}`
}
