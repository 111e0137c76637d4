/**
 * The contract of the RPC, whatever carries it. A call is one request message and one response message; either
 * may be followed by a body: a sequence of units whose borders are kept. Bodies flow under credit per stream, so
 * that one slow stream never stalls the rest of its connection.
 */
import type { CairnError } from '../errors.js'
import type { Message } from '../message.js'
import type { Role } from '../messages/callers.js'

/** At most UNIT_BYTES of a body with a check word of the sender's choice (blocks: CRC32C). */
export interface Unit {
  readonly bytes: Uint8Array
  readonly check: number
  /**
   * BLAKE3 of `bytes`, if they are a whole block and their sender, in this process, has computed it: so three drives
   * need not do it again. No wire carries it, so no peer can claim it; and the receiver still verifies `check`
   * over the bytes at hand, which would tell if they were no longer those that were hashed.
   */
  readonly blockHash?: Uint8Array
}

/** A body to be sent. Bytes handed over must not be changed afterwards: the transport may not copy them. */
export type UnitSource = Iterable<Unit> | AsyncIterable<Unit>

/** A body being received. Leaving the loop early cancels the stream. */
export interface UnitStream extends AsyncIterable<Unit> {
  /**
   * What `next` would give, if that is known now: the same step without a promise. `undefined`: ask `next` and
   * wait. Streams that cannot tell leave it out.
   */
  readonly poll?: () => IteratorResult<Unit> | undefined
}

/** One entry of a service's method table. Numbers are for ever. */
export interface RpcMethod<Request, Response> {
  readonly number: number
  readonly name: string
  readonly request: Message<Request>
  readonly response: Message<Response>
  /** Roles that may call it; any other is refused with `NotAllowed`. */
  readonly callers: readonly Role[]
}

/** Calls that are cancelled together. */
export class CallGroup {
  /** Few, and no set: see `turnover.ts`. */
  private readonly members: (() => void)[] = []

  add(cancel: () => void): void {
    this.members.push(cancel)
  }

  delete(cancel: () => void): void {
    const at = this.members.indexOf(cancel)
    if (at >= 0) this.members.splice(at, 1)
  }

  /** Cancels the calls that are open now; each rejects with `Cancelled`. */
  cancel(): void {
    for (const cancel of [...this.members]) cancel()
  }
}

/** How a call is made. */
export interface CallOptions {
  /** Aborting cancels the call at the peer; the promise then rejects with `Cancelled`. */
  readonly signal?: AbortSignal
  /** Cancels the call with others, as `signal` would, at a fraction of its cost. */
  readonly group?: CallGroup
  /** Time for the whole call, body included unless it keeps moving; `DeadlineExceeded` after it. */
  readonly deadlineMs: number
  readonly body?: UnitSource
}

/** What a call was answered with. */
export interface RpcReply<Response> {
  readonly response: Response
  /** Empty when the method sends no body. Must be read or left; an unread body holds its credit only. */
  readonly body: UnitStream
}

/** One peer. Reconnects by itself; never repeats a call by itself: whoever calls knows what may be repeated. */
export interface RpcPeer {
  /** `ConnectionLost` and `DeadlineExceeded` mean: it may or may not have happened. */
  call<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<RpcReply<Response>>
  /**
   * The answer in this turn, without promise or codec, if the peer serves in this process and has it at hand.
   * `undefined` in every other case, and for every error: `call` then finds out and tells. For methods that change
   * nothing. Neither side may change what the other gave it.
   */
  callNow?<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
  ): AnswerAtHand<Response> | undefined
  /**
   * Starts a call in this turn, without promise or codec, if the peer serves in this process and its service takes the
   * request as it is. Then `handover.settle` is called exactly once: perhaps before this returns, and at the latest
   * when its time is up. False: nothing was begun, and `call` has to be made. Neither side may change what the
   * other gave it. For whoever does not want the outcome any more there is nothing to cancel: he ignores it.
   */
  handOver?<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    handover: Handover<Response>,
  ): boolean
  close(): Promise<void>
}

/** What goes with a request that is handed over, and where its outcome goes. */
export interface Handover<Response> {
  /** The whole body of the request. */
  readonly units: readonly Unit[]
  /** After so long the outcome is `DeadlineExceeded`: it may or may not have happened. */
  readonly deadlineMs: number
  /** The same errors as of `call`. Must not throw. */
  settle(outcome: Response | CairnError): void
}

/** An answer that needs no waiting, with all units of its body. */
export interface AnswerAtHand<Response> {
  readonly response: Response
  readonly units: readonly Unit[]
}

/**
 * What a handler would answer, if it is in memory: nothing is waited for. `undefined`, or any error: it is not known
 * now, and the handler itself is asked. For methods that change nothing.
 */
export type RpcHandlerAtHand<Request, Response> = (request: Request) => AnswerAtHand<Response> | undefined

/**
 * Takes a request that needs nothing unusual, and calls `settle` once when it is done, with the answer that the handler
 * would have given. False, or a throw: nothing was begun, and the handler itself is asked.
 */
export type RpcTaker<Request, Response> = (
  request: Request,
  units: readonly Unit[],
  settle: (outcome: Response | CairnError) => void,
  peer: PeerIdentity,
) => boolean

/** What a handler sees of its call. */
export interface IncomingCall {
  readonly signal: AbortSignal
  /** Monotonic time, in ms of the service's clock, after which nobody waits for the answer. */
  readonly deadlineAtMs: number
  readonly body: UnitStream
  /** Role and name the peer gave in its handshake. */
  readonly peer: PeerIdentity
}

/** What a peer has proved to be. */
export interface PeerIdentity {
  readonly role: string
  readonly name: string
}

/** What a handler answers with. */
export interface RpcAnswer<Response> {
  readonly response: Response
  readonly body?: UnitSource
}

/** Serves one method; a rejection is told to the caller by its code. */
export type RpcHandler<Request, Response> = (
  request: Request,
  call: IncomingCall,
) => Promise<RpcAnswer<Response>>

/** A service's handlers by method. */
export interface RpcRouter {
  handle<Request, Response>(
    method: RpcMethod<Request, Response>,
    handler: RpcHandler<Request, Response>,
    atHand?: RpcHandlerAtHand<Request, Response>,
    taker?: RpcTaker<Request, Response>,
  ): void
}

/** Handshake facts. Both sides must agree on version and cluster id and prove the cluster secret. */
export interface HandshakeIdentity {
  readonly role: string
  readonly name: string
  /** Empty until the cluster id is known (a first contact); then it must match. */
  readonly clusterId: string
  readonly featureLevel: number
  readonly clusterSecret: Uint8Array
}

/** Where services find each other: TCP, in-process, or simulated. */
export interface Network {
  /** Serves `router` at `address` (`host:port`, port 0 picks one; or `local:<name>`). */
  listen(address: string, router: RpcRouterTable, identity: HandshakeIdentity): Promise<RpcListener>
  /**
   * A lazily connected peer; connecting happens with the first call and again after a loss. Whoever answers at the
   * address must prove `role`: calls to any other are `PeerRejected`, and never sent.
   */
  connect(address: string, identity: HandshakeIdentity, role: Role): RpcPeer
}

/** A service that takes connections. */
export interface RpcListener {
  /** The address with its real port. */
  readonly address: string
  /** Stops accepting, lets running calls finish for at most `drainMs`, then cuts. */
  close(drainMs: number): Promise<void>
}

/** A filled router, as `Network.listen` takes it. */
export interface RpcRouterTable {
  find(methodNumber: number):
    | {
        method: RpcMethod<unknown, unknown>
        handler: RpcHandler<unknown, unknown>
        atHand?: RpcHandlerAtHand<unknown, unknown> | undefined
        taker?: RpcTaker<unknown, unknown> | undefined
      }
    | undefined
}
