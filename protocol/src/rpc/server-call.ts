import { CairnError, toCairnError } from '../errors.js'
import type { Connection } from './connection.js'
import type { Timed } from './deadlines.js'
import { type DirectCall, isAtHand, ReadyBody } from './direct-call.js'
import { decodeError, encodeError } from './error-message.js'
import { FRAME, HAS_BODY, MESSAGE_CONTENT_BYTES_MAX } from './frame.js'
import { IncomingBody, NO_BODY } from './incoming-body.js'
import { dropSource, OutgoingBody } from './outgoing-body.js'
import type { IncomingCall, PeerIdentity, RpcAnswer, RpcMethod, Unit, UnitStream } from './types.js'

/** Where a call runs, and what its caller asked for. */
export interface ServerCallPlace {
  readonly connection: Connection
  readonly stream: number
  readonly method: RpcMethod<unknown, unknown>
  readonly peer: PeerIdentity
  /** What the caller gave, counted from now and from every movement of a body. */
  readonly deadlineMs: number
  readonly hasBody: boolean
  /** The caller's own end of a call that came without frames. */
  readonly direct: DirectCall | undefined
  /** Called once, when the call needs its stream no more. */
  finished(): void
}

/** One call, as its handler's side sees it. */
export class ServerCall implements IncomingCall, Timed {
  readonly body: UnitStream
  private readonly place: ServerCallPlace
  private readonly incoming: IncomingBody | undefined
  /** While the answer need not travel in frames. */
  private direct: DirectCall | undefined
  private outgoing: OutgoingBody | undefined
  private deadline: number
  private finished = false
  private reason: CairnError | undefined
  private controller: AbortController | undefined

  constructor(place: ServerCallPlace) {
    this.place = place
    this.deadline = place.connection.clock.monotonicMs() + place.deadlineMs
    this.direct = place.direct
    const units = place.direct?.units
    if (place.hasBody && units === undefined) {
      this.incoming = new IncomingBody(place.connection, place.stream, {
        moved: () => this.moved(),
        left: () => undefined,
      })
    }
    this.body = this.incoming ?? (units === undefined ? NO_BODY : new ReadyBody(units))
  }

  get peer(): PeerIdentity {
    return this.place.peer
  }

  get deadlineAtMs(): number {
    return this.deadline
  }

  /** Made when first asked for: most handlers finish without one. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.reason !== undefined) this.controller.abort(this.reason)
    }
    return this.controller.signal
  }

  takeUnit(unit: Unit): void {
    if (this.incoming === undefined) throw new CairnError('MessageCorrupt', 'a body that was not announced')
    this.moved()
    this.incoming.push(unit)
  }

  takeEnd(): void {
    this.moved()
    this.incoming?.end()
  }

  takeCredit(bytes: number): void {
    this.moved()
    this.outgoing?.grant(bytes)
  }

  /** Sends what the handler returned, unless nobody waits for it any more. */
  answer(answer: RpcAnswer<unknown>): void {
    if (this.finished) {
      dropSource(answer.body)
      return
    }
    try {
      this.send(answer)
    } catch (error) {
      dropSource(answer.body)
      this.fail(error)
    }
  }

  /** Sends an error. What is not meant for callers is reported here and crosses the wire without its text. */
  fail(error: unknown): void {
    const { connection, method, stream } = this.place
    const told = toCairnError(error)
    const isInternal = told.code === 'Internal'
    if (isInternal && !(this.finished && isAbort(error))) connection.report(error, method.name)
    if (this.finished) return
    const safe = isInternal ? new CairnError('Internal', `internal error in ${method.name}`) : told
    if (this.direct === undefined) connection.sendError(stream, safe)
    this.finish(told)
    // As the wire would carry it: no stack and no cause leave the service.
    this.direct?.refused(decodeError(encodeError(safe)))
  }

  expire(): void {
    const error = new CairnError('DeadlineExceeded', `${this.place.method.name} took too long`)
    if (this.direct === undefined) this.place.connection.sendError(this.place.stream, error)
    this.abort(error)
    this.direct?.refused(error)
  }

  /** Nobody waits for the answer any more. */
  abort(reason: CairnError): void {
    if (this.finished) return
    this.reason = reason
    this.finish(reason)
    this.controller?.abort(reason)
  }

  private send(answer: RpcAnswer<unknown>): void {
    const { connection, method, stream } = this.place
    const content = method.response.encode(answer.response)
    if (content.length > MESSAGE_CONTENT_BYTES_MAX) {
      throw new CairnError('MessageTooLarge', `answer of ${method.name} with ${content.length} bytes`)
    }
    const { direct } = this
    if (direct !== undefined && isAtHand(answer.body)) {
      this.finish(undefined)
      direct.answered(content, answer.body)
      return
    }
    this.direct = undefined
    connection.send(FRAME.response, stream, content, answer.body === undefined ? 0 : HAS_BODY)
    if (answer.body === undefined) this.finish(undefined)
    else this.sendBody(answer.body)
  }

  private sendBody(source: NonNullable<RpcAnswer<unknown>['body']>): void {
    this.outgoing = new OutgoingBody(this.place.connection, this.place.stream, source, {
      moved: () => this.moved(),
      finished: () => this.finish(undefined),
      failed: (error) => this.fail(error),
    })
    this.moved()
    this.outgoing.start()
  }

  private finish(reason: CairnError | undefined): void {
    if (this.finished) return
    this.finished = true
    this.outgoing?.stop()
    // Most bodies have ended by now: an error, with its stack, is made for the others only.
    if (this.incoming?.isOpen) this.incoming.fail(reason ?? answered(this.place.method.name))
    this.place.finished()
  }

  private moved(): void {
    this.deadline = this.place.connection.clock.monotonicMs() + this.place.deadlineMs
  }
}

function answered(name: string): CairnError {
  return new CairnError('Cancelled', `${name} has been answered`)
}

/** What Node's own functions throw when a signal stops them. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
