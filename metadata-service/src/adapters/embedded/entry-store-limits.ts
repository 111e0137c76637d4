/** Limits of the embedded entry stores, with unit and reason. */

/** Rows of one scan: a page of 1,000 keys needs at most a few times as many rows; more would stall the loop. */
export const SCAN_ROWS_MAX: number = 10_000

/** Events kept for watchers: about a second of full load, so that a short pause needs no new scan. */
export const WATCH_EVENTS_MAX: number = 8_192

/** Bytes of keys and values kept for watchers, whatever their number. */
export const WATCH_BYTES_MAX: number = 4 * 1024 * 1024

/**
 * SQLite page cache in KiB: the upper levels of a large tree, what is in use just now, and a page for each of the 1,000
 * prefixes of a listing. It fills while the server runs, and the operating system keeps the rest.
 */
export const PAGE_CACHE_KIB: number = 16 * 1024

/**
 * Rows kept as they are, in bytes: those of buckets, sessions and pools, and of the keys in use just now. Each may hold
 * on to the 8 KiB of memory that it was cut from, so the process grows by several times as much.
 */
export const ROW_CACHE_BYTES: number = 8 * 1024 * 1024

/** How far the rows of the embedded store may be behind its entries. */
export interface BehindLimits {
  /** Changed rows that are written together, in order: the more, the more of them share a page. */
  readonly rows: number
  /** Bytes of entries from which fewer rows will do. */
  readonly bytes: number
  /** Rows that one transaction writes at least, if so many are to be written. */
  readonly sliceRows: number
}

/**
 * While some are written, half as many more come at most. The next start writes what waits, in some 100 ms. With half
 * as many, a put of 64 at once costs 35 instead of 28 pages of the WAL for each entry.
 */
export const BEHIND_LIMITS: BehindLimits = { rows: 4_096, bytes: 2 * 1024 * 1024, sliceRows: 128 }

/**
 * WAL pages (4 KiB) after which a checkpoint is due; it runs after the answers of its turn have gone out. Twice as
 * many cost 4 % less CPU per commit but hold the loop twice as long (20 instead of 10 ms at the 99th percentile).
 */
export const WAL_PAGES_SOFT: number = 500

/** WAL pages after which the commit itself checkpoints: the bound of the WAL (16 MiB and one entry). */
export const WAL_PAGES_HARD: number = 4_000
