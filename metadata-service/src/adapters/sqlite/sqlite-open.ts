/**
 * Opens the database of the embedded store and checks what its promises stand on.
 *
 * WAL with `synchronous=FULL`, set and read back at every open: better-sqlite3 is compiled so that a database that
 * is *re*opened in WAL mode would sync only at checkpoints. The lock is exclusive: one writer, no second process,
 * and the WAL index needs no shared memory. SQLite before 3.51.3 may corrupt a WAL database and is refused
 * (https://www.sqlite.org/wal.html#walreset).
 */
import { dirname } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { Sqlite } from '@cairn/protocol/sqlite'
import type Database from 'better-sqlite3'
import {
  BEHIND_LIMITS,
  PAGE_CACHE_KIB,
  WAL_PAGES_HARD,
  WAL_PAGES_SOFT,
} from '../embedded/entry-store-limits.js'
import { RecentEntries } from './recent-entries.js'
import { createDatabase, syncPath } from './sqlite-create.js'
import { fromSqlite } from './sqlite-errors.js'
import { SqliteRows } from './sqlite-rows.js'
import { prepareTables } from './sqlite-tables.js'

/** `fsync` makes every entry durable before its answer; `none` is for throw-away servers. */
export type Durability = 'fsync' | 'none'

const VERSION_MIN = [3, 51, 3]

export interface OpenDatabaseOptions {
  readonly path: string
  readonly durability: Durability
  /** Upper bound of the file in pages of 4 KiB; `DriveFull` beyond it. */
  readonly pagesMax?: number
  /** Refuses, with `DriveFailed`, to begin an empty store: there must be one. */
  readonly mustExist?: boolean
  /** Runs SQLite's `integrity_check` over the whole file; `DriveFailed` if it finds anything. */
  readonly integrityCheck?: boolean
  /** Opens it even if its content was moved elsewhere; `FormatTooNew` unless given. */
  readonly evenIfMoved?: boolean
}

/** `FormatTooNew`, `DataFolderInUse`, `DriveFailed` or `DriveFull` when it cannot be opened. */
export function openDatabase(options: OpenDatabaseOptions): Database.Database {
  let database: Database.Database | undefined
  try {
    if (options.durability === 'fsync' && options.mustExist !== true) createDatabase(options.path)
    database = new Sqlite(options.path, { timeout: 0, fileMustExist: options.mustExist ?? false })
    prepare(database, options)
    return database
  } catch (error) {
    database?.close()
    throw fromSqlite(error)
  }
}

function prepare(database: Database.Database, options: OpenDatabaseOptions): void {
  assertVersion(database)
  database.pragma('locking_mode = EXCLUSIVE')
  set(database, 'journal_mode', { to: 'WAL', reads: 'wal' })
  const synchronous = options.durability === 'fsync' ? { to: 'FULL', reads: 2 } : { to: 'OFF', reads: 0 }
  set(database, 'synchronous', synchronous)
  database.pragma(`cache_size = -${PAGE_CACHE_KIB}`)
  database.pragma('mmap_size = 0')
  database.pragma('temp_store = MEMORY')
  if (options.pagesMax !== undefined) database.pragma(`max_page_count = ${options.pagesMax}`)
  database.pragma(`wal_autocheckpoint = ${WAL_PAGES_SOFT}`)
  prepareTables(database, options)
  settleRecent(database)
  database.pragma(`wal_autocheckpoint = ${WAL_PAGES_HARD}`)
  if (options.integrityCheck === true) assertSound(database)
  // SQLite syncs the folder of a WAL that it has made, but takes no notice when that fails: it could be gone.
  if (options.durability === 'fsync') syncPath(dirname(options.path))
}

function assertSound(database: Database.Database): void {
  const verdict = String(database.pragma('integrity_check(1)', { simple: true }))
  if (verdict !== 'ok') throw new CairnError('DriveFailed', `the metadata store is damaged: ${verdict}`)
}

function assertVersion(database: Database.Database): void {
  const version = String(database.prepare('SELECT sqlite_version()').pluck().get())
  const parts = version.split('.').map(Number)
  const at = VERSION_MIN.findIndex((least, index) => (parts[index] ?? 0) !== least)
  if (at >= 0 && (parts[at] ?? 0) < (VERSION_MIN[at] ?? 0)) {
    throw new CairnError('Internal', `SQLite ${version} is too old: ${VERSION_MIN.join('.')} is needed`)
  }
}

function set(database: Database.Database, pragma: string, value: { to: string; reads: unknown }): void {
  database.pragma(`${pragma} = ${value.to}`)
  const found = database.pragma(pragma, { simple: true })
  if (found !== value.reads) {
    throw new CairnError('Internal', `PRAGMA ${pragma} stays ${String(found)} instead of ${value.to}`)
  }
}

/** Writes the rows of the entries that a process has left behind; a little at a time, for the space that it takes. */
function settleRecent(database: Database.Database): void {
  const recent = new RecentEntries(database)
  const rows = new SqliteRows(database)
  const writeSome = database.transaction(() => recent.replay(rows, BEHIND_LIMITS.sliceRows))
  while (writeSome());
}
