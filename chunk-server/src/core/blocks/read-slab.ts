/**
 * Memory for small reads that are handed on and soon forgotten. A buffer of its own for each costs more to get and to
 * give back than reading into it; cut from a slab, the memory of some dozen goes back at once, with the last of them.
 */

/** A unit that somebody keeps for long keeps so much. */
const SLAB_BYTES = 64 * 1024

/** Cuts buffers from slabs; the bytes in them are whatever was there. */
export class ReadSlab {
  private slab: Buffer = Buffer.alloc(0)
  private usedBytes = 0

  /** A buffer of `sizeBytes`, which nobody else is given. */
  take(sizeBytes: number): Buffer {
    if (sizeBytes > SLAB_BYTES / 4) return Buffer.allocUnsafeSlow(sizeBytes)
    if (this.usedBytes + sizeBytes > this.slab.length) {
      this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.usedBytes = 0
    }
    const start = this.usedBytes
    // Aligned, as memory of its own would be.
    this.usedBytes = (start + sizeBytes + 7) & ~7
    return this.slab.subarray(start, start + sizeBytes)
  }
}
