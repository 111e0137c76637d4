/**
 * Tight ends for scans: etcd's work for a range is that of all keys up to its *end*, whatever its limit, and meanwhile
 * nobody else is served. So a range that turned out to be wide is cut where its next rows are expected to end:
 *
 * - first by how dense its keys were in the last page;
 * - where that gave too few, in the next subtree of keys. Keys form a tree by their bytes; which of them occur where is
 *   remembered: after `0999` comes `1000`, not `0:`.
 *
 * A guess that is too short costs another request, never a wrong answer.
 */
import { AgingMap, mapKey } from '@cairn/protocol'
import { commonLength } from '../../core/rows/keys.js'
import type { StoreKey, StoreRange, StoreRow } from '../../ports.js'
import { KeyBytes } from './etcd-key-bytes.js'
import { RANGES_KNOWN_MAX, WIDE_KEYS } from './etcd-limits.js'

/** Bytes of a key that are taken as a number. */
const DIGITS = 6
const BYTE = 256
const NUMBER_MAX = BYTE ** DIGITS

/** A guess covers so many times the rows that are wanted. */
const MARGIN = 1.5
/** Rows count as so many times farther apart at most than before: the gap within one page may be all there is. */
const GROWTH = 8

/** Where a range was cut. */
export interface Cut {
  readonly end: StoreKey
  /** In the last of so many subtrees on, which branch off at this byte; absent for a cut by density. */
  readonly turn?: { readonly place: number; readonly subtrees: number }
}

/** From one row to the next there are so many steps of the number that begins at byte `at` of the keys. */
interface Density {
  readonly at: number
  readonly step: number
}

/** How the keys of a wide range lie. */
interface Shape {
  readonly density: Density
  /** No row was seen from `from` up to `first`: where pages without a place of their own begin. */
  readonly from: StoreKey
  readonly first: StoreKey
  readonly bytes: KeyBytes
}

export class RangeEnds {
  /** By the end of the whole range, which stays while its pages are read. */
  private readonly shapes = new AgingMap<string, Shape>()

  /** Where to cut the range for `limit` rows, `to` itself where nothing is known; `last` is a cut that gave too few. */
  cut({ from, to }: StoreRange, limit: number, last?: Cut): Cut {
    const shape = this.shapes.get(mapKey(to))
    if (shape === undefined) return { end: to }
    const cut = last === undefined ? byDensity(shape, from, limit) : inNextSubtree(shape, from, limit, last)
    const { end } = cut ?? { end: to }
    return cut !== undefined && Buffer.compare(from, end) < 0 && Buffer.compare(end, to) < 0
      ? cut
      : { end: to }
  }

  /**
   * Learns from `rows`, all that were found from the start of the range on; `count` lie where the last of them were asked
   * for.
   */
  learn({ from, to }: StoreRange, rows: readonly StoreRow[], count: number): void {
    const known = this.shapes.get(mapKey(to))
    const first = rows[0]?.key
    const last = rows.at(-1)?.key
    if ((known === undefined && count < WIDE_KEYS) || first === undefined || last === undefined) return
    const density = densityOf(first, last, rows.length, known?.density)
    if (density === undefined) return
    const bytes = known?.bytes ?? new KeyBytes()
    for (const { key } of rows) bytes.note(key)
    const start = known === undefined ? { from, first } : startOf(known, from, first)
    this.shapes.set(mapKey(to), { density, ...start, bytes })
    if (this.shapes.size > RANGES_KNOWN_MAX) this.shapes.takeOldest()
  }
}

function byDensity(shape: Shape, from: StoreKey, limit: number): Cut | undefined {
  const isBelow = Buffer.compare(shape.from, from) <= 0 && Buffer.compare(from, shape.first) <= 0
  const start = isBelow ? shape.first : from
  // Where no row begins like this, nothing is counted in its number.
  if (shape.bytes.knownLength(start) < shape.density.at) return inNextSubtree(shape, from, limit)
  const end = ahead(start, shape.density, limit)
  return end === undefined ? undefined : { end }
}

/**
 * At the deepest place where more is expected behind `from`: a page of the next subtree. Where that gave too few, ever more
 * of them, and then further up.
 */
function inNextSubtree(shape: Shape, from: StoreKey, limit: number, last?: Cut): Cut | undefined {
  const { bytes, density } = shape
  const deepest = Math.min(bytes.knownLength(from), last?.turn?.place ?? Number.POSITIVE_INFINITY)
  for (let place = deepest; place >= 0; place--) {
    const subtrees = last?.turn?.place === place ? last.turn.subtrees * 2 : 1
    const byte = bytes.after(from[place] ?? -1, place, subtrees)
    if (byte === undefined) continue
    const subtree = Buffer.concat([from.subarray(0, place), Buffer.from([byte])])
    const first = place < density.at ? bytes.least(subtree, density.at + DIGITS) : undefined
    const end = first === undefined ? undefined : ahead(first, density, limit)
    return { end: end ?? successorOf(subtree), turn: { place, subtrees } }
  }
  return undefined
}

/** The first key behind all that begin with a prefix, whose last byte is not the highest. */
function successorOf(prefix: Buffer): StoreKey {
  const end = Buffer.from(prefix)
  end[end.length - 1] = (end.at(-1) ?? 0) + 1
  return end
}

function densityOf(first: StoreKey, last: StoreKey, rows: number, known?: Density): Density | undefined {
  if (rows < 2) return known
  const at = commonLength(first, last)
  const step = Math.max(1, (numberAt(last, at) - numberAt(first, at)) / (rows - 1))
  if (known === undefined) return { at, step }
  const stepMax = known.step * GROWTH
  return step * BYTE ** (known.at - at) > stepMax ? { at: known.at, step: stepMax } : { at, step }
}

/** Where the rows begin, with a page that was read from `from` on. */
function startOf(known: Shape, from: StoreKey, first: StoreKey): Pick<Shape, 'from' | 'first'> {
  if (Buffer.compare(known.first, from) < 0) return { from: known.from, first: known.first }
  return { from: Buffer.compare(from, known.from) < 0 ? from : known.from, first }
}

/**
 * The key so many rows ahead of `from`. Where the number that is counted in comes to its end, bytes before it are counted
 * up too, by fewer steps: each of theirs is 256 of the next byte.
 */
function ahead(from: StoreKey, { at, step }: Density, rows: number): StoreKey | undefined {
  const start = Buffer.concat([from, Buffer.alloc(at)])
  const steps = step * rows * MARGIN
  for (let place = at; place >= 0; place--) {
    const next = numberAt(start, place) + Math.ceil(steps / BYTE ** (at - place))
    if (next < NUMBER_MAX) return Buffer.concat([start.subarray(0, place), digitsOf(next)])
  }
  return undefined
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
