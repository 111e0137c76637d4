/** Limits of the etcd adapter, with unit and reason. */

/** Longest wait for one answer, in ms: etcd commits in milliseconds, and elects a new leader within 2.5 s. */
export const ATTEMPT_MS: number = 1_500

/**
 * Longest wait for a page of a fill, in ms. The first look into a dense part costs etcd all its keys, some 2 s for ten
 * million; etcd goes on with what nobody waits for any more, so asking again would only add to it.
 */
export const PAGE_MS: number = 20_000

/** Longest time in ms in which a call may be tried at one member after another. */
export const TOTAL_MS: number = 6_000

/**
 * So many times the total deadline for a scan that may cost etcd a walk over millions of keys; each of its attempts lasts
 * `WIDE_GROWTH` times as long as the last, so that a silent member is left soon and a busy one gets time in the end. A
 * member that is the only one is asked once.
 */
export const WIDE_TOTALS: number = 3
export const WIDE_GROWTH: number = 2

/** Pause in ms before the members are tried anew, when none could be reached. */
export const ROUND_PAUSE_MS: number = 50

/** Least time in ms between two lines of the log about members that do not answer: they are tried some ten times a second. */
export const TELL_MS: number = 1_000

/** Time in ms after which an idle connection with calls under way is probed; etcd closes it if asked more often. */
export const KEEPALIVE_MS: number = 5_000

/** First and longest time in ms between two attempts to connect to a member. */
export const RECONNECT_MS: number = 100
export const RECONNECT_MS_MAX: number = 1_000

/** Operations on one path of a transaction: etcd's own limit (`--max-txn-ops`). */
export const OPERATIONS_MAX: number = 128

/** Bytes of a request: etcd's own limit (`--max-request-bytes`). */
export const REQUEST_BYTES_MAX: number = 1.5 * 1024 * 1024

/** Bytes of a request that etcd's envelope of it may take. */
export const ENVELOPE_BYTES_MAX: number = 512

/** Time in ms without a word after which a follower compares its place with the head of the store. */
export const SILENCE_MS: number = 2_000

/** Time in ms in which a follower must have reached the head that was seen, before it counts as lost. */
export const CATCH_UP_MS: number = 5_000

/** Time in ms between two compactions of history; long ones stall writers. */
export const COMPACT_EVERY_MS: number = 60_000

/** How much history is kept, in ms: as long as a follower may be away without a new start. */
export const HISTORY_MS: number = 600_000

/** Keys of a range above which its scans are cut into narrow ranges: etcd counts up to the end of each. */
export const WIDE_KEYS: number = 5_000

/** Ranges whose density of keys is remembered. */
export const RANGES_KNOWN_MAX: number = 1_000

/** Leases whose time is remembered; further ones are left to etcd's clock alone. */
export const LEASES_KNOWN_MAX: number = 10_000

/** Time in ms between two looks for changed certificates. */
export const TLS_LOOK_MS: number = 1_000

/** Time in ms between two looks at how full the members are, and the longest wait for a member's answer. */
export const SPACE_LOOK_MS: number = 2_000
export const SPACE_TIMEOUT_MS: number = 1_500

/** Looks between two readings of quotas: they change when members restart. */
export const QUOTA_LOOKS: number = 30

/** Part of the quota above which only what frees space is written: what deletes put must fit until space is free. */
export const SHORT_FRACTION: number = 0.9

/** Quota in bytes if a member does not tell its own: the largest that etcd recommends. */
export const QUOTA_BYTES_DEFAULT: number = 8 * 1024 ** 3

/** How much history is kept while space is short, in ms. */
export const SHORT_HISTORY_MS: number = 60_000

/** Characters of a page of metrics; some 100,000 are usual. */
export const METRICS_BYTES_MAX: number = 4 * 1024 ** 2

/** Longest wait in ms until a member has compacted or defragmented: about 3 s for each GiB of a fast disk. */
export const DEFRAGMENT_MS: number = 600_000
