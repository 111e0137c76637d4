/**
 * Calls to the metadata services. Reads go to another service when one does not answer. Changes go to the service that
 * their session is bound to, and are repeated with the same op id. Before one is repeated elsewhere, its session is
 * moved there, which ends all earlier attempts: so a change happens once, and never after its answer. A change whose
 * answer stays lost is `OutcomeUnknown`.
 */
import {
  type Attempt,
  CairnError,
  type CallOptions,
  type Clock,
  type ErrorCode,
  getClusterMap,
  type HandshakeIdentity,
  hasCode,
  METADATA_DEADLINE_MS,
  moveSession,
  type Network,
  putObject,
  type Random,
  type RpcMethod,
  type RpcPeer,
  ServiceDirectory,
  type SessionId,
  toCairnError,
} from '@cairn/protocol'
import {
  BUSY_ATTEMPTS_MAX,
  COMMIT_DEADLINE_MS,
  METADATA_ATTEMPT_MS,
  RETRY_DELAY_MS_MAX,
  RETRY_DELAY_MS_MIN,
} from '../limits.js'
import { sleep } from '../waiting.js'

export interface MetadataCallerOptions {
  readonly network: Network
  /** At least one, or a directory. One is used until it fails. */
  readonly addresses: readonly string[] | ServiceDirectory
  readonly identity: HandshakeIdentity
  readonly clock: Clock
  readonly random: Random
  /** Called for every repetition of a change. */
  readonly onCommitRepeated?: () => void
}

/** A session as its changes see it. */
export interface RoutedSession {
  readonly id: SessionId
  /** Nothing can be changed under it any more. */
  readonly ended: boolean
  /** Address of the service that it is bound to; `undefined` when it must be moved before the next attempt. */
  boundTo: string | undefined
  route: number
  /** What a service told last: see `Attempt.sinceMicros`. */
  sinceMicros: number
  moving: { readonly address: string; readonly done: Promise<void> } | undefined
}

interface Limits {
  readonly untilMs: number
  readonly signal?: AbortSignal
}

/** What has become of a change so far. */
interface ChangeState {
  readonly session: RoutedSession
  readonly sinceMicros: number
  /** Route of the first attempt that may have happened. */
  firstRoute: number | undefined
  /** Route of the attempt that is under way. */
  route: number | undefined
}

/** The error says that the call may or may not have happened. */
function mayHaveHappened(error: CairnError): boolean {
  if (error.code === 'ConnectionLost') return error.details.connected !== 'false'
  return error.code === 'DeadlineExceeded' || error.code === 'OutcomeUnknown'
}

/** After these a change is repeated. First those that may hide that it has happened, then those that ask for a move. */
export const REPEATABLE: readonly ErrorCode[] = [
  ...(['OutcomeUnknown', 'ConnectionLost', 'DeadlineExceeded'] as const),
  ...(['ShuttingDown', 'SessionMoved', 'Busy'] as const),
]

function isRepeatable(error: CairnError): boolean {
  return hasCode(error, ...REPEATABLE)
}

export class MetadataCaller {
  private readonly options: MetadataCallerOptions
  private readonly directory: ServiceDirectory
  private readonly peers = new Map<string, RpcPeer>()
  private current: string
  private failuresInRow = 0
  private closed = false

  constructor(options: MetadataCallerOptions) {
    const { addresses, random } = options
    this.options = options
    this.directory =
      addresses instanceof ServiceDirectory ? addresses : new ServiceDirectory({ given: addresses })
    const known = this.directory.addresses
    const first = known[Math.floor(random.fraction() * known.length)]
    if (first === undefined) {
      throw new CairnError('InvalidArgument', 'no address of a metadata service is given')
    }
    this.current = first
    this.peerOf(first)
  }

  /** For calls that change nothing, or that may be repeated freely. */
  async read<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    signal?: AbortSignal,
  ): Promise<Response> {
    return (await this.readFrom(method, request, signal)).response
  }

  /** The same, with the address of the service that answered. */
  async readFrom<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    signal?: AbortSignal,
  ): Promise<{ readonly response: Response; readonly address: string }> {
    const untilMs = this.options.clock.monotonicMs() + METADATA_DEADLINE_MS
    const limits = signal === undefined ? { untilMs } : { untilMs, signal }
    for (let count = 1; ; count++) {
      const address = this.current
      try {
        const response = await this.call(address, method, request, limits)
        return { response, address }
      } catch (error) {
        const outcome = toCairnError(error)
        if (!(await this.mayRepeat(outcome, { address, count, limits }))) throw outcome
      }
    }
  }

  /** What `read` would resolve with, if the service has it at hand in this process; `undefined` in every other case. */
  readNow<Request, Response>(method: RpcMethod<Request, Response>, request: Request): Response | undefined {
    if (this.closed) return undefined
    return this.peers.get(this.current)?.callNow?.(method, request)?.response
  }

  /**
   * For changes that carry an op id of the session. `requestOf` makes the request anew for each attempt, which it must
   * carry, and is else the same. Cannot be cancelled: once sent, its outcome is waited for. `OutcomeUnknown` if an
   * attempt may have happened and none was answered in time. Another error after an attempt without an answer carries
   * `details.afterLostAnswer`. `SessionExpired` if the session has ended. What `take` throws at an answer counts as the
   * answer: so a part of a change can be repeated.
   */
  async change<Request, Response>(
    method: RpcMethod<Request, Response>,
    session: RoutedSession,
    requestOf: (attempt: Attempt) => Request,
    take?: (response: Response) => void,
  ): Promise<Response> {
    if (session.ended) {
      throw new CairnError('SessionExpired', 'the session of this change has ended; nothing was sent')
    }
    const { sinceMicros } = session
    const state: ChangeState = { session, sinceMicros, firstRoute: undefined, route: undefined }
    const limits = { untilMs: this.options.clock.monotonicMs() + COMMIT_DEADLINE_MS }
    for (let count = 1; ; count++) {
      const address = session.boundTo ?? this.current
      let outcome: CairnError
      try {
        if (session.boundTo !== address) await this.move(session, address, limits)
        const response = await this.call(address, method, requestOf(nextAttempt(state)), limits)
        take?.(response)
        return response
      } catch (error) {
        outcome = toCairnError(error)
        noteFailure(state, address, outcome)
      }
      const again = await this.mayRepeat(outcome, { address, count, limits })
      if (!again) throw state.firstRoute === undefined ? outcome : afterLostAnswer(method.name, outcome)
      this.options.onCommitRepeated?.()
    }
  }

  async close(): Promise<void> {
    this.closed = true
    await Promise.all([...this.peers.values()].map((peer) => peer.close()))
  }

  /** Binds the session to this service: one call for all changes that wait for it. */
  private async move(session: RoutedSession, address: string, limits: Limits): Promise<void> {
    if (session.moving?.address !== address) {
      const done = this.bind(session, address, limits).finally(() => {
        if (session.moving?.done === done) session.moving = undefined
      })
      session.moving = { address, done }
    }
    await session.moving.done
    if (session.boundTo !== address) throw new CairnError('SessionMoved', 'the session was moved elsewhere')
  }

  private async bind(session: RoutedSession, address: string, limits: Limits): Promise<void> {
    const { id, route } = session
    try {
      const answer = await this.call(address, moveSession, { session: id, route }, limits)
      if (answer.route <= session.route) return
      session.route = answer.route
      session.boundTo = address
      session.sinceMicros = answer.nowMicros
    } catch (error) {
      const { code, message } = toCairnError(error)
      // The move itself may be repeated freely: it says nothing of the change that waits for it.
      if (code === 'SessionExpired' || code === 'DriveFailed') throw error
      const details = { connected: 'false' }
      throw new CairnError('ConnectionLost', `a session could not be moved: ${code}: ${message}`, {
        cause: error,
        details,
      })
    }
  }

  private call<Request, Response>(
    address: string,
    method: RpcMethod<Request, Response>,
    request: Request,
    { untilMs, signal }: Limits,
  ): Promise<Response> {
    if (this.closed) return Promise.reject(new CairnError('Cancelled', 'the client is closed'))
    const leftMs = Math.max(1, untilMs - this.options.clock.monotonicMs())
    const isOne = this.directory.addresses.length <= 1
    const deadlineMs = Math.min(leftMs, isOne ? METADATA_DEADLINE_MS : METADATA_ATTEMPT_MS)
    const peer = this.peerOf(address)
    if (signal !== undefined) return this.ask(peer, method, request, { deadlineMs, signal })
    return this.handOver(peer, method, request, deadlineMs) ?? this.ask(peer, method, request, { deadlineMs })
  }

  private async ask<Request, Response>(
    peer: RpcPeer,
    method: RpcMethod<Request, Response>,
    request: Request,
    control: CallOptions,
  ): Promise<Response> {
    const { response } = await peer.call(method, request, control)
    this.failuresInRow = 0
    if (isClusterMap(method, response)) this.directory.learn(response.services)
    return response
  }

  /** The answer of a service in this process that takes the request as it is; see `RpcPeer.handOver`. */
  private handOver<Request, Response>(
    peer: RpcPeer,
    method: RpcMethod<Request, Response>,
    request: Request,
    deadlineMs: number,
  ): Promise<Response> | undefined {
    if (peer.handOver === undefined || method.number !== putObject.number) return undefined
    let isTaken = false
    const answer = new Promise<Response>((resolve, reject) => {
      const settle = (outcome: Response | CairnError): void => {
        if (outcome instanceof CairnError) reject(outcome)
        else {
          this.failuresInRow = 0
          resolve(outcome)
        }
      }
      isTaken = peer.handOver?.(method, request, { units: [], deadlineMs, settle }) === true
    })
    return isTaken ? answer : undefined
  }

  /** Waits before the next attempt; false if there must be none. */
  private async mayRepeat(
    error: CairnError,
    { address, count, limits }: { readonly address: string; readonly count: number; readonly limits: Limits },
  ): Promise<boolean> {
    const { clock, random } = this.options
    const { untilMs, signal } = limits
    if (!isRepeatable(error) || this.closed) return false
    if (error.code === 'Busy' && count >= BUSY_ATTEMPTS_MAX) return false
    // Only the service of the first attempt may know more: each is asked, none twice.
    if (error.details.settled === 'never' && count > this.directory.addresses.length) return false
    if (!hasCode(error, 'Busy', 'SessionMoved')) this.leave(address)
    const meanMs = Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** (count - 1))
    const delayMs = random.fraction() * 2 * meanMs
    if (clock.monotonicMs() + delayMs >= untilMs) return false
    await sleep(clock, delayMs, signal)
    return true
  }

  /**
   * Turns to another service; looks for new ones when all known ones have failed. Nobody waits for that look: it ends
   * only with the patience of the store, long after the deadline of a call. Those known are tried meanwhile.
   */
  private leave(address: string): void {
    if (++this.failuresInRow >= this.directory.addresses.length) {
      this.failuresInRow = 0
      this.directory.refresh().catch(() => undefined)
    }
    if (this.current !== address) return
    const { addresses } = this.directory
    this.current = addresses[(addresses.indexOf(address) + 1) % addresses.length] ?? address
  }

  private peerOf(address: string): RpcPeer {
    const known = this.peers.get(address)
    if (known !== undefined) return known
    const peer = this.options.network.connect(address, this.options.identity, 'metadata')
    this.peers.set(address, peer)
    return peer
  }
}

/** On the route to the service that the session is bound to by now. */
function nextAttempt(state: ChangeState): Attempt {
  const { session, sinceMicros, firstRoute } = state
  const { route } = session
  state.route = route
  return firstRoute === undefined ? { route, sinceMicros } : { route, sinceMicros, firstRoute }
}

function noteFailure(state: ChangeState, address: string, outcome: CairnError): void {
  const { session, route } = state
  if (route === undefined) return
  state.route = undefined
  if (mayHaveHappened(outcome)) state.firstRoute ??= route
  // Whoever has moved the session meanwhile has bound it anew already.
  const isLeft = isRepeatable(outcome) && outcome.code !== 'Busy' && session.route === route
  if (isLeft && session.boundTo === address) session.boundTo = undefined
}

function isClusterMap<Request, Response>(
  { number }: RpcMethod<Request, Response>,
  _response: unknown,
): _response is { readonly services?: readonly string[] } {
  return number === getClusterMap.number
}

/** The last error of a change of which an earlier attempt was sent and not answered. */
function afterLostAnswer(name: string, cause: CairnError): CairnError {
  if (isRepeatable(cause)) {
    return new CairnError('OutcomeUnknown', `${name} was sent, but its answer was lost`, { cause })
  }
  const details = { ...cause.details, afterLostAnswer: 'true' }
  return new CairnError(cause.code, cause.message, { cause, details })
}
