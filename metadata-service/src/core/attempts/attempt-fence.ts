/**
 * The fence around one attempt of a change: what it commits compares the row of its session (see
 * `core/services/sessions.ts`), and what it writes is numbered no lower than the time that its first attempt carried.
 */
import {
  type Attempt,
  type Attempted,
  CairnError,
  type CancelTimer,
  type Clock,
  OP_ID_BYTES,
  type OpId,
  type SessionId,
  sameBytes,
  sessionOf,
} from '@cairn/protocol'
import type { CommitResult, RowStore } from '../../ports.js'
import { commitFenced, type ProvenCommit } from '../commit/fenced-commit.js'
import type { Sessions } from '../services/sessions.js'
import type { ObjectWorld } from './objects-attempts.js'
import type { WriterClaim, WriterGuard } from './writer-guard.js'

/** What an attempt commits through. */
export interface Fence {
  readonly session: SessionId
  readonly attempt: Attempt
}

/**
 * The fence of a request whose operations are all of one session; `undefined` if it names no attempt. `InvalidArgument`
 * for operations whose ids are none: nobody would remember them.
 */
export function fenceOf({ attempt }: Attempted, ops: readonly OpId[]): Fence | undefined {
  const first = ops[0]
  if (!ops.every(isOpId)) throw new CairnError('InvalidArgument', 'not an operation id')
  if (attempt === undefined || first === undefined) return undefined
  const session = sessionOf(first)
  if (!ops.every((op) => sameBytes(sessionOf(op), session))) {
    throw new CairnError('InvalidArgument', 'the operations of one request are of several sessions')
  }
  return { session, attempt }
}

/** Its length is right. */
export function isOpId(op: Uint8Array): boolean {
  return op.length === OP_ID_BYTES
}

/** The world as this attempt sees it; the same one for a request that names no attempt. */
export function behindFence(world: ObjectWorld, sessions: Sessions, fence: Fence | undefined): ObjectWorld {
  if (fence === undefined) return world
  return {
    ...world,
    store: new FencedStore(world.store, sessions, fence),
    clock: new FlooredClock(world.clock, fence.attempt.sinceMicros),
    guard: fencedGuard(world.guard, fence),
    attempt: new FencedAttempt(sessions, fence),
  }
}

/** What the operations want to know of their attempt. */
export interface KnownAttempt {
  readonly route: number
  readonly sinceMicros: number
  /**
   * Since this route all attempts have met the memory of this process. `SessionMoved` if the attempt came on another
   * route, `SessionExpired`.
   */
  boundSince(): Promise<number>
  /** The first attempt may have been made elsewhere. */
  isForeign(): Promise<boolean>
}

class FencedAttempt implements KnownAttempt {
  private readonly sessions: Sessions
  private readonly fence: Fence

  constructor(sessions: Sessions, fence: Fence) {
    this.sessions = sessions
    this.fence = fence
  }

  get route(): number {
    return this.fence.attempt.route
  }

  get sinceMicros(): number {
    return this.fence.attempt.sinceMicros
  }

  boundSince(): Promise<number> {
    return this.sessions.boundSince(this.fence.session, this.fence.attempt)
  }

  async isForeign(): Promise<boolean> {
    const { firstRoute } = this.fence.attempt
    const boundSince = await this.boundSince()
    return firstRoute !== undefined && firstRoute < boundSince
  }
}

/** Adds the compare of the session's row to every commit, as its last one, and explains its failure. */
class FencedStore implements RowStore {
  private readonly store: RowStore
  private readonly sessions: Sessions
  private readonly fence: Fence

  constructor(store: RowStore, sessions: Sessions, fence: Fence) {
    this.store = store
    this.sessions = sessions
    this.fence = fence
  }

  async commit(commit: ProvenCommit): Promise<CommitResult> {
    const { session, attempt } = this.fence
    const compare = await this.sessions.routeCompare(session, attempt)
    return commitFenced(this.store, commit, compare, (row) =>
      this.sessions.explainRoute(session, compare, row),
    )
  }

  read(reads: Parameters<RowStore['read']>[0]): ReturnType<RowStore['read']> {
    return this.store.read(reads)
  }

  readAuthority(reads: Parameters<RowStore['read']>[0]): ReturnType<RowStore['read']> {
    return this.store.readAuthority(reads)
  }
}

/** Never tells a time before the one that the first attempt carried. */
class FlooredClock implements Clock {
  private readonly clock: Clock
  private readonly floorMicros: number

  constructor(clock: Clock, floorMicros: number) {
    this.clock = clock
    this.floorMicros = floorMicros
  }

  wallMicros(): number {
    return Math.max(this.clock.wallMicros(), this.floorMicros)
  }

  monotonicMs(): number {
    return this.clock.monotonicMs()
  }

  setTimer(delayMs: number, run: () => void): CancelTimer {
    return this.clock.setTimer(delayMs, run)
  }

  defer(run: () => void): void {
    this.clock.defer(run)
  }
}

/** The fence compares the session's row already: only the pool is left to the guard. */
function fencedGuard(guard: WriterGuard, { session }: Fence): WriterGuard {
  const isCovered = (claim: WriterClaim): boolean => sameBytes(claim.session, session)
  const fenced = (claim: WriterClaim): WriterClaim =>
    isCovered(claim) ? { ...claim, isFenced: true } : claim
  return {
    compares: (claim) => guard.compares(fenced(claim)),
    comparesNow: (claim) => guard.comparesNow(fenced(claim)),
    explain: (claim, compares, rows) => guard.explain(claim, compares, rows),
  }
}
