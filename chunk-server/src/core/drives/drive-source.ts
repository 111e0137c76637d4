/** What a drive is opened from: where its folder lies, the folder itself, locked, and the block store in it. */
import type { DriveId } from '@cairn/protocol'
import type { BlockStore, Disk } from '../../ports.js'
import type { StoreCounters } from '../segments/write-state.js'
import type { CompactionControl, CompactionResult } from '../store/compaction.js'
import type { StoreScrubber } from '../store/scrub.js'

/** Where a drive's folder lies: its path, `st_dev`, and device and inode of the parent folder. */
export interface DrivePlace {
  readonly path: string
  readonly device: string
  readonly parent: string
}

/** Where a drive's folder is to be, as it is now. */
export interface DriveGround extends Pick<DrivePlace, 'device' | 'parent'> {
  /** A `drive.json` is there: a disk that was away has come back. */
  readonly hasDrive: boolean
  /** Files in its folder of segments. */
  readonly segments: number
}

/** A block store with the upkeep that the server drives. */
export interface UpkeptBlockStore extends BlockStore {
  /** Reads all blocks in the order of the disk. */
  readonly scrubber?: StoreScrubber
  /** The index no longer tells the truth: the store must be opened anew without it. */
  readonly indexDamaged?: boolean
  /** One bounded run that gives space of deleted blocks back. */
  compactOnce?(control?: Partial<CompactionControl>): Promise<CompactionResult | undefined>
  /** A segment with live blocks whose file is not there any more: somebody has removed it. */
  findMissingSegment?(): Promise<number | undefined>
  /** What it did since it was opened. */
  readonly counters?: Readonly<StoreCounters>
  /** Syncs of its index since then; none where it has no files. */
  readonly indexSyncs?: number
}

/** How a store is opened. */
export interface OpenStoreHow {
  /** Whatever index there is is forgotten: all segments are read. */
  readonly freshIndex?: boolean
  /** Ends an opening that reads many segments, as `ShuttingDown`. */
  readonly signal: AbortSignal
}

/** A drive's folder, opened and locked. */
export interface OpenedFolder {
  readonly disk: Disk
  readonly place: DrivePlace
  openStore(drive: DriveId, how: OpenStoreHow): Promise<UpkeptBlockStore>
  /** Gives the folder free. */
  release(): void
}

/** A configured drive that is not open yet. */
export interface DriveSource {
  /** How people know it. */
  readonly name: string
  open(): Promise<OpenedFolder>
  /**
   * Looks at the place without touching it; `undefined` if not even the parent folder is there. A source that cannot
   * look is not opened again once its folder has gone.
   */
  look?(): Promise<DriveGround | undefined>
}
