/** What happened in a simulated run: a hash over everything, and the latest events for people. */
import { createHash } from 'node:crypto'
import type { Clock } from '@cairn/protocol'

/** Events that a failure shows. */
const EVENTS_SHOWN = 50

export class Trace {
  private readonly clock: Clock
  private readonly hash = createHash('sha256')
  private readonly latest: string[] = []

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** An event for people and for the hash. */
  note(event: string): void {
    const line = `${this.clock.monotonicMs().toFixed(3)} ${event}`
    this.hash.update(`${line}\n`)
    this.latest.push(line)
    if (this.latest.length > EVENTS_SHOWN) this.latest.shift()
  }

  /** A step too small to be shown: part of the hash only. */
  step(event: string): void {
    this.hash.update(`${this.clock.monotonicMs()} ${event}\n`)
  }

  /** Hex; no event may follow. */
  digest(): string {
    return this.hash.digest('hex')
  }

  /** The latest events, one a line. */
  show(): string {
    return this.latest.join('\n')
  }
}
