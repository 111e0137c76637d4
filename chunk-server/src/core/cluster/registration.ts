/**
 * Keeps one metadata service informed of this server: registers it with its drives, then reports them at each beat.
 * Whatever goes wrong with a beat, the server registers anew: registering is idempotent, and the service that
 * answers next may never have heard of it.
 */
import {
  CairnError,
  type Clock,
  type DriveRegistration,
  type DriveReport,
  type ErrorCode,
  hasCode,
  heartbeat,
  METADATA_DEADLINE_MS,
  type Member,
  type Random,
  type RpcPeer,
  registerServer,
  type TokenKeys,
  toCairnError,
} from '@cairn/protocol'
import type { RunStart } from './run-start.js'

/** Time between two beats; a server is suspect after ten. */
const HEARTBEAT_MS = 3_000
/** First pause after a failed registration; doubles up to RETRY_MS_MAX. */
const RETRY_MS = 100
const RETRY_MS_MAX = 5_000

export interface RegistrationOptions {
  readonly clock: Clock
  readonly random: Random
  readonly metadata: RpcPeer
  readonly member: Member
  readonly runStart: RunStart
  readonly registrations: () => Promise<readonly DriveRegistration[]>
  readonly reports: () => Promise<readonly DriveReport[]>
  /** Told of the first failure of each code in a row, and of the success that ends the row. */
  readonly onChange: (change: { registered: boolean; error?: unknown }) => void
  /** Told where the services are, if the answer to a beat says so. */
  readonly onServices?: (addresses: readonly string[] | undefined) => void
  /** Told of the keys of block tokens, or that the service knows none, with every answer. */
  readonly onTokens?: (keys: TokenKeys | undefined) => void
  /** Told of every failure. */
  readonly onFailure?: () => void
}

/** The running exchange with the metadata service. */
export interface Registration {
  isRegistered(): boolean
  /** Registers anew, soon: there are other drives. */
  renew(): void
  /**
   * Resolves after the first registration; rejects with `ShuttingDown` if closed before, with `FormatTooNew` if refused
   * so.
   */
  readonly first: Promise<void>
  /** Ends the exchange; a beat that is under way is cancelled. */
  close(): Promise<void>
}

export function startRegistration(options: RegistrationOptions): Registration {
  return new RunningRegistration(options)
}

class RunningRegistration implements Registration {
  readonly first: Promise<void>
  private readonly options: RegistrationOptions
  private readonly stop = new AbortController()
  private readonly loop: Promise<void>
  private registered = false
  private failures = 0
  /** Codes of the failures in this row. */
  private readonly told = new Set<ErrorCode>()
  /** The drives are others than those registered. */
  private isStale = false
  private wake: () => void = () => undefined
  private resolveFirst: () => void = () => undefined
  private rejectFirst: (error: CairnError) => void = () => undefined

  constructor(options: RegistrationOptions) {
    this.options = options
    this.first = new Promise((resolve, reject) => {
      this.resolveFirst = resolve
      this.rejectFirst = reject
    })
    this.first.catch(() => undefined)
    this.loop = this.run()
  }

  isRegistered(): boolean {
    return this.registered
  }

  renew(): void {
    this.isStale = true
    this.wake()
  }

  async close(): Promise<void> {
    this.stop.abort()
    this.rejectFirst(new CairnError('ShuttingDown', 'closed before the metadata service answered'))
    await this.loop
  }

  private async run(): Promise<void> {
    while (!this.stop.signal.aborted) {
      await this.beat()
      await this.pause(this.registered ? HEARTBEAT_MS : this.retryMs())
    }
  }

  private async beat(): Promise<void> {
    try {
      if (!this.registered || this.isStale) await this.register()
      const reports = await this.options.reports()
      const { response } = await this.send((call) =>
        this.options.metadata.call(heartbeat, { server: this.options.member.id, reports }, call),
      )
      this.options.onServices?.(response.services)
      this.options.onTokens?.(response.tokens)
    } catch (error) {
      this.noteFailure(error)
    }
  }

  private async register(): Promise<void> {
    // Before the drives are asked for: a change during the call is not to be forgotten.
    this.isStale = false
    const drives = await this.options.registrations()
    const { runStart } = this.options
    const member = { ...this.options.member, runStart: runStart.value }
    const { response } = await this.send((call) =>
      this.options.metadata.call(registerServer, { member, drives }, call),
    )
    this.options.onTokens?.(response.tokens)
    runStart.accept()
    this.registered = true
    this.failures = 0
    this.told.clear()
    this.resolveFirst()
    this.options.onChange({ registered: true })
  }

  private noteFailure(error: unknown): void {
    this.options.runStart.learn(error)
    if (hasCode(error, 'FormatTooNew')) this.rejectFirst(error)
    const { code } = toCairnError(error)
    const isNews = !this.told.has(code) && !this.stop.signal.aborted
    this.told.add(code)
    this.registered = false
    this.failures++
    if (isNews) this.options.onChange({ registered: false, error })
    if (!this.stop.signal.aborted) this.options.onFailure?.()
  }

  private send<Answer>(
    call: (options: { signal: AbortSignal; deadlineMs: number }) => Promise<Answer>,
  ): Promise<Answer> {
    return call({ signal: this.stop.signal, deadlineMs: METADATA_DEADLINE_MS })
  }

  /** Between half and the whole of an exponentially growing pause. */
  private retryMs(): number {
    const boundMs = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** Math.min(this.failures - 1, 10))
    return boundMs * (0.5 + this.options.random.fraction() / 2)
  }

  private pause(delayMs: number): Promise<void> {
    const { signal } = this.stop
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.options.clock.setTimer(delayMs, end)
      signal.addEventListener('abort', end)
      this.wake = end
    })
  }
}
