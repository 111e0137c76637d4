/** Waiting between attempts: doubling, with jitter, up to a cap. */
import type { Clock, Random } from '@cairn/protocol'
import { SETTLE_DELAY_MS, SETTLE_DELAY_MS_MAX } from './commit-limits.js'

/** One series of attempts. */
export class Backoff {
  private readonly clock: Clock
  private readonly random: Random
  private delayMs = SETTLE_DELAY_MS

  constructor(clock: Clock, random: Random) {
    this.clock = clock
    this.random = random
  }

  /** Resolves after the next delay. */
  wait(): Promise<void> {
    const delayMs = this.delayMs * (0.5 + this.random.fraction() / 2)
    this.delayMs = Math.min(this.delayMs * 2, SETTLE_DELAY_MS_MAX)
    return new Promise((resolve) => {
      this.clock.setTimer(delayMs, resolve)
    })
  }
}
