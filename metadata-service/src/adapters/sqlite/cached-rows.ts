/**
 * The rows that were read or written last, in front of a table on disk. The store is the table's only reader and
 * writer, so what stands here is what stands there: every change passes through, and a transaction that is rolled
 * back, or may not have happened, empties the cache. Absence is remembered too, until somebody writes the row.
 */
import { mapKey } from '@cairn/protocol'
import type { LeaseId, StoreKey, StoreRange, StoreRow } from '../../ports.js'
import { ROW_CACHE_BYTES } from '../embedded/entry-store-limits.js'
import type { RowTable, RowVersion, Scan } from '../embedded/row-table.js'

/** Memory of an entry beyond its key and value: the row, the key as text, the place in the map. */
const ENTRY_BYTES = 250

/** A row, or the knowledge that there is none. */
type Known = StoreRow | 'absent'

/** A table of rows with a memory; see the head of this file. */
export class CachedRows implements RowTable {
  private readonly table: RowTable
  /** Entries move to `young` when they are used; once it is full, what was not used since is dropped. */
  private young = new Map<string, Known>()
  private old = new Map<string, Known>()
  private youngBytes = 0

  constructor(table: RowTable) {
    this.table = table
  }

  /** To be called when changes may have been undone. */
  forgetAll(): void {
    this.young.clear()
    this.old.clear()
    this.youngBytes = 0
  }

  find(key: StoreKey, name: string = mapKey(key)): StoreRow | undefined {
    const known = this.known(name)
    if (known !== undefined) return known === 'absent' ? undefined : known
    const row = this.table.find(key)
    this.remember(name, row ?? 'absent')
    return row
  }

  findVersion(key: StoreKey): RowVersion | undefined {
    return this.find(key)
  }

  findFirst(range: StoreRange): StoreRow | undefined {
    return this.table.findFirst(range)
  }

  scan(read: Scan): StoreRow[] {
    return this.table.scan(read)
  }

  put(key: StoreKey, value: Uint8Array, revision: number, lease: LeaseId | undefined): void {
    this.table.put(key, value, revision, lease)
    const name = mapKey(key)
    const known = this.known(name)
    // When a row was made is not known here unless it was looked at before.
    if (known === undefined) return
    const created = known === 'absent' ? revision : known.created
    this.remember(name, { key, value, revision, created })
  }

  delete(key: StoreKey): boolean {
    this.forget(key)
    return this.table.delete(key)
  }

  deleteRange(range: StoreRange): StoreKey[] {
    const keys = this.table.deleteRange(range)
    for (const key of keys) this.forget(key)
    return keys
  }

  deleteLeased(lease: LeaseId): StoreKey[] {
    const keys = this.table.deleteLeased(lease)
    for (const key of keys) this.forget(key)
    return keys
  }

  private known(name: string): Known | undefined {
    const young = this.young.get(name)
    if (young !== undefined) return young
    const old = this.old.get(name)
    if (old !== undefined) this.remember(name, old)
    return old
  }

  /** What the table holds under the key of this name. */
  remember(name: string, known: Known): void {
    this.young.set(name, known)
    this.youngBytes +=
      ENTRY_BYTES + name.length + (known === 'absent' ? 0 : known.key.length + known.value.length)
    if (this.youngBytes < ROW_CACHE_BYTES / 2) return
    this.old = this.young
    this.young = new Map()
    this.youngBytes = 0
  }

  /** To be called when the row was changed in the table behind this cache. */
  forget(key: StoreKey): void {
    const name = mapKey(key)
    this.young.delete(name)
    this.old.delete(name)
  }
}
