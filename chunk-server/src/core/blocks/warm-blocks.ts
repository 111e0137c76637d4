/**
 * Which blocks lie in the page cache, as far as can be told: those written or read lately. Reading one of them in
 * the turn that wants it takes a microsecond; handing it to a thread takes twenty. Being wrong costs a read of the
 * disk on the event loop; after two in a row nothing is believed to be warm for a while, so that a drive that hangs,
 * or a machine short of memory, does not stop everybody for long. (A single one may be another process's turn.)
 */
import type { Clock } from '@cairn/protocol'

/** Blocks remembered for each drive; a power of two. */
const PLACES = 65_536

/** Bytes touched after which a block counts as cold again: little enough to be in memory still. */
const WARM_BYTES_MAX = 512 * 1024 * 1024

/** A read that takes longer hardly came from memory. */
const SLOW_READ_MS = 2
const SLOW_READS_IN_A_ROW = 2

/** Time without such reads after slow ones. */
const DISTRUST_MS = 5_000

/** The memory of one drive's last reads and writes; see the head of this file. */
export class WarmBlocks {
  private readonly clock: Clock
  /** Where the block lies that was touched last among those that share a place. */
  private readonly segments = new Float64Array(PLACES)
  private readonly offsets = new Uint32Array(PLACES)
  /** All bytes touched until then. */
  private readonly touchedAt = new Float64Array(PLACES)
  private touchedBytes = 0
  private slowReads = 0
  private distrustUntilMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** These bytes are in memory now. */
  touch(segment: number, offset: number, sizeBytes: number): void {
    const place = placeOf(segment, offset)
    this.touchedBytes += sizeBytes
    this.segments[place] = segment
    this.offsets[place] = offset
    this.touchedAt[place] = this.touchedBytes
  }

  /** Whether the block that begins there is surely in memory. */
  isWarm(segment: number, offset: number): boolean {
    const place = placeOf(segment, offset)
    if (this.segments[place] !== segment || this.offsets[place] !== offset) return false
    if (this.touchedBytes - (this.touchedAt[place] ?? 0) > WARM_BYTES_MAX) return false
    return this.clock.monotonicMs() >= this.distrustUntilMs
  }

  /** Runs a read of a warm block, and notices if it was not. */
  timed<T>(read: () => T): T {
    const startedMs = this.clock.monotonicMs()
    const result = read()
    const nowMs = this.clock.monotonicMs()
    this.slowReads = nowMs - startedMs > SLOW_READ_MS ? this.slowReads + 1 : 0
    if (this.slowReads >= SLOW_READS_IN_A_ROW) this.distrustUntilMs = nowMs + DISTRUST_MS
    return result
  }
}

/** Records begin at multiples of 8. */
function placeOf(segment: number, offset: number): number {
  return (Math.imul(segment % 0x10000, 0x9e3779b1) ^ Math.imul(offset >>> 3, 0x85ebca6b)) >>> 16
}
