/**
 * What was made of rows lately, by the bytes they hold: a store that keeps rows in memory hands out the same bytes
 * until a row changes, and other bytes after that. So nothing here is ever out of date: it is not asked for any more.
 */

/** Rows remembered: with all that is made of them, an estimated 4 KiB each at most. */
const ROWS_PER_GENERATION = 2048

/** Larger rows, of objects in many blocks, cost too much memory, and are read for more than their reading costs. */
const ROW_BYTES_MAX = 1024

/** Values by the very bytes they were made from; see the head of this file. */
export class RowMemory<Value> {
  /** Entries move to `young` when they are used; once it is full, what was not used since is dropped. */
  private young = new Map<Uint8Array, Value>()
  private old = new Map<Uint8Array, Value>()

  find(row: Uint8Array): Value | undefined {
    const young = this.young.get(row)
    if (young !== undefined) return young
    const old = this.old.get(row)
    if (old !== undefined) this.keep(row, old)
    return old
  }

  /** The row's bytes, and the value, must not change from now on. False: the row is too large. */
  note(row: Uint8Array, value: Value): boolean {
    if (row.length > ROW_BYTES_MAX) return false
    this.keep(row, value)
    return true
  }

  private keep(row: Uint8Array, value: Value): void {
    this.young.set(row, value)
    if (this.young.size < ROWS_PER_GENERATION) return
    this.old = this.young
    this.young = new Map()
  }
}
