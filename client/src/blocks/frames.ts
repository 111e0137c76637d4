/**
 * Memory that bodies travel in: a chunk's bytes are copied into a frame once, and go from there to every replica.
 * Frames are used again, because making and collecting so much memory costs more than the copy.
 *
 * ● A frame is used again only if each of its holders has said that nobody reads it any more. Whoever cannot tell
 * (a replica that was given up may still be sending) abandons it, and it is left to the garbage collector.
 */
import { allocateAligned } from '@cairn/protocol'
import { FRAME_BYTES, FRAMES_MAX, SPARE_FRAME_BYTES } from '../limits.js'

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

  /** It is used again. */
  get isPooled(): boolean {
    return this.pool !== undefined
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

/** Frames that hold what has been written, for those who read it soon, as long as no writer needs them. */
export interface KeptFrames {
  readonly frameCount: number
  /** Gives some of them back to their pool, if that can be. */
  dropOldest(): void
}

/** The frames of one client. When all are in use it gives out small ones that are not used again. */
export class FramePool {
  private readonly free: Frame[] = []
  private readonly kept: KeptFrames
  private readonly framesMax: number
  private count = 0

  /** Of `framesMax` frames those count that are kept, too. */
  constructor(
    kept: KeptFrames = { frameCount: 0, dropOldest: () => undefined },
    framesMax: number = FRAMES_MAX,
  ) {
    this.kept = kept
    this.framesMax = framesMax
  }

  /** Writers hold FRAMES_MAX: whoever can does with fewer. */
  get isShort(): boolean {
    return this.count - this.free.length - this.kept.frameCount >= FRAMES_MAX
  }

  /** A frame begins at a page border: a drive can write it without copying it. */
  take(): Frame {
    if (this.free.length === 0 && this.count >= this.framesMax) this.kept.dropOldest()
    const free = this.free.pop()
    if (free !== undefined) return free
    if (this.count >= this.framesMax) return new Frame(Buffer.allocUnsafeSlow(SPARE_FRAME_BYTES))
    this.count++
    return new Frame(allocateAligned(FRAME_BYTES), this)
  }

  /** Called by a frame that nobody holds. */
  settle(frame: Frame, { reusable }: { readonly reusable: boolean }): void {
    if (reusable) this.free.push(frame)
    else this.count--
  }
}
