/**
 * The block index in SQLite. `synchronous=NORMAL` is enough: in WAL mode a power cut may undo the latest
 * transactions but never reorders or tears them, and what they said is read again from the segments. Only a
 * `durable` batch syncs the WAL, and with it all before. A file that is damaged, or of an older schema, is deleted
 * and made anew: the store then scans its segments.
 */
import { rmSync } from 'node:fs'
import {
  type BlockId,
  CairnError,
  SESSION_ID_BYTES,
  type SessionId,
  sameBytes,
  sessionOf,
} from '@cairn/protocol'
import { Sqlite } from '@cairn/protocol/sqlite'
import type Database from 'better-sqlite3'
import type { BlockIndex, DamageEvent, IndexBatch, IndexedBlock, IndexedSegment } from '../ports.js'
import { type BlockRows, decodeRows, decodeValue, encodeValue, indexDamage } from './block-row.js'

const SCHEMA_VERSION = 1
/** Page cache of one drive: little, so that it is full early; the rest is the operating system's. */
const CACHE_KIB = 4 * 1024
/** Pages of 4 KiB in the WAL after which they are moved to the file. */
const WAL_PAGES = 2000
/** Rows that one statement writes where there are so many: half the cost of as many statements. */
const ROWS_PER_STATEMENT = 16

const SCHEMA = `
  CREATE TABLE block (id BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
  CREATE TABLE segment (
    sequence INTEGER PRIMARY KEY, indexed_to INTEGER NOT NULL DEFAULT 0, sealed INTEGER NOT NULL DEFAULT 0,
    tombstone_bytes INTEGER NOT NULL DEFAULT 0, horizon INTEGER NOT NULL DEFAULT 0,
    live_bytes INTEGER NOT NULL DEFAULT 0, live_blocks INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE next (one INTEGER PRIMARY KEY CHECK (one = 1), ord INTEGER NOT NULL, sequence INTEGER NOT NULL) STRICT;
  INSERT INTO next VALUES (1, 1, 1);
  PRAGMA user_version = ${SCHEMA_VERSION};
`

/**
 * Byte 17 of a value holds the flags. Not part of the schema's version: whoever does not know it keeps it up to date.
 */
const IS_DAMAGED = "substr(value, 17, 1) <> x'00'"
const DAMAGED_INDEX = `CREATE INDEX IF NOT EXISTS damaged ON block (id) WHERE ${IS_DAMAGED}`

interface SegmentColumns {
  readonly sequence: number
  readonly indexed_to: number
  readonly sealed: number
  readonly tombstone_bytes: number
  readonly horizon: number
  readonly live_bytes: number
  readonly live_blocks: number
}

/** What to tell of damage; each kind is told once per opening. */
export interface SqliteBlockIndexOptions {
  /** Whatever is there is forgotten. */
  readonly fresh?: boolean
  readonly onDamage?: (event: DamageEvent) => void
}

/**
 * Opens the index in a file (`:memory:` is allowed). A damaged one is reported and made anew. `FormatTooNew` if a
 * later version wrote it; `DriveFailed` if the file cannot be opened at all.
 */
export function openSqliteBlockIndex(path: string, options: SqliteBlockIndexOptions = {}): BlockIndex {
  const report = options.onDamage ?? (() => undefined)
  if (options.fresh === true) removeFiles(path)
  try {
    return new SqliteBlockIndex(path, report)
  } catch (error) {
    if (error instanceof CairnError && error.code !== 'BlockCorrupt') throw error
    if (!isDamage(error)) throw new CairnError('DriveFailed', `cannot open ${path}`, { cause: error })
    report({ kind: 'index', message: `the block index is made anew: ${(error as Error).message}` })
    removeFiles(path)
    return new SqliteBlockIndex(path, report)
  }
}

function removeFiles(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
}

const DAMAGE_CODES = ['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_ERROR', 'SQLITE_IOERR_SHORT_READ']

function isDamage(error: unknown): boolean {
  if (error instanceof CairnError) return error.code === 'BlockCorrupt'
  return error instanceof Sqlite.SqliteError && DAMAGE_CODES.some((code) => error.code.startsWith(code))
}

class SqliteBlockIndex implements BlockIndex {
  private readonly database: Database.Database
  private readonly statements: Statements
  private readonly report: (event: DamageEvent) => void
  isBroken = false
  syncs = 0
  private walStartsOver = false

  constructor(path: string, report: (event: DamageEvent) => void) {
    this.report = report
    this.database = new Sqlite(path)
    try {
      prepareDatabase(this.database)
      this.statements = prepareStatements(this.database)
      this.statements.segments.all()
      this.statements.range.get(Buffer.alloc(0), 1)
    } catch (error) {
      this.database.close()
      throw error
    }
  }

  get(block: BlockId): IndexedBlock | undefined {
    return this.guarded(() => {
      const row = this.statements.get.get(block)
      if (row === undefined) return undefined
      return decodeValue(Buffer.from(block) as Uint8Array as BlockId, row.value)
    })
  }

  apply(batch: IndexBatch): void {
    if (batch.durable) this.database.pragma('synchronous = FULL')
    try {
      this.guarded(() => this.statements.apply(batch))
    } finally {
      if (batch.durable) this.database.pragma('synchronous = NORMAL')
    }
    if (batch.durable) this.syncs++
    if (this.walStartsOver) this.syncs++
    this.walStartsOver = false
    if (this.isCheckpointDue()) this.guarded(() => this.checkpoint())
  }

  private isCheckpointDue(): boolean {
    const { log, checkpointed } = this.statements.walState.get() ?? EMPTY_WAL
    return log >= WAL_PAGES && checkpointed < log
  }

  /** Syncs the WAL and the file; the next batch begins the WAL anew, and syncs its head. */
  private checkpoint(): void {
    try {
      this.database.pragma('wal_checkpoint(PASSIVE)')
      this.syncs += 2
      this.walStartsOver = true
    } catch (error) {
      // On a full disk the WAL stays as it is: what it holds is valid, and the next batch tries again.
      if (!(error instanceof Sqlite.SqliteError) || isDamage(error)) throw error
    }
  }

  range(after: BlockId | undefined, limit: number): IndexedBlock[] {
    return this.guarded(() =>
      decodeRows(this.statements.range.get(after ?? Buffer.alloc(0), limit) ?? NO_ROWS),
    )
  }

  damaged(after: BlockId | undefined, limit: number): IndexedBlock[] {
    return this.guarded(() =>
      decodeRows(this.statements.damaged.get(after ?? Buffer.alloc(0), limit) ?? NO_ROWS),
    )
  }

  damagedCount(): number {
    return this.guarded(() => this.statements.damagedCount.get())?.count ?? 0
  }

  writers(after: SessionId | undefined, limit: number): SessionId[] {
    const sessions: SessionId[] = []
    let bound = after === undefined ? Buffer.alloc(0) : pastSession(after)
    while (sessions.length < limit) {
      const row = this.guarded(() => this.statements.first.get(bound))
      if (row === undefined) break
      const session = Buffer.from(sessionOf(row.id as Uint8Array as BlockId)) as Uint8Array as SessionId
      sessions.push(session)
      bound = pastSession(session)
    }
    return sessions
  }

  last(session: SessionId): BlockId | undefined {
    const row = this.guarded(() => this.statements.last.get(pastSession(session)))
    if (row === undefined) return undefined
    const block = row.id as Uint8Array as BlockId
    return sameBytes(sessionOf(block), session) ? block : undefined
  }

  segments(): IndexedSegment[] {
    return this.guarded(() => this.statements.segments.all()).map((row) => ({
      sequence: row.sequence,
      indexedTo: row.indexed_to,
      sealed: row.sealed === 1,
      tombstoneBytes: row.tombstone_bytes,
      horizon: row.horizon,
      liveBytes: row.live_bytes,
      liveBlocks: row.live_blocks,
    }))
  }

  next(): { order: number; sequence: number } {
    const row = this.guarded(() => this.statements.next.get())
    return { order: row?.ord ?? 1, sequence: row?.sequence ?? 1 }
  }

  reset(): void {
    this.database.exec('DELETE FROM block; DELETE FROM segment;')
  }

  close(): void {
    this.database.close()
  }

  /** Damage becomes `BlockCorrupt`, and the file is marked, so that the next opening makes it anew. */
  private guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (!isDamage(error)) throw error
      this.noteDamage(error)
      if (error instanceof CairnError) throw error
      throw indexDamage('the block index is damaged', error)
    }
  }

  private noteDamage(error: unknown): void {
    if (this.isBroken) return
    this.isBroken = true
    this.report({ kind: 'index', message: `the block index is damaged: ${(error as Error).message}` })
    try {
      this.database.pragma('user_version = 0')
    } catch {
      // Too damaged even for the mark: the next opening finds the damage as this one did.
    }
  }
}

interface Statements {
  readonly get: Database.Statement<[Uint8Array], { value: Buffer }>
  readonly range: Database.Statement<[Uint8Array, number], BlockRows>
  readonly damaged: Database.Statement<[Uint8Array, number], BlockRows>
  readonly first: Database.Statement<[Uint8Array], { id: Buffer }>
  readonly damagedCount: Database.Statement<[], { count: number }>
  readonly last: Database.Statement<[Uint8Array], { id: Buffer }>
  readonly segments: Database.Statement<[], SegmentColumns>
  readonly next: Database.Statement<[], { ord: number; sequence: number }>
  /** Moves nothing. */
  readonly walState: Database.Statement<[], WalState>
  readonly apply: (batch: IndexBatch) => void
}

/** Pages in the WAL, and how many of them are in the file. */
interface WalState {
  readonly log: number
  readonly checkpointed: number
}

const EMPTY_WAL: WalState = { log: 0, checkpointed: 0 }
const NO_ROWS: BlockRows = { rows: null, count: 0 }

function prepareDatabase(database: Database.Database): void {
  // A new file becomes one with a WAL in a transaction of the old kind. Nothing is in it yet that has to last, and
  // SQLite would sync the same file once more to undo it, if a sync of it failed.
  database.pragma('synchronous = OFF')
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  database.pragma(`cache_size = -${CACHE_KIB}`)
  // By `checkpoint`, which counts what it syncs.
  database.pragma('wal_autocheckpoint = 0')
  const version = Number(database.pragma('user_version', { simple: true }))
  if (version > SCHEMA_VERSION) {
    throw new CairnError('FormatTooNew', `the block index has schema ${version}; this version knows 1`)
  }
  const tables = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get() as { count: number }
  if (version !== SCHEMA_VERSION) {
    if (tables.count > 0) throw new CairnError('BlockCorrupt', 'the block index has no schema version')
    database.transaction(() => database.exec(SCHEMA))()
  }
  database.exec(DAMAGED_INDEX)
}

function prepareStatements(database: Database.Database): Statements {
  const upsert = (rows: number): Database.Statement<[Uint8Array[]]> =>
    database.prepare<[Uint8Array[]]>(
      `INSERT INTO block VALUES ${Array(rows).fill('(?, ?)').join(', ')}
        ON CONFLICT DO UPDATE SET value = excluded.value`,
    )
  const put = upsert(1)
  const putMany = upsert(ROWS_PER_STATEMENT)
  function putAll(entries: readonly IndexedBlock[]): void {
    let columns: Uint8Array[] = []
    for (const entry of entries) {
      columns.push(entry.block, encodeValue(entry))
      if (columns.length < 2 * ROWS_PER_STATEMENT) continue
      putMany.run(columns)
      columns = []
    }
    for (let at = 0; at < columns.length; at += 2) put.run(columns.slice(at, at + 2))
  }
  const remove = database.prepare<[Uint8Array]>('DELETE FROM block WHERE id = ?')
  const count = database.prepare<[number, number, number]>(
    `INSERT INTO segment (sequence, live_bytes, live_blocks) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET
      live_bytes = live_bytes + excluded.live_bytes, live_blocks = live_blocks + excluded.live_blocks`,
  )
  const place = database.prepare<[number, number, number, number, number]>(
    `INSERT INTO segment (sequence, indexed_to, sealed, tombstone_bytes, horizon) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET indexed_to = excluded.indexed_to, sealed = excluded.sealed,
      tombstone_bytes = excluded.tombstone_bytes, horizon = excluded.horizon`,
  )
  const forget = database.prepare<[number]>('DELETE FROM segment WHERE sequence = ?')
  const advance = database.prepare<[number, number]>('UPDATE next SET ord = ?, sequence = ?')
  function checkpoint({
    segments,
    gone,
    nextOrder,
    nextSequence,
  }: NonNullable<IndexBatch['checkpoint']>): void {
    for (const { sequence, indexedTo, sealed, tombstoneBytes, horizon } of segments) {
      place.run(sequence, indexedTo, sealed ? 1 : 0, tombstoneBytes, horizon)
    }
    for (const sequence of gone) forget.run(sequence)
    advance.run(nextOrder, nextSequence)
  }
  return {
    get: database.prepare('SELECT value FROM block WHERE id = ?'),
    range: database.prepare(asOne('SELECT id, value FROM block WHERE id > ? ORDER BY id LIMIT ?')),
    damaged: database.prepare(
      asOne(
        `SELECT id, value FROM block INDEXED BY damaged WHERE ${IS_DAMAGED} AND id > ? ORDER BY id LIMIT ?`,
      ),
    ),
    first: database.prepare('SELECT id FROM block WHERE id > ? ORDER BY id LIMIT 1'),
    damagedCount: database.prepare(
      `SELECT count(*) AS count FROM block INDEXED BY damaged WHERE ${IS_DAMAGED}`,
    ),
    last: database.prepare('SELECT id FROM block WHERE id <= ? ORDER BY id DESC LIMIT 1'),
    segments: database.prepare('SELECT * FROM segment'),
    walState: database.prepare('PRAGMA wal_checkpoint(NOOP)'),
    next: database.prepare('SELECT ord, sequence FROM next'),
    apply: database.transaction((batch: IndexBatch) => {
      putAll(batch.put)
      for (const block of batch.remove) remove.run(block)
      for (const { sequence, bytes, blocks } of batch.live) count.run(sequence, bytes, blocks)
      if (batch.checkpoint !== undefined) checkpoint(batch.checkpoint)
    }),
  }
}

/** All rows of a query as one: fetched one by one, each costs 2 µs. */
function asOne(query: string): string {
  return `SELECT CAST(group_concat(id || value, '') AS BLOB) AS rows, count(*) AS count FROM (${query})`
}

/** The highest block id that a session can have. */
function pastSession(session: SessionId): Buffer {
  return Buffer.concat([session, Buffer.alloc(SESSION_ID_BYTES, 0xff)])
}
