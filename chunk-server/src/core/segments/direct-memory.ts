import { allocateAligned, DIRECT_BYTES } from '@cairn/protocol'
import { SEGMENT_LIMITS } from './segment-limits.js'

/** The pages before a block's data, with the longest owner, or behind it: four at most. */
const EDGE_BYTES = 4 * DIRECT_BYTES

/** Aligned memory of one stream: for the edges of its record, and for units that lie elsewhere. */
export class DirectMemory {
  private readonly edges: Buffer = allocateAligned(EDGE_BYTES)
  /** Made for the first unit that has to be copied. */
  private staging: Buffer | undefined
  private used = 0

  /** One page. */
  get page(): Buffer {
    return this.edges.subarray(0, DIRECT_BYTES)
  }

  /** Zeroed; to be used up before the next one. */
  edge(sizeBytes: number): Buffer {
    return this.edges.subarray(0, sizeBytes).fill(0)
  }

  /** What was copied before is not needed any more. */
  reuse(): void {
    this.used = 0
  }

  /** The first `sizeBytes`, a multiple of DIRECT_BYTES, at a place that can be written directly. */
  copy(bytes: Uint8Array, sizeBytes: number): Buffer {
    this.staging ??= allocateAligned(SEGMENT_LIMITS.pieceBytesMax)
    const copied = this.staging.subarray(this.used, this.used + sizeBytes)
    copied.set(bytes.subarray(0, sizeBytes))
    this.used += sizeBytes
    return copied
  }
}
