/**
 * Calls to the metadata services. Reads go to another service when one does not answer. Changes are repeated
 * with the same op id, which makes them happen once; a change whose answer stays lost is `OutcomeUnknown`.
 */
import {
  CairnError,
  type Clock,
  type HandshakeIdentity,
  hasCode,
  METADATA_DEADLINE_MS,
  type Network,
  type Random,
  type RpcMethod,
  type RpcPeer,
  type RpcReply,
  toCairnError,
} from '@cairn/protocol'
import {
  BUSY_ATTEMPTS_MAX,
  COMMIT_DEADLINE_MS,
  METADATA_ATTEMPT_MS,
  RETRY_DELAY_MS_MAX,
  RETRY_DELAY_MS_MIN,
} from './limits.js'
import { sleep } from './waiting.js'

export interface MetadataCallerOptions {
  readonly network: Network
  /** At least one. One is used until it fails. */
  readonly addresses: readonly string[]
  readonly identity: HandshakeIdentity
  readonly clock: Clock
  readonly random: Random
  /** Called for every repetition of a change. */
  readonly onCommitRepeated?: () => void
}

interface Attempts {
  readonly deadlineMs: number
  readonly signal?: AbortSignal
  readonly change: boolean
}

/** The error says that the call may or may not have happened. */
function mayHaveHappened(error: CairnError): boolean {
  if (error.code === 'ConnectionLost') return error.details.connected !== 'false'
  return error.code === 'DeadlineExceeded' || error.code === 'OutcomeUnknown'
}

function isRepeatable(error: CairnError): boolean {
  return hasCode(error, 'ConnectionLost', 'DeadlineExceeded', 'OutcomeUnknown', 'Busy', 'ShuttingDown')
}

export class MetadataCaller {
  private readonly options: MetadataCallerOptions
  private readonly peers: RpcPeer[]
  private current = 0
  private closed = false

  constructor(options: MetadataCallerOptions) {
    if (options.addresses.length === 0) {
      throw new CairnError('InvalidArgument', 'no address of a metadata service is given')
    }
    this.options = options
    this.peers = options.addresses.map((address) => options.network.connect(address, options.identity))
  }

  /** For calls that change nothing, or that may be repeated freely. */
  read<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    signal?: AbortSignal,
  ): Promise<Response> {
    const control = signal === undefined ? {} : { signal }
    return this.attempt(method, request, { deadlineMs: METADATA_DEADLINE_MS, change: false, ...control })
  }

  /**
   * For changes that carry an op id. Cannot be cancelled: once sent, its outcome is waited for.
   * `OutcomeUnknown` if an attempt may have happened and none was answered in time. Another error after an
   * attempt without an answer carries `details.afterLostAnswer`.
   */
  change<Request, Response>(method: RpcMethod<Request, Response>, request: Request): Promise<Response> {
    return this.attempt(method, request, { deadlineMs: COMMIT_DEADLINE_MS, change: true })
  }

  async close(): Promise<void> {
    this.closed = true
    await Promise.all(this.peers.map((peer) => peer.close()))
  }

  private async attempt<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    attempts: Attempts,
  ): Promise<Response> {
    const untilMs = this.options.clock.monotonicMs() + attempts.deadlineMs
    let wasSent = false
    for (let count = 1; ; count++) {
      let outcome: CairnError
      try {
        return (await this.call(method, request, untilMs, attempts.signal)).response
      } catch (error) {
        outcome = toCairnError(error)
      }
      wasSent ||= attempts.change && mayHaveHappened(outcome)
      const again = await this.mayRepeat(outcome, count, untilMs, attempts.signal)
      if (!again) throw wasSent ? afterLostAnswer(method.name, outcome) : outcome
      if (attempts.change) this.options.onCommitRepeated?.()
    }
  }

  private call<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    untilMs: number,
    signal: AbortSignal | undefined,
  ): Promise<RpcReply<Response>> {
    const peer = this.peers[this.current]
    if (peer === undefined || this.closed) throw new CairnError('Cancelled', 'the client is closed')
    const leftMs = Math.max(1, untilMs - this.options.clock.monotonicMs())
    const deadlineMs = Math.min(leftMs, this.peers.length > 1 ? METADATA_ATTEMPT_MS : METADATA_DEADLINE_MS)
    return peer.call(method, request, signal === undefined ? { deadlineMs } : { deadlineMs, signal })
  }

  /** Waits before the next attempt; false if there must be none. */
  private async mayRepeat(
    error: CairnError,
    count: number,
    untilMs: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (!isRepeatable(error) || this.closed) return false
    if (error.code === 'Busy' && count >= BUSY_ATTEMPTS_MAX) return false
    if (error.code !== 'Busy') this.current = (this.current + 1) % this.peers.length
    const meanMs = Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** (count - 1))
    const delayMs = this.options.random.fraction() * 2 * meanMs
    if (this.options.clock.monotonicMs() + delayMs >= untilMs) return false
    await sleep(this.options.clock, delayMs, signal)
    return true
  }
}

/** The last error of a change of which an earlier attempt was sent and not answered. */
function afterLostAnswer(name: string, cause: CairnError): CairnError {
  if (isRepeatable(cause)) {
    return new CairnError('OutcomeUnknown', `${name} was sent, but its answer was lost`, { cause })
  }
  const details = { ...cause.details, afterLostAnswer: 'true' }
  return new CairnError(cause.code, cause.message, { cause, details })
}
