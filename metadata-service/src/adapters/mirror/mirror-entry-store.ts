/**
 * A store whose reads are answered by a local copy of it, as fresh as its own.
 *
 * ● A read asks the store for `head`, linearizably, after it was called; the copy answers once it has applied that
 * version of `head`, and so every entry before it. Else the store answers: while the copy is filled, when it is
 * behind for longer than a read should wait, and for rows under leases, whose end `head` does not tell.
 *
 * ● Presence in the copy is proved by this; absence is only as good as the store's watch. So whoever destroys because
 * of it asks `readAuthority`, and everything is compared with the store in the background (`mirror-audit.ts`).
 *
 * Doubt about a change ends the feed, and it is asked anew from what is applied. Only when that brings nothing, when
 * the store has compacted that revision, is another one, or differs in a row, everything is read anew.
 */

import { CairnError, type Clock, type Random } from '@cairn/protocol'
import { authorityOf } from '../../core/commit/commit-reads.js'
import { PassingStore } from '../../core/commit/passing-store.js'
import { isWithin } from '../../core/rows/keys.js'
import type {
  CommitResult,
  Entry,
  EntryStore,
  Read,
  ReadResult,
  StoreKey,
  StoreRange,
  StoreRow,
  StoreSpace,
} from '../../ports.js'
import type { MirrorSource } from '../../ports-mirror.js'
import { checkReads } from '../embedded/check-request.js'
import { MirrorKeeper } from './mirror-keeper.js'
import { LEASED_RANGES, touches } from './mirror-rows.js'
import type { MirrorLog, MirrorStatus } from './mirror-status.js'

export interface MirroredEntryStoreOptions {
  /** Closed by `close`. Every entry rewrites `head`. */
  readonly store: EntryStore & MirrorSource
  /** Of the SQLite file; whatever is there that is not a mirror of this store is replaced. */
  readonly path: string
  readonly clock: Clock
  readonly random: Random
  readonly log: MirrorLog
  /** Where rows under leases may lie; those of sessions unless given. */
  readonly leasedRanges?: readonly StoreRange[]
}

export interface MirroredEntryStore extends EntryStore {
  status(): MirrorStatus
}

/** Serves at once, by the store, until the copy is whole. Does not reject for the copy's sake. */
export async function openMirroredEntryStore(
  options: MirroredEntryStoreOptions,
): Promise<MirroredEntryStore> {
  return new Mirrored(options)
}

class Mirrored extends PassingStore<EntryStore & MirrorSource> implements MirroredEntryStore {
  private readonly keeper: MirrorKeeper
  private readonly leased: readonly StoreRange[]
  private isClosed = false

  constructor(options: MirroredEntryStoreOptions) {
    const { store, leasedRanges = LEASED_RANGES } = options
    super(store)
    this.leased = leasedRanges
    this.keeper = new MirrorKeeper({ ...options, source: store })
    this.keeper.start()
  }

  get isShort(): boolean {
    return this.store.isShort === true
  }

  space(): readonly StoreSpace[] {
    return this.store.space?.() ?? []
  }

  status(): MirrorStatus {
    return this.keeper.status
  }

  async apply(entry: Entry): Promise<readonly CommitResult[]> {
    for (const { puts = [] } of entry.commits) {
      for (const put of puts) if (put.lease !== undefined) this.assertLeased(put.key)
    }
    return this.store.apply(entry)
  }

  async read(reads: readonly Read[]): Promise<ReadResult> {
    if (this.isClosed) throw new CairnError('ShuttingDown', 'the store is closed')
    checkReads(reads)
    const isCopied = !reads.some((read) => touches(read, this.leased))
    return (isCopied ? await this.keeper.tryRead(reads) : undefined) ?? this.store.read(reads)
  }

  readAuthority(reads: readonly Read[]): Promise<ReadResult> {
    return authorityOf(this.store).read(reads)
  }

  rowsAt(keys: readonly StoreKey[], revision: number): Promise<readonly (StoreRow | undefined)[]> {
    return this.store.rowsAt(keys, revision)
  }

  override async close(): Promise<void> {
    this.isClosed = true
    // What the keeper still asks a store that is silent ends when that is closed.
    await Promise.all([this.keeper.close(), this.store.close()])
  }

  private assertLeased(key: Uint8Array): void {
    if (this.leased.some((range) => isWithin(key, range))) return
    throw new CairnError('InvalidArgument', 'a row under a lease lies where a mirror would answer for it')
  }
}
