/**
 * The answering side of a connection: runs the handler of each request and sends its answer. Counts handlers until
 * they return, so that cancelled calls whose handlers linger still fill the limit.
 */
import { CairnError, toCairnError } from '../errors.js'
import { CALLS_PER_CONNECTION_MAX } from '../limits.js'
import { TurnoverMap } from '../turnover.js'
import type { CallSide, Connection } from './connection.js'
import { Deadlines } from './deadlines.js'
import type { DirectCall, DirectEnd } from './direct-call.js'
import { decodeError, encodeError } from './error-message.js'
import { FRAME, type FrameHead, HAS_BODY } from './frame.js'
import { ServerCall } from './server-call.js'
import type { AnswerAtHand, PeerIdentity, RpcHandler, RpcMethod, RpcRouterTable, Unit } from './types.js'

/** What a connection serves, and who hears of its end. */
export interface ServerCallsOptions {
  readonly table: RpcRouterTable
  readonly onClosed: () => void
}

/** A request as it came, in a frame or directly. */
interface Request {
  readonly stream: number
  readonly method: number
  readonly deadlineMs: number
  readonly hasBody: boolean
  readonly content: Uint8Array
  readonly direct?: DirectCall
}

/** The running calls of one connection, by stream. */
export class ServerCalls implements CallSide, DirectEnd {
  readonly answers = true
  readonly direct: DirectEnd = this
  private readonly connection: Connection
  private readonly options: ServerCallsOptions
  private readonly calls: TurnoverMap<number, ServerCall> = new TurnoverMap()
  private readonly deadlines: Deadlines
  private peer: PeerIdentity = { role: '', name: '' }
  private runningCount = 0
  private draining = false

  constructor(connection: Connection, options: ServerCallsOptions) {
    this.connection = connection
    this.options = options
    this.deadlines = new Deadlines(connection.clock, () => this.calls.values())
  }

  ready(peer: PeerIdentity): void {
    this.peer = peer
    if (this.draining) this.closeWhenIdle()
  }

  frame(head: Readonly<FrameHead>, content: Buffer): void {
    if (head.type === FRAME.request) {
      this.takeRequest(head, content)
      return
    }
    const call = this.calls.get(head.stream)
    if (call === undefined) return
    if (head.type === FRAME.data) call.takeUnit({ bytes: content, check: head.a })
    else if (head.type === FRAME.end) call.takeEnd()
    else if (head.type === FRAME.credit) call.takeCredit(head.a)
    else if (head.type === FRAME.cancel) call.abort(new CairnError('Cancelled', 'cancelled by the caller'))
    else throw new CairnError('MessageCorrupt', `frame ${head.type} from the asking side`)
  }

  unit(stream: number, unit: Unit): void {
    this.calls.get(stream)?.takeUnit(unit)
  }

  credit(stream: number, bytes: number): void {
    this.calls.get(stream)?.takeCredit(bytes)
  }

  takeDirect(call: DirectCall): void {
    const { stream, method, deadlineMs, content, units } = call
    const hasBody = units !== undefined
    const error = this.run({ stream, method, deadlineMs, hasBody, content, direct: call })
    if (error !== undefined) call.refused(decodeError(encodeError(error)))
  }

  answerNow(number: number, request: unknown): AnswerAtHand<unknown> | undefined {
    if (this.refusal() !== undefined) return undefined
    try {
      const entry = this.options.table.find(number)
      return entry !== undefined && mayCall(this.peer, entry.method) ? entry.atHand?.(request) : undefined
    } catch {
      // Asked again by a call, the handler fails in the same way, and tells it as it should be told.
      return undefined
    }
  }

  takeHandover(
    number: number,
    request: unknown,
    units: readonly Unit[],
    call: { settle(outcome: unknown): void },
  ): boolean {
    const entry = this.refusal() === undefined ? this.options.table.find(number) : undefined
    const taker = entry?.taker
    if (entry === undefined || taker === undefined || !mayCall(this.peer, entry.method)) return false
    this.runningCount++
    const ended = (outcome: unknown): void => {
      this.runningCount--
      call.settle(outcome instanceof CairnError ? this.told(outcome, entry.method.name) : outcome)
      if (this.draining) this.closeWhenIdle()
    }
    try {
      if (taker(request, units, ended, this.peer)) return true
    } catch {
      // Asked again by a call, the handler fails in the same way, and tells it as it should be told.
    }
    this.runningCount--
    return false
  }

  /** As the wire would carry it: no stack, no cause, and nothing of an internal error leave the service. */
  private told(error: CairnError, name: string): CairnError {
    if (error.code !== 'Internal') return decodeError(encodeError(error))
    this.connection.report(error, name)
    return new CairnError('Internal', `internal error in ${name}`)
  }

  closed(error: CairnError): void {
    this.deadlines.stop()
    for (const call of this.calls.values()) call.abort(error)
    this.options.onClosed()
  }

  /** Refuses new calls, and closes the connection once the running ones are through. */
  drain(): void {
    this.draining = true
    this.closeWhenIdle()
  }

  private closeWhenIdle(): void {
    if (this.draining && this.calls.size === 0 && this.runningCount === 0) {
      this.connection.close('the service shuts down')
    }
  }

  private takeRequest(head: Readonly<FrameHead>, content: Buffer): void {
    if (this.calls.has(head.stream)) throw new CairnError('MessageCorrupt', 'a stream is used twice')
    const { stream, a: method, b: deadlineMs } = head
    const hasBody = (head.flags & HAS_BODY) !== 0
    const error = this.run({ stream, method, deadlineMs, hasBody, content })
    if (error !== undefined) this.connection.sendError(stream, error)
  }

  private refusal(): CairnError | undefined {
    if (this.draining) return new CairnError('ShuttingDown', 'the service shuts down')
    if (this.runningCount < CALLS_PER_CONNECTION_MAX) return undefined
    return new CairnError('Busy', `${this.runningCount} calls run on one connection`)
  }

  /** Starts the handler, or says why not. */
  private run(request: Request): CairnError | undefined {
    const refusal = this.refusal()
    if (refusal !== undefined) return refusal
    const entry = this.options.table.find(request.method)
    if (entry === undefined) return new CairnError('NoSuchMethod', `no method ${request.method}`)
    const { method, handler } = entry
    if (!mayCall(this.peer, method)) return this.notAllowed(method.name)
    let content: unknown
    try {
      content = method.request.decode(request.content)
    } catch (error) {
      return toCairnError(error)
    }
    const call = this.open(request, method)
    // A short body follows in the same chunk: the handler then finds it at hand.
    if (request.hasBody && request.direct === undefined) {
      queueMicrotask(() => this.start(handler, content, call))
    } else this.start(handler, content, call)
    return undefined
  }

  private notAllowed(name: string): CairnError {
    const error = new CairnError('NotAllowed', `a peer of role "${this.peer.role}" may not call ${name}`)
    this.connection.report(error, name)
    return error
  }

  private open(
    { stream, deadlineMs, hasBody, direct }: Request,
    method: RpcMethod<unknown, unknown>,
  ): ServerCall {
    const call = new ServerCall({
      connection: this.connection,
      stream,
      method,
      peer: this.peer,
      deadlineMs,
      hasBody,
      direct,
      finished: () => {
        this.calls.delete(stream)
        this.closeWhenIdle()
      },
    })
    this.calls.set(stream, call)
    this.deadlines.watch(call)
    this.runningCount++
    return call
  }

  private start(handler: RpcHandler<unknown, unknown>, request: unknown, call: ServerCall): void {
    try {
      handler(request, call).then(
        (answer) => {
          this.runningCount--
          call.answer(answer)
          this.closeWhenIdle()
        },
        (error: unknown) => this.failed(call, error),
      )
    } catch (error) {
      this.failed(call, error)
    }
  }

  private failed(call: ServerCall, error: unknown): void {
    this.runningCount--
    call.fail(error)
    this.closeWhenIdle()
  }
}

function mayCall({ role }: PeerIdentity, { callers }: RpcMethod<unknown, unknown>): boolean {
  return (callers as readonly string[]).includes(role)
}
