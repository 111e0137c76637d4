/** The growing pause before what a comparison could not settle is compared again. */
import type { Clock } from '@cairn/protocol'

/** The first pause; it doubles. */
const RETRY_MS = 2_000
const RETRY_MS_MAX = 300_000
/** It is so many times as long as the comparison took, and no longer than the above. */
const REST_FACTOR = 10

export class ComparisonPause {
  private readonly clock: Clock
  private retryMs = RETRY_MS
  private dueAtMs = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  get isOver(): boolean {
    return this.clock.monotonicMs() >= this.dueAtMs
  }

  /** A comparison that took so long has ended. `isSettled`: it left nothing, and the next pause is the first again. */
  begin(isSettled: boolean, tookMs: number): void {
    this.retryMs = isSettled ? RETRY_MS : Math.min(RETRY_MS_MAX, this.retryMs * 2)
    const restMs = Math.max(this.retryMs, tookMs * REST_FACTOR)
    this.dueAtMs = this.clock.monotonicMs() + Math.min(RETRY_MS_MAX, restMs)
  }

  /** It ends now, and goes on growing from where it was. */
  end(): void {
    this.dueAtMs = this.clock.monotonicMs()
  }

  /** It ends now: how long it took before says nothing any more. */
  reset(): void {
    this.retryMs = RETRY_MS
    this.end()
  }
}
