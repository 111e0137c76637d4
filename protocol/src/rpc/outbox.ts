/** Gathers the frames of one turn, to be sent in one write. Large contents are never copied. */
import { FRAME_HEAD_BYTES, type FrameHead, writeFrameHead } from './frame.js'
import { COPIED_BYTES_MAX, SLAB_BYTES } from './limits.js'

/** Frames waiting to be sent, as few buffers as possible. */
export class Outbox {
  private slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  private runStart = 0
  private used = 0
  private buffers: Uint8Array[] = []
  private size = 0

  /** Bytes appended since the last `take`. */
  get sizeBytes(): number {
    return this.size
  }

  /** Adds one frame. `content` must not change afterwards. */
  append(head: FrameHead, content: Uint8Array): void {
    const copied = content.length <= COPIED_BYTES_MAX
    this.reserve(FRAME_HEAD_BYTES + (copied ? content.length : 0))
    writeFrameHead(this.slab, this.used, head, content.length)
    this.used += FRAME_HEAD_BYTES
    this.size += FRAME_HEAD_BYTES + content.length
    if (copied) {
      this.slab.set(content, this.used)
      this.used += content.length
      return
    }
    this.endRun()
    this.buffers.push(content)
  }

  /** The frames appended since the last call, as a list of buffers in order. */
  take(): Uint8Array[] {
    this.endRun()
    const taken = this.buffers
    this.buffers = []
    this.size = 0
    return taken
  }

  private reserve(size: number): void {
    if (this.used + size <= this.slab.length) return
    this.endRun()
    this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.runStart = 0
    this.used = 0
  }

  private endRun(): void {
    if (this.used === this.runStart) return
    this.buffers.push(this.slab.subarray(this.runStart, this.used))
    this.runStart = this.used
  }
}
