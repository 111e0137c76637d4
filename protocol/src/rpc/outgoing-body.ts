/**
 * Sends one body: takes units from its source only while there is credit for them and the connection is writable.
 * Units that are at hand (an array, a generator) go out in the same turn without a promise.
 */
import { CairnError } from '../errors.js'
import { STREAM_CREDIT_BYTES, UNIT_BYTES } from '../limits.js'
import type { BodyLink } from './body-link.js'
import { UNIT_COST_MIN } from './limits.js'
import type { Unit, UnitSource, UnitStream } from './types.js'

/** Credit that a unit of `sizeBytes` uses. */
export function unitCost(sizeBytes: number): number {
  return Math.max(sizeBytes, UNIT_COST_MIN)
}

/** Opens and leaves a source that will not be sent, so that it can let go of what it holds. */
export function dropSource(source: UnitSource | undefined): void {
  if (source === undefined) return
  try {
    leave(openSource(source))
  } catch {
    // Whoever offered it has been told of another failure already.
  }
}

type UnitIterator = Iterator<Unit> | AsyncIterator<Unit>

/** What a body being sent tells its call. */
export interface OutgoingBodyEvents {
  /** Something has left. */
  moved(): void
  /** All units and the end have been sent. */
  finished(): void
  /** The source threw; nothing more is sent. */
  failed(error: unknown): void
}

/** See the head of this file. */
export class OutgoingBody {
  private readonly link: BodyLink
  private readonly stream: number
  private readonly iterator: UnitIterator
  private readonly atHand: Required<Pick<UnitStream, 'poll'>> | undefined
  private readonly events: OutgoingBodyEvents
  private creditBytes: number = STREAM_CREDIT_BYTES
  private held: Unit | undefined
  private waiting = false
  private over = false

  constructor(link: BodyLink, stream: number, source: UnitSource, events: OutgoingBodyEvents) {
    this.link = link
    this.stream = stream
    this.iterator = openSource(source)
    this.atHand = isPollable(source) ? source : undefined
    this.events = events
  }

  /** Sends what can be sent; goes on by itself as credit and units arrive. */
  start(): void {
    this.advance()
  }

  grant(bytes: number): void {
    this.creditBytes += bytes
    if (!this.waiting) this.advance()
  }

  /** Sends nothing more and leaves the source. */
  stop(): void {
    if (this.over) return
    this.over = true
    this.held = undefined
    leave(this.iterator)
  }

  private advance(): void {
    while (!this.over && !this.waiting) {
      if (this.held === undefined) this.pull()
      else if (!this.sendHeld(this.held)) return
    }
  }

  private pull(): void {
    try {
      const result = this.atHand?.poll() ?? this.iterator.next()
      if (!('then' in result)) {
        this.accept(result)
        return
      }
      this.waiting = true
      result.then(this.resume, this.fail)
    } catch (error) {
      this.fail(error)
    }
  }

  private readonly resume = (result: IteratorResult<Unit>): void => {
    this.waiting = false
    if (this.over) return
    try {
      this.accept(result)
    } catch (error) {
      this.fail(error)
      return
    }
    this.advance()
  }

  private readonly fail = (error: unknown): void => {
    if (this.over) return
    this.over = true
    this.events.failed(error)
  }

  private accept(result: IteratorResult<Unit>): void {
    if (result.done === true) {
      this.over = true
      this.link.sendEnd(this.stream)
      this.events.finished()
      return
    }
    if (result.value.bytes.length > UNIT_BYTES) {
      leave(this.iterator)
      throw new CairnError('InvalidArgument', `a unit of ${result.value.bytes.length} bytes`)
    }
    this.held = result.value
  }

  private sendHeld(unit: Unit): boolean {
    const cost = unitCost(unit.bytes.length)
    if (cost > this.creditBytes) return false
    if (!this.link.writable) {
      this.waiting = true
      this.link.park(this.wake)
      return false
    }
    this.creditBytes -= cost
    this.held = undefined
    this.link.sendUnit(this.stream, unit)
    this.events.moved()
    return true
  }

  private readonly wake = (): void => {
    this.waiting = false
    this.advance()
  }
}

function isPollable(source: UnitSource): source is UnitSource & Required<Pick<UnitStream, 'poll'>> {
  return 'poll' in source && source.poll !== undefined
}

function openSource(source: UnitSource): UnitIterator {
  return Symbol.iterator in source ? source[Symbol.iterator]() : source[Symbol.asyncIterator]()
}

/** A source that fails while it is left has nobody to tell: its reader is gone. */
function leave(iterator: UnitIterator): void {
  try {
    const left = iterator.return?.()
    if (left !== undefined && 'then' in left) left.then(undefined, () => undefined)
  } catch {
    // See above.
  }
}
