/**
 * A scan that seeks behind each group of keys instead of reading through it. A seek costs as much as some ten rows in
 * sequence, so while keys stand alone more and more of them are read at once, and after a group one.
 */
import { successorOfKey, successorOfPrefix } from '../core/keys.js'
import type { Read, RollUp, StoreKey } from '../ports.js'

/** Rows read at once while no groups are met. */
const RUN_ROWS_MAX = 64

/** Up to `some` rows from `from` on, in order; the key comes first. */
type ReadRun<R> = (from: StoreKey, some: number) => R[]

/** The first row of each group, and every row that stands alone, up to the limit. */
export function scanRolledUp<R extends readonly [key: Buffer, ...rest: unknown[]]>(
  readRun: ReadRun<R>,
  { range, limit }: Extract<Read, { kind: 'scan' }>,
  rollUp: RollUp,
): R[] {
  const found: R[] = []
  let place: Place = { from: range.from, isBehindGroup: true }
  let some = 1
  while (found.length < limit && Buffer.compare(place.from, range.to) < 0) {
    const asked = Math.min(some, limit - found.length)
    const run = readRun(place.from, asked)
    for (const row of run) {
      if (Buffer.compare(row[0], place.from) < 0) continue
      found.push(row)
      place = behind(row[0], rollUp)
    }
    if (run.length < asked) break
    some = place.isBehindGroup ? 1 : Math.min(RUN_ROWS_MAX, some * 4)
  }
  return found
}

/** Where the next row may be. */
interface Place {
  readonly from: StoreKey
  readonly isBehindGroup: boolean
}

/** The place behind a key, or behind its group. */
function behind(key: Buffer, { from, delimiter }: RollUp): Place {
  const at = key.indexOf(delimiter, from)
  if (at < 0) return { from: successorOfKey(key), isBehindGroup: false }
  return { from: successorOfPrefix(key.subarray(0, at + delimiter.length)), isBehindGroup: true }
}
