/**
 * The rows of the embedded store, the latest changes of which are not in their table yet.
 *
 * A transaction writes what it changed to `recent` (see `recent-entries.ts`) and leaves the rows in memory; later
 * transactions write these, sorted by key, a slice each: neighbours share a page, and a row that was changed again is
 * written once. So a change is durable with its own transaction, and costs a part of a page instead of several.
 *
 * Changes are in one of three places, the newest first: `pending`, those of the transaction that is open; `young`, those
 * that wait; `settling`, those that are being written. A generation stays in memory, and its entries in `recent`,
 * until all of it is written: a crash in between leaves rows that replaying makes again as they are.
 */
import type { LeaseId, Read, StoreKey, StoreRange, StoreRow } from '../ports.js'
import { CachedRows, nameOf } from './cached-rows.js'
import { BEHIND_LIMITS, type BehindLimits } from './entry-store-limits.js'
import type { RecentEntries, RowChange } from './recent-entries.js'
import type { RowTable, RowVersion } from './row-table.js'
import type { SqliteRows } from './sqlite-rows.js'

interface Change extends RowChange {
  readonly name: string
}

interface Generation {
  readonly changes: ReadonlyMap<string, Change>
  /** Sorted by key. */
  readonly order: readonly Change[]
  /** Revision of its last entry. */
  readonly throughRevision: number
  /** So many of `order` are written. */
  written: number
}

/** What a transaction has written: an entry of `recent`, `settling` up to some change, or all that waits. */
interface Written {
  readonly entry: { readonly revision: number; readonly bytes: number } | undefined
  readonly settled: number
  readonly isAll: boolean
}

const NOTHING: Written = { entry: undefined, settled: 0, isAll: false }

/** See the head of this file. Every transaction ends in `committed` or `undone`. */
export class WriteBehindRows implements RowTable {
  private readonly table: SqliteRows
  private readonly cache: CachedRows
  private readonly recent: RecentEntries
  private readonly limits: BehindLimits
  private pending = new Map<string, Change>()
  private young = new Map<string, Change>()
  private youngBytes = 0
  private settling: Generation | undefined
  /** What the open transaction has written. */
  private wrote: Written = NOTHING

  constructor(table: SqliteRows, recent: RecentEntries, limits: BehindLimits = BEHIND_LIMITS) {
    this.limits = limits
    this.table = table
    this.cache = new CachedRows(table)
    this.recent = recent
  }

  find(key: StoreKey, name: string = nameOf(key)): StoreRow | undefined {
    const change = this.changeOf(name)
    return change === undefined ? this.cache.find(key, name) : change.row
  }

  findVersion(key: StoreKey): RowVersion | undefined {
    return this.find(key)
  }

  findFirst(range: StoreRange): StoreRow | undefined {
    return this.scan({ kind: 'scan', range, limit: 1 })[0]
  }

  scan(read: Extract<Read, { kind: 'scan' }>): StoreRow[] {
    const changes = this.changesIn(read.range)
    if (changes.size === 0) return this.table.scan(read)
    return new MergedScan(this.table, changes, read).run()
  }

  put(key: StoreKey, value: Uint8Array, revision: number, lease: LeaseId | undefined): void {
    const name = nameOf(key)
    const created = this.find(key, name)?.created ?? revision
    this.pending.set(name, { name, key, row: { key, value, revision, created }, lease })
  }

  delete(key: StoreKey): boolean {
    const name = nameOf(key)
    if (this.find(key, name) === undefined) return false
    this.pending.set(name, { name, key, row: undefined, lease: undefined })
    return true
  }

  deleteRange(range: StoreRange): StoreKey[] {
    const changed = [...this.changesIn(range).values()].map(({ key }) => key)
    return this.deleteAll([...this.table.keysIn(range), ...changed])
  }

  deleteLeased(lease: LeaseId): StoreKey[] {
    const stored = this.table.keysUnder(lease).filter((key) => this.changeOf(nameOf(key)) === undefined)
    const changed = [...this.allChanges().values()].filter((change) => change.lease === lease)
    return this.deleteAll([...stored, ...changed.map(({ key }) => key)])
  }

  /** Writes the changes of the open transaction, as its entry of this revision. */
  writeEntry(revision: number): void {
    if (this.pending.size === 0) return
    const bytes = this.recent.add(revision, [...this.pending.values()])
    this.wrote = { entry: { revision, bytes }, settled: this.writeSlice(), isAll: false }
  }

  /** The same on a full disk: all rows that wait go to the table with it, in the space of their entries. */
  writeEntryNow(revision: number): void {
    this.recent.forget(revision)
    this.table.writeAll([...this.allChanges().values()])
    this.wrote = { ...NOTHING, isAll: true }
  }

  /** The open transaction is durable. */
  committed(): void {
    const { entry, settled, isAll } = this.wrote
    if (this.settling !== undefined) this.noteSettled(this.settling, settled)
    if (entry !== undefined) this.keepPending(entry)
    if (isAll) this.forgetWaiting()
    this.endTransaction()
  }

  /** The open transaction is undone, or may be. */
  undone(): void {
    this.cache.forgetAll()
    this.endTransaction()
  }

  /** Writes all that is in memory to the table, in as many transactions as `run` is called for. */
  settle(run: (write: () => boolean) => boolean): void {
    try {
      while (run(() => this.recent.replay(this.table, this.limits.sliceRows)));
    } catch (error) {
      // What was written of a generation may have been overwritten by older changes.
      if (this.settling !== undefined) this.settling.written = 0
      throw error
    }
    this.forgetWaiting()
  }

  private forgetWaiting(): void {
    this.cache.forgetAll()
    this.young = new Map()
    this.youngBytes = 0
    this.settling = undefined
  }

  private changeOf(name: string): Change | undefined {
    return this.pending.get(name) ?? this.young.get(name) ?? this.settling?.changes.get(name)
  }

  private allChanges(): Map<string, Change> {
    return new Map([...(this.settling?.changes ?? []), ...this.young, ...this.pending])
  }

  private changesIn({ from, to }: StoreRange): Map<string, Change> {
    const [first, end] = [nameOf(from), nameOf(to)]
    const found = new Map<string, Change>()
    for (const changes of [this.settling?.changes ?? [], this.young, this.pending]) {
      for (const [name, change] of changes) if (name >= first && name < end) found.set(name, change)
    }
    return found
  }

  /** In order; what is not there, or named twice, is left out. */
  private deleteAll(keys: readonly StoreKey[]): StoreKey[] {
    return [...keys].sort(Buffer.compare).filter((key) => this.delete(key))
  }

  /** Writes the next of `settling`: faster than new changes come. Returns how many are written then. */
  private writeSlice(): number {
    const { settling } = this
    if (settling === undefined) return 0
    const { order, written, throughRevision } = settling
    const slice = order.slice(written, written + Math.max(this.limits.sliceRows, 2 * this.pending.size))
    this.table.writeAll(slice)
    if (written + slice.length === order.length) this.recent.forget(throughRevision)
    return written + slice.length
  }

  private noteSettled(settling: Generation, written: number): void {
    for (let at = settling.written; at < written; at++) {
      const change = settling.order[at]
      if (change !== undefined) this.cache.remember(change.name, change.row ?? 'absent')
    }
    settling.written = Math.max(settling.written, written)
    if (settling.written === settling.order.length) this.settling = undefined
  }

  private keepPending({ revision, bytes }: { revision: number; bytes: number }): void {
    for (const [name, change] of this.pending) this.young.set(name, change)
    this.youngBytes += bytes
    const isFull = this.young.size >= this.limits.rows || this.youngBytes >= this.limits.bytes
    if (!isFull || this.settling !== undefined) return
    const order = [...this.young.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    this.settling = { changes: this.young, order, throughRevision: revision, written: 0 }
    this.young = new Map()
    this.youngBytes = 0
  }

  private endTransaction(): void {
    this.pending = new Map()
    this.wrote = NOTHING
  }
}

/** One scan of the table and the changes of its range. The table is read on until there are rows enough. */
class MergedScan {
  private readonly table: RowTable
  private readonly changes: ReadonlyMap<string, Change>
  private readonly read: Extract<Read, { kind: 'scan' }>
  private readonly sign: 1 | -1

  constructor(table: RowTable, changes: ReadonlyMap<string, Change>, read: Extract<Read, { kind: 'scan' }>) {
    this.table = table
    this.changes = changes
    this.sign = read.reverse === true ? -1 : 1
    const { rollUp, ...plain } = read
    // Of a group whose first row was deleted, another has to be given: then no row of the table is skipped.
    const isSkipped = [...changes.values()].some(({ row }) => row === undefined)
    this.read = isSkipped || rollUp === undefined ? plain : read
  }

  run(): StoreRow[] {
    const changed = [...this.changes.values()].flatMap(({ row }) => row ?? []).sort(this.compare)
    const { limit } = this.read
    const found: StoreRow[] = []
    let { range } = this.read
    let next = 0
    while (found.length < limit) {
      const stored = this.table.scan({ ...this.read, range })
      const last = stored.length < limit ? undefined : stored[stored.length - 1]
      const known = stored.filter(({ key }) => !this.changes.has(nameOf(key)))
      const from = next
      while (next < changed.length && this.isBefore(changed[next], last)) next++
      found.push(...[...known, ...changed.slice(from, next)].sort(this.compare))
      if (last === undefined) break
      range = this.sign > 0 ? { from: after(last.key), to: range.to } : { from: range.from, to: last.key }
    }
    return found.slice(0, limit)
  }

  private readonly compare = (a: StoreRow, b: StoreRow): number => this.sign * Buffer.compare(a.key, b.key)

  /** Whether a changed row comes before the last row read; all do once the table has ended. */
  private isBefore(row: StoreRow | undefined, last: StoreRow | undefined): boolean {
    return row !== undefined && (last === undefined || this.compare(row, last) <= 0)
  }
}

/** The first key behind this one. */
function after(key: StoreKey): StoreKey {
  return Buffer.concat([key, Buffer.alloc(1)])
}
