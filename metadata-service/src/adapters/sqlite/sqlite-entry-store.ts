/**
 * The embedded store: one SQLite database (see `sqlite-open.ts`), one transaction and so one fsync per entry.
 *
 * What an entry did becomes one record of the table `recent`; later entries write its rows to their table, many at once
 * (`write-behind-rows.ts`).
 *
 * Everything runs in the turn of the call: one connection, no second process, so whatever one call sees is of one
 * revision. The revision counter is written in the transaction of the entry that raises it.
 *
 * What a failure leaves behind: an error before COMMIT rolls the entry back, it has not happened. An I/O error in
 * COMMIT itself may leave a whole entry in the WAL that a restart would find: that is `OutcomeUnknown`. After any
 * I/O error the store applies nothing more (`DriveFailed`): a failed fsync is never retried. Closing the database
 * would do that, since it ends in a checkpoint, and that would copy frames the drive may have lost; so a failed one
 * is left open until its process ends, and the next one recovers the WAL by its checksums.
 *
 * Checkpoints: with one connection a passive checkpoint always finishes, and the next entry starts the WAL over in
 * place, so the file neither grows nor is made anew. One is due after WAL_PAGES_SOFT pages and
 * runs after the answers of its turn; at WAL_PAGES_HARD SQLite itself runs it inside the commit, which bounds the
 * WAL and holds writers back.
 */
import { CairnError, type CancelTimer, type Clock, hasCode } from '@cairn/protocol'
import type { Database } from 'better-sqlite3'
import type {
  CommitResult,
  Entry,
  EntryStore,
  LeaseId,
  Read,
  ReadResult,
  StoreEvent,
  StoreKey,
  StoreRange,
  StoreRow,
} from '../../ports.js'
import { applyEntry } from '../embedded/apply-entry.js'
import { checkReads, checkTtl } from '../embedded/check-request.js'
import { WAL_PAGES_SOFT } from '../embedded/entry-store-limits.js'
import { createEventLog, type EventLog } from '../embedded/event-log.js'
import { createLeaseTable, type LeaseTable } from '../embedded/lease-table.js'
import { readRows } from '../embedded/row-table.js'
import { QuietSettling, type QuietStore } from './quiet-settling.js'
import { RecentEntries } from './recent-entries.js'
import { type EntryStatements, prepareEntryStatements } from './sqlite-entry-statements.js'
import { fromSqlite } from './sqlite-errors.js'
import { type OpenDatabaseOptions, openDatabase } from './sqlite-open.js'
import { openSpaceReserve, type SpaceReserve } from './sqlite-reserve.js'
import { SqliteRows } from './sqlite-rows.js'
import { type StoreSyncs, SyncCount } from './sync-count.js'
import { WriteBehindRows } from './write-behind-rows.js'

export interface SqliteEntryStoreOptions extends OpenDatabaseOptions {
  /** Decides when leases end, and runs checkpoints after the turn that needs one. */
  readonly clock: Clock
  /** Space kept back for deletes on a full disk; see `sqlite-reserve.ts`. None unless given. */
  readonly reserveBytes?: number
  /** Told once when an I/O error has ended the store: it reads on, and takes no more entries. */
  readonly onFailure?: (error: CairnError) => void
}

/** An entry store in one file, which knows what it cost. */
export interface EmbeddedEntryStore extends EntryStore {
  /** Without those of a checkpoint that SQLite itself runs, at WAL_PAGES_HARD, and of opening and closing. */
  syncs(): StoreSyncs
}

/** Opens or creates the store. Leases that were alive start their whole time again. Errors: see `openDatabase`. */
export function openSqliteEntryStore(options: SqliteEntryStoreOptions): EmbeddedEntryStore {
  const { path, reserveBytes = 0 } = options
  const reserve = reserveBytes > 0 ? openSpaceReserve(`${path}-reserve`, reserveBytes) : undefined
  for (;;) {
    try {
      return new SqliteEntryStore(openDatabase(options), options, reserve)
    } catch (error) {
      if (!hasCode(error, 'DriveFull') || reserve?.release() !== true) throw error
    }
  }
}

/** Held, because a database that is collected as garbage is closed. */
const ABANDONED = new Set<Database>()

/** Time between two looks whether the reserve fits again. */
const RESERVE_MS = 5_000

/** What a transaction has done: its events make the next revision. */
interface Change<T> {
  readonly value: T
  readonly events: readonly StoreEvent[]
  /** Whether it wrote anything: if it has events, unless given. */
  readonly isDirty?: boolean
}

class SqliteEntryStore implements EmbeddedEntryStore, QuietStore {
  private readonly database: Database
  private readonly clock: Clock
  private readonly table: WriteBehindRows
  private readonly statements: EntryStatements
  private readonly leases: LeaseTable
  private readonly log: EventLog
  private readonly hasLease = (lease: LeaseId): boolean => this.leases.has(lease)
  private revision: number
  private checkpointDue = false
  private readonly syncCount: SyncCount
  failure: CairnError | undefined
  private readonly onFailure: ((error: CairnError) => void) | undefined
  private readonly quiet: QuietSettling
  private readonly reserve: SpaceReserve | undefined
  private cancelReserve: CancelTimer | undefined

  constructor(
    database: Database,
    { clock, durability, onFailure }: Pick<SqliteEntryStoreOptions, 'clock' | 'durability' | 'onFailure'>,
    reserve: SpaceReserve | undefined,
  ) {
    this.reserve = reserve
    this.onFailure = onFailure
    this.syncCount = new SyncCount(durability === 'fsync')
    this.database = database
    this.clock = clock
    this.table = new WriteBehindRows(new SqliteRows(database), new RecentEntries(database))
    this.statements = prepareEntryStatements(database)
    this.revision = this.statements.selectRevision.get() ?? 0
    this.log = createEventLog(this.revision)
    this.leases = createLeaseTable(clock, () => this.tryEndDueLeases())
    for (const { id, ttlMs } of this.statements.selectLeases.all()) this.leases.start(String(id), ttlMs)
    this.quiet = new QuietSettling(clock, this)
    if (this.isShort) this.holdLater()
  }

  get hasWaiting(): boolean {
    return this.failure === undefined && !this.table.isSettled
  }

  get isShort(): boolean {
    return this.reserve?.isHeld === false
  }

  syncs(): StoreSyncs {
    const { entries, checkpoints } = this.syncCount
    return { entries, checkpoints }
  }

  async apply(entry: Entry): Promise<readonly CommitResult[]> {
    this.enter()
    return this.write(() => {
      const context = { table: this.table, revision: this.revision, hasLease: this.hasLease }
      const { results, events } = applyEntry(context, entry)
      return { value: results, events }
    })
  }

  /** The newest: nobody else writes. */
  async rowsAt(keys: readonly StoreKey[]): Promise<readonly (StoreRow | undefined)[]> {
    const { results } = await this.read(keys.map((key) => ({ kind: 'get', key })))
    return results.map(([row]) => row)
  }

  async read(reads: readonly Read[]): Promise<ReadResult> {
    return this.readNow(reads)
  }

  readNow(reads: readonly Read[]): ReadResult {
    if (this.isClosed()) throw new CairnError('ShuttingDown', 'the store is closed')
    this.tryEndDueLeases()
    checkReads(reads)
    try {
      return { revision: this.revision, results: readRows(this.table, reads) }
    } catch (error) {
      throw fromSqlite(error)
    }
  }

  watch(range: StoreRange, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreEvent> {
    return this.log.watch(range, fromRevision, signal)
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    this.enter()
    checkTtl(ttlMs)
    const lease = this.write(() => ({
      value: String(this.statements.insertLease.run(ttlMs).lastInsertRowid),
      events: [],
      isDirty: true,
    }))
    this.leases.start(lease, ttlMs)
    return lease
  }

  async renewLease(lease: LeaseId): Promise<void> {
    this.enter()
    this.leases.renew(lease)
  }

  async revokeLease(lease: LeaseId): Promise<void> {
    this.enter()
    this.endLease(lease)
  }

  async close(): Promise<void> {
    this.cancelReserve?.()
    this.quiet.stop()
    this.leases.close()
    this.log.close()
    if (!this.isClosed()) this.trySettle()
    if (this.failure === undefined) this.database.close()
    else ABANDONED.add(this.database)
  }

  private isClosed(): boolean {
    return !this.database.open || ABANDONED.has(this.database)
  }

  private enter(): void {
    if (this.isClosed()) throw new CairnError('ShuttingDown', 'the store is closed')
    if (this.failure !== undefined) throw this.failure
    for (const lease of this.leases.due()) this.endLease(lease)
  }

  /** For callers that need not fail with it: the next write meets the same error and reports it. */
  private tryEndDueLeases(): void {
    if (this.failure !== undefined || !this.database.open) return
    try {
      for (const lease of this.leases.due()) this.endLease(lease)
    } catch (error) {
      if (!hasCode(error, 'DriveFull', 'DriveFailed', 'OutcomeUnknown')) throw error
    }
  }

  private endLease(lease: LeaseId): void {
    this.write(() => {
      const revision = this.revision + 1
      this.statements.deleteLease.run(Number(lease))
      const events = this.table.deleteLeased(lease).map((key) => ({ revision, key }))
      return { value: undefined, events, isDirty: true }
    })
    this.leases.end(lease)
  }

  /** Runs `change` as one durable transaction. On a full disk the reserve is given up for it, as much as it needs. */
  private write<T>(change: () => Change<T>): T {
    for (;;) {
      try {
        return this.writeOnce(change, (revision) => this.table.writeEntry(revision))
      } catch (error) {
        if (!hasCode(error, 'DriveFull')) throw error
        if (!this.giveWay()) return this.writeOnFullDisk(change)
      }
    }
  }

  /** Rows are written to their table at once: those that are deleted give their space back. */
  private writeOnFullDisk<T>(change: () => Change<T>): T {
    this.trySettle()
    if (this.failure !== undefined) throw this.failure
    return this.writeOnce(change, (revision) => this.table.writeEntryNow(revision))
  }

  /** Writes the rows that wait to their table, some in each transaction. What is left stays durable in `recent`. */
  private trySettle(): void {
    this.tryUnlessFailed(() => this.table.settle((write) => this.settleBy(write)))
  }

  /** See `QuietStore`. On a full disk rows wait on. */
  settleSome(): boolean {
    const write = (): boolean => {
      this.table.writeWaiting(this.revision)
      return true
    }
    return this.hasWaiting && this.tryUnlessFailed(() => this.settleBy(write)) && this.table.isSettling
  }

  /** Whether it was done: it may as well be done later. */
  private tryUnlessFailed(action: () => void): boolean {
    if (this.failure !== undefined) return false
    try {
      action()
      return true
    } catch (error) {
      if (!hasCode(error, 'DriveFull', 'DriveFailed', 'OutcomeUnknown')) throw error
      return false
    }
  }

  private settleBy(write: () => boolean): boolean {
    const { value } = this.transact(() => {
      const isDirty = write()
      return { value: isDirty, events: [], isDirty }
    })
    if (this.walPages() >= WAL_PAGES_SOFT) this.checkpoint()
    return value
  }

  /**
   * Gives up a piece of the reserve, and takes of it at once what the database lacks: after a checkpoint the WAL
   * starts over in the space that it has. Otherwise both could want to grow, and others would have the piece.
   */
  private giveWay(): boolean {
    if (this.reserve?.release() !== true) return false
    if (this.cancelReserve === undefined) this.holdLater()
    this.tryCheckpoint()
    return this.failure === undefined
  }

  private holdLater(): void {
    this.cancelReserve = this.clock.setTimer(RESERVE_MS, () => {
      this.cancelReserve = undefined
      this.reserve?.tryHold()
      if (this.isShort) this.holdLater()
    })
  }

  /** `write` writes the rows down, as the entry of a revision. */
  private writeOnce<T>(change: () => Change<T>, write: (revision: number) => void): T {
    const { value, events } = this.transact(() => {
      const changed = change()
      if (changed.events.length > 0) {
        write(this.revision + 1)
        this.statements.setRevision.run(this.revision + 1)
      }
      return changed
    })
    if (events.length > 0) {
      this.revision++
      this.log.append(events)
      this.quiet.noteEntry()
      this.checkpointLater()
    }
    return value
  }

  private transact<T>(change: () => Change<T>): Change<T> {
    const changed = this.prepareWrite(change)
    this.commit()
    this.table.committed()
    if (changed.isDirty ?? changed.events.length > 0) this.syncCount.noteTransaction()
    return changed
  }

  private prepareWrite<T>(change: () => Change<T>): Change<T> {
    try {
      this.statements.begin.run()
      return change()
    } catch (error) {
      this.rollback()
      throw this.noteFailure(fromSqlite(error))
    }
  }

  private commit(): void {
    try {
      this.statements.commit.run()
    } catch (error) {
      this.rollback()
      const cause = fromSqlite(error)
      if (cause.code === 'DriveFull') throw cause
      this.noteFailure(new CairnError('DriveFailed', 'a commit of the metadata store failed', { cause }))
      throw new CairnError('OutcomeUnknown', 'the entry may or may not be durable', { cause })
    }
  }

  private rollback(): void {
    this.table.undone()
    if (!this.database.inTransaction) return
    try {
      this.statements.rollback.run()
    } catch (error) {
      this.noteFailure(new CairnError('DriveFailed', 'a rollback failed', { cause: error }))
    }
  }

  /** An I/O error ends the store. */
  private noteFailure(error: CairnError): CairnError {
    if (error.code !== 'DriveFailed' || this.failure !== undefined) return error
    this.failure = error
    this.onFailure?.(error)
    return error
  }

  /** Pages of the WAL that the database does not have yet. */
  private walPages(): number {
    const state = this.statements.walState.get()
    return state === undefined ? 0 : state.log - state.checkpointed
  }

  private checkpointLater(): void {
    if (this.checkpointDue || this.walPages() < WAL_PAGES_SOFT) return
    this.checkpointDue = true
    this.clock.defer(() => this.checkpoint())
  }

  private checkpoint(): void {
    this.checkpointDue = false
    if (this.failure !== undefined || !this.database.open) return
    // Rows that were written before the turn was over may have brought one.
    if (this.walPages() > 0 && !this.tryCheckpoint()) this.giveWay()
  }

  /** False if there is no space for it: the WAL stays as it is, and the next entry goes on in it. */
  private tryCheckpoint(): boolean {
    try {
      this.database.pragma('wal_checkpoint(PASSIVE)')
    } catch (error) {
      return this.noteFailure(fromSqlite(error)).code !== 'DriveFull'
    }
    this.syncCount.noteCheckpoint()
    return true
  }
}
