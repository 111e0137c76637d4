/** Frames that some drive has not taken yet, in memory, with the place up to which each consumer has come. */
import type { Frame } from './journal-frame.js'

/** A frame in the queue. */
export interface QueuedFrame extends Frame {
  /** Monotonic time of its entry. */
  readonly atMs: number
  /** Bytes of all frames before it, counted from the start of the queue. */
  readonly bytesBefore: number
}

export class JournalQueue {
  private frames: QueuedFrame[] = []
  /** Count of frames that were dropped in front. */
  private dropped = 0
  private totalBytes = 0

  /** The place behind the last frame: where a new consumer begins. */
  get end(): number {
    return this.dropped + this.frames.length
  }

  /** Bytes of all frames so far. */
  get bytes(): number {
    return this.totalBytes
  }

  push(frame: Frame, atMs: number): void {
    this.frames.push({ ...frame, atMs, bytesBefore: this.totalBytes })
    this.totalBytes += frame.bytes.length
  }

  at(place: number): QueuedFrame | undefined {
    return this.frames[place - this.dropped]
  }

  /** Bytes of the frames from `place` on. */
  bytesFrom(place: number): number {
    const frame = this.at(place)
    return frame === undefined ? 0 : this.totalBytes - frame.bytesBefore
  }

  /** Frames from `place` on, within the bounds; at least one if there is one. */
  take(place: number, bounds: { readonly bytes: number; readonly frames: number }): QueuedFrame[] {
    const taken: QueuedFrame[] = []
    let bytes = 0
    for (let next = this.at(place); next !== undefined; next = this.at(place + taken.length)) {
      bytes += next.bytes.length
      if (taken.length > 0 && (bytes > bounds.bytes || taken.length >= bounds.frames)) break
      taken.push(next)
    }
    return taken
  }

  /** Forgets what lies before `place`. */
  dropBefore(place: number): void {
    const count = Math.min(place - this.dropped, this.frames.length)
    if (count <= 0) return
    this.frames.splice(0, count)
    this.dropped += count
  }
}
