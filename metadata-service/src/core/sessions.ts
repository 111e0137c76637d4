/**
 * Sessions: the rows of running writers, each under a lease.
 *
 * Every commit of a writer compares the creation of its session's row. The row goes when the lease ends, and no
 * session id is drawn twice: so once the row is seen absent, nothing of that session can ever commit again, and
 * the blocks that no commit of it names are orphans for ever. A crash leaves rows that their leases remove.
 */
import {
  CairnError,
  type Clock,
  formatId,
  integer,
  type Message,
  message,
  type OpenSessionRequest,
  type Random,
  required,
  SESSION_ID_BYTES,
  SESSION_LEASE_MS,
  type SessionId,
  text,
} from '@cairn/protocol'
import type { Compare, KeyValueStore, LeaseId, StoreRow } from '../ports.js'
import { sessionKey } from './keys.js'

/** The row `s/<session>`. */
export interface SessionRow {
  readonly role: string
  readonly name: string
  readonly openedMs: number
  /** So that any metadata service can renew it. */
  readonly lease: LeaseId
}

export const SessionRow: Message<SessionRow> = message<SessionRow>('SessionRow', 1, {
  role: required(1, text),
  name: required(2, text),
  openedMs: required(3, integer),
  lease: required(4, text),
})

/** Sessions whose lease and creation this service remembers; the oldest are read again. */
const KNOWN_SESSIONS_MAX = 10_000

interface KnownSession {
  readonly lease: LeaseId
  /** By the revision that made the row, which never changes while the row is there. */
  readonly compare: Compare
}

export interface SessionsOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly random: Random
}

export class Sessions {
  private readonly options: SessionsOptions
  private readonly known = new Map<string, KnownSession>()

  constructor(options: SessionsOptions) {
    this.options = options
  }

  /** Draws a new session. If its answer gets lost, its lease removes it. */
  async open(request: OpenSessionRequest): Promise<SessionId> {
    const { store, clock, random } = this.options
    const session = random.bytes(SESSION_ID_BYTES) as SessionId
    const key = sessionKey(session)
    const lease = await store.grantLease(SESSION_LEASE_MS)
    const openedMs = Math.floor(clock.wallMicros() / 1000)
    const value = SessionRow.encode({ role: request.role, name: request.name, openedMs, lease })
    const result = await store.commit({
      compares: [{ kind: 'absent', key }],
      puts: [{ key, value, lease }],
      proof: { keys: [key], carries: (rows) => rows[0] !== undefined },
    })
    if (!result.committed) throw new CairnError('Busy', 'a session id was drawn twice')
    return session
  }

  /** `SessionExpired` once the row is gone. */
  async renew(session: SessionId): Promise<void> {
    const { lease } = await this.lookUp(session)
    try {
      await this.options.store.renewLease(lease)
    } catch (error) {
      this.known.delete(formatId(session))
      throw error
    }
  }

  /** Ends the session at once: its row is gone when this resolves. `SessionExpired` if it was before. */
  async close(session: SessionId): Promise<void> {
    const { lease } = await this.lookUp(session)
    this.known.delete(formatId(session))
    await this.options.store.revokeLease(lease)
  }

  /** The compare that every commit of this writer carries. `SessionExpired` if the row is gone already. */
  async compare(session: SessionId): Promise<Compare> {
    return (await this.lookUp(session)).compare
  }

  /** The same without a read; `undefined` if the session is not remembered. */
  knownCompare(session: SessionId): Compare | undefined {
    return this.known.get(formatId(session))?.compare
  }

  /** After a failed compare: the session has ended. */
  forget(session: SessionId): CairnError {
    this.known.delete(formatId(session))
    return sessionExpired(session)
  }

  private async lookUp(session: SessionId): Promise<KnownSession> {
    const known = this.known.get(formatId(session))
    if (known !== undefined) return known
    if (session.length !== SESSION_ID_BYTES) throw new CairnError('InvalidArgument', 'not a session id')
    const key = sessionKey(session)
    const { results } = await this.options.store.read([{ kind: 'get', key }])
    const row: StoreRow | undefined = results[0]?.[0]
    if (row === undefined) throw sessionExpired(session)
    const compare: Compare = { kind: 'creation', key, created: row.created }
    const found = { lease: SessionRow.decode(row.value).lease, compare }
    this.remember(session, found)
    return found
  }

  private remember(session: SessionId, known: KnownSession): void {
    const oldest = this.known.size >= KNOWN_SESSIONS_MAX ? this.known.keys().next().value : undefined
    if (oldest !== undefined) this.known.delete(oldest)
    this.known.set(formatId(session), known)
  }
}

function sessionExpired(session: SessionId): CairnError {
  return new CairnError('SessionExpired', `session ${formatId(session)} has ended`)
}
