/** Rows in key order: what the entry rules of the embedded stores stand on (see `apply-entry.ts`). */
import type { LeaseId, Read, StoreKey, StoreRange, StoreRow } from '../../ports.js'

export type Scan = Extract<Read, { kind: 'scan' }>

/** When a row was made and last changed. */
export interface RowVersion {
  readonly revision: number
  readonly created: number
}

/** A table of rows. Changes are visible at once; atomicity is the business of whoever calls. */
export interface RowTable {
  find(key: StoreKey): StoreRow | undefined
  findVersion(key: StoreKey): RowVersion | undefined
  /** First row of the range. */
  findFirst(range: StoreRange): StoreRow | undefined
  /** Up to `limit` rows of the range in order, or in reverse order. */
  scan(read: Scan): StoreRow[]
  /** Sets value, revision and lease; `created` only if the row is new. */
  put(key: StoreKey, value: Uint8Array, revision: number, lease: LeaseId | undefined): void
  /** Whether there was such a row. */
  delete(key: StoreKey): boolean
  /** Deletes the rows of the range and returns their keys in order. */
  deleteRange(range: StoreRange): StoreKey[]
  /** Deletes the rows that stand under the lease and returns their keys. */
  deleteLeased(lease: LeaseId): StoreKey[]
}

/** Runs the reads of one call. */
export function readRows(table: RowTable, reads: readonly Read[]): (readonly StoreRow[])[] {
  return reads.map((read) => {
    if (read.kind === 'scan') return table.scan(read)
    const row = table.find(read.key)
    return row === undefined ? [] : [row]
  })
}
