/**
 * Sessions: the fence around this writer. Every block id and op id is made of a session and a counter, and every
 * commit compares the session's row, so that a writer that was away longer than its lease can never commit, and
 * the blocks it left behind can be collected.
 *
 * The lease is renewed at a third of its length. Its end is measured on the monotonic clock from *before* the
 * renewal was sent, so that this process gives a session up no later than the metadata service does. A lost
 * session is replaced for new writes; writes that run under it fail at their commit. A session is replaced after
 * SESSION_ROTATION_MS too; the old one is renewed until its last write has ended, then closed.
 */
import {
  type BlockId,
  CairnError,
  type CancelTimer,
  type Clock,
  closeSession,
  hasCode,
  type OpId,
  openSession,
  renewSession,
  type SessionId,
  sessionScopedId,
} from '@cairn/protocol'
import { SESSION_ROTATION_MS } from '../limits.js'
import type { MetadataCaller, RoutedSession } from './metadata-caller.js'

/** One life of this writer under one lease. */
export class WriterSession implements RoutedSession {
  readonly id: SessionId
  readonly leaseMs: number
  readonly openedMs: number
  /** Writes that run under it. */
  writers = 0
  /** Replaced: closed after the last of its writes. */
  retired = false
  /** Its row is gone for sure, or being removed. */
  ended = false
  expiresMs: number
  cancelRenewal: CancelTimer | undefined
  boundTo: string | undefined
  /** A session opens on route 1. */
  route = 1
  sinceMicros = 0
  moving: RoutedSession['moving']
  private counter = 0

  constructor(id: SessionId, leaseMs: number, openedMs: number) {
    this.id = id
    this.leaseMs = leaseMs
    this.openedMs = openedMs
    this.expiresMs = openedMs + leaseMs
  }

  nextBlock(): BlockId {
    return sessionScopedId<BlockId>(this.id, ++this.counter)
  }

  nextOp(): OpId {
    return sessionScopedId<OpId>(this.id, ++this.counter)
  }

  isAlive(nowMs: number): boolean {
    return !this.ended && nowMs < this.expiresMs
  }
}

export interface SessionKeeperOptions {
  readonly metadata: MetadataCaller
  readonly clock: Clock
  readonly role: string
  readonly name: string
  /** Highest feature level that this writer supports. */
  readonly featureLevel: number
}

/** Keeps one session open for new writes, and the older ones until their writes have ended. */
export class SessionKeeper {
  private readonly options: SessionKeeperOptions
  private readonly live = new Set<WriterSession>()
  private current: WriterSession | undefined
  private opening: Promise<WriterSession> | undefined
  private closed = false

  constructor(options: SessionKeeperOptions) {
    this.options = options
  }

  /** A session for one write; opens a new one if the current one is lost. Give it back with `release`. */
  acquire(): WriterSession | Promise<WriterSession> {
    const session = this.alive()
    if (session instanceof Promise || session.retired) return this.acquireLater()
    session.writers++
    return session
  }

  private async acquireLater(): Promise<WriterSession> {
    // Rotation may retire the session while we wait for it; counting in the turn that looks keeps it open.
    for (;;) {
      const session = await this.alive()
      if (session.retired) continue
      session.writers++
      return session
    }
  }

  release(session: WriterSession): void {
    session.writers--
    if (session.retired && session.writers === 0) this.end(session).catch(() => undefined)
  }

  /** `SessionExpired` if the session can no longer commit. */
  assertAlive(session: WriterSession): void {
    if (session.isAlive(this.options.clock.monotonicMs())) return
    throw new CairnError('SessionExpired', 'the session of this write has ended; nothing was committed')
  }

  async close(): Promise<void> {
    this.closed = true
    await Promise.all([...this.live].map((session) => this.end(session)))
  }

  private alive(): WriterSession | Promise<WriterSession> {
    const current = this.current
    if (current?.isAlive(this.options.clock.monotonicMs())) return current
    this.opening ??= this.open().finally(() => {
      this.opening = undefined
    })
    return this.opening
  }

  private async open(): Promise<WriterSession> {
    if (this.closed) throw new CairnError('Cancelled', 'the client is closed')
    const { metadata, clock, role, name, featureLevel } = this.options
    const sentMs = clock.monotonicMs()
    const { response, address } = await metadata.readFrom(openSession, { role, name, featureLevel })
    const id = Uint8Array.from(response.session) as SessionId
    const session = new WriterSession(id, response.leaseMs, sentMs)
    session.boundTo = address
    session.sinceMicros = response.nowMicros ?? 0
    const replaced = this.current
    this.current = session
    this.live.add(session)
    this.scheduleRenewal(session)
    if (replaced !== undefined) this.retire(replaced)
    return session
  }

  private retire(session: WriterSession): void {
    session.retired = true
    if (session.writers === 0) this.end(session).catch(() => undefined)
  }

  private scheduleRenewal(session: WriterSession): void {
    session.cancelRenewal = this.options.clock.setTimer(session.leaseMs / 3, () => {
      this.renew(session).catch(() => undefined)
    })
  }

  private async renew(session: WriterSession): Promise<void> {
    if (!this.live.has(session)) return
    const sentMs = this.options.clock.monotonicMs()
    try {
      const { nowMicros } = await this.options.metadata.read(renewSession, { session: session.id })
      session.sinceMicros = nowMicros ?? session.sinceMicros
      session.expiresMs = Math.max(session.expiresMs, sentMs + session.leaseMs)
    } catch (error) {
      if (hasCode(error, 'SessionExpired')) session.ended = true
    }
    if (session.ended || !this.live.has(session)) return void this.live.delete(session)
    this.scheduleRenewal(session)
    if (session === this.current && sentMs - session.openedMs >= SESSION_ROTATION_MS) await this.rotate()
  }

  /** If no new session can be had now, the next renewal tries again. */
  private async rotate(): Promise<void> {
    this.opening ??= this.open().finally(() => {
      this.opening = undefined
    })
    await this.opening
  }

  /** The lease ends it if this call is lost. */
  private async end(session: WriterSession): Promise<void> {
    if (!this.live.delete(session) || session.ended) return
    session.cancelRenewal?.()
    session.ended = true
    await this.options.metadata.read(closeSession, { session: session.id }).catch(() => undefined)
  }
}
