/** One timer for the deadlines of a whole connection: starting and finishing a call costs no timer of its own. */
import { CairnError } from '../errors.js'
import type { CancelTimer, Clock } from '../ports.js'

/** Something with a deadline, which may move further away meanwhile. */
export interface Timed {
  readonly deadlineAtMs: number
  /** Called once the deadline has passed; must make the entry disappear from the list. */
  expire(): void
}

/** What a call ends with whose deadline has passed. */
export function deadlineExceeded(method: string, deadlineMs: number): CairnError {
  return new CairnError('DeadlineExceeded', `${method}: ${Math.round(deadlineMs)} ms have passed`)
}

/** Watches a list of entries; see the head of this file. */
export class Deadlines {
  private readonly clock: Clock
  private readonly entries: () => Iterable<Timed>
  private armedAtMs = Number.POSITIVE_INFINITY
  private cancelTimer: CancelTimer | undefined

  constructor(clock: Clock, entries: () => Iterable<Timed>) {
    this.clock = clock
    this.entries = entries
  }

  /** Makes sure that `entry`, now in the list, is looked at in time. */
  watch(entry: Timed): void {
    if (entry.deadlineAtMs < this.armedAtMs) this.arm(entry.deadlineAtMs)
  }

  stop(): void {
    this.cancelTimer?.()
    this.cancelTimer = undefined
    this.armedAtMs = Number.POSITIVE_INFINITY
  }

  private arm(atMs: number): void {
    this.cancelTimer?.()
    this.armedAtMs = atMs
    this.cancelTimer = this.clock.setTimer(Math.max(0, atMs - this.clock.monotonicMs()), this.check)
  }

  private readonly check = (): void => {
    this.armedAtMs = Number.POSITIVE_INFINITY
    this.cancelTimer = undefined
    const nowMs = this.clock.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const entry of this.entries()) {
      if (entry.deadlineAtMs <= nowMs) entry.expire()
      else nextMs = Math.min(nextMs, entry.deadlineAtMs)
    }
    if (nextMs < this.armedAtMs) this.arm(nextMs)
  }
}
