/** The table `rows` of the embedded store: its statements, prepared once. */
import type { Database, Statement } from 'better-sqlite3'
import { isWithin, successorOfPrefix } from '../../core/rows/keys.js'
import type { LeaseId, RollUp, StoreKey, StoreRange, StoreRow } from '../../ports.js'
import type { RowTable, RowVersion, Scan } from '../embedded/row-table.js'
import type { ChangedRows, RowChange } from './recent-entries.js'
import {
  PACKED_ROWS_MAX,
  PACKED_ROWS_MIN,
  type PackedRows,
  packedRows,
  unpackRows,
} from './sqlite-packed-rows.js'
import { damagedRow, openValue, sealValue } from './sqlite-row-check.js'

/** What a rolled-up scan is told. */
interface RolledUpScan {
  readonly from: StoreKey
  readonly to: StoreKey
  /** First byte of the key, from 1, where a delimiter may stand. */
  readonly place: number
  readonly delimiter: Uint8Array
  /** The successor of the delimiter. */
  readonly behind: Uint8Array
  readonly limit: number
}

/**
 * Walks from group to group: each step seeks the first row behind the last one's group, or behind the row itself if it
 * has no delimiter. One statement for a whole page: a step costs a fifth of a call.
 */
const ROLLED_UP = `
  WITH RECURSIVE walk(key) AS (
    SELECT (SELECT key FROM rows WHERE key >= @from AND key < @to ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (
      SELECT key FROM rows
      WHERE key < @to AND key >= CASE instr(substr(walk.key, @place), @delimiter)
        WHEN 0 THEN CAST(walk.key || x'00' AS BLOB)
        ELSE CAST(substr(walk.key, 1, @place + instr(substr(walk.key, @place), @delimiter) - 2) || @behind AS BLOB) END
      ORDER BY key LIMIT 1)
    FROM walk WHERE walk.key IS NOT NULL
  )
  SELECT rows.key, value, revision, created FROM walk CROSS JOIN rows ON rows.key = walk.key LIMIT @limit`

type RowTuple = [key: Buffer, value: Buffer, revision: number, created: number]

type RowColumn = StoreKey | number | null

interface StoredRow {
  readonly row: StoreRow
  readonly lease: LeaseId | undefined
}

/** Rows that one statement writes where there are so many: half the cost of as many statements. */
const ROWS_PER_STATEMENT = 16

/** Rows of an open database. Changes join the transaction that is open. */
export class SqliteRows implements RowTable, ChangedRows {
  private readonly selectOne: Statement<[StoreKey], RowTuple>
  private readonly selectVersion: Statement<[StoreKey], RowVersion>
  private readonly selectAscending: Statement<[StoreKey, StoreKey, number], RowTuple>
  private readonly selectDescending: Statement<[StoreKey, StoreKey, number], RowTuple>
  private readonly selectPacked: Statement<[StoreKey, StoreKey, number], PackedRows>
  private readonly selectRolledUp: Statement<[RolledUpScan], PackedRows>
  private readonly selectKeys: Statement<[StoreKey, StoreKey], Buffer>
  private readonly selectLeased: Statement<[number], Buffer>
  private readonly upsert: Statement<[StoreKey, Uint8Array, number, number, number | null]>
  private readonly replaceOne: Statement<[RowColumn[]]>
  private readonly replaceMany: Statement<[RowColumn[]]>
  private readonly deleteOne: Statement<[StoreKey]>
  private readonly deleteBetween: Statement<[StoreKey, StoreKey]>

  constructor(database: Database) {
    const row = 'SELECT key, value, revision, created FROM rows WHERE'
    const between = 'key >= ? AND key < ?'
    this.selectOne = database.prepare<[StoreKey], RowTuple>(`${row} key = ?`).raw()
    this.selectVersion = database.prepare('SELECT revision, created FROM rows WHERE key = ?')
    this.selectAscending = database
      .prepare<[StoreKey, StoreKey, number], RowTuple>(`${row} ${between} ORDER BY key LIMIT ?`)
      .raw()
    this.selectDescending = database
      .prepare<[StoreKey, StoreKey, number], RowTuple>(`${row} ${between} ORDER BY key DESC LIMIT ?`)
      .raw()
    this.selectPacked = database
      .prepare<[StoreKey, StoreKey, number], PackedRows>(packedRows(`${row} ${between} ORDER BY key LIMIT ?`))
      .raw()
    this.selectRolledUp = database.prepare<[RolledUpScan], PackedRows>(packedRows(ROLLED_UP)).raw()
    this.selectKeys = database
      .prepare<[StoreKey, StoreKey], Buffer>(`SELECT key FROM rows WHERE ${between} ORDER BY key`)
      .pluck()
    this.selectLeased = database
      .prepare<[number], Buffer>('SELECT key FROM rows WHERE lease = ? ORDER BY key')
      .pluck()
    this.upsert = database.prepare(
      `INSERT INTO rows (key, value, revision, created, lease) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision, lease = excluded.lease`,
    )
    this.replaceOne = database.prepare<[RowColumn[]]>(replace(1))
    this.replaceMany = database.prepare<[RowColumn[]]>(replace(ROWS_PER_STATEMENT))
    this.deleteOne = database.prepare('DELETE FROM rows WHERE key = ?')
    this.deleteBetween = database.prepare(`DELETE FROM rows WHERE ${between}`)
  }

  find(key: StoreKey): StoreRow | undefined {
    const tuple = this.selectOne.get(key)
    if (tuple === undefined) return undefined
    const [, value, revision, created] = tuple
    return { key, value: openValue(key, value), revision, created }
  }

  findVersion(key: StoreKey): RowVersion | undefined {
    return this.selectVersion.get(key)
  }

  findFirst(range: StoreRange): StoreRow | undefined {
    return this.scan({ kind: 'scan', range, limit: 1 })[0]
  }

  scan(read: Scan): StoreRow[] {
    const rows = this.select(read)
    assertOrder(rows, read)
    return rows
  }

  private select(read: Scan): StoreRow[] {
    const { range, limit, reverse, rollUp } = read
    if (reverse !== true && limit <= PACKED_ROWS_MAX) {
      if (rollUp !== undefined) return this.scanRolledUp(read, rollUp)
      if (limit >= PACKED_ROWS_MIN) return unpack(this.selectPacked.get(range.from, range.to, limit))
    }
    const statement = reverse === true ? this.selectDescending : this.selectAscending
    return statement.all(range.from, range.to, limit).map(toRow)
  }

  private scanRolledUp({ range, limit }: Scan, { from, delimiter }: RollUp): StoreRow[] {
    const behind = successorOfPrefix(delimiter)
    return unpack(this.selectRolledUp.get({ ...range, place: from + 1, delimiter, behind, limit }))
  }

  put(key: StoreKey, value: Uint8Array, revision: number, lease: LeaseId | undefined): void {
    this.upsert.run(
      key,
      sealValue(key, value),
      revision,
      revision,
      lease === undefined ? null : Number(lease),
    )
  }

  delete(key: StoreKey): boolean {
    return this.deleteOne.run(key).changes > 0
  }

  deleteRange(range: StoreRange): StoreKey[] {
    const keys = this.keysIn(range)
    if (keys.length > 0) this.deleteBetween.run(range.from, range.to)
    return keys
  }

  deleteLeased(lease: LeaseId): StoreKey[] {
    const keys = this.keysUnder(lease)
    for (const key of keys) this.deleteOne.run(key)
    return keys
  }

  /** Keys of the range, in order. */
  keysIn(range: StoreRange): StoreKey[] {
    return this.selectKeys.all(range.from, range.to)
  }

  /** Keys of the rows that stand under the lease, in order. */
  keysUnder(lease: LeaseId): StoreKey[] {
    return this.selectLeased.all(Number(lease))
  }

  writeAll(changes: readonly RowChange[]): void {
    const rows: StoredRow[] = []
    for (const { key, row, lease } of changes) {
      if (row === undefined) this.deleteOne.run(key)
      else rows.push({ row, lease })
    }
    const whole = rows.length - (rows.length % ROWS_PER_STATEMENT)
    for (let at = 0; at < whole; at += ROWS_PER_STATEMENT) {
      this.replaceMany.run(columnsOf(rows.slice(at, at + ROWS_PER_STATEMENT)))
    }
    for (const row of rows.slice(whole)) this.replaceOne.run(columnsOf([row]))
  }
}

function replace(rows: number): string {
  return `INSERT INTO rows (key, value, revision, created, lease)
    VALUES ${Array(rows).fill('(?, ?, ?, ?, ?)').join(', ')} ON CONFLICT (key) DO UPDATE SET value = excluded.value,
    revision = excluded.revision, created = excluded.created, lease = excluded.lease`
}

function columnsOf(rows: readonly StoredRow[]): RowColumn[] {
  const columns: RowColumn[] = []
  for (const { row, lease } of rows) {
    const { key, value, revision, created } = row
    columns.push(key, sealValue(key, value), revision, created, lease === undefined ? null : Number(lease))
  }
  return columns
}

function unpack(rows: PackedRows | undefined): StoreRow[] {
  return rows === undefined ? [] : unpackRows(rows)
}

/** The index by key has no checks: where it leads to a wrong row, the order breaks. `MessageCorrupt`. */
function assertOrder(rows: readonly StoreRow[], { range, reverse }: Scan): void {
  const sign = reverse === true ? -1 : 1
  for (let at = 1; at < rows.length; at++) {
    const [before, row] = [rows[at - 1], rows[at]]
    if (before && row && sign * Buffer.compare(before.key, row.key) >= 0) throw damagedRow()
  }
  for (const row of [rows[0], rows.at(-1)])
    if (row !== undefined && !isWithin(row.key, range)) throw damagedRow()
}

function toRow([key, value, revision, created]: RowTuple): StoreRow {
  return { key, value: openValue(key, value), revision, created }
}
