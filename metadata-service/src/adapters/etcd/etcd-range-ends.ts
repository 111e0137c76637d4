/**
 * Tight ends for scans: etcd's work for a range is that of all keys up to its *end*, whatever its limit, and meanwhile
 * nobody else is served. So a range that turned out to be wide is cut where its next rows are expected to end, from how
 * dense its keys were in the last page. A guess that is too short costs another request, never a wrong answer.
 */
import { AgingMap, mapKey } from '@cairn/protocol'
import type { StoreKey, StoreRange, StoreRow } from '../../ports.js'
import { RANGES_KNOWN_MAX, WIDE_KEYS } from './etcd-limits.js'

/** Bytes of a key that are taken as a number. */
const DIGITS = 6
const BYTE = 256
const NUMBER_MAX = BYTE ** DIGITS

/** A guess covers so many times the rows that are wanted. */
const MARGIN = 1.5
/** And so many times more for each guess that was too short. */
const WIDENING = 4
/** Rows count as so many times farther apart at most than before: the gap within one page may be all there is. */
const GROWTH = 8

/** How the keys of a wide range lie. */
interface Density {
  /** From one row to the next there were so many steps of the number that begins at this byte of the keys. */
  readonly at: number
  readonly step: number
  /** No row was seen from `from` up to `first`: where pages without a place of their own begin. */
  readonly from: StoreKey
  readonly first: StoreKey
}

/** A guess: rows that are wanted, and the cuts that gave too few. */
interface Wanted {
  readonly limit: number
  readonly attempt: number
}

export class RangeEnds {
  /** By the end of the whole range, which stays while its pages are read. */
  private readonly densities = new AgingMap<string, Density>()

  /** Where to cut the range for `limit` rows; `to` itself where nothing is known. */
  cut({ from, to }: StoreRange, { limit, attempt }: Wanted): StoreKey {
    const density = this.densities.get(mapKey(to))
    if (density === undefined) return to
    const { at, step } = density
    const isBelow = Buffer.compare(density.from, from) <= 0 && Buffer.compare(from, density.first) <= 0
    const start = Buffer.concat([isBelow ? density.first : from, Buffer.alloc(at)])
    const end = ahead(start, at, step * limit * MARGIN * WIDENING ** attempt)
    return end !== undefined && Buffer.compare(from, end) < 0 && Buffer.compare(end, to) < 0 ? end : to
  }

  /**
   * Learns from `rows`, all that were found from the start of the range on; `count` lie where the last of them were asked
   * for.
   */
  learn({ from, to }: StoreRange, rows: readonly StoreRow[], count: number): void {
    const first = rows[0]?.key
    const last = rows.at(-1)?.key
    if (count < WIDE_KEYS || first === undefined || last === undefined || rows.length < 2) return
    const known = this.densities.get(mapKey(to))
    const place = commonLength(first, last)
    const at = Math.max(place, known?.at ?? 0)
    const span = numberAt(last, place) - numberAt(first, place)
    const step = (span / (rows.length - 1)) * BYTE ** (at - place)
    const stepMax = known === undefined ? step : known.step * BYTE ** (at - known.at) * GROWTH
    const start = known === undefined ? { from, first } : startOf(known, from, first)
    this.densities.set(mapKey(to), { at, step: Math.max(1, Math.min(step, stepMax)), ...start })
    if (this.densities.size > RANGES_KNOWN_MAX) this.densities.takeOldest()
  }
}

/** Where the rows begin, with a page that was read from `from` on. */
function startOf(known: Density, from: StoreKey, first: StoreKey): Pick<Density, 'from' | 'first'> {
  if (Buffer.compare(known.first, from) < 0) return { from: known.from, first: known.first }
  return { from: Buffer.compare(from, known.from) < 0 ? from : known.from, first }
}

/**
 * The key so many steps ahead of `start`, counted in the number at `at`. Where that has no such number any more, bytes
 * before it are counted up too, by fewer steps: each of theirs is 256 of the next byte.
 */
function ahead(start: Buffer, at: number, steps: number): StoreKey | undefined {
  for (let before = 0; before <= at; before++) {
    const place = at - before
    const next = numberAt(start, place) + Math.ceil(steps / BYTE ** before)
    if (next < NUMBER_MAX) return Buffer.concat([start.subarray(0, place), digitsOf(next)])
  }
  return undefined
}

/** Of the bytes with which both begin. */
function commonLength(a: StoreKey, b: StoreKey): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  return length
}

function numberAt(key: StoreKey, at: number): number {
  let number = 0
  for (let digit = 0; digit < DIGITS; digit++) number = number * BYTE + (key[at + digit] ?? 0)
  return number
}

function digitsOf(number: number): Buffer {
  const digits = Buffer.alloc(DIGITS)
  digits.writeUIntBE(number, 0, DIGITS)
  return digits
}
