/** What the block store needs from the world: a disk, an index, and what it offers: blocks. */
import type {
  BlockEntry,
  BlockId,
  BlockOwner,
  SessionId,
  Unit,
  UnitSource,
  UnitStream,
} from '@cairn/protocol'

/** A file opened on a `Disk`. All lengths and offsets in bytes. */
export interface DiskFile {
  /** Fills `into` from `offset`; returns the bytes read, less than asked only at the end of the file. */
  read(into: Uint8Array, offset: number): Promise<number>
  /** Writes all buffers at `offset`, looping on short writes; rejects with `DriveFull` (ENOSPC) or `DriveFailed`. */
  write(buffers: readonly Uint8Array[], offset: number): Promise<void>
  /** Makes all writes so far durable (fdatasync). Never retried: a failure means the drive is suspect. */
  sync(): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/** One folder of a drive: the only way to its files. Paths are relative and flat. */
export interface Disk {
  /** Creates exclusively or opens an existing file; `NoSuchBlock` is never thrown here: a missing file is `undefined`. */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile | undefined>
  /** Replaces or makes a small file durably: temp file, sync, rename, folder sync. */
  replace(path: string, content: Uint8Array): Promise<void>
  readSmall(path: string): Promise<Uint8Array | undefined>
  list(folder: string): Promise<readonly string[]>
  makeFolder(path: string): Promise<void>
  remove(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Makes creations, renames and removals in a folder durable. */
  syncFolder(folder: string): Promise<void>
  space(): Promise<{ readonly capacityBytes: number; readonly freeBytes: number }>
}

export interface StoredBlock {
  readonly sizeBytes: number
  readonly hash: Uint8Array
}

export interface OpenBlock extends StoredBlock {
  readonly firstUnit: number
  /** Whole units with their checks; verified on the way out. */
  readonly units: UnitStream
}

/** Immutable, checksummed blocks on one drive. */
export interface BlockStore {
  /**
   * Durable once it resolves. Every unit's check is verified on the way in (`BlockCorrupt`). Storing the same
   * content again is a no-op, other content is `BlockConflict`. `DriveFull` leaves nothing behind; `DriveFailed`
   * after any failed sync.
   */
  put(
    block: BlockId,
    owner: BlockOwner,
    units: UnitSource,
    options: { signal: AbortSignal },
  ): Promise<StoredBlock>
  /** `NoSuchBlock`, or `BlockCorrupt` before or while the units flow: never a clean end after too few. */
  get(
    block: BlockId,
    range: { offset: number; length: number },
    options: { signal: AbortSignal },
  ): Promise<OpenBlock>
  /** Tombstones, durable once it resolves. Absent blocks are skipped. Works on a full drive. */
  delete(blocks: readonly BlockId[]): Promise<{ deleted: number; freedBytes: number }>
  /** Live blocks in id order. */
  list(
    after: BlockId | undefined,
    limit: number,
    withOwner: boolean,
  ): Promise<{ blocks: BlockEntry[]; complete: boolean }>
  /** Sessions with live blocks, in id order. */
  writers(after: SessionId | undefined, limit: number): Promise<{ sessions: SessionId[]; complete: boolean }>
  usage(): { liveBytes: number; deadBytes: number; blockCount: number }
  close(): Promise<void>
}

export type { Unit }
