/**
 * The rows that every entry puts beside its commits: the lane row `l/<service>`, `head`, and the change record
 * `c/<µs><service>` when a commit has changes. They belong to the batcher; no commit may touch the first two, and
 * of the change records only old ones may be deleted.
 */
import { createHash } from 'node:crypto'
import { CairnError, type Clock } from '@cairn/protocol'
import type { StoreKey } from '../../ports.js'
import type { Footprint, TextRange } from './commit-footprint.js'

/** Rewritten by every entry of every service: its version counter in the store tells a follower of gaps. */
export const HEAD_KEY: StoreKey = Buffer.from('head')

/** Lane row of one service; further lanes of the same service have a number above 0. */
export function laneKey(service: string, lane: number): StoreKey {
  return Buffer.from(lane === 0 ? `l/${service}` : `l/${service}/${lane}`)
}

/** Bytes of the hash of a service's name in the key of a change record. */
const SERVICE_HASH_BYTES = 4

/** Hands out the keys of change records: µs of wall time, raised past the last one, so that they only rise. */
export class ChangeKeys {
  private readonly clock: Clock
  private readonly serviceHash: Uint8Array
  private micros = 0

  constructor(clock: Clock, service: string) {
    this.clock = clock
    this.serviceHash = createHash('sha256').update(service).digest().subarray(0, SERVICE_HASH_BYTES)
  }

  /** µs of the last key; stands in the lane row, so that the next run of the service goes on above it. */
  get lastMicros(): number {
    return this.micros
  }

  /** Goes on above `micros`. */
  raise(micros: number): void {
    this.micros = Math.max(this.micros, micros)
  }

  next(): StoreKey {
    this.micros = Math.max(this.micros + 1, this.clock.wallMicros())
    const key = Buffer.alloc(CHANGE_PREFIX.length + 8 + SERVICE_HASH_BYTES)
    key.write(CHANGE_PREFIX, 'latin1')
    key.writeBigUInt64BE(BigInt(this.micros), CHANGE_PREFIX.length)
    key.set(this.serviceHash, CHANGE_PREFIX.length + 8)
    return key
  }

  /** Change records from here on may still be written. */
  private comingKeys(): TextRange {
    const from = Buffer.alloc(8)
    from.writeBigUInt64BE(BigInt(this.micros === 0 ? this.clock.wallMicros() : this.micros + 1))
    return { from: CHANGE_PREFIX + from.toString('latin1'), to: 'c0' }
  }

  /** `InvalidArgument` when a commit touches rows that the entry itself puts, or may put. */
  assertUntouched({ reads, writes, readRanges, writeRanges }: Footprint): void {
    const own = (key: string): boolean => key === 'head' || key.startsWith('l/')
    const ownRange = (range: TextRange): boolean => meets(range, HEAD) || meets(range, LANES)
    const coming = (key: string): boolean => key.startsWith(CHANGE_PREFIX) && key >= this.comingKeys().from
    const touched =
      writes.some((key) => own(key) || coming(key)) ||
      reads.some(own) ||
      readRanges.some(ownRange) ||
      writeRanges.some((range) => ownRange(range) || meets(range, this.comingKeys()))
    if (touched) throw new CairnError('InvalidArgument', 'a commit touches rows of the batcher')
  }
}

const CHANGE_PREFIX = 'c/'
const HEAD: TextRange = { from: 'head', to: 'head\0' }
const LANES: TextRange = { from: 'l/', to: 'l0' }

function meets(a: TextRange, b: TextRange): boolean {
  return a.from < b.to && b.from < a.to
}
