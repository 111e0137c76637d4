/**
 * The rows of a mirror in a SQLite file, with the revision that they are of.
 *
 * What is applied and how far it goes are one transaction, so a killed process goes on from there. Nothing is ever
 * synced, since everything can be read anew: a file written under another boot of the machine may have lost pages,
 * so it is thrown away. Rows carry their checks (`sqlite-row-check.ts`).
 *
 * While it fills, pages and changes meet in any order: the newer revision wins, and deletes leave tombstones so that
 * a late page brings nothing back. They go when the fill is done.
 */
import { readFileSync } from 'node:fs'
import type { Database, Statement } from 'better-sqlite3'
import type { Read, StoreKey, StoreRow } from '../../ports.js'
import type { Head, SourceChange, SourceEvent } from '../../ports-mirror.js'
import { type RowTable, type RowVersion, readRows } from '../embedded/row-table.js'
import { CachedRows } from '../sqlite/cached-rows.js'
import { fromSqlite } from '../sqlite/sqlite-errors.js'
import { removeDatabaseFiles } from '../sqlite/sqlite-files.js'
import { openDatabase } from '../sqlite/sqlite-open.js'
import { sealValue } from '../sqlite/sqlite-row-check.js'
import { SqliteRows } from '../sqlite/sqlite-rows.js'
import { MIRROR_WAL_PAGES } from './mirror-limits.js'

/** How far a mirror goes. */
export interface MirrorPlace {
  /** Every change up to this revision is applied. */
  readonly revision: number
  /** The last write of `head` among them. */
  readonly head: Head
}

/** Version of what the file holds. */
const FORMAT = 1

const TABLES = `
CREATE TABLE IF NOT EXISTS mirror (
  format INTEGER NOT NULL, boot TEXT NOT NULL, filled INTEGER NOT NULL, revision INTEGER NOT NULL,
  head_revision INTEGER NOT NULL, head_version INTEGER NOT NULL, row_count INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tombstones (key BLOB PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`

interface StateRow {
  readonly format: number
  readonly boot: string
  readonly filled: number
  readonly revision: number
  readonly head_revision: number
  readonly head_version: number
  readonly row_count: number
}

/** The file as it was left, if it can be gone on with. */
export function openMirrorFile(path: string): MirrorFile | undefined {
  let database: Database | undefined
  try {
    database = openDatabase({ path, durability: 'none' })
    database.exec(TABLES)
    const state = database.prepare<[], StateRow>('SELECT * FROM mirror').get()
    if (state?.format === FORMAT && state.filled === 1 && isOfThisBoot(state)) {
      return new MirrorFile(database, state)
    }
  } catch {
    // Damaged, of another kind, or unreadable: as good as none.
  }
  database?.close()
  return undefined
}

/**
 * An empty file in place of whatever is there, to be filled from this place on. Rejects with SQLite's errors as ours.
 */
export function createMirrorFile(path: string, place: MirrorPlace): MirrorFile {
  try {
    removeDatabaseFiles(path)
    const database = openDatabase({ path, durability: 'none' })
    database.exec(TABLES)
    const { revision, head } = place
    database
      .prepare('INSERT INTO mirror VALUES (?, ?, 0, ?, ?, ?, 0)')
      .run(FORMAT, bootOf(), revision, head.revision, head.version)
    return new MirrorFile(database, database.prepare<[], StateRow>('SELECT * FROM mirror').get())
  } catch (error) {
    throw fromSqlite(error)
  }
}

export class MirrorFile {
  private readonly database: Database
  private readonly table: RowTable
  private readonly cache: CachedRows
  private readonly statements: Statements
  private isFilled: boolean
  private at: MirrorPlace
  private count: number

  constructor(database: Database, state: StateRow | undefined) {
    database.pragma(`wal_autocheckpoint = ${MIRROR_WAL_PAGES}`)
    this.database = database
    this.table = new SqliteRows(database)
    this.cache = new CachedRows(this.table)
    this.statements = prepareStatements(database)
    this.isFilled = state?.filled === 1
    this.at = {
      revision: state?.revision ?? 0,
      head: { revision: state?.head_revision ?? 0, version: state?.head_version ?? 0 },
    }
    this.count = state?.row_count ?? 0
  }

  get place(): MirrorPlace {
    return this.at
  }

  /** All rows of the store are here, as of `place`. */
  get isWhole(): boolean {
    return this.isFilled
  }

  get rowCount(): number {
    return this.count
  }

  /** At the revision of `place`. `MessageCorrupt` if a row is damaged. */
  read(reads: readonly Read[]): readonly (readonly StoreRow[])[] {
    try {
      return readRows(this.cache, reads)
    } catch (error) {
      throw fromSqlite(error)
    }
  }

  find(key: StoreKey): StoreRow | undefined {
    return this.read([{ kind: 'get', key }])[0]?.[0]
  }

  /** Applies changes, which end at `place`, in one transaction. */
  apply(changes: readonly SourceChange[], place: MirrorPlace): void {
    this.write(place, () => {
      let count = this.count
      for (const { revision, events } of changes) {
        for (const event of events) count += this.applyEvent(event, revision)
      }
      return count
    })
  }

  /** Adds the rows of a page of the fill. */
  addPage(rows: readonly StoreRow[]): void {
    this.write(this.at, () => {
      let count = this.count
      for (const row of rows) if (this.addRow(row)) count++
      return count
    })
  }

  /** Every row has been read, and the changes up to the newest page are applied. */
  finishFill(): void {
    this.isFilled = true
    this.write(this.at, () => {
      this.statements.dropTombstones.run()
      return this.count
    })
  }

  close(): void {
    this.database.close()
  }

  private applyEvent(event: SourceEvent, revision: number): number {
    const { key, value, created } = event
    this.cache.forget(key)
    const found = this.isFilled && value !== undefined ? undefined : this.table.findVersion(key)
    // A page of the fill may be ahead of the changes.
    if (!this.isFilled && found !== undefined && found.revision >= revision) return 0
    if (value === undefined) {
      if (!this.isFilled) this.statements.bury.run(key, revision)
      return this.table.delete(key) ? -1 : 0
    }
    const made = created ?? revision
    const isNew = this.isFilled ? made === revision : found === undefined
    this.statements.upsert.run(key, sealValue(key, value), revision, made)
    return isNew ? 1 : 0
  }

  /** Whether there was no row of this key. */
  private addRow({ key, value, revision, created }: StoreRow): boolean {
    this.cache.forget(key)
    const found: RowVersion | undefined = this.table.findVersion(key)
    if (found !== undefined && found.revision >= revision) return false
    const buried = this.statements.selectTombstone.get(key)
    if (buried !== undefined && buried >= revision) return false
    this.statements.upsert.run(key, sealValue(key, value), revision, created)
    return found === undefined
  }

  private write(place: MirrorPlace, change: () => number): void {
    const { begin, commit, saveState } = this.statements
    try {
      begin.run()
      const count = change()
      saveState.run(this.isFilled ? 1 : 0, place.revision, place.head.revision, place.head.version, count)
      commit.run()
      this.count = count
      this.at = place
    } catch (error) {
      this.cache.forgetAll()
      if (this.database.inTransaction) this.statements.rollback.run()
      throw fromSqlite(error)
    }
  }
}

interface Statements {
  readonly begin: Statement<[]>
  readonly commit: Statement<[]>
  readonly rollback: Statement<[]>
  readonly saveState: Statement<[number, number, number, number, number]>
  readonly upsert: Statement<[StoreKey, Uint8Array, number, number]>
  readonly bury: Statement<[StoreKey, number]>
  readonly selectTombstone: Statement<[StoreKey], number>
  readonly dropTombstones: Statement<[]>
}

function prepareStatements(database: Database): Statements {
  return {
    begin: database.prepare('BEGIN'),
    commit: database.prepare('COMMIT'),
    rollback: database.prepare('ROLLBACK'),
    saveState: database.prepare(
      'UPDATE mirror SET filled = ?, revision = ?, head_revision = ?, head_version = ?, row_count = ?',
    ),
    upsert: database.prepare(
      `INSERT INTO rows (key, value, revision, created) VALUES (?, ?, ?, ?) ON CONFLICT (key)
       DO UPDATE SET value = excluded.value, revision = excluded.revision, created = excluded.created`,
    ),
    bury: database.prepare(
      `INSERT INTO tombstones VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET revision = excluded.revision`,
    ),
    selectTombstone: database
      .prepare<[StoreKey], number>('SELECT revision FROM tombstones WHERE key = ?')
      .pluck(),
    dropTombstones: database.prepare('DELETE FROM tombstones'),
  }
}

function isOfThisBoot({ boot }: StateRow): boolean {
  return boot !== '' && boot === bootOf()
}

/** Names the boot of this machine; empty where that is not known. */
function bootOf(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return ''
  }
}
