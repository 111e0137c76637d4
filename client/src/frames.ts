/**
 * Memory that bodies travel in: a chunk's bytes are copied into a frame once, and go from there to every replica.
 * Frames are used again, because making and collecting so much memory costs more than the copy.
 *
 * ● A frame is used again only if each of its holders has said that nobody reads it any more. Whoever cannot tell
 * (a replica that was given up may still be sending) abandons it, and it is left to the garbage collector.
 */
import { allocateAligned } from '@cairn/protocol'
import { FRAME_BYTES, FRAMES_MAX, SPARE_FRAME_BYTES } from './limits.js'

/** Some units of one body. */
export class Frame {
  readonly bytes: Uint8Array
  private readonly pool: FramePool | undefined
  private holders = 0
  private abandoned = false

  /** `pool` gets it back at its end. */
  constructor(bytes: Uint8Array, pool?: FramePool) {
    this.bytes = bytes
    this.pool = pool
  }

  hold(): void {
    this.holders++
  }

  /** Ends one `hold`: this holder, and whoever had the bytes from it, reads them no more. */
  release(): void {
    this.holders--
    if (this.holders === 0) this.pool?.settle(this, { reusable: !this.abandoned })
  }

  /** Ends one `hold`, with readers left behind. */
  abandon(): void {
    this.abandoned = true
    this.release()
  }
}

/** The frames of one client. Beyond FRAMES_MAX it gives out small ones that are not used again. */
export class FramePool {
  private readonly free: Frame[] = []
  private count = 0

  /** All frames are in use: whoever can does with fewer. */
  get isShort(): boolean {
    return this.free.length === 0 && this.count >= FRAMES_MAX
  }

  /** A frame begins at a page border: a drive can write it without copying it. */
  take(): Frame {
    const free = this.free.pop()
    if (free !== undefined) return free
    if (this.count >= FRAMES_MAX) return new Frame(Buffer.allocUnsafeSlow(SPARE_FRAME_BYTES))
    this.count++
    return new Frame(allocateAligned(FRAME_BYTES), this)
  }

  /** Called by a frame that nobody holds. */
  settle(frame: Frame, { reusable }: { readonly reusable: boolean }): void {
    if (reusable) this.free.push(frame)
    else this.count--
  }
}
