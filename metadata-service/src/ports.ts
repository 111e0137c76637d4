/**
 * The store under the metadata service: ordered byte keys, atomic commits with compares, reads at one revision.
 * Adapters: memory, SQLite, etcd. What is promised here is tested for each of them by one conformance suite.
 */
import type { CairnError, StoreSpace } from '@cairn/protocol'

export type { StoreSpace } from '@cairn/protocol'

/** Keys are compared byte by byte. At most 1,400 bytes. */
export type StoreKey = Uint8Array

/** All keys k with `from` <= k < `to`. */
export interface StoreRange {
  readonly from: StoreKey
  readonly to: StoreKey
}

/** A row as it was at the revision of the read. `created` is the revision that made it, `revision` its last change. */
export interface StoreRow {
  readonly key: StoreKey
  readonly value: Uint8Array
  readonly revision: number
  readonly created: number
}

/** A condition on the state *before* the whole entry. */
export type Compare =
  /** The row was last changed at exactly this revision. */
  | { readonly kind: 'revision'; readonly key: StoreKey; readonly revision: number }
  | { readonly kind: 'absent'; readonly key: StoreKey }
  /** The row is still the one created at this revision, however often it was changed. */
  | { readonly kind: 'creation'; readonly key: StoreKey; readonly created: number }
  | { readonly kind: 'empty'; readonly range: StoreRange }

/** A row to write, in place of one with the same key. */
export interface Put {
  readonly key: StoreKey
  readonly value: Uint8Array
  /**
   * The row goes when this lease ends. Each put names the lease anew: one without it frees the row from its lease.
   * `SessionExpired` when the lease has ended; then nothing of the commit is written.
   */
  readonly lease?: LeaseId
}

/** One atomic step. A key may be written once; `deleteRanges` must not cover a key of `puts`. */
export interface Commit {
  readonly compares: readonly Compare[]
  readonly puts?: readonly Put[]
  readonly deletes?: readonly StoreKey[]
  readonly deleteRanges?: readonly StoreRange[]
  /** What followers of the change records should look at; the batcher writes one record for all of an entry. */
  readonly changes?: readonly Uint8Array[]
}

/** How a commit ended, and the revision of the store then. */
export type CommitResult =
  | { readonly committed: true; readonly revision: number }
  /** Nothing was written. `rows` has the row (or `undefined`) of each compare with a key, in order; the one read
   * serves the retry. For an `empty` compare it has the first row of the range, or `undefined`. */
  | { readonly committed: false; readonly revision: number; readonly rows: readonly (StoreRow | undefined)[] }

/**
 * Keys that are equal up to and including the first `delimiter` at or behind byte `from` form a group. Of a group only
 * the first row of the range need be given: the others may be left out, by stores that can skip them.
 */
export interface RollUp {
  readonly from: number
  readonly delimiter: Uint8Array
}

/** One row, or the rows of a range. */
export type Read =
  | { readonly kind: 'get'; readonly key: StoreKey }
  | {
      readonly kind: 'scan'
      readonly range: StoreRange
      /** 1 to 10,000 rows. */
      readonly limit: number
      readonly reverse?: boolean
      /** Forward scans only. */
      readonly rollUp?: RollUp
    }

/** Answers to several reads. */
export interface ReadResult {
  /** All results are of this one revision. */
  readonly revision: number
  /** One array for each read; a `get` has none or one row. */
  readonly results: readonly (readonly StoreRow[])[]
}

/** Names a lease of the store. */
export type LeaseId = string

/** One change of one row. */
export interface StoreEvent {
  readonly revision: number
  readonly key: StoreKey
  /** Absent when the row was deleted. */
  readonly value?: Uint8Array
}

/**
 * A condition on a whole entry: the row holds exactly this value (`undefined`: is absent). It makes an entry that
 * is still on its way harmless once the row has been changed.
 */
export interface EntryFence {
  readonly key: StoreKey
  readonly value: Uint8Array | undefined
}

/** One atomic, durable step of the store: the commits of many requests, and rows that are put in any case. */
export interface Entry {
  readonly commits: readonly Commit[]
  /** Lane row, head, change record. */
  readonly always: readonly Put[]
  readonly fence?: EntryFence
}

/**
 * What an adapter gives: entries of several sub-commits. `CairnError('OutcomeUnknown')` means that the entry may
 * or may not have happened, now or later; every other error means that it has not happened and never will.
 */
export interface EntryStore {
  /**
   * Applies the sub-commits as one atomic, durable entry. Compares of all see the state before the entry; each
   * sub-commit is applied or refused by its own compares. The caller guarantees that none writes what another
   * compares or writes. `always` is put in any case: lane row, head, change record. A fence that does not hold
   * refuses the whole entry with `PreconditionFailed`, one that is too large `MessageTooLarge`, one that puts a
   * row under an ended lease `SessionExpired`; `DriveFull` refuses this entry, `DriveFailed` this and all later ones.
   */
  apply(entry: Entry): Promise<readonly CommitResult[]>
  /** Linearizable: sees every entry that was applied before the call. All reads at one revision. */
  read(reads: readonly Read[]): Promise<ReadResult>
  /**
   * Rows as an entry of this revision left them, whatever others have done since: by them its sender settles a lost
   * answer. `Busy` once the revision is no longer kept. A store that no other process writes to may give the newest
   * rows: until the entry is settled nobody touches what it wrote.
   */
  rowsAt(keys: readonly StoreKey[], revision: number): Promise<readonly (StoreRow | undefined)[]>
  /** What `read` would resolve with, in this turn; `undefined` where it has to be waited for. Throws as it rejects. */
  readNow?(reads: readonly Read[]): ReadResult | undefined
  /**
   * The same, answered by the store itself where `read` may be answered by a copy of it. Without it `read` is as good.
   * ● Whoever destroys something because a row is absent reads here: a copy may prove presence, never absence.
   */
  readAuthority?(reads: readonly Read[]): Promise<ReadResult>
  /**
   * Events after `fromRevision` in order, then new ones as they come. Rejects with `Busy` when events after
   * `fromRevision` are no longer kept: the watcher then re-reads the range and watches from that revision.
   * Ends when `signal` aborts; rejects with `ShuttingDown` when the store closes.
   */
  watch(range: StoreRange, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreEvent>
  grantLease(ttlMs: number): Promise<LeaseId>
  /** `SessionExpired` once the lease has ended. */
  renewLease(lease: LeaseId): Promise<void>
  /** Ends the lease and deletes its rows. */
  revokeLease(lease: LeaseId): Promise<void>
  /** Calls under way that are not answered yet end with an error. Idempotent. */
  close(): Promise<void>
  /** True while the disk is full and a reserve is in use: only what frees space is to be written. */
  readonly isShort?: boolean
  /** Why it takes no more entries: an I/O error of its disk. It reads on. */
  readonly failure?: CairnError | undefined
  /** How full each part of the store is, as of a few seconds ago, where it has a quota. */
  space?(): readonly StoreSpace[]
}

/**
 * What `core` sees: commits of many requests share entries behind it (`core/commit/batcher.ts`). A commit is durable
 * when it resolves; an ambiguous answer of the adapter is settled before it resolves, so the result is the truth.
 * `OutcomeUnknown` only when that was not possible in time; `MessageTooLarge` for a commit that would not fit an
 * entry of its own; `InvalidArgument` for one that writes a key twice or touches the rows `head`, `l/…` or coming
 * `c/…`; `Busy` when too many wait: it has not happened. Bytes handed over must not change until it settles.
 */
export interface KeyValueStore {
  commit(commit: Commit & { readonly proof: CommitProof }): Promise<CommitResult>
  read(reads: readonly Read[]): Promise<ReadResult>
  /** See `EntryStore`. */
  readNow?(reads: readonly Read[]): ReadResult | undefined
  /** Never answered by a copy of the store. ● For whoever destroys something because a row is absent. */
  readAuthority(reads: readonly Read[]): Promise<ReadResult>
  watch(range: StoreRange, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreEvent>
  grantLease(ttlMs: number): Promise<LeaseId>
  renewLease(lease: LeaseId): Promise<void>
  revokeLease(lease: LeaseId): Promise<void>
  close(): Promise<void>
}

/** What operations on the namespace do to the store. */
export type RowStore = Pick<KeyValueStore, 'commit' | 'read' | 'readAuthority'>

/**
 * How to tell, after a lost answer, whether the commit happened: any of these rows, that it writes, carries the op id
 * at the revision of its entry. `carries` decides from their values. Without keys the commit is run again: only for
 * those that may be.
 */
export interface CommitProof {
  readonly keys: readonly StoreKey[]
  carries(rows: readonly (StoreRow | undefined)[]): boolean
}
