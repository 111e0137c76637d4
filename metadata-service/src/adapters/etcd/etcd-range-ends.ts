/**
 * Tight ends for scans: etcd's work for a range is that of all keys up to its *end*, whatever its limit, and meanwhile
 * nobody else is served. So a range that turned out to be wide is cut where its next rows are expected to end, from how
 * dense its keys were in the last page. A guess that is too short costs another request, never a wrong answer.
 */
import { AgingMap, mapKey } from '@cairn/protocol'
import type { StoreKey, StoreRow } from '../../ports.js'
import { RANGES_KNOWN_MAX, WIDE_KEYS } from './etcd-limits.js'

/** Bytes behind the common prefix of a page that are taken as a number. */
const DIGITS = 6
const NUMBER_MAX = 2 ** (8 * DIGITS)

/** A guess covers so many times the rows that are wanted. */
const MARGIN = 1.5
const WIDENING = 8

/** How the keys of a wide range lie: rows for each step of the number behind a prefix. */
interface Density {
  readonly prefix: Buffer
  readonly step: number
}

export class RangeEnds {
  /** By the end of the whole range, which stays while its pages are read. */
  private readonly densities = new AgingMap<string, Density>()

  /** Where to cut the range for `limit` rows; `attempt` counts the cuts that gave too few. */
  cut(from: StoreKey, to: StoreKey, { limit, attempt }: { limit: number; attempt: number }): StoreKey {
    const density = this.densities.get(mapKey(to))
    if (density === undefined) return to
    const { prefix, step } = density
    const base = Buffer.from(from.subarray(0, prefix.length))
    const next = numberAt(from, prefix.length) + Math.ceil(step * limit * MARGIN * WIDENING ** attempt)
    const end = next < NUMBER_MAX ? Buffer.concat([base, digitsOf(next)]) : successor(base, attempt)
    return end !== undefined && Buffer.compare(from, end) < 0 && Buffer.compare(end, to) < 0 ? end : to
  }

  /** Learns from a page of `rows` out of `count` in the range up to `to`. */
  learn(to: StoreKey, rows: readonly StoreRow[], count: number): void {
    const first = rows[0]?.key
    const last = rows.at(-1)?.key
    if (count < WIDE_KEYS || first === undefined || last === undefined || rows.length < 2) return
    const prefix = commonPrefix(first, last)
    const span = numberAt(last, prefix.length) - numberAt(first, prefix.length)
    this.densities.set(mapKey(to), { prefix, step: Math.max(1, span / (rows.length - 1)) })
    if (this.densities.size > RANGES_KNOWN_MAX) this.densities.takeOldest()
  }
}

function commonPrefix(a: StoreKey, b: StoreKey): Buffer {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  return Buffer.from(a.subarray(0, length))
}

function numberAt(key: StoreKey, at: number): number {
  let number = 0
  for (let digit = 0; digit < DIGITS; digit++) number = number * 256 + (key[at + digit] ?? 0)
  return number
}

function digitsOf(number: number): Buffer {
  const digits = Buffer.alloc(DIGITS)
  digits.writeUIntBE(number, 0, DIGITS)
  return digits
}

/** The first key behind all that begin with a prefix, shortened by a byte for each attempt. */
function successor(prefix: Buffer, attempt: number): Buffer | undefined {
  const end = Buffer.from(prefix.subarray(0, Math.max(0, prefix.length - attempt)))
  for (let at = end.length - 1; at >= 0; at--) {
    const byte = end[at] ?? 0
    if (byte === 0xff) continue
    end[at] = byte + 1
    return end.subarray(0, at + 1)
  }
  return undefined
}
