/** An entry store that lives and dies with its process: for tests and simulations. Nothing survives `close`. */
import { CairnError, type Clock } from '@cairn/protocol'
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
import { applyEntry } from './apply-entry.js'
import { checkReads, checkTtl } from './check-request.js'
import { createEventLog, type EventLog } from './event-log.js'
import { createLeaseTable, type LeaseTable } from './lease-table.js'
import { createOrderedRows } from './ordered-rows.js'
import { RowHistory } from './row-history.js'
import { type RowTable, readRows } from './row-table.js'

/** `clock` decides when leases end. */
export interface MemoryEntryStoreOptions {
  readonly clock: Clock
}

/** An empty store at revision 0. */
export function createMemoryEntryStore(options: MemoryEntryStoreOptions): EntryStore {
  return new MemoryEntryStore(options.clock)
}

class MemoryEntryStore implements EntryStore {
  private readonly table: RowTable = createOrderedRows()
  private readonly history = new RowHistory()
  private readonly log: EventLog = createEventLog(0)
  private readonly leases: LeaseTable
  private revision = 0
  private leasesGranted = 0
  private closed = false

  constructor(clock: Clock) {
    this.leases = createLeaseTable(clock, () => this.endDueLeases())
  }

  async apply(entry: Entry): Promise<readonly CommitResult[]> {
    this.enter()
    const context = {
      table: this.table,
      revision: this.revision,
      hasLease: (lease: LeaseId) => this.leases.has(lease),
    }
    const { results, events } = applyEntry(context, entry)
    this.advance(events)
    return results
  }

  async read(reads: readonly Read[]): Promise<ReadResult> {
    return this.readNow(reads)
  }

  readNow(reads: readonly Read[]): ReadResult {
    this.enter()
    checkReads(reads)
    return { revision: this.revision, results: readRows(this.table, reads) }
  }

  async rowsAt(keys: readonly StoreKey[], revision: number): Promise<readonly (StoreRow | undefined)[]> {
    this.enter()
    return keys.map((key) => this.history.rowAt(key, revision))
  }

  watch(range: StoreRange, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreEvent> {
    return this.log.watch(range, fromRevision, signal)
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    this.enter()
    checkTtl(ttlMs)
    const lease = String(++this.leasesGranted)
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
    this.closed = true
    this.leases.close()
    this.log.close()
  }

  private enter(): void {
    if (this.closed) throw new CairnError('ShuttingDown', 'the store is closed')
    this.endDueLeases()
  }

  private endDueLeases(): void {
    for (const lease of this.leases.due()) this.endLease(lease)
  }

  private endLease(lease: LeaseId): void {
    const revision = this.revision + 1
    this.leases.end(lease)
    this.advance(this.table.deleteLeased(lease).map((key) => ({ revision, key })))
  }

  private advance(events: readonly StoreEvent[]): void {
    if (events.length === 0) return
    this.revision++
    for (const event of events) this.history.note(event, this.table.find(event.key))
    this.log.append(events)
  }
}
