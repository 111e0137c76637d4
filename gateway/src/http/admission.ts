/**
 * How many requests run at once. Those beyond wait in the order they came, with their bodies still in the network;
 * since a connection has one request at a time, each connection waits for one turn, however much it would send.
 * When too many wait, or one waits too long, it is told to slow down: a queue without a bound only makes every answer
 * late. Nobody holds all turns: slow readers from one address leave room for the others.
 */
import type { Clock } from '@cairn/protocol'
import { S3Error } from '../errors.js'

export interface AdmissionLimits {
  /** Requests under way. */
  readonly runningMax: number
  /** Those of one sender. */
  readonly runningPerSenderMax: number
  /** Requests that wait for their turn. */
  readonly waitingMax: number
  /** Those of one sender. */
  readonly waitingPerSenderMax: number
  readonly waitMsMax: number
}

/** The address or network that a request comes from. */
export type Sender = string

/** Brings the requests of many, as a trusted proxy does: no limit of one sender counts. */
export const MANY: Sender = ''

interface Waiting {
  readonly sender: Sender
  admit(): void
  refuse(error: S3Error): void
  readonly untilMs: number
}

export class Admission {
  readonly #clock: Clock
  readonly #limits: AdmissionLimits
  readonly #waiting: Waiting[] = []
  readonly #runningOf = new Map<Sender, number>()
  readonly #waitingOf = new Map<Sender, number>()
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
  enter(sender: Sender): Promise<void> | undefined {
    const { runningMax, waitingMax, waitingPerSenderMax, waitMsMax } = this.#limits
    if (this.#running < runningMax && this.#mayRun(sender)) {
      this.#begin(sender)
      return undefined
    }
    const tooMany = sender !== MANY && (this.#waitingOf.get(sender) ?? 0) >= waitingPerSenderMax
    if (this.#waiting.length >= waitingMax || tooMany) return Promise.reject(this.#slowDown())
    return new Promise((resolve, reject) => {
      const untilMs = this.#clock.monotonicMs() + waitMsMax
      this.#waiting.push({ sender, admit: resolve, refuse: reject, untilMs })
      add(this.#waitingOf, sender, 1)
      this.#lookLater()
    })
  }

  /** The request is answered: the turn goes to the one that has waited longest, and may run. */
  leave(sender: Sender): void {
    this.#running--
    add(this.#runningOf, sender, -1)
    const at = this.#waiting.findIndex((waiting) => this.#mayRun(waiting.sender))
    const next = at < 0 ? undefined : this.#take(at)
    if (next === undefined) return
    this.#begin(next.sender)
    next.admit()
  }

  #mayRun(sender: Sender): boolean {
    return sender === MANY || (this.#runningOf.get(sender) ?? 0) < this.#limits.runningPerSenderMax
  }

  #begin(sender: Sender): void {
    this.#running++
    add(this.#runningOf, sender, 1)
  }

  #take(at: number): Waiting | undefined {
    const [taken] = this.#waiting.splice(at, 1)
    if (taken !== undefined) add(this.#waitingOf, taken.sender, -1)
    return taken
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
        this.#take(0)
        late.refuse(this.#slowDown())
      }
      this.#lookLater()
    })
  }
}

/** Counts that are zero are not kept: there are more addresses than memory. */
function add(counts: Map<Sender, number>, sender: Sender, change: number): void {
  const count = (counts.get(sender) ?? 0) + change
  if (count === 0) counts.delete(sender)
  else counts.set(sender, count)
}
