/** Every limit of the wire contract, with its unit and its reason. */

/** Largest block: the unit of checksum, placement and repair. */
export const BLOCK_BYTES_MAX: number = 8 * 1024 * 1024

/** Verification unit inside a block: one CRC32C each, and the largest payload of a data frame. */
export const UNIT_BYTES: number = 64 * 1024

/** Largest encoded message (frame head included). Listings of 1,000 long keys must fit. */
export const MESSAGE_BYTES_MAX: number = 4 * 1024 * 1024

/** Bytes a sender may have in flight on one stream before the receiver grants more. */
export const STREAM_CREDIT_BYTES: number = 512 * 1024

/** Calls one connection carries at once; more are queued by the caller. */
export const CALLS_PER_CONNECTION_MAX: number = 4096

/** Object keys, as in S3 (bytes of UTF-8). */
export const KEY_BYTES_MAX: number = 1024

/** An inline block map above this many encoded bytes becomes pages. */
export const INLINE_MAP_BYTES_MAX: number = 2048

/** Slices in one page of a paged block map. */
export const MAP_PAGE_SLICES: number = 1024

/** Groups in a pool. A power of two: the group is the leading 12 bits of the block id's hash. */
export const GROUPS_PER_POOL: number = 4096

/** Parts of a multipart upload, as in S3. */
export const PART_NUMBER_MAX: number = 10_000

/** Keys, versions, uploads or parts in one page of a listing, as in S3. */
export const LIST_PAGE_MAX: number = 1000

/** Deadline of a metadata call unless the caller says otherwise. */
export const METADATA_DEADLINE_MS: number = 5_000

/** Deadline of a block call unless the caller says otherwise. */
export const BLOCK_DEADLINE_MS: number = 30_000

/** Longest pause after a failed connect, before the next call dials again: a restarted service is found within it. */
export const RECONNECT_DELAY_MS_MAX: number = 1_000

/**
 * Feature level that this version supports: what it writes, and what it heeds. A cluster is raised to a level by
 * command, after all its members support it; from then on nobody of a lower one takes part.
 */
export const FEATURE_LEVEL: number = 3

/** From this level on blocks are read by token only. */
export const TOKEN_LEVEL: number = 2

/** From this level on commits of programs must show receipts of the blocks that they name. */
export const RECEIPT_LEVEL: number = 3

/** Lease of a session; a writer that has not renewed for this long can never commit again. */
export const SESSION_LEASE_MS: number = 10_000
