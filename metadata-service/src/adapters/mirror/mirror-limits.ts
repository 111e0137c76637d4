/** Limits of the mirror, with unit and reason. */

/** Rows of one page of the fill: one of a few milliseconds for the store, the line and the event loop. */
export const FILL_ROWS: number = 1_000

/** Changes of one transaction: what arrives in one turn joins one, up to this. */
export const APPLY_CHANGES_MAX: number = 256

/** Rows of one transaction: beyond it others would wait for the event loop. */
export const APPLY_EVENTS_MAX: number = 2_000

/** Longest wait of a read for the mirror to catch up, in ms; then the store answers. */
export const CATCH_UP_MS: number = 50

/**
 * A mirror that is behind and is given nothing for this long, in ms, asks for its changes anew. After a long absence
 * etcd sends all that was missed as one piece, which takes seconds.
 */
export const STALL_MS: number = 15_000

/** Time between two looks at how far the mirror is behind, in ms, whether anybody reads or not. */
export const LOOK_MS: number = 1_000

/** Attempts to go on from the applied revision that brought nothing; then everything is read anew. */
export const RESUMES_MAX: number = 3

/** First and longest pause before the next attempt to follow or to fill, in ms. */
export const RETRY_MS: number = 50
export const RETRY_MS_MAX: number = 30_000

/** Rows compared by one step of the audit, and pause between two, in ms: a million rows in half an hour. */
export const AUDIT_ROWS: number = 500
export const AUDIT_MS: number = 1_000

/** Pause after each pass of the audit, in ms: a small store is not compared all the time. */
export const AUDIT_PASS_MS: number = 300_000

/** WAL pages of 4 KiB after which SQLite checkpoints within a commit: some 4 ms. */
export const MIRROR_WAL_PAGES: number = 1_000

/**
 * Rows below a prefix from which its unknown part is approached in small steps: the store walks this many in a
 * millisecond.
 */
export const LARGE_SUBTREE_ROWS: number = 20_000

/** Progress of a fill is logged so often, in rows. */
export const PROGRESS_ROWS: number = 250_000

/** A store of fewer entries than this holds so few rows that pages need no tight ends: some hundred for each entry. */
export const SMALL_ENTRIES: number = 100
