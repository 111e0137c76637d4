/** What the block store needs from the world: a disk, an index, and what it offers: blocks. */
import type {
  BlockEntry,
  BlockId,
  BlockOwner,
  CairnError,
  SessionId,
  Unit,
  UnitSource,
} from '@cairn/protocol'

/** A file opened on a `Disk`. All lengths and offsets in bytes. */
export interface DiskFile {
  /**
   * Writes go past the page cache: their offset, and the size and the place in memory of each buffer, must be multiples
   * of DIRECT_BYTES. Durable only after `sync`, like all others.
   */
  readonly isDirect?: boolean
  /** Fills `into` from `offset`; returns the bytes read, less than asked only at the end of the file. */
  read(into: Uint8Array, offset: number): Promise<number>
  /** As `read`, but in this turn: for a few bytes that are in memory already. Absent where it cannot be done. */
  readNow?(into: Uint8Array, offset: number): number
  /** Writes all buffers at `offset`, looping on short writes; rejects with `DriveFull` (ENOSPC) or `DriveFailed`. */
  write(buffers: readonly Uint8Array[], offset: number): Promise<void>
  /** Makes all writes so far durable (fdatasync). Never retried: a failure means the drive is suspect. */
  sync(): Promise<void>
  size(): Promise<number>
  /** Waits for the calls that still run. */
  close(): Promise<void>
}

/** `createDirect` is `create` for a file that is written past the page cache, where the file system can do that. */
export type OpenMode = 'read' | 'write' | 'create' | 'createDirect'

/**
 * One folder of a drive: the only way to its files. Paths are relative and at most one folder deep, names are of
 * `[A-Za-z0-9_.-]` (else `InvalidArgument`); the empty path is the drive's own folder. Errors: `DriveFull`;
 * `Busy` when the process is out of descriptors or memory; `DriveFailed`, with its cause, for all others.
 */
export interface Disk {
  /**
   * Creates exclusively (`Internal` if it exists) or opens an existing file; `NoSuchBlock` is never thrown here: a
   * missing file is `undefined`.
   */
  open(path: string, mode: OpenMode): Promise<DiskFile | undefined>
  /** Replaces or makes a small file durably: temp file, sync, rename, folder sync. */
  replace(path: string, content: Uint8Array): Promise<void>
  readSmall(path: string): Promise<Uint8Array | undefined>
  /** Names in a folder; a missing folder is `DriveFailed`, never an empty list. */
  list(folder: string): Promise<readonly string[]>
  /** Makes a folder, or finds it made. Durable after `syncFolder('')`. */
  makeFolder(path: string): Promise<void>
  /** Removes a file; one that is absent is no error. */
  remove(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Makes creations, renames and removals in a folder durable. `Busy` only before any sync: it can be repeated. */
  syncFolder(folder: string): Promise<void>
  space(): Promise<{ readonly capacityBytes: number; readonly freeBytes: number }>
}

/** What is known of a block that is stored whole; `hash` is its BLAKE3-256. */
export interface StoredBlock {
  readonly sizeBytes: number
  readonly hash: Uint8Array
}

/** A range of a block that was opened; `firstUnit` is the index of its first unit. */
export interface OpenBlock extends StoredBlock {
  readonly firstUnit: number
  /** Whole units with their checks; verified on the way out. */
  readonly units: UnitSource
}

/** The same with all its units. */
export interface BlockAtHand extends OpenBlock {
  readonly units: readonly Unit[]
}

/** Immutable, checksummed blocks on one drive. */
export interface BlockStore {
  /**
   * Durable once it resolves. Every unit's check is verified on the way in (`BlockCorrupt`). Storing the same
   * content again is a no-op, other content is `BlockConflict`. `DriveFull` leaves nothing behind; `DriveFailed`
   * after any failed sync; `Cancelled` after an abort; `Busy` if the block was deleted meanwhile. Units but the last
   * are UNIT_BYTES, the whole at most BLOCK_BYTES_MAX, else `InvalidArgument`. Whatever it rejects with, nothing of the
   * block can be read.
   */
  put(
    block: BlockId,
    owner: BlockOwner,
    units: UnitSource,
    options: { signal: AbortSignal },
  ): Promise<StoredBlock>
  /**
   * As `put`, for a block of one unit: true if it was begun, then `settle` is called once, at the end, with what `put`
   * would resolve with or the error that it would reject with. False, or a throw: nothing was begun, `put` has to be
   * asked. Neither side may change what the other gave it.
   */
  putNow?(
    block: BlockId,
    owner: BlockOwner,
    unit: Unit,
    settle: (outcome: StoredBlock | CairnError) => void,
  ): boolean
  /**
   * A range beyond the end is `InvalidArgument`. `NoSuchBlock`, or `BlockCorrupt` before or while the units flow: never
   * a clean end after too few.
   */
  get(
    block: BlockId,
    range: { offset: number; length: number },
    options: { signal: AbortSignal },
  ): Promise<OpenBlock>
  /** What `get` would resolve with, if that is in memory; `undefined` if it is not. Throws as `get` rejects. */
  getNow?(block: BlockId, range: { offset: number; length: number }): BlockAtHand | undefined
  /**
   * Tombstones, durable once it resolves. Absent blocks are skipped. Works on a full drive. Puts of its blocks, `list`
   * and `find` wait for it: they tell of no copy that is about to go.
   */
  delete(blocks: readonly BlockId[]): Promise<{ deleted: number; freedBytes: number }>
  /**
   * Live blocks in id order. A page under a filter looks at a bounded number of blocks, so that it may be short, or
   * empty, and not be the last: it then names where the `next` one starts.
   */
  list(after: BlockId | undefined, limit: number, withOwner: boolean, filter?: ListFilter): Promise<BlockPage>
  /** Those of `blocks` that are stored, in the order asked, with their owners. A damaged owner is left out. */
  find(blocks: readonly BlockId[]): Promise<BlockEntry[]>
  /**
   * Reads blocks whole and compares every check and the hash; absent ones are skipped. What is damaged is marked,
   * what was marked and is right again is unmarked. `readBytes` counts the blocks' bytes. `Cancelled` after an abort.
   */
  verify(blocks: readonly BlockId[], options: { signal: AbortSignal }): Promise<VerifiedBlocks>
  /** Sessions with live blocks, in id order. */
  writers(after: SessionId | undefined, limit: number): Promise<{ sessions: SessionId[]; complete: boolean }>
  usage(): StoreUsage
  close(): Promise<void>
}

/** Which blocks a listing keeps. */
export interface ListFilter {
  /** Bit g % 8 of byte g / 8 is set for each group wanted. */
  readonly groups?: Uint8Array
  readonly damagedOnly?: boolean
}

/** One page of a listing. */
export interface BlockPage {
  readonly blocks: BlockEntry[]
  readonly complete: boolean
  /** Where the next page starts, if that is not behind the last block of this one. */
  readonly next?: BlockId
}

/** What a verification came to. */
export interface VerifiedBlocks {
  readonly damaged: BlockId[]
  readonly readBytes: number
}

/** What a drive holds; `damagedBlocks` are those known to be. */
export interface StoreUsage {
  readonly liveBytes: number
  readonly deadBytes: number
  readonly blockCount: number
  readonly damagedBlocks: number
}

export type { Unit }

/** Where the record of a live block lies. */
export interface IndexedBlock {
  readonly block: BlockId
  /** Sequence of the segment, and the record's offset in it. */
  readonly segment: number
  readonly offset: number
  /** Encoded size of the owner in the record's header: the data starts behind it. */
  readonly ownerBytes: number
  readonly sizeBytes: number
  readonly hash: Uint8Array
  readonly storedAtMs: number
  /** Rank of the record among all of the drive: of two records of one block the higher counts. */
  readonly order: number
  /** Its bytes were found wrong: reads still try, and the next put replaces it. */
  readonly damaged: boolean
}

/** What the index keeps about a segment. */
export interface IndexedSegment extends SegmentCheckpoint {
  readonly liveBytes: number
  readonly liveBlocks: number
}

/** All records of the segment before `indexedTo` are reflected in the rows. */
export interface SegmentCheckpoint {
  readonly sequence: number
  readonly indexedTo: number
  /** Nothing will be written behind `indexedTo`. */
  readonly sealed: boolean
  readonly tombstoneBytes: number
  /** Highest sequence that a tombstone of this segment still guards; 0 without tombstones. */
  readonly horizon: number
}

/** How the live bytes and blocks of a segment change with the rows of the same batch. */
export interface LiveDelta {
  readonly sequence: number
  readonly bytes: number
  readonly blocks: number
}

/** One transaction: all of it happens, or nothing. */
export interface IndexBatch {
  readonly put: readonly IndexedBlock[]
  readonly remove: readonly BlockId[]
  readonly live: readonly LiveDelta[]
  readonly checkpoint?: {
    readonly segments: readonly SegmentCheckpoint[]
    readonly gone: readonly number[]
    readonly nextOrder: number
    readonly nextSequence: number
  }
  /** Synced before `apply` returns, with all batches before it. Otherwise a power cut may undo the latest ones. */
  readonly durable: boolean
}

/**
 * The table of a drive's live blocks: a derivative of its segments, synchronous, never on the acknowledgement
 * path. A batch may be lost in a power cut, but only together with all later ones; the segments' tails make up
 * for it. Rejects with `BlockCorrupt` when its own content is damaged; it is then empty at the next open.
 */
export interface BlockIndex {
  /** Its content was found damaged: it must be forgotten and made anew from the segments. */
  readonly isBroken: boolean
  /** Syncs of its files since it was opened. */
  readonly syncs: number
  get(block: BlockId): IndexedBlock | undefined
  apply(batch: IndexBatch): void
  /** Rows in id order after `after`. */
  range(after: BlockId | undefined, limit: number): IndexedBlock[]
  /** Rows of damaged blocks in id order after `after`; costs no more than what it returns. */
  damaged(after: BlockId | undefined, limit: number): IndexedBlock[]
  damagedCount(): number
  /** Sessions that have rows, in id order after `after`. */
  writers(after: SessionId | undefined, limit: number): SessionId[]
  /** The session's highest block. */
  last(session: SessionId): BlockId | undefined
  segments(): IndexedSegment[]
  /** First order and first sequence that may be unused, as of the last checkpoint. */
  next(): { readonly order: number; readonly sequence: number }
  /** Forgets everything. */
  reset(): void
  close(): void
}

/** Damage found on a drive, for metrics, logs and repair. A torn tail after a crash is none. */
export interface DamageEvent {
  readonly kind: 'block' | 'segment' | 'index'
  readonly message: string
  readonly block?: BlockId
  readonly segment?: number
  readonly offset?: number
  readonly length?: number
}
