/** A scan of a table and of the changes that it does not have yet. */
import type { RollUp, StoreKey, StoreRange, StoreRow } from '../../ports.js'
import type { RowTable, Scan } from '../embedded/row-table.js'
import type { RowChange } from './recent-entries.js'

/**
 * Pages grow up to so many rows: else one row behind thousands that wait to be deleted costs a read for each of them.
 */
const PAGE_ROWS_MAX = 1_000

/** A row as it is now, or that it is gone; `name` is its key as `mapKey` gives it. */
export interface Change extends RowChange {
  readonly name: string
}

/** The changes that the table does not have yet. */
export interface Changes {
  has(key: StoreKey): boolean
  /** Those of a range, sorted; of those that leave a row the first `rowsMax`. */
  within(range: StoreRange, rowsMax?: number): readonly Change[]
  /** The first of each group of a range, sorted; `undefined` if a row of the range is gone. */
  firstOfGroups(range: StoreRange, rollUp: RollUp): readonly Change[] | undefined
}

/** One page of the table, and the changes as far as it goes. */
interface MergedPage {
  /** Those that have not changed. */
  readonly stored: readonly StoreRow[]
  readonly changed: readonly StoreRow[]
  /** `undefined` once the table has ended. */
  readonly last: StoreKey | undefined
}

/** One scan of the table and the changes of its range. The table is read on until there are rows enough. */
export class MergedScan {
  private readonly table: RowTable
  private readonly changes: Changes
  private readonly read: Scan
  private readonly sign: 1 | -1

  constructor(table: RowTable, changes: Changes, read: Scan) {
    this.table = table
    this.changes = changes
    this.sign = read.reverse === true ? -1 : 1
    this.read = read
  }

  run(): StoreRow[] {
    const { limit } = this.read
    const found: StoreRow[] = []
    let { range } = this.read
    for (let rows = limit; found.length < limit; rows = Math.max(rows, Math.min(2 * rows, PAGE_ROWS_MAX))) {
      const { stored, changed, last } = this.page({ ...this.read, range, limit: rows })
      found.push(...(changed.length === 0 ? stored : [...stored, ...changed].sort(this.compare)))
      if (last === undefined) break
      range = this.behind(range, last)
    }
    return found.slice(0, limit)
  }

  private page(read: Scan): MergedPage {
    const { rollUp, ...plain } = read
    if (rollUp === undefined) return this.plainPage(plain)
    const { stored, last } = this.storedPage(read)
    const changes = this.changes.firstOfGroups(this.upTo(read.range, last), rollUp)
    // Of a group whose first row was deleted, another has to be given: then no row of the table is skipped.
    return changes === undefined ? this.plainPage(plain) : this.merge(stored, changes, last)
  }

  private plainPage(read: Scan): MergedPage {
    const { stored, last } = this.storedPage(read)
    const rowsMax = this.sign > 0 ? read.limit : undefined
    return this.merge(stored, this.changes.within(this.upTo(read.range, last), rowsMax), last)
  }

  private merge(
    stored: readonly StoreRow[],
    changes: readonly Change[],
    last: StoreKey | undefined,
  ): MergedPage {
    if (changes.length === 0) return { stored, changed: [], last }
    const rows = rowsOf(changes)
    const changed = this.sign > 0 ? rows : rows.reverse()
    return { stored: stored.filter(({ key }) => !this.changes.has(key)), changed, last }
  }

  private storedPage(read: Scan): Pick<MergedPage, 'stored' | 'last'> {
    const stored = this.table.scan(read)
    return { stored, last: stored.length < read.limit ? undefined : stored[stored.length - 1]?.key }
  }

  /** What of the range has been read when `last` has. */
  private upTo(range: StoreRange, last: StoreKey | undefined): StoreRange {
    if (last === undefined) return range
    return this.sign > 0 ? { from: range.from, to: after(last) } : { from: last, to: range.to }
  }

  private behind({ from, to }: StoreRange, last: StoreKey): StoreRange {
    return this.sign > 0 ? { from: after(last), to } : { from, to: last }
  }

  private readonly compare = (a: StoreRow, b: StoreRow): number => this.sign * Buffer.compare(a.key, b.key)
}

function rowsOf(changes: readonly Change[]): StoreRow[] {
  const rows: StoreRow[] = []
  for (const { row } of changes) if (row !== undefined) rows.push(row)
  return rows
}

/** The first key behind this one. */
function after(key: StoreKey): StoreKey {
  return Buffer.concat([key, Buffer.alloc(1)])
}
