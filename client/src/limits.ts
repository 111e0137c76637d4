/** Every limit of the client library, with its unit and its reason. */

/**
 * Units of one block held for replicas that have not taken them yet: all of a block (8 MiB), since its frames stay
 * until it is stored anyway. A drive that is slow for a moment then holds neither the sender nor the other drives up.
 */
export const WINDOW_UNITS: number = 128

/** The same while frames are short (2 MiB): what a short stall may hide. */
export const SHORT_WINDOW_UNITS: number = 32

/** Units of one block that replicas hear of at once: as many as a stream's credit lets them take. */
export const TELL_UNITS: number = 8

/**
 * Units that every replica must have taken before the first ones are let go. Twice a stream's credit: by then
 * each server has accepted the block's placement, so a stale map can be answered by sending the block again.
 */
export const RESTARTABLE_UNITS: number = 16

/**
 * Blocks of one body under way: one being filled, one being written, and one that waits for its sync; while frames are
 * short only two of them.
 */
export const BLOCKS_IN_FLIGHT_MAX: number = 3
export const SHORT_BLOCKS_IN_FLIGHT_MAX: number = 2

/**
 * A body that pauses longer ends its block there and goes on with a new one: the calls of an open block would
 * reach their deadline (BLOCK_DEADLINE_MS), and a third of it leaves time to finish.
 */
export const BODY_IDLE_MS: number = 10_000

/** Bytes of a body that travel together: large enough that handing them to another thread costs nothing. */
export const FRAME_BYTES: number = 1024 * 1024

/** Frames that are kept for the next body (64 MiB): two streams at their fastest. */
export const FRAMES_MAX: number = 64

/** Bytes of a block that its writer kept, given to a reader at once: few writes to a socket, and little to wait for. */
export const LENT_UNITS_MAX: number = 8

/** Frames of the bodies beyond: let go with the window, so they must not pin much more than that. */
export const SPARE_FRAME_BYTES: number = 256 * 1024

/** Shorter bodies are digested on the event loop: waiting for another thread would take as long. */
export const LANE_BODY_BYTES_MIN: number = 1024 * 1024

/** Threads for digests: each body needs one, and the event loop feeds hardly more than two. */
export const DIGEST_THREADS_MAX: number = 4

/** What is handed to a digest thread at once: small enough to stay in the cache, large enough to cost little. */
export const LANE_PIECE_BYTES: number = 512 * 1024

/** Pieces of one body that wait for their digests. */
export const LANE_PIECES_MAX: number = 16

/**
 * Pieces of all bodies that are used again (32 MiB). What is not is freed only when the thread, too, collects its
 * garbage, which it hardly makes any of: some 300 MiB came together in a file of 2 GiB.
 */
export const IDLE_PIECES_MAX: number = 64

/** Hashing between two turns of the event loop: about 2 ms of MD5. */
export const HASH_BYTES_PER_TURN: number = 1024 * 1024

/** After quorum a replica is waited for this long at least, at most, and in multiples of its p99. */
export const REPLICA_GRACE_MS_MIN: number = 50
export const REPLICA_GRACE_MS_MAX: number = 1000
export const REPLICA_GRACE_P99_FACTOR: number = 3

/** A read is hedged after the peer's p95, but never sooner than this. */
export const HEDGE_MS_MIN: number = 20

/** Wait for a peer of which no latency is known yet, before a read is hedged. */
export const HEDGE_MS_UNKNOWN: number = 100

/** Share of reads that may be hedged, and how many may be saved up: hedges must not double an overload. */
export const HEDGE_SHARE_MAX: number = 0.1
export const HEDGE_TOKENS_MAX: number = 20

/**
 * A peer that said nothing to so many reads in a row, each of which another replica then served, is asked last for so
 * long, and twice as long after each further one: one that is paused, or far slower than the others, would otherwise
 * hold up a share of all reads, and use up the hedges, until it is suspect.
 */
export const OVERTAKEN_MAX: number = 3
export const ASIDE_MS: number = 2_000
export const ASIDE_MS_MAX: number = 16_000

/** Pause between two looks at how fast peers answered, each of which is told to the metadata service. */
export const SPEED_REPORT_MS: number = 5_000

/**
 * Block ids drawn until one's group has no suspect drive. With one of five drives suspect two groups of five have none,
 * so all but 1 in 3,000 blocks find one; where there are too few drives for that it costs some microseconds.
 */
export const BLOCK_IDS_DRAWN_MAX: number = 16

/** Blocks whose check words are remembered: 512 bytes each for 8 MiB, so 2 MiB for 32 GiB. */
export const KNOWN_BLOCKS_MAX: number = 4096

/** Blocks from this size on are read from one replica as long as it is well: smaller ones are in memory everywhere. */
export const AFFINE_BLOCK_BYTES_MIN: number = 256 * 1024

/** A replica that gives nothing for this long gets company whatever the hedge budget says. */
export const READ_STALL_MS: number = 1000

/** Rounds over all replicas before a block is unavailable; the second one with a fresh cluster map. */
export const READ_ROUNDS_MAX: number = 2

/** Latencies remembered for each peer. */
export const LATENCY_SAMPLES: number = 64

/** One attempt of a metadata call when there is another service to turn to. */
export const METADATA_ATTEMPT_MS: number = 2_000

/** A commit is repeated, with the same op id, until this has passed; then its outcome is unknown. */
export const COMMIT_DEADLINE_MS: number = 15_000

/** First and largest mean delay between attempts; each is drawn from [0, 2 × mean) (full jitter). */
export const RETRY_DELAY_MS_MIN: number = 20
export const RETRY_DELAY_MS_MAX: number = 500

/** Attempts against a service that says it is busy: more would feed the overload. */
export const BUSY_ATTEMPTS_MAX: number = 3

/** Commits and blocks are tried again so often with a newer cluster map. */
export const STALE_ATTEMPTS_MAX: number = 5

/** The same where a drive could not be reached: the second one, after RECONNECT_DELAY_MS_MAX, dials it again. */
export const UNREACHED_ATTEMPTS_MAX: number = 2

/** Wait before another attempt when the metadata service does not know the newer map yet. */
export const STALE_DELAY_MS: number = 50

/** A session is replaced after this time, so that blocks of its failed writes become collectable. */
export const SESSION_ROTATION_MS: number = 3_600_000

/** The cluster map is asked for so often even if nothing complains. */
export const MAP_REFRESH_MS: number = 30_000

/** Bucket and upload facts are believed so long. What is stale is caught by the commit's compares. */
export const FACT_CACHE_MS: number = 2_000
export const FACT_CACHE_ENTRIES_MAX: number = 1_000

/** Smallest part but the last of an upload, as in S3. */
export const PART_BYTES_MIN: number = 5 * 1024 * 1024
