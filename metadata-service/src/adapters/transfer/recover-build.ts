/** Builds a store's database beside the one in use from a checkpoint and frames. */
import { open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CairnError, hasCode, type Random } from '@cairn/protocol'
import { Sqlite } from '@cairn/protocol/sqlite'
import type { Database } from 'better-sqlite3'
import type { StoreKey } from '../../ports.js'
import type { RowTable } from '../embedded/row-table.js'
import { type CheckpointFacts, readCheckpoint } from '../journal/checkpoint-file.js'
import { isSessionKey } from '../journal/checkpoint-run.js'
import { syncFolder } from '../journal/journal-files.js'
import { type OperationVisitor, visitFrame } from '../journal/journal-frame.js'
import { REVISION_JUMP } from '../journal/journal-limits.js'
import { fromSqlite } from '../sqlite/sqlite-errors.js'
import { DATABASE_SUFFIXES } from '../sqlite/sqlite-files.js'
import { openDatabase } from '../sqlite/sqlite-open.js'
import { openValue } from '../sqlite/sqlite-row-check.js'
import { SqliteRows } from '../sqlite/sqlite-rows.js'
import { checkRow, type NewLife, newLife } from './recover-rows.js'
import { type KnownFrame, readFrames } from './recover-sources.js'

/** Operations of one transaction: large ones are fast, and the WAL stays small enough. */
const OPERATIONS_PER_TRANSACTION = 20_000

export interface BuildOptions {
  /** The new file; whatever is there is removed. */
  readonly path: string
  readonly checkpoint: CheckpointFacts
  readonly frames: readonly KnownFrame[]
  /** A new life: sessions end, epochs rise, garbage is held. Absent for a mere copy. */
  readonly life?: { readonly random: Random; readonly nowMs: number; readonly highest: number }
  readonly onProgress?: (done: { readonly rows: number; readonly frames: number }) => void
}

/** What was built. */
export interface BuiltStore {
  readonly rows: number
  /** Rows that this version cannot decode; they are kept as they are. */
  readonly strangeRows: number
  readonly life: NewLife | undefined
}

/**
 * Builds and checks; the file is durable when it resolves. `FormatTooNew` if a row is of a newer version, `DriveFull`
 * if there is no room for it. A file that was not finished is removed: it may have filled the disk.
 */
export async function buildStore(options: BuildOptions): Promise<BuiltStore> {
  const { path } = options
  await removeDatabase(path)
  try {
    const built = await build(options)
    await syncDatabase(path)
    return built
  } catch (error) {
    await removeDatabase(path)
    throw error instanceof Sqlite.SqliteError ? fromSqlite(error) : error
  }
}

async function build(options: BuildOptions): Promise<BuiltStore> {
  const database = openDatabase({ path: options.path, durability: 'none' })
  try {
    const built = await new StoreBuilder(database, options).run()
    database.pragma('wal_checkpoint(TRUNCATE)')
    return built
  } finally {
    database.close()
  }
}

/** Removes a database with its log. */
export async function removeDatabase(path: string): Promise<void> {
  for (const suffix of DATABASE_SUFFIXES) await rm(path + suffix, { force: true })
}

async function syncDatabase(path: string): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
  await syncFolder(dirname(path))
}

class StoreBuilder {
  private readonly database: Database
  private readonly table: RowTable
  private readonly options: BuildOptions
  private readonly revision: number
  private operations = 0
  private rows = 0
  private frames = 0

  constructor(database: Database, options: BuildOptions) {
    this.database = database
    this.table = new SqliteRows(database)
    this.options = options
    const { life, checkpoint, frames } = options
    const last = frames.at(-1)?.number ?? checkpoint.number
    this.revision = life === undefined ? last : Math.max(last, life.highest) + REVISION_JUMP
  }

  async run(): Promise<BuiltStore> {
    const { checkpoint, frames, life } = this.options
    this.database.exec('BEGIN')
    await this.load(checkpoint)
    for await (const frame of readFrames(frames)) this.replay(frame)
    const begun = life === undefined ? undefined : this.begin(life)
    this.database.prepare('UPDATE counters SET revision = ?').run(this.revision)
    this.database.exec('COMMIT')
    return { ...this.check(), life: begun }
  }

  /** All rows first, then all frames: see `checkpoint-file.ts`. */
  private async load({ path }: CheckpointFacts): Promise<void> {
    const passes = [
      { row: (key: StoreKey, value: Uint8Array) => this.put(key, value) },
      { frame: (frame: Buffer) => this.replay(frame) },
    ]
    for (const visitor of passes) {
      const facts = await readCheckpoint(path, visitor)
      if (facts === undefined) throw new CairnError('MessageCorrupt', `${path} was right a moment ago`)
    }
  }

  private put(key: StoreKey, value: Uint8Array): void {
    if (isSessionKey(key)) return
    this.table.put(key, value, this.revision, undefined)
    this.rows++
    this.note()
  }

  private replay(frame: Buffer): void {
    const visitor: OperationVisitor = {
      put: (key, value) => this.put(key, value),
      delete: (key) => void this.table.delete(key),
      deleteRange: (range) => void this.table.deleteRange(range),
    }
    visitFrame(frame, visitor)
    this.frames++
    this.note()
  }

  private note(): void {
    if (++this.operations % OPERATIONS_PER_TRANSACTION !== 0) return
    this.database.exec('COMMIT')
    this.database.exec('BEGIN')
    this.options.onProgress?.({ rows: this.rows, frames: this.frames })
  }

  private begin(life: { readonly random: Random; readonly nowMs: number }): NewLife {
    const range = { from: Buffer.from('m/'), to: Buffer.from('m0') }
    const found = newLife(this.table.scan({ kind: 'scan', range, limit: 10_000 }), life)
    if (found === undefined) throw new CairnError('MessageCorrupt', 'the copy holds no cluster row')
    for (const { key, value } of found.puts) this.table.put(key, value, this.revision, undefined)
    return found
  }

  /** Every row is decoded once, and the file holds together. */
  private check(): Pick<BuiltStore, 'rows' | 'strangeRows'> {
    let rows = 0
    let strangeRows = 0
    const all = this.database.prepare<[], [Buffer, Buffer]>('SELECT key, value FROM rows').raw()
    for (const [key, value] of all.iterate()) {
      rows++
      if (!isDecodable(key, openValue(key, value))) strangeRows++
    }
    const verdict = this.database.pragma('integrity_check(1)', { simple: true })
    if (verdict !== 'ok') throw new CairnError('DriveFailed', `the new store is damaged: ${String(verdict)}`)
    return { rows, strangeRows }
  }
}

/** A row that nobody can read must not keep all others from coming back. */
function isDecodable(key: StoreKey, value: Uint8Array): boolean {
  try {
    checkRow(key, value)
    return true
  } catch (error) {
    if (hasCode(error, 'MessageCorrupt')) return false
    throw error
  }
}
