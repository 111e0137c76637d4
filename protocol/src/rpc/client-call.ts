import { CairnError } from '../errors.js'
import type { Connection } from './connection.js'
import { deadlineExceeded, type Timed } from './deadlines.js'
import { type DirectCall, isAtHand, ReadyBody } from './direct-call.js'
import { FRAME, HAS_BODY, NO_CONTENT } from './frame.js'
import { IncomingBody, NO_BODY } from './incoming-body.js'
import { dropSource, OutgoingBody } from './outgoing-body.js'
import { callsOf } from './signal-calls.js'
import type { CallOptions, RpcMethod, RpcReply, Unit, UnitSource } from './types.js'

/** Longest deadline that the wire can carry. */
const DEADLINE_MS_MAX = 0xffff_ffff

/** Where a call runs. */
export interface ClientCallPlace {
  readonly connection: Connection
  readonly stream: number
  readonly method: RpcMethod<unknown, unknown>
  /** Called once, when the call needs its stream no more. */
  finished(): void
}

/** What a call is to do, and whom it tells. */
export interface ClientCallTask {
  readonly options: CallOptions
  /** The encoded request. */
  readonly content: Uint8Array
  resolve(reply: RpcReply<unknown>): void
  reject(error: unknown): void
}

/** One call, as its caller's side sees it. */
export class ClientCall implements Timed, DirectCall {
  private readonly place: ClientCallPlace
  private readonly task: ClientCallTask
  private state: 'waiting' | 'sent' | 'answered' | 'finished' = 'waiting'
  deadlineAtMs: number
  private outgoing: OutgoingBody | undefined
  private incoming: IncomingBody | undefined

  constructor(place: ClientCallPlace, task: ClientCallTask) {
    this.place = place
    this.task = task
    this.deadlineAtMs = place.connection.clock.monotonicMs() + task.options.deadlineMs
    const { signal, group } = task.options
    group?.add(this.abort)
    if (signal !== undefined) callsOf(signal).add(this.abort)
  }

  get stream(): number {
    return this.place.stream
  }

  get method(): number {
    return this.place.method.number
  }

  get content(): Uint8Array {
    return this.task.content
  }

  get units(): readonly Unit[] | undefined {
    return this.task.options.body as readonly Unit[] | undefined
  }

  /** Time left, as the wire carries it. */
  get deadlineMs(): number {
    const leftMs = Math.ceil(this.deadlineAtMs - this.place.connection.clock.monotonicMs())
    return Math.min(Math.max(leftMs, 1), DEADLINE_MS_MAX)
  }

  /** Sends the request and what there is of its body. */
  start(): void {
    const { connection, stream } = this.place
    const { body } = this.task.options
    this.state = 'sent'
    const neighbour = isAtHand(body) ? connection.neighbour : undefined
    if (neighbour !== undefined) {
      neighbour.takeDirect(this)
      return
    }
    const flags = body === undefined ? 0 : HAS_BODY
    connection.write(FRAME.request, stream, this.task.content, { flags, a: this.method, b: this.deadlineMs })
    if (body !== undefined) this.sendBody(body)
  }

  answered(content: Uint8Array, units: readonly Unit[] | undefined): void {
    if (this.state !== 'sent') return
    const response = this.decode(content, false)
    if (response === undefined) return
    this.finish()
    const body = units === undefined ? NO_BODY : new ReadyBody(units)
    this.task.resolve({ response: response.value, body })
  }

  refused(error: CairnError): void {
    this.fail(error)
  }

  private sendBody(source: UnitSource): void {
    try {
      this.outgoing = new OutgoingBody(this.place.connection, this.place.stream, source, {
        moved: () => this.moved(),
        finished: () => undefined,
        failed: (error) => this.cancel(error),
      })
    } catch (error) {
      this.cancel(error)
      return
    }
    this.outgoing.start()
  }

  takeResponse(content: Buffer, hasBody: boolean): void {
    if (this.state !== 'sent') throw new CairnError('MessageCorrupt', 'a second answer to one call')
    const response = this.decode(content, hasBody)
    if (response === undefined) return
    if (!hasBody) {
      this.finish()
      this.task.resolve({ response: response.value, body: NO_BODY })
      return
    }
    this.state = 'answered'
    this.moved()
    this.incoming = new IncomingBody(this.place.connection, this.place.stream, {
      moved: () => this.moved(),
      left: () => this.cancel(new CairnError('Cancelled', `${this.place.method.name}: its body was left`)),
    })
    this.task.resolve({ response: response.value, body: this.incoming })
  }

  takeUnit(unit: Unit): void {
    if (this.incoming === undefined) throw new CairnError('MessageCorrupt', 'a body without an answer')
    this.moved()
    this.incoming.push(unit)
  }

  takeEnd(): void {
    if (this.incoming === undefined) throw new CairnError('MessageCorrupt', 'an end without an answer')
    this.finish()
    this.incoming.end()
  }

  takeCredit(bytes: number): void {
    this.moved()
    this.outgoing?.grant(bytes)
  }

  /** The peer's error, or ours: ends the call without telling the peer. */
  fail(error: unknown): void {
    if (this.state === 'finished') return
    const answered = this.state === 'answered'
    this.finish()
    if (answered) this.incoming?.fail(error)
    else this.task.reject(error)
  }

  /** The connection is gone. A call that was never sent says so, for then it may be repeated. */
  lose(error: CairnError): void {
    if (this.state === 'waiting') dropSource(this.task.options.body)
    const details = this.state === 'waiting' ? { connected: 'false' } : {}
    this.fail(new CairnError(error.code, error.message, { cause: error.cause, details }))
  }

  expire(): void {
    this.cancel(deadlineExceeded(this.place.method.name, this.task.options.deadlineMs))
  }

  private readonly abort = (): void => {
    const cause = this.task.options.signal?.reason
    this.cancel(new CairnError('Cancelled', `${this.place.method.name} was cancelled`, { cause }))
  }

  /** Ends the call and tells the peer, if it knows of it. */
  private cancel(error: unknown): void {
    if (this.state === 'finished') return
    if (this.state === 'waiting') dropSource(this.task.options.body)
    else this.place.connection.send(FRAME.cancel, this.place.stream, NO_CONTENT)
    this.fail(error)
  }

  private decode(content: Uint8Array, hasBody: boolean): { readonly value: unknown } | undefined {
    try {
      return { value: this.place.method.response.decode(content) }
    } catch (error) {
      if (hasBody) this.cancel(error)
      else this.fail(error)
      return undefined
    }
  }

  private finish(): void {
    this.state = 'finished'
    const { signal, group } = this.task.options
    group?.delete(this.abort)
    if (signal !== undefined) callsOf(signal).delete(this.abort)
    this.outgoing?.stop()
    this.place.finished()
  }

  /** A body that keeps moving keeps its call alive. */
  private moved(): void {
    this.deadlineAtMs = this.place.connection.clock.monotonicMs() + this.task.options.deadlineMs
  }
}
