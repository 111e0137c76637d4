/**
 * How many requests run at once. Those beyond wait in the order they came, with their bodies still in the network;
 * since a connection has one request at a time, each connection waits for one turn, however much it would send.
 * When too many wait, or one waits too long, it is told to slow down: a queue without a bound only makes every answer
 * late.
 */
import type { Clock } from '@cairn/protocol'
import { S3Error } from '../errors.js'

export interface AdmissionLimits {
  /** Requests under way. */
  readonly runningMax: number
  /** Requests that wait for their turn. */
  readonly waitingMax: number
  readonly waitMsMax: number
}

interface Waiting {
  admit(): void
  refuse(error: S3Error): void
  readonly untilMs: number
}

export class Admission {
  readonly #clock: Clock
  readonly #limits: AdmissionLimits
  readonly #waiting: Waiting[] = []
  #running = 0
  #refused = 0
  #isLooking = false

  constructor(clock: Clock, limits: AdmissionLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Requests under way, waiting, and refused since the start. */
  get counts(): { readonly running: number; readonly waiting: number; readonly refused: number } {
    return { running: this.#running, waiting: this.#waiting.length, refused: this.#refused }
  }

  /** `undefined` when the request may begin at once; otherwise its turn, or `SlowDown`. Each turn is left once. */
  enter(): Promise<void> | undefined {
    if (this.#running < this.#limits.runningMax) {
      this.#running++
      return undefined
    }
    if (this.#waiting.length >= this.#limits.waitingMax) return Promise.reject(this.#slowDown())
    return new Promise((resolve, reject) => {
      const untilMs = this.#clock.monotonicMs() + this.#limits.waitMsMax
      this.#waiting.push({ admit: resolve, refuse: reject, untilMs })
      this.#lookLater()
    })
  }

  /** The request is answered: the turn goes to the one that has waited longest. */
  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next.admit()
  }

  #slowDown(): S3Error {
    this.#refused++
    return new S3Error('SlowDown')
  }

  /** One timer for all: the first in the queue is the first whose time is over. */
  #lookLater(): void {
    const first = this.#waiting[0]
    if (this.#isLooking || first === undefined) return
    this.#isLooking = true
    this.#clock.setTimer(Math.max(1, first.untilMs - this.#clock.monotonicMs()), () => {
      this.#isLooking = false
      const nowMs = this.#clock.monotonicMs()
      for (
        let late = this.#waiting[0];
        late !== undefined && late.untilMs <= nowMs;
        late = this.#waiting[0]
      ) {
        this.#waiting.shift()
        late.refuse(this.#slowDown())
      }
      this.#lookLater()
    })
  }
}
