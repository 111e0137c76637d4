/**
 * The way to etcd: calls with deadlines of our own to one member, and to the next one when it does not answer.
 *
 * ● What may have reached etcd is sent again only if the caller says that a second time does no harm; what has
 *   certainly not been decided on is, within the total deadline.
 */
import { CairnError, type Clock, hasCode, type Random, toCairnError } from '@cairn/protocol'
import type { Metadata } from '@grpc/grpc-js'
import { EtcdEndpoint, type EtcdStream, type EtcdTls } from './etcd-endpoint.js'
import { closedError, hasReason, notReached } from './etcd-errors.js'
import type { EtcdLibrary } from './etcd-library.js'
import { PAGE_MS, ROUND_PAUSE_MS, TELL_MS, WIDE_GROWTH, WIDE_TOTALS } from './etcd-limits.js'
import { EtcdLogin } from './etcd-login.js'
import type { EtcdMethod, EtcdRequest, EtcdResponse } from './etcd-messages.js'

/** Where the adapter tells what happens to it; a pino logger fits. */
export interface EtcdLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface EtcdConnectionOptions {
  /** `host:port`, or with `http://` or `https://` in front; any number of members of one cluster. */
  readonly endpoints: readonly string[]
  readonly tls?: EtcdTls
  readonly user?: string
  readonly password?: string
  readonly clock: Clock
  readonly random: Random
  readonly log?: EtcdLog
  readonly attemptMs: number
  readonly totalMs: number
}

/**
 * How long a call is waited for: `usual` is the connection's own deadlines, `wide` is for scans whose cost is unknown
 * (`WIDE_TOTALS`), `page` asks once and waits long (`PAGE_MS`).
 */
export type EtcdPatience = 'usual' | 'wide' | 'page'

/** Deadlines of one call, in ms. */
interface Deadlines {
  /** Of its first attempt. */
  readonly attemptMs: number
  /** Of all attempts while members take it and answer too late; while none can be reached, it is that of all calls. */
  readonly lateMs: number
  /** How much longer the next attempt is waited for when one was late. */
  readonly growth: number
}

interface RepeatRules {
  /** Whether what may have reached etcd may be sent again. */
  readonly isHarmless: boolean
  readonly deadlines: Deadlines
}

/** Calls to one member, whichever is in use. */
export interface EtcdMemberCalls {
  /** `host:port`. */
  readonly address: string
  readonly tls: EtcdTls | undefined
  /** Asks once. `ConnectionLost` or `OutcomeUnknown` if there is no answer in time. */
  ask<M extends EtcdMethod>(method: M, request: EtcdRequest<M>, timeoutMs: number): Promise<EtcdResponse<M>>
}

export class EtcdConnection {
  private readonly options: EtcdConnectionOptions
  private readonly library: EtcdLibrary
  private readonly login: EtcdLogin
  private endpoints: readonly EtcdEndpoint[]
  /** Counts up; the member in use is the one at its remainder. */
  private turn: number
  private isClosed = false
  private silentUntilMs = Number.NEGATIVE_INFINITY

  constructor(library: EtcdLibrary, options: EtcdConnectionOptions) {
    this.library = library
    this.options = options
    this.endpoints = this.connectAll(options.tls)
    this.turn = Math.floor(options.random.fraction() * this.endpoints.length)
    this.login = new EtcdLogin(library, options)
  }

  /** A call that may be made twice without harm. `Busy` when no member answers in time. */
  ask<M extends EtcdMethod>(
    method: M,
    request: EtcdRequest<M>,
    patience: EtcdPatience = 'usual',
  ): Promise<EtcdResponse<M>> {
    const deadlines = this.deadlines(patience)
    return this.call(method, this.encode(method, request), { isHarmless: true, deadlines })
  }

  /**
   * A call that is made once, encoded by `encode`. `OutcomeUnknown` when its answer is lost, `Busy` if it was not sent.
   */
  send<M extends EtcdMethod>(method: M, request: Buffer): Promise<EtcdResponse<M>> {
    return this.call(method, request, { isHarmless: false, deadlines: this.deadlines('usual') })
  }

  encode<M extends EtcdMethod>(method: M, request: EtcdRequest<M>): Buffer {
    return this.library.methods[method].encode(request)
  }

  /** A stream to the member in use. `Busy` if there is none. */
  async openStream<M extends EtcdMethod>(method: M): Promise<EtcdStream<M>> {
    return this.repeat({ isHarmless: true, deadlines: this.deadlines('usual') }, async () => {
      const { endpoint, metadata } = await this.reach()
      return endpoint.stream(method, metadata)
    })
  }

  /** Each of the members that were named. */
  members(): readonly EtcdMemberCalls[] {
    return this.endpoints.map((endpoint) => ({
      address: endpoint.address,
      tls: endpoint.tls,
      ask: async (method, request, timeoutMs) => {
        this.assertOpen()
        if (!endpoint.isReady && !(await endpoint.connect(this.options.attemptMs)))
          throw notReached(`${endpoint.address} cannot be reached`)
        const metadata = await this.login.metadata(endpoint)
        try {
          return await endpoint.call(method, this.encode(method, request), { metadata, timeoutMs })
        } catch (error) {
          if (hasReason(error, 'token')) this.login.forget(metadata)
          throw error
        }
      },
    }))
  }

  /** The member in use did not keep its word: others are asked from now on. */
  rotate(): void {
    if (this.endpoints.length > 1) this.turn++
  }

  /** Further connections use these certificates. */
  replaceTls(tls: EtcdTls): void {
    for (const endpoint of this.endpoints) endpoint.retire()
    this.endpoints = this.connectAll(tls)
  }

  assertOpen(): void {
    if (this.isClosed) throw closedError()
  }

  close(): void {
    this.isClosed = true
    for (const endpoint of this.endpoints) endpoint.close()
  }

  private connectAll(tls: EtcdTls | undefined): readonly EtcdEndpoint[] {
    return this.options.endpoints.map((name) => {
      const address = name.replace(/^https?:\/\//, '').replace(/\/$/, '')
      const isSecure = name.startsWith('https://') || (tls !== undefined && !name.startsWith('http://'))
      return new EtcdEndpoint(this.library, this.options.clock, {
        address,
        tls: isSecure ? (tls ?? {}) : undefined,
      })
    })
  }

  private call<M extends EtcdMethod>(
    method: M,
    request: Buffer,
    rules: RepeatRules,
  ): Promise<EtcdResponse<M>> {
    return this.repeat(rules, async (attemptMs) => {
      try {
        return await this.callOnce(method, request, attemptMs)
      } catch (error) {
        if (!hasReason(error, 'token') || !this.login.isUsed) throw error
        // With a new token, once: the old one has expired, or the member has forgotten it.
        return await this.callOnce(method, request, attemptMs)
      }
    })
  }

  private async callOnce<M extends EtcdMethod>(
    method: M,
    request: Buffer,
    timeoutMs: number,
  ): Promise<EtcdResponse<M>> {
    const { endpoint, metadata } = await this.reach()
    try {
      return await endpoint.call(method, request, { metadata, timeoutMs })
    } catch (error) {
      if (hasCode(error, 'OutcomeUnknown', 'ConnectionLost')) this.leave(endpoint, error)
      if (hasReason(error, 'token')) this.login.forget(metadata)
      throw error
    }
  }

  /** The member in use, with a connection to it. */
  private async reach(): Promise<{ endpoint: EtcdEndpoint; metadata: Metadata }> {
    const endpoint = this.endpoints[this.turn % this.endpoints.length]
    if (endpoint === undefined) throw new CairnError('InvalidArgument', 'no member of etcd is named')
    if (!endpoint.isReady && !(await endpoint.connect(this.options.attemptMs))) {
      const error = notReached(`${endpoint.address} cannot be reached`)
      this.leave(endpoint, error)
      throw error
    }
    return { endpoint, metadata: await this.login.metadata(endpoint) }
  }

  private leave(endpoint: EtcdEndpoint, cause: CairnError): void {
    if (this.isClosed || this.endpoints[this.turn % this.endpoints.length] !== endpoint) return
    this.rotate()
    const { clock, log } = this.options
    if (clock.monotonicMs() < this.silentUntilMs) return
    this.silentUntilMs = clock.monotonicMs() + TELL_MS
    log?.info({ endpoint: endpoint.address, err: cause }, 'etcd: a member does not answer')
  }

  private deadlines(patience: EtcdPatience): Deadlines {
    const { attemptMs, totalMs } = this.options
    if (patience === 'page') return { attemptMs: PAGE_MS, lateMs: PAGE_MS, growth: 1 }
    if (patience === 'usual') return { attemptMs, lateMs: totalMs, growth: 1 }
    const lateMs = totalMs * WIDE_TOTALS
    // To ask the only member again would only add to its work.
    return { attemptMs: this.endpoints.length > 1 ? attemptMs : lateMs, lateMs, growth: WIDE_GROWTH }
  }

  private async repeat<T>(rules: RepeatRules, attempt: (attemptMs: number) => Promise<T>): Promise<T> {
    const { clock } = this.options
    const startedMs = clock.monotonicMs()
    let { attemptMs } = rules.deadlines
    for (let round = 1; ; round++) {
      this.assertOpen()
      const begunMs = clock.monotonicMs()
      try {
        return await attempt(attemptMs)
      } catch (error) {
        const nowMs = clock.monotonicMs()
        this.assertRepeatable(toCairnError(error), rules, nowMs - startedMs)
        // Only what waited to its end has shown that it takes longer.
        if (nowMs - begunMs >= attemptMs) attemptMs *= rules.deadlines.growth
      }
      if (round % this.endpoints.length === 0) await this.pause()
    }
  }

  /** Throws what must not, or need not, be tried again. */
  private assertRepeatable(error: CairnError, { isHarmless, deadlines }: RepeatRules, spentMs: number): void {
    const isLate = isHarmless && hasCode(error, 'OutcomeUnknown')
    if (!isLate && !hasCode(error, 'ConnectionLost')) throw error
    this.assertOpen()
    if (spentMs >= (isLate ? deadlines.lateMs : this.options.totalMs)) throw noAnswer(error)
  }

  private pause(): Promise<void> {
    const { clock, random } = this.options
    return new Promise((resolve) => {
      clock.setTimer(ROUND_PAUSE_MS * (0.5 + random.fraction()), resolve)
    })
  }
}

function noAnswer(cause: unknown): CairnError {
  return new CairnError('Busy', 'no member of etcd answers', { cause })
}
