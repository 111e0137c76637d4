/**
 * The asking side of a connection: opens calls, matches answers to them, and ends each call exactly once: by its
 * answer, its error, its deadline, its caller's signal, or the loss of the connection.
 */
import { CairnError } from '../errors.js'
import { CALLS_PER_CONNECTION_MAX } from '../limits.js'
import { Roster, TurnoverMap } from '../turnover.js'
import { ClientCall } from './client-call.js'
import type { CallSide, Connection } from './connection.js'
import { Deadlines } from './deadlines.js'
import { decodeError } from './error-message.js'
import { FRAME, type FrameHead, HAS_BODY, MESSAGE_CONTENT_BYTES_MAX } from './frame.js'
import { HandedCall } from './handed-call.js'
import { dropSource } from './outgoing-body.js'
import type { AnswerAtHand, CallOptions, Handover, PeerIdentity, RpcMethod, RpcReply, Unit } from './types.js'

const STREAM_MAX = 0xffff_ffff

/** Who hears of the end of a connection. */
export interface ClientCallsOptions {
  /** Called once, when no call is open any more. */
  onClosed(error: CairnError, wasReady: boolean): void
}

/** The open calls of one connection, by stream. */
export class ClientCalls implements CallSide {
  readonly answers = false
  private readonly connection: Connection
  private readonly calls: TurnoverMap<number, ClientCall> = new TurnoverMap()
  private readonly handed: Roster<HandedCall> = new Roster()
  private readonly deadlines: Deadlines
  private readonly handedDeadlines: Deadlines
  private readonly onClosed: ClientCallsOptions['onClosed']
  private lastStream = 0
  private wasReady = false

  constructor(connection: Connection, options: ClientCallsOptions) {
    this.connection = connection
    this.onClosed = options.onClosed
    this.deadlines = new Deadlines(connection.clock, () => this.calls.values())
    this.handedDeadlines = new Deadlines(connection.clock, () => this.handed)
  }

  /** Starts a call, at once or when the handshake is complete. A call that rejects has left its body. */
  open<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<RpcReply<Response>> {
    let content: Uint8Array
    try {
      content = this.admit(method, request)
    } catch (error) {
      dropSource(options.body)
      return Promise.reject(error)
    }
    return new Promise<RpcReply<unknown>>((resolve, reject) => {
      const stream = this.nextStream()
      const finished = (): unknown => this.calls.delete(stream)
      const call = new ClientCall(
        { connection: this.connection, stream, method, finished },
        { options, content, resolve, reject },
      )
      this.calls.set(stream, call)
      this.deadlines.watch(call)
      if (this.connection.ready) call.start()
    }) as Promise<RpcReply<Response>>
  }

  /** See `RpcPeer.callNow`. */
  askNow<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
  ): AnswerAtHand<Response> | undefined {
    const neighbour = this.connection.ready ? this.connection.neighbour : undefined
    return neighbour?.answerNow(method.number, request) as AnswerAtHand<Response> | undefined
  }

  /** See `RpcPeer.handOver`. */
  handOver<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    handover: Handover<Response>,
  ): boolean {
    const { connection, handed } = this
    const neighbour = connection.ready ? connection.neighbour : undefined
    if (neighbour === undefined || handed.size >= CALLS_PER_CONNECTION_MAX) return false
    const deadlineAtMs = connection.clock.monotonicMs() + handover.deadlineMs
    const call = new HandedCall(method, handover as Handover<unknown>, deadlineAtMs, handed)
    if (!neighbour.takeHandover(method.number, request, handover.units, call)) return false
    if (call.begin()) this.handedDeadlines.watch(call)
    return true
  }

  ready(_peer: PeerIdentity): void {
    this.wasReady = true
    for (const call of this.calls.values()) call.start()
  }

  frame(head: Readonly<FrameHead>, content: Buffer): void {
    const call = this.calls.get(head.stream)
    if (call === undefined) return
    if (head.type === FRAME.response) call.takeResponse(content, (head.flags & HAS_BODY) !== 0)
    else if (head.type === FRAME.data) call.takeUnit({ bytes: content, check: head.a })
    else if (head.type === FRAME.end) call.takeEnd()
    else if (head.type === FRAME.credit) call.takeCredit(head.a)
    else if (head.type === FRAME.error) call.fail(decodeError(content))
    else throw new CairnError('MessageCorrupt', `frame ${head.type} from the answering side`)
  }

  unit(stream: number, unit: Unit): void {
    this.calls.get(stream)?.takeUnit(unit)
  }

  credit(stream: number, bytes: number): void {
    this.calls.get(stream)?.takeCredit(bytes)
  }

  closed(error: CairnError): void {
    this.deadlines.stop()
    this.handedDeadlines.stop()
    for (const call of this.calls.values()) call.lose(error)
    for (const call of this.handed) call.settle(error)
    this.onClosed(error, this.wasReady)
  }

  private admit<Request>(method: RpcMethod<Request, unknown>, request: Request): Uint8Array {
    if (this.calls.size >= CALLS_PER_CONNECTION_MAX) {
      const details = { connected: 'false' }
      throw new CairnError('Busy', `${this.calls.size} calls are open on one connection`, { details })
    }
    const content = method.request.encode(request)
    if (content.length > MESSAGE_CONTENT_BYTES_MAX) {
      throw new CairnError('MessageTooLarge', `${method.name} with ${content.length} bytes`)
    }
    return content
  }

  private nextStream(): number {
    do {
      this.lastStream = this.lastStream === STREAM_MAX ? 1 : this.lastStream + 1
    } while (this.calls.has(this.lastStream))
    return this.lastStream
  }
}
