/**
 * Looks on every drive for blocks of writers whose session is gone, and deletes those that nobody names.
 *
 * The order is what makes it safe: the session is seen gone first, the grace passes, and only then the store is
 * asked, at one revision, about the map of every block. What was seen is kept in memory only: after a restart the
 * grace begins anew.
 */
import {
  type BlockEntry,
  type BlockOwner,
  type Clock,
  type DriveId,
  formatId,
  type SessionId,
  sameBytes,
  sessionOf,
} from '@cairn/protocol'
import { garbageRange, sessionKey, successorOfKey } from '../core/rows/keys.js'
import {
  beforeSession,
  judgeOwner,
  mapsInGarbage,
  type OrphanVerdict,
  orphanReads,
  READS_PER_OWNER,
} from '../core/upkeep/orphans.js'
import type { KeyValueStore } from '../ports.js'
import type { DriveInspector } from '../ports-blocks.js'
import { yieldTurn } from './periodic-worker.js'

/** Owners judged by one read. */
const OWNERS_PER_READ = 30
/** `g/` rows of one read. */
const GARBAGE_ROWS_PER_READ = 1000

/** What others hold is looked at again after this time: an object may have been dropped in a way that left blocks. */
const SETTLED_SECONDS = 86_400

export interface OrphanWorkerOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly inspector: DriveInspector
  /** From the moment at which a session was first seen gone; 0 judges at once. */
  readonly graceSeconds: number
  /** A drive that could not be looked through: it is tried again in the next run. */
  onDriveError?(drive: DriveId, error: unknown): void
}

export interface OrphanCounts {
  readonly orphansDeleted: number
  readonly freedBytes: number
  /** Sessions with blocks whose grace still runs, or whose blocks somebody else decides about. */
  readonly sessionsWaiting: number
  readonly drivesFailed: number
}

/** What is known of one session's blocks on one drive. */
interface SeenSession {
  /** Nothing to be done before: monotonic. */
  dueAtMs: number
  /** When its grace ended or ends. */
  readonly graceEndsAtMs: number
  /** Others hold what is left. */
  isSettled: boolean
}

interface Tally {
  orphansDeleted: number
  freedBytes: number
  sessionsWaiting: number
  drivesFailed: number
}

export class OrphanWorker {
  private readonly options: OrphanWorkerOptions
  private readonly seen = new Map<DriveId, Map<string, SeenSession>>()
  private tally: Tally = newTally()

  constructor(options: OrphanWorkerOptions) {
    this.options = options
  }

  /** Goes through all drives once. */
  async runOnce(signal: AbortSignal = new AbortController().signal): Promise<OrphanCounts> {
    this.tally = newTally()
    for (const drive of await this.options.inspector.drives()) {
      if (signal.aborted) break
      try {
        await this.lookThrough(drive, signal)
      } catch (error) {
        this.tally.drivesFailed++
        this.options.onDriveError?.(drive, error)
      }
    }
    return { ...this.tally }
  }

  /** Whether the session was seen gone, and so long ago that its blocks on this drive have no grace left. */
  isPastGrace(drive: DriveId, session: SessionId): boolean {
    const seen = this.seen.get(drive)?.get(formatId(session))
    return seen !== undefined && this.options.clock.monotonicMs() >= seen.graceEndsAtMs
  }

  private async lookThrough(drive: DriveId, signal: AbortSignal): Promise<void> {
    const known = this.seen.get(drive) ?? new Map<string, SeenSession>()
    this.seen.set(drive, known)
    const present = new Set<string>()
    let after: SessionId | undefined
    do {
      if (signal.aborted) return
      const page = await this.options.inspector.writers(drive, after)
      for (const session of await this.goneSessions(page.items)) {
        present.add(formatId(session))
        await this.visit(drive, session, known)
      }
      after = page.complete ? undefined : page.items.at(-1)
      await yieldTurn(this.options.clock)
    } while (after !== undefined)
    for (const name of known.keys()) if (!present.has(name)) known.delete(name)
  }

  private async visit(drive: DriveId, session: SessionId, known: Map<string, SeenSession>): Promise<void> {
    const name = formatId(session)
    const state = known.get(name) ?? this.firstSeen()
    known.set(name, state)
    const isDue = this.options.clock.monotonicMs() >= state.dueAtMs
    if (isDue) state.isSettled = await this.examine(drive, session)
    if (isDue && state.isSettled) state.dueAtMs = this.options.clock.monotonicMs() + SETTLED_SECONDS * 1000
    if (!state.isSettled) this.tally.sessionsWaiting++
  }

  private firstSeen(): SeenSession {
    const graceEndsAtMs = this.options.clock.monotonicMs() + this.options.graceSeconds * 1000
    return { dueAtMs: graceEndsAtMs, graceEndsAtMs, isSettled: false }
  }

  private async goneSessions(sessions: readonly SessionId[]): Promise<SessionId[]> {
    const gone: SessionId[] = []
    for (let at = 0; at < sessions.length; at += 100) {
      const some = sessions.slice(at, at + 100)
      const { results } = await this.options.store.readAuthority(
        some.map((session) => ({ kind: 'get', key: sessionKey(session) })),
      )
      gone.push(...some.filter((_, index) => results[index]?.length === 0))
    }
    return gone
  }

  /** The session's row is gone: nothing of it can commit any more. True if others hold what is left. */
  private async examine(drive: DriveId, session: SessionId): Promise<boolean> {
    let isSettled = true
    let after = beforeSession(session)
    for (;;) {
      const page = await this.options.inspector.blocks(drive, after)
      const blocks = page.items.filter((entry) => sameBytes(sessionOf(entry.block), session))
      isSettled = (await this.judgeBlocks(drive, blocks)) && isSettled
      after = page.items.at(-1)?.block
      if (page.complete || after === undefined || blocks.length < page.items.length) return isSettled
      await yieldTurn(this.options.clock)
    }
  }

  /** Deletes the orphans among these blocks; false if somebody else decides about some. */
  private async judgeBlocks(drive: DriveId, blocks: readonly BlockEntry[]): Promise<boolean> {
    const owners = new Map<string, BlockOwner>()
    for (const { owner } of blocks) if (owner !== undefined) owners.set(nameOf(owner), owner)
    const verdicts = new Map<string, OrphanVerdict>()
    const all = [...owners.values()]
    for (let at = 0; at < all.length; at += OWNERS_PER_READ) {
      await this.judgeOwners(all.slice(at, at + OWNERS_PER_READ), verdicts)
    }
    if ([...verdicts.values()].includes('orphan')) await this.spareGarbage(all, verdicts)
    const verdictOf = ({ owner }: BlockEntry): OrphanVerdict =>
      (owner === undefined ? undefined : verdicts.get(nameOf(owner))) ?? 'pending'
    const orphans = blocks.filter((entry) => verdictOf(entry) === 'orphan').map(({ block }) => block)
    if (orphans.length > 0) {
      this.tally.freedBytes += await this.options.inspector.deleteOnDrive(drive, orphans)
      this.tally.orphansDeleted += orphans.length
    }
    return !blocks.some((entry) => verdictOf(entry) === 'pending')
  }

  private async judgeOwners(
    owners: readonly BlockOwner[],
    verdicts: Map<string, OrphanVerdict>,
  ): Promise<void> {
    const { results } = await this.options.store.readAuthority(owners.flatMap(orphanReads))
    owners.forEach((owner, at) => {
      verdicts.set(nameOf(owner), judgeOwner(owner, answersOf(results, at)))
    })
  }

  /** What garbage names is freed by others, after its grace. Read only now: see `core/upkeep/orphans.ts`. */
  private async spareGarbage(
    owners: readonly BlockOwner[],
    verdicts: Map<string, OrphanVerdict>,
  ): Promise<void> {
    const inGarbage = await readGarbageMaps(this.options.store, this.options.clock)
    for (const owner of owners) {
      const name = nameOf(owner)
      if (verdicts.get(name) === 'orphan' && inGarbage.has(formatId(owner.map))) verdicts.set(name, 'pending')
    }
  }
}

/** The maps (hex) that garbage still names. To be read after its owners were judged: see `core/upkeep/orphans.ts`. */
export async function readGarbageMaps(store: KeyValueStore, clock: Clock): Promise<ReadonlySet<string>> {
  const maps = new Set<string>()
  let range = garbageRange()
  for (;;) {
    const { results } = await store.readAuthority([{ kind: 'scan', range, limit: GARBAGE_ROWS_PER_READ }])
    const rows = results[0] ?? []
    for (const map of mapsInGarbage(rows)) maps.add(map)
    const last = rows.at(-1)
    if (last === undefined || rows.length < GARBAGE_ROWS_PER_READ) return maps
    range = { from: successorOfKey(last.key), to: range.to }
    await yieldTurn(clock)
  }
}

function answersOf<T>(results: readonly T[], at: number): readonly T[] {
  return results.slice(at * READS_PER_OWNER, (at + 1) * READS_PER_OWNER)
}

function nameOf({ map, space, key }: BlockOwner): string {
  return `${formatId(map)}${formatId(space)}${key}`
}

function newTally(): Tally {
  return { orphansDeleted: 0, freedBytes: 0, sessionsWaiting: 0, drivesFailed: 0 }
}
