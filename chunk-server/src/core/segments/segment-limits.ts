import { UNIT_BYTES } from '@cairn/protocol'

/** Limits of a segment block store; sizes in bytes. */
export interface SegmentLimits {
  /** A record may start before this offset: keeps rewriting by compaction and the space it needs small. */
  readonly segmentBytes: number
  /** Blocks up to this size are appended whole by the group commit; larger ones stream. At most the credit. */
  readonly smallBlockBytesMax: number
  /** A larger block is written in pieces of this size: each costs a hand-over to a thread, and is held meanwhile. */
  readonly pieceBytesMax: number
  /** A larger block is read in pieces of this size: one is held by its reader while the next one is read. */
  readonly readBytesMax: number
  /** One write and one sync carry at most this much: bounds the latency of those who wait behind it. */
  readonly batchBytesMax: number
  readonly batchRecordsMax: number
  /** Bytes that may wait for the group commit; more is `Busy`. */
  readonly queuedBytesMax: number
  /**
   * Copies of a large block that go through the page cache, of those that drives of one process take: reads find the
   * first one there; more would only push other things out, at three times the CPU of a write past it. Of a block that
   * its writer, in this process, keeps in memory, none goes there.
   */
  readonly cachedCopiesMax: number
  /** Blocks that stream at the same time; more wait for a segment. */
  readonly streamsMax: number
  /** Free space below which puts are refused, so that deletes and compaction go on; default 1 % of the drive. */
  readonly reserveBytes: number | undefined
  /** Index changes in memory that start a write-behind, and rows in one of its transactions (≤ 2 ms). */
  readonly tailEntriesFlush: number
  readonly tailSliceRows: number
  /** Log bytes behind the checkpoint that start a write-behind: what the next start has to read. */
  readonly tailBytesFlush: number
  /** Index changes in memory above which they are written at once, on the caller's time. */
  readonly tailEntriesMax: number
  /** A change waits at most this long for its transaction. */
  readonly tailFlushMs: number
  /** Read descriptors kept open. */
  readonly openFilesMax: number
  /** Share of dead bytes from which a segment is compacted. */
  readonly deadShareMin: number
  /** Tombstone bytes from which the oldest segment is rewritten, so that tombstones can go: a floor. */
  readonly tombstoneBytesMin: number
  /** Bytes that one compaction run may copy. */
  readonly compactionBytesMax: number
  /** An open segment smaller than this is not closed for the sake of its dead bytes. */
  readonly rollBytesMin: number
}

/** The limits in production. */
export const SEGMENT_LIMITS: SegmentLimits = {
  segmentBytes: 64 * 1024 * 1024,
  smallBlockBytesMax: 4 * UNIT_BYTES,
  pieceBytesMax: 32 * UNIT_BYTES,
  readBytesMax: 8 * UNIT_BYTES,
  batchBytesMax: 4 * 1024 * 1024,
  batchRecordsMax: 1024,
  queuedBytesMax: 128 * 1024 * 1024,
  cachedCopiesMax: 1,
  streamsMax: 8,
  reserveBytes: undefined,
  tailEntriesFlush: 4096,
  tailSliceRows: 512,
  tailBytesFlush: 32 * 1024 * 1024,
  tailEntriesMax: 32_768,
  tailFlushMs: 500,
  openFilesMax: 128,
  deadShareMin: 0.3,
  tombstoneBytesMin: 16 * 1024 * 1024,
  compactionBytesMax: 64 * 1024 * 1024,
  rollBytesMin: 1024 * 1024,
}

/**
 * Small drives have small segments, so that what lives in one, and the largest block behind it, fit into the reserve:
 * compaction then goes on however full the drive is.
 */
export function segmentBytesFor(capacityBytes: number): number {
  const share = Math.floor(capacityBytes / 256)
  return Math.min(SEGMENT_LIMITS.segmentBytes, Math.max(1024 * 1024, share))
}

/** Reserve unless the limits name one: 1 % of the drive, 16 MiB at least, 1 GiB at most. */
export function defaultReserveBytes(capacityBytes: number): number {
  return Math.min(1024 ** 3, Math.max(16 * 1024 * 1024, Math.floor(capacityBytes / 100)))
}
