/**
 * Receives one body: holds at most its credit in units, and returns credit as the consumer takes them. It ends
 * cleanly only after the sender's END; whatever else ends it, the consumer's next step rejects.
 */
import { CairnError } from '../errors.js'
import { STREAM_CREDIT_BYTES } from '../limits.js'
import type { BodyLink } from './body-link.js'
import { CREDIT_STEP_BYTES } from './limits.js'
import { unitCost } from './outgoing-body.js'
import type { Unit, UnitStream } from './types.js'

/** The body of a message without one. */
export const NO_BODY: UnitStream = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ value: undefined, done: true }) }),
}

/** What a body being received tells its call. */
export interface IncomingBodyEvents {
  /** The consumer took a unit. */
  moved(): void
  /** The consumer left before the end. */
  left(): void
}

interface Waiter {
  resolve(result: IteratorResult<Unit>): void
  reject(error: unknown): void
}

const DONE: IteratorResult<Unit> = { value: undefined, done: true }

/** For one consumer, which asks for one unit at a time. */
export class IncomingBody implements AsyncIterable<Unit>, AsyncIterator<Unit> {
  private readonly link: BodyLink
  private readonly stream: number
  private readonly events: IncomingBodyEvents
  private units: Unit[] = []
  private windowBytes: number = STREAM_CREDIT_BYTES
  private owedBytes = 0
  private waiter: Waiter | undefined
  private failure: unknown
  private state: 'open' | 'ended' | 'failed' | 'left' = 'open'

  constructor(link: BodyLink, stream: number, events: IncomingBodyEvents) {
    this.link = link
    this.stream = stream
    this.events = events
  }

  [Symbol.asyncIterator](): AsyncIterator<Unit> {
    return this
  }

  /** A unit or the clean end, if it is at hand: a body that came with its request costs no promise. */
  poll(): IteratorResult<Unit> | undefined {
    const unit = this.units.shift()
    if (unit === undefined) return this.state === 'ended' || this.state === 'left' ? DONE : undefined
    this.taken(unit)
    return { value: unit, done: false }
  }

  next(): Promise<IteratorResult<Unit>> {
    const result = this.poll()
    if (result !== undefined) return Promise.resolve(result)
    if (this.state === 'failed') return Promise.reject(this.failure)
    if (this.waiter !== undefined) return Promise.reject(new Error('a body has one consumer'))
    return new Promise((resolve, reject) => {
      this.waiter = { resolve, reject }
    })
  }

  /** Leaves the body: units that still come are dropped. */
  return(): Promise<IteratorResult<Unit>> {
    if (this.state === 'open') {
      this.close('left')
      this.waiter?.resolve(DONE)
      this.events.left()
    }
    this.units = []
    return Promise.resolve(DONE)
  }

  /** Takes a unit from the wire; throws `MessageCorrupt` if the sender has overdrawn its credit. */
  push(unit: Unit): void {
    this.windowBytes -= unitCost(unit.bytes.length)
    if (this.windowBytes < 0) throw new CairnError('MessageCorrupt', 'a body beyond its credit')
    if (this.state !== 'open') return
    const waiter = this.waiter
    if (waiter === undefined) {
      this.units.push(unit)
      return
    }
    this.waiter = undefined
    this.taken(unit)
    waiter.resolve({ value: unit, done: false })
  }

  /** The sender's clean end: units not yet taken stay to be taken. */
  end(): void {
    if (this.state !== 'open') return
    const waiter = this.waiter
    this.close('ended')
    waiter?.resolve(DONE)
  }

  /** Neither ended nor failed nor left. */
  get isOpen(): boolean {
    return this.state === 'open'
  }

  /** Any other end. Has no effect after `end`. */
  fail(error: unknown): void {
    if (this.state !== 'open') return
    const waiter = this.waiter
    this.close('failed')
    this.failure = error
    this.units = []
    waiter?.reject(error)
  }

  private close(state: 'ended' | 'failed' | 'left'): void {
    this.state = state
    this.waiter = undefined
  }

  private taken(unit: Unit): void {
    this.events.moved()
    if (this.state !== 'open') return
    this.owedBytes += unitCost(unit.bytes.length)
    if (this.owedBytes < CREDIT_STEP_BYTES) return
    const granted = this.owedBytes
    this.windowBytes += granted
    this.owedBytes = 0
    // May bring the next units at once.
    this.link.sendCredit(this.stream, granted)
  }
}
