/** Which rows a mirror copies, and which of them it does not answer for. */
import { isWithin, rangeOfPrefix } from '../../core/rows/keys.js'
import type { Read, StoreKey, StoreRange } from '../../ports.js'

/** Every row: no key begins with 0xff. */
export const MIRROR_RANGE: StoreRange = { from: Buffer.from([0]), to: Buffer.from([0xff]) }

/** How keys begin (see `core/rows/keys.ts`): only for the cost of a fill, which finds others too. */
export const ROW_PREFIXES: readonly StoreKey[] = [
  ...['b/', 'bc/', 'c/', 'dirty/', 'g/', 'head', 'l/', 'm/'],
  ...['o/', 'p/', 'r/', 's/', 'u/', 'v/'],
].map((prefix) => Buffer.from(prefix))

/**
 * Where rows under leases lie: sessions, services, the coordinator. The end of a lease deletes them without an entry,
 * so `head` does not tell of it, and only the store can say whether they are there. Everything else changes by entries
 * alone.
 */
export const LEASED_RANGES: readonly StoreRange[] = [
  rangeOfPrefix(Buffer.from('s/')),
  rangeOfPrefix(Buffer.from('m/service/')),
  { from: Buffer.from('m/coordinator'), to: Buffer.from('m/coordinator\0') },
]

/** Whether a read touches one of the ranges. */
export function touches(read: Read, ranges: readonly StoreRange[]): boolean {
  return ranges.some((range) =>
    read.kind === 'get'
      ? isWithin(read.key, range)
      : Buffer.compare(read.range.from, range.to) < 0 && Buffer.compare(range.from, read.range.to) < 0,
  )
}
