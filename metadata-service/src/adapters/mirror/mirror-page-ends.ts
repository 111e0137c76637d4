/**
 * Chooses where pages end. A page costs the store all keys up to its end, whatever its limit, and meanwhile nobody
 * writes; but where keys lie is only known once they have been read. So what was read predicts what comes:
 *
 * - Keys form a tree by their bytes. After a full page the next one ends a few siblings on, at the depth where whole
 *   subtrees were seen in the page, as many as make about one page.
 * - Which bytes occur at a position, or at any, is remembered: after `0999` comes `1000`, not `0:`. The next subtree is
 *   entered at the same depth again.
 * - Behind the end of a subtree the next one is tried first where the last such step led to rows.
 * - Empty pages climb towards the root of the subtree they are in, then go from sibling to sibling, ever faster. Where
 *   a subtree has held many rows, or is known to hold many more, its unknown rest is taken in small steps.
 *
 * What remains is a first look into a dense part that nothing predicts: it costs that part's keys once.
 */
import { commonLength } from '../../core/rows/keys.js'
import type { StoreKey, StoreRange, StoreRow } from '../../ports.js'
import { FILL_ROWS, LARGE_SUBTREE_ROWS } from './mirror-limits.js'

/** Classes of rows differ in their first bytes. */
const CLASS_BYTES = 2

/** Siblings skipped at once where ids begin: many rows may lie behind each. */
const ID_STEPS_MAX = 32
const STEPS_MAX = 256

/** Bytes of a key before the part that people choose. */
const ID_BYTES = 18

/** Deeper than any key. */
const NOWHERE = Number.POSITIVE_INFINITY

/** What a page gave. */
export interface PageFacts {
  readonly rows: readonly StoreRow[]
  readonly hasMore: boolean
  /** Keys from its begin to its end: at least the rows. */
  readonly count: number
}

export class PageEnds {
  private readonly range: StoreRange
  private readonly isSmall: boolean
  private readonly classes = new Set<string>()
  private readonly seen: Uint8Array[] = []
  private readonly seenInNames = new Uint8Array(256)
  /** For each length of prefix: number of rows before the first that has the prefix of the last row. */
  private readonly rowsBefore: number[] = []
  private total = 0
  private last: StoreKey = new Uint8Array()
  /** Pages end between siblings at this depth, so many siblings on. */
  private depth = CLASS_BYTES + 1
  private steps = 1
  /** Bytes of the boundary from which the subtree was entered that is being looked through. */
  private root = 0
  private end: StoreKey = new Uint8Array()
  /** Keys known to lie ahead: from the last row to the end of the page that counted them. */
  private keysAhead = 0
  private keysAheadEnd: StoreKey = new Uint8Array()
  private emptyPages = 0
  private emptySiblings = 0
  /** Where the first rows behind the last two runs of empty pages differed from the rows before them. */
  private turns: readonly [number, number] = [NOWHERE, NOWHERE]

  /**
   * `prefixes`: how keys of the range may begin; what is not among them costs more to find. A small store needs no
   * care.
   */
  constructor(range: StoreRange, prefixes: readonly StoreKey[], isSmall = false) {
    this.range = range
    this.isSmall = isSmall
    for (const prefix of prefixes) this.classes.add(classOf(prefix))
  }

  /** The end of a page from `from` on, at most that of the range. */
  next(from: StoreKey): StoreKey {
    if (this.isSmall) return this.range.to
    if (Buffer.compare(from, this.keysAheadEnd) >= 0) this.keysAhead = 0
    const end = this.classes.has(classOf(from)) ? this.endInClass(from) : undefined
    const next = end ?? this.nextClass(from)
    this.end = next
    return Buffer.compare(next, this.range.to) < 0 ? next : this.range.to
  }

  /** What the page of the last end gave. */
  note({ rows, hasMore, count }: PageFacts): void {
    this.countAhead(count, rows.length)
    const shared = rows.map((row) => this.noteRow(row.key))
    const hasLeft = this.end.length <= this.root
    const isBehindEmpty = this.emptyPages + this.emptySiblings > 0
    const [turn] = shared
    if (isBehindEmpty && turn !== undefined) this.turns = [this.turns[1], turn < ID_BYTES ? NOWHERE : turn]
    this.countEmpty(rows.length, hasLeft)
    if (hasMore) this.aim(shared)
    else {
      if (hasLeft || rows.length > 0) this.root = this.end.length
      this.widen(rows.length)
    }
  }

  private countAhead(count: number, rows: number): void {
    if (count > this.keysAhead) {
      this.keysAhead = count
      this.keysAheadEnd = this.end
    }
    this.keysAhead -= rows
  }

  private countEmpty(rows: number, hasLeft: boolean): void {
    if (rows > 0) {
      this.emptySiblings = 0
      this.emptyPages = 0
    } else if (hasLeft) {
      this.emptySiblings++
      this.emptyPages = 0
    } else this.emptyPages++
  }

  private widen(rows: number): void {
    const isRegular = this.end.length === this.depth
    if (isRegular && rows > 0 && rows < FILL_ROWS / 2) this.steps = Math.min(STEPS_MAX, this.steps * 2)
  }

  private endInClass(from: StoreKey): StoreKey | undefined {
    const start = this.pad(from)
    const lowest = Math.max(CLASS_BYTES, this.root - 1)
    const climb = this.keysAhead >= LARGE_SUBTREE_ROWS ? 1 + this.emptyPages : 2 ** this.emptyPages
    const wanted =
      this.emptyPages === 1 ? Math.min(this.escape, this.depth - climb) : Math.max(lowest, this.depth - climb)
    let place = this.depth - 1
    while (place > wanted && !this.isLarge(start, place)) place--
    for (let at = place; at >= CLASS_BYTES; at--) {
      const byte = this.byteAfter(start, at, at === place ? this.stepsAt(place) : 1)
      if (byte !== undefined) return endAt(start, at, byte)
    }
    return undefined
  }

  private nextClass(from: StoreKey): StoreKey {
    this.depth = CLASS_BYTES + 1
    this.steps = 1
    const known = classOf(from)
    const next = [...this.classes].sort().find((name) => name > known)
    return next === undefined ? this.range.to : Buffer.from(next, 'latin1')
  }

  private noteRow(key: StoreKey): number {
    const shared = commonLength(this.last, key)
    if (shared < CLASS_BYTES) this.classes.add(classOf(key))
    for (let place = shared; place < key.length; place++) {
      const seen = this.seen[place] ?? new Uint8Array(256)
      this.seen[place] = seen
      seen[key[place] ?? 0] = 1
      if (place >= ID_BYTES) this.seenInNames[key[place] ?? 0] = 1
      this.rowsBefore[place + 1] = this.total
    }
    this.total++
    this.last = key
    return shared
  }

  /**
   * The least depth at which the page, told by the bytes that each row shares with the one before, has a whole subtree.
   */
  private aim(shared: readonly number[]): void {
    const inner = shared.slice(1)
    for (const place of [...new Set(inner)].sort((a, b) => a - b)) {
      const bounds = inner.flatMap((bytes, at) => (bytes <= place ? at : []))
      if (bounds.length < 2) continue
      const subtreeRows = ((bounds.at(-1) ?? 0) - (bounds[0] ?? 0)) / (bounds.length - 1)
      this.depth = Math.max(CLASS_BYTES + 1, place + 1)
      this.steps = Math.max(1, Math.floor(FILL_ROWS / subtreeRows))
      return
    }
  }

  /** `from` at the depth of page ends, filled up with the least bytes that occur. */
  private pad(from: StoreKey): Buffer {
    const start = Buffer.alloc(this.depth)
    start.set(from.subarray(0, this.depth))
    for (let place = from.length; place < this.depth; place++) {
      start[place] = Math.max(0, this.seen[place]?.indexOf(1) ?? 0)
    }
    return start
  }

  /** Where the next turn is tried. A counter that goes from 99 to 100 turns further up than the next time. */
  private get escape(): number {
    return Math.max(...this.turns)
  }

  private stepsAt(place: number): number {
    if (this.emptyPages === 0 && this.emptySiblings === 0) return this.steps
    if (this.emptyPages === 1 && place === this.escape) return 1
    if (place === CLASS_BYTES) return Math.min(ID_STEPS_MAX, 2 ** (this.emptyPages + this.emptySiblings))
    return place >= this.root ? 1 : Math.min(STEPS_MAX, 2 ** this.emptySiblings)
  }

  /** The byte at `place` behind which the page ends; none if nothing more is expected in this subtree. */
  private byteAfter(start: Buffer, place: number, steps: number): number | undefined {
    const from = start[place] ?? 0
    const here = afterSome(this.seen[place], from, steps)
    if (here !== undefined) return here
    const anywhere = place >= ID_BYTES ? afterSome(this.seenInNames, from, steps) : undefined
    if (anywhere !== undefined) return anywhere
    const byte = from + steps
    return byte < 256 && this.isLarge(start, place) ? byte : undefined
  }

  /** Whether the subtree of the first `place` bytes has held so many rows that its rest may be large too. */
  private isLarge(start: Buffer, place: number): boolean {
    if (place <= CLASS_BYTES) return true
    if (commonLength(this.last, start.subarray(0, place)) < place) return false
    return this.total - (this.rowsBefore[place] ?? this.total) >= LARGE_SUBTREE_ROWS
  }
}

function classOf(key: StoreKey): string {
  return Buffer.from(key.subarray(0, CLASS_BYTES)).toString('latin1')
}

function endAt(start: Buffer, place: number, byte: number): StoreKey {
  const end = Buffer.from(start.subarray(0, place + 1))
  end[place] = byte
  return end
}

/** The `steps`th byte of the set above `from`. */
function afterSome(set: Uint8Array | undefined, from: number, steps: number): number | undefined {
  let left = steps
  for (let byte = from + 1; byte < 256 && set !== undefined; byte++) {
    if (set[byte] === 1 && --left === 0) return byte
  }
  return undefined
}
