/**
 * Rows in memory, in key order: a hash map for single rows, and their keys in sorted chunks, so that an insert
 * moves at most one chunk however many rows there are. Keys are held as Latin-1 text: its order is byte order.
 */
import { mapKey } from '@cairn/protocol'
import type { LeaseId, StoreKey, StoreRange, StoreRow } from '../../ports.js'
import type { RowTable, RowVersion, Scan } from './row-table.js'

/** Keys per chunk before it is cut in two: small enough to shift quickly, large enough to keep chunks few. */
const CHUNK_KEYS_MAX = 512

interface LeasedRow extends StoreRow {
  readonly lease: LeaseId | undefined
}

/** An empty table. Values are copied when they are put. */
export function createOrderedRows(): RowTable {
  return new OrderedRows()
}

class OrderedRows implements RowTable {
  private readonly rows = new Map<string, LeasedRow>()
  private readonly keys = new SortedKeys()

  find(key: StoreKey): StoreRow | undefined {
    return this.rows.get(mapKey(key))
  }

  findVersion(key: StoreKey): RowVersion | undefined {
    return this.rows.get(mapKey(key))
  }

  findFirst(range: StoreRange): StoreRow | undefined {
    return this.scan({ kind: 'scan', range, limit: 1 })[0]
  }

  scan(read: Scan): StoreRow[] {
    const found: StoreRow[] = []
    const from = mapKey(read.range.from)
    const to = mapKey(read.range.to)
    const keys = read.reverse === true ? this.keys.descending(from, to) : this.keys.ascending(from, to)
    for (const key of keys) {
      const row = this.rows.get(key)
      if (row !== undefined) found.push(row)
      if (found.length === read.limit) break
    }
    return found
  }

  put(key: StoreKey, value: Uint8Array, revision: number, lease: LeaseId | undefined): void {
    const text = mapKey(key)
    const old = this.rows.get(text)
    if (old === undefined) this.keys.add(text)
    this.rows.set(text, {
      key: old?.key ?? Buffer.from(key),
      value: Buffer.from(value),
      revision,
      created: old?.created ?? revision,
      lease,
    })
  }

  delete(key: StoreKey): boolean {
    const text = mapKey(key)
    if (!this.rows.delete(text)) return false
    this.keys.remove(text)
    return true
  }

  deleteRange(range: StoreRange): StoreKey[] {
    return this.deleteAll([...this.keys.ascending(mapKey(range.from), mapKey(range.to))])
  }

  deleteLeased(lease: LeaseId): StoreKey[] {
    const texts = [...this.rows].filter(([, row]) => row.lease === lease).map(([text]) => text)
    return this.deleteAll(texts.sort())
  }

  private deleteAll(texts: readonly string[]): StoreKey[] {
    const keys = texts.map((text) => Buffer.from(text, 'latin1'))
    for (const key of keys) this.delete(key)
    return keys
  }
}

/** A sorted set of texts in chunks; no chunk is empty except a first and only one. */
class SortedKeys {
  private readonly chunks: string[][] = [[]]

  add(key: string): void {
    const at = this.chunkFor(key)
    const chunk = this.chunks[at] ?? []
    chunk.splice(lowerBound(chunk, key), 0, key)
    if (chunk.length > CHUNK_KEYS_MAX) this.chunks.splice(at + 1, 0, chunk.splice(CHUNK_KEYS_MAX / 2))
  }

  /** `key` must be in the set. */
  remove(key: string): void {
    const at = this.chunkFor(key)
    const chunk = this.chunks[at] ?? []
    chunk.splice(lowerBound(chunk, key), 1)
    if (chunk.length === 0 && this.chunks.length > 1) this.chunks.splice(at, 1)
  }

  *ascending(from: string, to: string): Generator<string> {
    for (let at = this.chunkFor(from); at < this.chunks.length; at++) {
      const chunk = this.chunks[at] ?? []
      for (let index = lowerBound(chunk, from); index < chunk.length; index++) {
        const key = chunk[index] ?? ''
        if (key >= to) return
        yield key
      }
    }
  }

  *descending(from: string, to: string): Generator<string> {
    for (let at = this.chunkFor(to); at >= 0; at--) {
      const chunk = this.chunks[at] ?? []
      for (let index = lowerBound(chunk, to) - 1; index >= 0; index--) {
        const key = chunk[index] ?? ''
        if (key < from) return
        yield key
      }
    }
  }

  /** The last chunk whose first key is not above `key`, or the first chunk. */
  private chunkFor(key: string): number {
    let low = 0
    let high = this.chunks.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((this.chunks[middle]?.[0] ?? '') <= key) low = middle
      else high = middle
    }
    return low
  }
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
