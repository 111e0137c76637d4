/** A store in front of another: what it does not do itself, the other does. */
import type { EntryStore, LeaseId, StoreEvent, StoreRange } from '../../ports.js'

/** What entry stores and the store of `core` have in common beside reads and writes. */
type Passed = Pick<EntryStore, 'watch' | 'grantLease' | 'renewLease' | 'revokeLease' | 'close'>

/** Hands watches and leases on, and closes the other with itself. */
export class PassingStore<Store extends Passed> implements Passed {
  protected readonly store: Store

  constructor(store: Store) {
    this.store = store
  }

  watch(range: StoreRange, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreEvent> {
    return this.store.watch(range, fromRevision, signal)
  }

  grantLease(ttlMs: number): Promise<LeaseId> {
    return this.store.grantLease(ttlMs)
  }

  renewLease(lease: LeaseId): Promise<void> {
    return this.store.renewLease(lease)
  }

  revokeLease(lease: LeaseId): Promise<void> {
    return this.store.revokeLease(lease)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}
