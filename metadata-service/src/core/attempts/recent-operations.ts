/**
 * Operations by their id, the newest so many: every write looks one up and adds one. In a `Map` that misses the cache
 * several times for each, and every entry is moved by two garbage collections; here they are bytes in a ring, found by
 * chains of places.
 */
import { OP_ID_BYTES, type OpId, type Random } from '@cairn/protocol'
import type { AppliedOperation } from '../rows/rows.js'

/**
 * At 33 bytes each 4 MB; at 4,000 changes a second, each of which may make the key's row forget another, 16 s: beyond
 * the deadline of a call. A power of two.
 */
export const RECENT_OPERATIONS_MAX = 131_072

const CHAIN_BITS = 17
const NULL_VERSION = 1
const DELETE_MARKER = 2

/** The operations that were added last. */
export class RecentOperations {
  private readonly ops = new Uint8Array((RECENT_OPERATIONS_MAX + 1) * OP_ID_BYTES)
  private readonly seqs = new Float64Array(RECENT_OPERATIONS_MAX + 1)
  private readonly kinds = new Uint8Array(RECENT_OPERATIONS_MAX + 1)
  /** By chain: its newest place, from 1; 0 for none. */
  private readonly newest = new Int32Array(RECENT_OPERATIONS_MAX)
  /** By place: the next older one of its chain. */
  private readonly older = new Int32Array(RECENT_OPERATIONS_MAX + 1)
  private lastPlace = 0
  /** Clients choose their ids: without a secret they could make one chain of them all. */
  private readonly seed: Uint8Array

  constructor(random: Random) {
    this.seed = random.bytes(OP_ID_BYTES)
  }

  /** Of an operation that is added again, the last addition counts. One whose id is none of ours is left out. */
  add({ seq, op, isNull, deleteMarker }: AppliedOperation): void {
    if (op.length !== OP_ID_BYTES) return
    const place = this.lastPlace === RECENT_OPERATIONS_MAX ? 1 : this.lastPlace + 1
    this.lastPlace = place
    this.unlink(place)
    this.ops.set(op, place * OP_ID_BYTES)
    this.seqs[place] = seq
    this.kinds[place] = (isNull ? NULL_VERSION : 0) | (deleteMarker ? DELETE_MARKER : 0)
    const chain = this.chainOf(op, 0)
    this.older[place] = this.newest[chain] ?? 0
    this.newest[chain] = place
  }

  find(op: OpId): AppliedOperation | undefined {
    if (op.length !== OP_ID_BYTES) return undefined
    let place = this.newest[this.chainOf(op, 0)] ?? 0
    while (place !== 0 && !this.isAt(place, op)) place = this.older[place] ?? 0
    if (place === 0) return undefined
    const kind = this.kinds[place] ?? 0
    const seq = this.seqs[place] ?? 0
    return { seq, op, isNull: (kind & NULL_VERSION) !== 0, deleteMarker: (kind & DELETE_MARKER) !== 0 }
  }

  /** The place is the oldest of all, and so the last of its chain; or it was never taken. */
  private unlink(place: number): void {
    const chain = this.chainOf(this.ops, place * OP_ID_BYTES)
    let at = this.newest[chain] ?? 0
    if (at === place) this.newest[chain] = 0
    while (at !== 0) {
      const next = this.older[at] ?? 0
      if (next === place) this.older[at] = 0
      at = next
    }
  }

  private isAt(place: number, op: OpId): boolean {
    const start = place * OP_ID_BYTES
    // Those of one session differ at their end.
    for (let at = OP_ID_BYTES - 1; at >= 0; at--) if (this.ops[start + at] !== op[at]) return false
    return true
  }

  /** The low bits of the counter are left as they are, so that operations that follow one another lie together. */
  private chainOf(bytes: Uint8Array, start: number): number {
    let mixed = 0
    for (let at = 0; at < OP_ID_BYTES - 4; at += 4) mixed += this.mix(bytes, start, at)
    const counter = wordAt(bytes, start + OP_ID_BYTES - 4)
    mixed += Math.imul(counter >>> 16, wordAt(this.seed, OP_ID_BYTES - 4) | 1)
    return ((mixed >>> (32 - CHAIN_BITS)) + (counter & 0xffff)) & (RECENT_OPERATIONS_MAX - 1)
  }

  private mix(bytes: Uint8Array, start: number, at: number): number {
    return Math.imul(wordAt(bytes, start + at), wordAt(this.seed, at) | 1)
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16)
  return high | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
}
