/** Limits of the group commit, with unit and reason. */

/**
 * Operations on one path of an entry: its branches, the rows it always puts, and the operations of its deepest
 * branch. etcd refuses above 128 (`--max-txn-ops`, counted from root to leaf); two are left for the adapter's own.
 */
export const PATH_OPERATIONS_MAX: number = 126

/** Lane row, head and change record. */
export const ALWAYS_OPERATIONS_MAX: number = 3

/** Compares of one commit, and likewise its writes: what fits when it has an entry to itself. */
export const COMMIT_OPERATIONS_MAX: number = PATH_OPERATIONS_MAX - ALWAYS_OPERATIONS_MAX - 1

/** Bytes of one entry: etcd refuses requests above 1.5 MiB (`--max-request-bytes`). */
export const ENTRY_BYTES_MAX: number = 1.5 * 1024 * 1024

/** Bytes that framing adds to each key of an operation, rounded up. */
export const OPERATION_OVERHEAD_BYTES: number = 64

/** Bytes kept free in an entry for the rows it always puts. */
export const ALWAYS_BYTES_MAX: number = 1024

/** Commits that wait for an entry; more than a second of full load would only time out. `Busy` above it. */
export const COMMITS_WAITING_MAX: number = 10_000

/** Bytes of waiting commits; `Busy` above it. */
export const WAITING_BYTES_MAX: number = 64 * 1024 * 1024

/** Waiting commits passed over for one entry before it is sent as it is: bounds the search behind a hot key. */
export const PASSED_OVER_MAX: number = 256

/** From the call to the last moment at which a commit may still be tried or settled, in ms. */
export const COMMIT_DEADLINE_MS: number = 10_000

/** First and longest wait between two attempts to settle an entry, in ms. */
export const SETTLE_DELAY_MS: number = 10
export const SETTLE_DELAY_MS_MAX: number = 1_000

/** Reads under way at once; further ones join the next request. */
export const READS_IN_FLIGHT_MAX: number = 4

/** Reads of one request: as many as etcd allows operations in a transaction. */
export const READS_PER_REQUEST_MAX: number = 126

/** Longest key of a row: an object key of 1,024 bytes, its space and a version fit. */
export const STORE_KEY_BYTES_MAX: number = 1_400
