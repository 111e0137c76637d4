/** What is worth a further attempt, and waiting between attempts: doubling, with jitter, up to a cap. */
import { type CairnError, type Clock, type ErrorCode, hasCode, type Random } from '@cairn/protocol'
import { SETTLE_DELAY_MS, SETTLE_DELAY_MS_MAX } from './commit-limits.js'

/** What the store answers again however often it is asked: it has failed, is damaged, or refuses us. */
const FINAL_CODES: readonly ErrorCode[] = [
  'ShuttingDown',
  'DriveFailed',
  'MessageCorrupt',
  'FormatTooNew',
  'PeerRejected',
  'Internal',
]

/** No further attempt gets past this error of the store. */
export function isFinal(error: CairnError): boolean {
  return hasCode(error, ...FINAL_CODES)
}

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
