/** What the metadata service needs from the chunk servers: only the background workers use it. */
import type {
  BlockEntry,
  BlockId,
  BlockOwner,
  BlockSlice,
  DriveId,
  PlacedBy,
  SessionId,
} from '@cairn/protocol'

/** Blocks freed on all drives that hold them, and those that some drive has not confirmed. */
export interface Reclaimed {
  readonly freedBytes: number
  /** Hex ids of blocks to be tried again: a drive did not answer. */
  readonly unfinished: ReadonlySet<string>
}

/** Frees blocks of a pool on all the drives of their groups. */
export interface BlockReclaimer {
  /** Idempotent. Never rejects because a drive does not answer: such blocks are `unfinished`. */
  deleteBlocks(pool: number, blocks: readonly BlockId[]): Promise<Reclaimed>
  /**
   * The slices of one map page; `undefined` if every drive of its group says that it has no such block.
   * `BlockUnavailable` when that cannot be known: unreachable is never absent.
   */
  readPage(pool: number, page: BlockSlice): Promise<readonly BlockSlice[] | undefined>
}

/** The blocks of single drives. Each method rejects when the drive does not answer. */
export interface DriveInspector {
  /** Drives whose server should answer. */
  drives(): Promise<readonly DriveId[]>
  /** Sessions with blocks on a drive, in id order. */
  writers(drive: DriveId, after: SessionId | undefined): Promise<Page<SessionId>>
  /** Blocks with their owners, in id order. */
  blocks(drive: DriveId, after: BlockId | undefined): Promise<Page<BlockEntry>>
  /** Deletes blocks on this drive only. Freed bytes. `StaleClusterMap` if the drive knows a newer placement. */
  deleteOnDrive(drive: DriveId, blocks: readonly BlockId[], placedBy?: PlacedBy): Promise<number>
}

/** A page of a drive's list; `complete` if it is the last. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly complete: boolean
}

/** What is asked of a drive's list. */
export interface ListScope {
  readonly withOwner: boolean
  /** Only groups whose bit is set; see `ListBlocksRequest`. */
  readonly groups?: Uint8Array
  readonly damagedOnly?: boolean
  /** The placement by which groups change hands: a drive that knows a newer one rejects with `StaleClusterMap`. */
  readonly placedBy?: PlacedBy
}

/** Some blocks of a drive, in id order; `next` is where the following ones begin, `undefined` at the end. */
export interface ListedBlocks {
  readonly blocks: readonly BlockEntry[]
  readonly next: BlockId | undefined
}

/** A copy to be made: of a good copy on `source`, to `drive`. */
export interface CopyOrder {
  readonly drive: DriveId
  readonly source: DriveId
  readonly pool: number
  readonly block: BlockId
  readonly owner: BlockOwner
  readonly sizeBytes: number
  readonly hash: Uint8Array
}

/** What repair and the check need of single drives. Each method rejects when the drive does not answer. */
export interface DriveMender {
  list(drive: DriveId, after: BlockId | undefined, scope: ListScope): Promise<ListedBlocks>
  /** Those of the blocks, at most LIST_PAGE_MAX, that the drive has. */
  find(drive: DriveId, blocks: readonly BlockId[]): Promise<readonly BlockEntry[]>
  /**
   * Bytes written; 0 if a good copy was there. `BlockCorrupt` or `NoSuchBlock` if the source has none; whatever else
   * went wrong there has `at: 'source'` among its details.
   */
  copy(order: CopyOrder): Promise<number>
  /** Reads the blocks whole, at most LIST_PAGE_MAX: those whose bytes are wrong. */
  verify(drive: DriveId, blocks: readonly BlockId[]): Promise<readonly BlockId[]>
}
