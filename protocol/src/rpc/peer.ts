/** The calling end of a network address: connects with the first call, and again with the next call after a loss. */
import { CairnError } from '../errors.js'
import { RECONNECT_DELAY_MS_MAX } from '../limits.js'
import type { Role } from '../messages/callers.js'
import { ClientCalls } from './client-calls.js'
import { Connection, type ConnectionContext } from './connection.js'
import {
  createClientHandshake,
  type Handshake,
  type HandshakeOptions,
  hasSecret,
  secretMissing,
} from './handshake.js'
import { RECONNECT_DELAY_MS } from './limits.js'
import { dropSource } from './outgoing-body.js'
import type { TransportLayer } from './transport.js'
import type {
  AnswerAtHand,
  CallOptions,
  Handover,
  HandshakeIdentity,
  RpcMethod,
  RpcPeer,
  RpcReply,
} from './types.js'

/** Whom to call, how, and as whom. */
export interface PeerOptions extends ConnectionContext {
  readonly layer: TransportLayer
  readonly address: string
  readonly identity: HandshakeIdentity
  /** What the peer must be. */
  readonly role: Role
}

/**
 * After a failed connect, calls are refused at once until a pause has passed: callers have other replicas to turn
 * to. All errors of a call that was never sent carry the detail `connected: 'false'`.
 */
export class Peer implements RpcPeer {
  private readonly options: PeerOptions
  private link: { readonly connection: Connection; readonly calls: ClientCalls } | undefined
  private failureCount = 0
  private retryAtMs = Number.NEGATIVE_INFINITY
  private lastError: CairnError | undefined
  /** What was reported last, so that a peer that is refused again and again is told of once. */
  private lastReport = ''
  private isClosed = false

  constructor(options: PeerOptions) {
    this.options = options
  }

  call<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<RpcReply<Response>> {
    try {
      checkCall(method, options)
      return this.connected().open(method, request, options)
    } catch (error) {
      dropSource(options.body)
      return Promise.reject(error)
    }
  }

  callNow<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
  ): AnswerAtHand<Response> | undefined {
    return this.link?.calls.askNow(method, request)
  }

  handOver<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    handover: Handover<Response>,
  ): boolean {
    return this.link?.calls.handOver(method, request, handover) ?? false
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.link?.connection.close('closed by this side')
  }

  private connected(): ClientCalls {
    if (this.link !== undefined) return this.link.calls
    const { address, clock, identity } = this.options
    if (this.isClosed) throw neverSent(new CairnError('ConnectionLost', `peer ${address} was closed`))
    if (this.lastError !== undefined && clock.monotonicMs() < this.retryAtMs) throw neverSent(this.lastError)
    if (!hasSecret(identity)) throw neverSent(secretMissing(identity))
    return this.dial()
  }

  private dial(): ClientCalls {
    const { layer, address, identity, role, clock, random } = this.options
    let link: typeof this.link
    const onError = (error: unknown, where: string): void => this.report(error, where)
    const createHandshake = (given: HandshakeOptions): Handshake => createClientHandshake(given, role)
    layer.dial(address, identity.name, (transport) => {
      let calls: ClientCalls | undefined
      const connection = new Connection(
        { clock, random, identity, address, transport, onError, createHandshake },
        (created) => {
          calls = new ClientCalls(created, { onClosed: (error, wasReady) => this.lost(error, wasReady) })
          return calls
        },
      )
      if (calls !== undefined) link = { connection, calls }
      return connection
    })
    if (link === undefined) throw new Error(`${address} was dialled without a transport`)
    this.link = link
    return link.calls
  }

  private lost(error: CairnError, wasReady: boolean): void {
    const { clock, random } = this.options
    this.link = undefined
    if (wasReady) {
      this.failureCount = 0
      this.lastError = undefined
      this.lastReport = ''
      return
    }
    const delayMs = Math.min(RECONNECT_DELAY_MS * 2 ** this.failureCount, RECONNECT_DELAY_MS_MAX)
    this.failureCount++
    this.lastError = error
    this.retryAtMs = clock.monotonicMs() + delayMs * (0.5 + random.fraction() / 2)
  }

  private report(error: unknown, where: string): void {
    const words = `${where}: ${error instanceof Error ? error.message : String(error)}`
    if (words === this.lastReport) return
    this.lastReport = words
    this.options.onError?.(error, where)
  }
}

function checkCall(method: { readonly name: string }, options: CallOptions): void {
  if (options.signal?.aborted === true) {
    const { reason: cause } = options.signal
    throw neverSent(new CairnError('Cancelled', `${method.name} was cancelled before it began`, { cause }))
  }
  if (!(options.deadlineMs > 0)) {
    throw neverSent(new CairnError('DeadlineExceeded', `${method.name} has no time left`))
  }
}

function neverSent(error: CairnError): CairnError {
  return new CairnError(error.code, error.message, { cause: error, details: { connected: 'false' } })
}
