/**
 * The rows of the embedded store, the latest changes of which are not in their table yet.
 *
 * A transaction writes what it changed to `recent` (see `recent-entries.ts`) and leaves the rows in memory; later
 * transactions write these, sorted by key, a slice each: neighbours share a page, and a row that was changed again is
 * written once. So a change is durable with its own transaction, and costs a part of a page instead of several. When
 * the store falls quiet, what waits is written without more entries (`quiet-settling.ts`).
 *
 * Changes are in one of three places, the newest first: `pending`, those of the transaction that is open; `young`,
 * those that wait; `settling`, those that are being written. A generation stays in memory, and its entries in `recent`,
 * until all of it is written: a crash in between leaves rows that replaying makes again as they are.
 */
import { mapKey } from '@cairn/protocol'
import { successorOfPrefix } from '../../core/rows/keys.js'
import type { LeaseId, RollUp, StoreKey, StoreRange, StoreRow } from '../../ports.js'
import { BEHIND_LIMITS, type BehindLimits } from '../embedded/entry-store-limits.js'
import type { RowTable, RowVersion, Scan } from '../embedded/row-table.js'
import { CachedRows } from './cached-rows.js'
import { type Change, type Changes, MergedScan } from './merged-scan.js'
import type { RecentEntries } from './recent-entries.js'
import { findName, mergeNames, walkNames } from './sorted-names.js'
import type { SqliteRows } from './sqlite-rows.js'

interface Generation {
  readonly changes: ReadonlyMap<string, Change>
  /** Sorted, and the changes in that order. */
  readonly names: readonly string[]
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
  /** Names of `young`: sorted, and those that came since somebody wanted them so. */
  private youngNames: readonly string[] = []
  private lateNames: string[] = []
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

  /** Whether no row waits. */
  get isSettled(): boolean {
    return this.pending.size === 0 && this.young.size === 0 && this.settling === undefined
  }

  /** Whether a generation is being written. */
  get isSettling(): boolean {
    return this.settling !== undefined
  }

  find(key: StoreKey, name: string = mapKey(key)): StoreRow | undefined {
    const change = this.changeOf(name)
    return change === undefined ? this.cache.find(key, name) : change.row
  }

  findVersion(key: StoreKey): RowVersion | undefined {
    return this.find(key)
  }

  findFirst(range: StoreRange): StoreRow | undefined {
    return this.scan({ kind: 'scan', range, limit: 1 })[0]
  }

  scan(read: Scan): StoreRow[] {
    if (this.isSettled) return this.table.scan(read)
    return new MergedScan(this.table, this.changes, read).run()
  }

  put(key: StoreKey, value: Uint8Array, revision: number, lease: LeaseId | undefined): void {
    const name = mapKey(key)
    const created = this.find(key, name)?.created ?? revision
    this.pending.set(name, { name, key, row: { key, value, revision, created }, lease })
  }

  delete(key: StoreKey): boolean {
    const name = mapKey(key)
    if (this.find(key, name) === undefined) return false
    this.pending.set(name, { name, key, row: undefined, lease: undefined })
    return true
  }

  deleteRange(range: StoreRange): StoreKey[] {
    const changed = this.changesIn(range).map(({ key }) => key)
    return this.deleteAll([...this.table.keysIn(range), ...changed])
  }

  deleteLeased(lease: LeaseId): StoreKey[] {
    const stored = this.table.keysUnder(lease).filter((key) => this.changeOf(mapKey(key)) === undefined)
    const changed = [...this.allChanges().values()].filter((change) => change.lease === lease)
    return this.deleteAll([...stored, ...changed.map(({ key }) => key)])
  }

  /** Writes the changes of the open transaction, as its entry of this revision. */
  writeEntry(revision: number): void {
    if (this.pending.size === 0) return
    const bytes = this.recent.add(revision, [...this.pending.values()])
    this.wrote = { entry: { revision, bytes }, settled: this.writeSlice(), isAll: false }
  }

  /** In a transaction of its own: writes some of what waits. A generation that is begun is written to its end. */
  writeWaiting(revision: number): void {
    if (this.settling === undefined) this.beginSettling(revision)
    this.wrote = { ...NOTHING, settled: this.writeSlice() }
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
      this.joinGenerations()
      throw error
    }
    this.forgetWaiting()
  }

  /**
   * Some entries were written and forgotten, perhaps of `young` too: only the last change of a row may be written over
   * them, and what was written before must be written again.
   */
  private joinGenerations(): void {
    const { settling, young } = this
    if (settling === undefined) return
    this.young = new Map([...settling.changes, ...young])
    this.youngNames = mergeNames(settling.names, this.sortYoung())
    this.settling = undefined
  }

  private forgetWaiting(): void {
    this.cache.forgetAll()
    this.renewYoung()
    this.settling = undefined
  }

  private renewYoung(): void {
    this.young = new Map()
    this.youngNames = []
    this.lateNames = []
    this.youngBytes = 0
  }

  private changeOf(name: string): Change | undefined {
    return this.pending.get(name) ?? this.young.get(name) ?? this.settling?.changes.get(name)
  }

  private allChanges(): Map<string, Change> {
    return new Map([...(this.settling?.changes ?? []), ...this.young, ...this.pending])
  }

  private readonly changes: Changes = {
    has: (key) => this.changeOf(mapKey(key)) !== undefined,
    within: (range, rowsMax) => this.changesIn(range, rowsMax),
    firstOfGroups: (range, rollUp) => this.firstOfGroups(range, rollUp),
  }

  /** Sorted; of those that leave a row the first `rowsMax`, and whatever comes before the last of them. */
  private changesIn({ from, to }: StoreRange, rowsMax: number = Number.POSITIVE_INFINITY): readonly Change[] {
    const changes: Change[] = []
    let rows = 0
    walkNames(this.sortedNames(), mapKey(from), mapKey(to), (name) => {
      const change = this.changeOf(name)
      if (change === undefined) return true
      changes.push(change)
      if (change.row !== undefined) rows++
      return rows < rowsMax
    })
    return changes
  }

  /** Seeks from group to group, as the table does: a group may hold all the changes there are. */
  private firstOfGroups({ from, to }: StoreRange, rollUp: RollUp): readonly Change[] | undefined {
    const [low, high] = [mapKey(from), mapKey(to)]
    if (this.isAnyGone(low, high)) return undefined
    const lists = this.sortedNames()
    const [delimiter, behind] = [mapKey(rollUp.delimiter), mapKey(successorOfPrefix(rollUp.delimiter))]
    const changes: Change[] = []
    let name = findName(lists, low, high)
    while (name !== undefined) {
      const change = this.changeOf(name)
      if (change !== undefined) changes.push(change)
      // Behind the group, or behind the name itself if it has no delimiter.
      const at = change === undefined ? -1 : name.indexOf(delimiter, rollUp.from)
      name = findName(lists, at < 0 ? `${name}\0` : name.slice(0, at) + behind, high)
    }
    return changes
  }

  /** Whether a row from `low` to before `high` is there no more. */
  private isAnyGone(low: string, high: string): boolean {
    for (const changes of [this.pending, this.young, this.settling?.changes ?? []]) {
      for (const [name, { row }] of changes) {
        if (row === undefined && name >= low && name < high && this.changeOf(name)?.row === undefined)
          return true
      }
    }
    return false
  }

  private sortedNames(): readonly (readonly string[])[] {
    return [this.settling?.names ?? [], this.sortYoung(), [...this.pending.keys()].sort()]
  }

  private changesOf(names: readonly string[]): readonly Change[] {
    const changes: Change[] = []
    for (const name of names) {
      const change = this.changeOf(name)
      if (change !== undefined) changes.push(change)
    }
    return changes
  }

  /** The names of `young`, sorted: only what is new has to be brought in order. */
  private sortYoung(): readonly string[] {
    if (this.lateNames.length > 0) this.youngNames = mergeNames(this.youngNames, this.lateNames.sort())
    this.lateNames = []
    return this.youngNames
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
    const { young } = this
    for (const [name, change] of this.pending) {
      const { size } = young
      young.set(name, change)
      if (young.size > size) this.lateNames.push(name)
    }
    this.youngBytes += bytes
    const isFull = young.size >= this.limits.rows || this.youngBytes >= this.limits.bytes
    if (isFull && this.settling === undefined) this.beginSettling(revision)
  }

  private beginSettling(throughRevision: number): void {
    const names = this.sortYoung()
    const order = this.changesOf(names)
    this.settling = { changes: this.young, names, order, throughRevision, written: 0 }
    this.renewYoung()
  }

  private endTransaction(): void {
    this.pending = new Map()
    this.wrote = NOTHING
  }
}
