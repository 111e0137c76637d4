/**
 * Calls between two ends in one process. Messages are encoded and decoded as ever, so that both sides see exactly
 * what a wire would have carried; but whole messages and bodies at hand are handed over in the turn of the call,
 * without frames, credit or a later turn. Bodies that still flow keep their back-pressure, but their units and
 * credit need no frames as long as none are on their way before them; a cancellation travels in a frame, and whatever
 * ends the connection ends its direct calls too.
 *
 * What a service has in memory is answered without even that: `answerNow` hands over the message itself. So does
 * `takeHandover`, for what a service can begin at once; its outcome is told to a callback.
 */
import type { CairnError } from '../errors.js'
import { UNIT_BYTES } from '../limits.js'
import type { AnswerAtHand, Unit, UnitSource, UnitStream } from './types.js'

/** A request with all its body, and where its answer goes. Exactly one of the two is called, once at most. */
export interface DirectCall {
  readonly stream: number
  readonly method: number
  /** Time left. */
  readonly deadlineMs: number
  /** The encoded request. */
  readonly content: Uint8Array
  /** Absent: the request has no body. */
  readonly units: readonly Unit[] | undefined
  answered(content: Uint8Array, units: readonly Unit[] | undefined): void
  refused(error: CairnError): void
}

/** The answering end of a connection, as the asking end in the same process reaches it. */
export interface DirectEnd {
  takeDirect(call: DirectCall): void
  /** See `RpcPeer.callNow`. */
  answerNow(method: number, request: unknown): AnswerAtHand<unknown> | undefined
  /** See `RpcPeer.handOver`; `call` is settled once, if this is true. */
  takeHandover(
    method: number,
    request: unknown,
    units: readonly Unit[],
    call: { settle(outcome: unknown): void },
  ): boolean
}

/** Units that need no credit because they are held by their sender anyway: one, the whole body of a small block. */
const UNITS_AT_HAND_MAX = 1

/** Whether a body may be handed over as it is. One that breaks the rules goes the long way, to be refused there. */
export function isAtHand(source: UnitSource | undefined): source is readonly Unit[] | undefined {
  if (source === undefined) return true
  if (!Array.isArray(source) || source.length > UNITS_AT_HAND_MAX) return false
  return source.every((unit: Unit) => unit.bytes.length <= UNIT_BYTES)
}

const DONE: IteratorResult<Unit> = { value: undefined, done: true }

/** The body of a direct call: all of it is here. */
export class ReadyBody implements UnitStream, AsyncIterator<Unit> {
  private readonly units: readonly Unit[]
  private position = 0

  constructor(units: readonly Unit[]) {
    this.units = units
  }

  [Symbol.asyncIterator](): AsyncIterator<Unit> {
    return this
  }

  poll(): IteratorResult<Unit> {
    const unit = this.units[this.position]
    if (unit === undefined) return DONE
    this.position++
    return { value: unit, done: false }
  }

  next(): Promise<IteratorResult<Unit>> {
    return Promise.resolve(this.poll())
  }

  return(): Promise<IteratorResult<Unit>> {
    this.position = this.units.length
    return Promise.resolve(DONE)
  }
}
