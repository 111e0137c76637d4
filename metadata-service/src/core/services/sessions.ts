/**
 * Sessions: the rows of running writers, each under a lease.
 *
 * Every commit of a writer compares its session's row. The row goes when the lease ends, and no session id is drawn
 * twice: so once the row is seen absent, nothing of that session can ever commit again, and the blocks that no commit
 * of it names are orphans for ever. A crash leaves rows that their leases remove.
 *
 * ● The row also binds the session to one run of one service, by a route number that only rises. An attempt names the
 * route it was sent on; it is refused unless the row binds that route to this very run, and its commit compares the
 * row's revision. So after a move no earlier attempt can happen any more, wherever it waits, and all attempts of one
 * route meet the memory of one process.
 */
import {
  AgingMap,
  type Attempt,
  CairnError,
  type Clock,
  formatId,
  integer,
  type Message,
  type MoveSessionRequest,
  type MoveSessionResponse,
  message,
  type OpenSessionRequest,
  optional,
  type Random,
  required,
  SESSION_ID_BYTES,
  SESSION_LEASE_MS,
  type SessionId,
  text,
} from '@cairn/protocol'
import type { Compare, KeyValueStore, LeaseId, StoreRow } from '../../ports.js'
import { rangeOfPrefix, sessionKey } from '../rows/keys.js'

/** The row `s/<session>`. */
export interface SessionRow {
  readonly role: string
  readonly name: string
  readonly openedMs: number
  /** So that any metadata service can renew it. */
  readonly lease: LeaseId
  /** The service run it is bound to, and by which route. */
  readonly boundTo?: string
  readonly route?: number
  /** Since this route it has been bound to that run: all later attempts have met its memory. */
  readonly boundSince?: number
  /** Highest feature level that the writer supports; 1 if it does not say. */
  readonly featureLevel?: number
}

export const SessionRow: Message<SessionRow> = message<SessionRow>('SessionRow', 1, {
  role: required(1, text),
  name: required(2, text),
  openedMs: required(3, integer),
  lease: required(4, text),
  boundTo: optional(5, text),
  route: optional(6, integer),
  featureLevel: optional(7, integer),
  boundSince: optional(8, integer),
})

/** Sessions whose rows this service remembers; the oldest are read again. */
const KNOWN_SESSIONS_MAX = 10_000

const SESSIONS = rangeOfPrefix(Buffer.from('s/'))
const SESSIONS_PAGE = 1000

/** Attempts of one opening or move against others. */
const MOVE_ATTEMPTS_MAX = 8

interface KnownSession {
  readonly row: SessionRow
  /** By the revision that made the row, which never changes while the row is there. */
  readonly compare: Compare
  /** By the last change of the row. */
  readonly routeCompare: Compare
}

export interface SessionsOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly random: Random
  /** Names this run of this service among all; drawn unless given. */
  readonly run?: string
  /** What the commit compares that takes on a writer of this feature level; all are taken on unless given. */
  admit?(featureLevel: number): Promise<Compare>
}

export class Sessions {
  private readonly options: SessionsOptions
  private readonly run: string
  private readonly known = new AgingMap<string, KnownSession>()

  constructor(options: SessionsOptions) {
    this.options = options
    this.run = options.run ?? formatId(options.random.bytes(8))
  }

  /**
   * Draws a new session, bound to this service by route 1. If its answer gets lost, its lease removes it.
   * `FormatTooNew` if the writer supports less than the cluster demands.
   */
  async open(request: OpenSessionRequest): Promise<SessionId> {
    const { store, random } = this.options
    for (let attempt = 0; attempt < MOVE_ATTEMPTS_MAX; attempt++) {
      const admitted = await this.admitted(request.featureLevel ?? 1)
      const session = random.bytes(SESSION_ID_BYTES) as SessionId
      const key = sessionKey(session)
      const lease = await store.grantLease(SESSION_LEASE_MS)
      const value = SessionRow.encode(this.newRow(request, lease))
      const result = await store.commit({
        compares: [{ kind: 'absent', key }, ...admitted],
        puts: [{ key, value, lease }],
        proof: { keys: [key], carries: (rows) => rows[0] !== undefined },
      })
      if (result.committed) return session
      await store.revokeLease(lease)
    }
    throw new CairnError('Busy', 'the cluster map keeps changing')
  }

  /** `SessionExpired` once the row is gone. */
  async renew(session: SessionId): Promise<void> {
    const { row } = await this.lookUp(session)
    try {
      await this.options.store.renewLease(row.lease)
    } catch (error) {
      this.known.delete(formatId(session))
      throw error
    }
  }

  /** Ends the session at once: its row is gone when this resolves. `SessionExpired` if it was before. */
  async close(session: SessionId): Promise<void> {
    const { row } = await this.lookUp(session)
    this.known.delete(formatId(session))
    await this.options.store.revokeLease(row.lease)
  }

  /** Binds the session to this run, unless it is already, by a later route than the caller knows of. */
  async move({ session, route: known }: MoveSessionRequest): Promise<MoveSessionResponse> {
    const nowMicros = this.options.clock.wallMicros()
    for (let attempt = 0; attempt < MOVE_ATTEMPTS_MAX; attempt++) {
      this.known.delete(formatId(session))
      const found = await this.lookUp(session)
      const route = routeOf(found.row)
      if (route > known && found.row.boundTo === this.run) return { route, nowMicros }
      const next = Math.max(route, known) + 1
      if (await this.bind(session, found, next)) return { route: next, nowMicros }
    }
    throw new CairnError('Busy', 'the session keeps being moved')
  }

  /** In which role it was opened: `client` for every program. `SessionExpired` if the row is gone. */
  async roleOf(session: SessionId): Promise<string> {
    return (await this.lookUp(session)).row.role
  }

  /** The compare that every commit of this writer carries. `SessionExpired` if the row is gone already. */
  async compare(session: SessionId): Promise<Compare> {
    return (await this.lookUp(session)).compare
  }

  /** The same without a read; `undefined` if the session is not remembered. */
  knownCompare(session: SessionId): Compare | undefined {
    return this.known.get(formatId(session))?.compare
  }

  /** The compare that the commits of an attempt carry. `SessionExpired`; `SessionMoved` if it came on another route. */
  async routeCompare(session: SessionId, attempt: Attempt): Promise<Compare> {
    return (await this.lookUpBound(session, attempt)).routeCompare
  }

  /** The first of the routes since which this run alone has been asked; errors as of `routeCompare`. */
  async boundSince(session: SessionId, attempt: Attempt): Promise<number> {
    const { row } = await this.lookUpBound(session, attempt)
    return row.boundSince ?? attempt.route
  }

  /** What `routeCompare` and `boundSince` would give, if that is known without a read. */
  knownRoute(
    session: SessionId,
    attempt: Attempt,
  ): { readonly compare: Compare; readonly boundSince: number } | undefined {
    const known = this.known.get(formatId(session))
    if (known === undefined || !this.isBound(known.row, attempt)) return undefined
    return { compare: known.routeCompare, boundSince: known.row.boundSince ?? attempt.route }
  }

  /** After a failed compare: the session has ended. */
  forget(session: SessionId): CairnError {
    this.known.delete(formatId(session))
    return sessionExpired(session)
  }

  /** After a failed compare of a route: why, by the row as it is; `undefined` if it was not that. */
  explainRoute(session: SessionId, tried: Compare, row: StoreRow | undefined): CairnError | undefined {
    if (row === undefined) return this.forget(session)
    if (tried.kind === 'revision' && tried.revision === row.revision) return undefined
    this.known.delete(formatId(session))
    return sessionMoved(session)
  }

  private newRow({ role, name, featureLevel = 1 }: OpenSessionRequest, lease: LeaseId): SessionRow {
    const openedMs = Math.floor(this.options.clock.wallMicros() / 1000)
    return { role, name, openedMs, lease, boundTo: this.run, route: 1, boundSince: 1, featureLevel }
  }

  private async admitted(featureLevel: number): Promise<Compare[]> {
    const compare = await this.options.admit?.(featureLevel)
    return compare === undefined ? [] : [compare]
  }

  private async lookUpBound(session: SessionId, attempt: Attempt): Promise<KnownSession> {
    const known = this.known.get(formatId(session))
    if (known !== undefined && this.isBound(known.row, attempt)) return known
    this.known.delete(formatId(session))
    const found = await this.lookUp(session)
    if (!this.isBound(found.row, attempt)) throw sessionMoved(session)
    return found
  }

  private isBound(row: SessionRow, { route }: Attempt): boolean {
    return row.boundTo === this.run && row.route === route
  }

  private async bind(
    session: SessionId,
    { row, routeCompare }: KnownSession,
    route: number,
  ): Promise<boolean> {
    const key = sessionKey(session)
    const boundSince = row.boundTo === this.run ? (row.boundSince ?? route) : route
    const next: SessionRow = { ...row, boundTo: this.run, route, boundSince }
    const carries = ([found]: readonly (StoreRow | undefined)[]): boolean => {
      if (found === undefined) return false
      const stored = SessionRow.decode(found.value)
      return stored.boundTo === this.run && stored.route === route
    }
    const result = await this.options.store.commit({
      compares: [routeCompare, ...(await this.admitted(row.featureLevel ?? 1))],
      puts: [{ key, value: SessionRow.encode(next), lease: row.lease }],
      proof: { keys: [key], carries },
    })
    this.known.delete(formatId(session))
    return result.committed
  }

  private async lookUp(session: SessionId): Promise<KnownSession> {
    const known = this.known.get(formatId(session))
    if (known !== undefined) return known
    if (session.length !== SESSION_ID_BYTES) throw new CairnError('InvalidArgument', 'not a session id')
    const key = sessionKey(session)
    const { results } = await this.options.store.read([{ kind: 'get', key }])
    const row: StoreRow | undefined = results[0]?.[0]
    if (row === undefined) throw sessionExpired(session)
    const found: KnownSession = {
      row: SessionRow.decode(row.value),
      compare: { kind: 'creation', key, created: row.created },
      routeCompare: { kind: 'revision', key, revision: row.revision },
    }
    this.remember(session, found)
    return found
  }

  private remember(session: SessionId, known: KnownSession): void {
    this.known.set(formatId(session), known)
    if (this.known.size > KNOWN_SESSIONS_MAX) this.known.takeOldest()
  }
}

/** All sessions that live, as the store itself knows them. */
export async function readSessions(store: KeyValueStore): Promise<StoreRow[]> {
  const rows: StoreRow[] = []
  for (let from = SESSIONS.from; ; ) {
    const range = { from, to: SESSIONS.to }
    const { results } = await store.readAuthority([{ kind: 'scan', range, limit: SESSIONS_PAGE }])
    const page = results[0] ?? []
    rows.push(...page)
    const last = page.at(-1)
    if (last === undefined || page.length < SESSIONS_PAGE) return rows
    from = Buffer.concat([last.key, Buffer.alloc(1)])
  }
}

/**
 * Frees a session from a run of a service that is gone: no attempt sent to that one can happen any more, and its
 * writer moves it before its next change. False if it was changed meanwhile.
 */
export async function unbindSession(store: KeyValueStore, row: StoreRow): Promise<boolean> {
  const session = SessionRow.decode(row.value)
  const next: SessionRow = { ...session, boundTo: '', route: routeOf(session) + 1 }
  const value = SessionRow.encode(next)
  const { committed } = await store.commit({
    compares: [{ kind: 'revision', key: row.key, revision: row.revision }],
    puts: [{ key: row.key, value, lease: session.lease }],
    proof: {
      keys: [row.key],
      carries: ([found]) => found !== undefined && SessionRow.decode(found.value).boundTo === '',
    },
  })
  return committed
}

function routeOf({ route = 0 }: SessionRow): number {
  return route
}

function sessionExpired(session: SessionId): CairnError {
  return new CairnError('SessionExpired', `session ${formatId(session)} has ended`)
}

function sessionMoved(session: SessionId): CairnError {
  return new CairnError('SessionMoved', `session ${formatId(session)} is bound elsewhere`)
}
