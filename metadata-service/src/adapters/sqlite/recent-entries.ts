/**
 * The table `recent` of the embedded store: what the latest entries did, one row each, written in the transaction of
 * its entry. A row of `rows` costs a page of its own, wherever its key lies; a row here lies behind the last one. The
 * rows themselves are written later, many at once (`write-behind-rows.ts`); whoever opens the database does it first.
 *
 * A record is a list of changes and a CRC32C of the revision and all before it, little endian:
 * ```
 * put     1 | key length (u16) | value length (u32) | created (f64) | key | value
 * leased  2 | key length (u16) | value length (u32) | created (f64) | lease (f64) | key | value
 * delete  3 | key length (u16) | key
 * ```
 * They say what the rows are, not how they changed: to read them twice, up to the last one, does no harm.
 */
import { CairnError, crc32c } from '@cairn/protocol'
import type { Database, Statement } from 'better-sqlite3'
import type { LeaseId, StoreKey, StoreRow } from '../../ports.js'
import { CHECK_BYTES } from './sqlite-row-check.js'

/** The row of a key, or that there is none. */
export interface RowChange {
  readonly key: StoreKey
  readonly row: StoreRow | undefined
  readonly lease: LeaseId | undefined
}

/** Where changes go. */
export interface ChangedRows {
  /** Sets rows as they are, and deletes those that are no more. */
  writeAll(changes: readonly RowChange[]): void
}

/** Creates the table; part of the format of the database. */
export const RECENT_TABLE =
  'CREATE TABLE recent (revision INTEGER PRIMARY KEY, changes BLOB NOT NULL) STRICT;'

const PUT = 1
const LEASED = 2
const DELETE = 3
/** The longest head of a change. */
const HEAD_BYTES_MAX = 23

/** The entries whose rows are not all written yet. */
export class RecentEntries {
  private readonly insert: Statement<[number, Buffer]>
  private readonly dropTo: Statement<[number]>
  private readonly oldest: Statement<[], { revision: number; changes: Buffer }>
  private buffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024)

  constructor(database: Database) {
    this.insert = database.prepare('INSERT INTO recent VALUES (?, ?)')
    this.dropTo = database.prepare('DELETE FROM recent WHERE revision <= ?')
    this.oldest = database.prepare('SELECT revision, changes FROM recent ORDER BY revision LIMIT 1')
  }

  /** Adds what the entry of this revision did; returns its size in bytes. */
  add(revision: number, changes: readonly RowChange[]): number {
    const record = this.encode(revision, changes)
    this.insert.run(revision, record)
    return record.length
  }

  /** Forgets the entries up to this revision: their rows are written. */
  forget(throughRevision: number): void {
    this.dropTo.run(throughRevision)
  }

  /**
   * Writes what the oldest entries did, at least `changesMin` changes if there are so many, and forgets them; false if
   * there was nothing. `DriveFailed` if an entry is damaged.
   */
  replay(rows: ChangedRows, changesMin: number): boolean {
    let count = 0
    for (let found = this.oldest.get(); found !== undefined; found = this.oldest.get()) {
      const changes = decode(found.revision, found.changes)
      // Its space is given back first: on a full disk the rows need it.
      this.forget(found.revision)
      rows.writeAll(changes)
      count += changes.length
      if (count >= changesMin) break
    }
    return count > 0
  }

  private encode(revision: number, changes: readonly RowChange[]): Buffer {
    let sizeMax = CHECK_BYTES
    for (const { key, row } of changes) sizeMax += HEAD_BYTES_MAX + key.length + (row?.value.length ?? 0)
    if (sizeMax > this.buffer.length) this.buffer = Buffer.allocUnsafeSlow(2 * sizeMax)
    const { buffer } = this
    let at = 0
    for (const change of changes) at = writeChange(buffer, at, change)
    buffer.writeUInt32LE(checkOf(revision, buffer.subarray(0, at)), at)
    return buffer.subarray(0, at + CHECK_BYTES)
  }
}

function checkOf(revision: number, bytes: Uint8Array): number {
  const seed = Buffer.alloc(8)
  seed.writeDoubleLE(revision)
  return crc32c(bytes, crc32c(seed))
}

function writeChange(buffer: Buffer, start: number, { key, row, lease }: RowChange): number {
  let at = buffer.writeUInt8(row === undefined ? DELETE : lease === undefined ? PUT : LEASED, start)
  at = buffer.writeUInt16LE(key.length, at)
  if (row !== undefined) {
    at = buffer.writeUInt32LE(row.value.length, at)
    at = buffer.writeDoubleLE(row.created, at)
    if (lease !== undefined) at = buffer.writeDoubleLE(Number(lease), at)
  }
  buffer.set(key, at)
  at += key.length
  if (row === undefined) return at
  buffer.set(row.value, at)
  return at + row.value.length
}

function decode(revision: number, record: Buffer): RowChange[] {
  const end = record.length - CHECK_BYTES
  if (end < 0 || record.readUInt32LE(end) !== checkOf(revision, record.subarray(0, end))) {
    throw new CairnError('DriveFailed', `entry ${revision} of the metadata store is damaged`)
  }
  const changes: RowChange[] = []
  let at = 0
  function take(length: number): Buffer {
    at += length
    return record.subarray(at - length, at)
  }
  while (at < end) {
    const kind = take(1).readUInt8()
    const keyBytes = take(2).readUInt16LE()
    if (kind === DELETE) {
      changes.push({ key: take(keyBytes), row: undefined, lease: undefined })
      continue
    }
    const valueBytes = take(4).readUInt32LE()
    const created = take(8).readDoubleLE()
    const lease = kind === LEASED ? String(take(8).readDoubleLE()) : undefined
    const key = take(keyBytes)
    changes.push({ key, row: { key, value: take(valueBytes), revision, created }, lease })
  }
  return changes
}
