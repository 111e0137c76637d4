/**
 * What a mirror needs of the store that it copies: the state as of now in two numbers, every change in order, and
 * pages to begin from. The etcd adapter gives it; see `adapters/mirror`.
 */
import type { StoreKey, StoreRange, StoreRow } from './ports.js'

/** The row `head`, which every entry rewrites. */
export interface Head {
  /** Of its last write; 0 before the first entry. */
  readonly revision: number
  /** How often it has been written: consecutive for a follower that has missed no entry. */
  readonly version: number
}

/** A row as written, or without `value` when it was deleted. */
export interface SourceEvent {
  readonly key: StoreKey
  readonly value?: Uint8Array
  /** Revision that made the row; absent when it was deleted. */
  readonly created?: number
}

/** All that changed at one revision. */
export interface SourceChange {
  readonly revision: number
  readonly events: readonly SourceEvent[]
  /** Version of `head` if this revision wrote it; the end of a lease deletes rows without it. */
  readonly headVersion?: number
}

/** Some rows of a range, in order. */
export interface SourcePage {
  /** At which the rows were read. */
  readonly revision: number
  readonly rows: readonly StoreRow[]
  /** Rows of the range behind the last one given may exist. */
  readonly hasMore: boolean
  /** Rows of the range, given or not. */
  readonly count: number
}

/** The store that a mirror copies. */
export interface MirrorSource {
  /** Linearizable. */
  head(): Promise<Head>
  /**
   * Every change after `fromRevision`, in order. Rejects with `Busy` when they are no longer kept, or when it cannot
   * be sure that none was lost: the mirror then fills anew. Ends when `signal` aborts; `ShuttingDown` when the store
   * closes.
   */
  follow(fromRevision: number, signal: AbortSignal): AsyncIterable<SourceChange>
  /**
   * The first rows of the range, 1 to 10,000; at `revision` if given (`Busy` when it is no longer kept). The cost is
   * that of all rows of the range, so its end is to be chosen tight.
   */
  page(range: StoreRange, limit: number, revision?: number): Promise<SourcePage>
  /** Number of rows in the range. */
  count(range: StoreRange): Promise<number>
}
