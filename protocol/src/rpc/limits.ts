/** Limits of the RPC itself, each with its unit and its reason. Those that callers see stand in `../limits.ts`. */

/** Raised when frames change in a way that an older peer cannot skip. */
export const PROTOCOL_VERSION = 1

/** Content of one handshake frame: what a stranger may make us hold. */
export const HANDSHAKE_BYTES_MAX: number = 4 * 1024

/** Random bytes each side adds to a handshake, so that no proof can be replayed. */
export const NONCE_BYTES = 32

/** Time to connect and to prove oneself. */
export const HANDSHAKE_DEADLINE_MS = 5_000

/** Time for what was sent to leave a connection that is being closed. */
export const CLOSE_DEADLINE_MS = 5_000

/** Silence after which a side asks whether the other still lives. */
export const KEEP_ALIVE_MS = 10_000

/** Unanswered pings, one per `KEEP_ALIVE_MS`, after which the connection counts as lost. */
export const UNANSWERED_PINGS_MAX = 2

/** First pause after a failed connect; it doubles with each further failure, with jitter. */
export const RECONNECT_DELAY_MS = 20

/** Credit that even an empty unit costs, so that a flood of tiny units cannot outgrow the receiver. */
export const UNIT_COST_MIN = 1024

/** The receiver returns credit in steps of this size: two full units per frame. */
export const CREDIT_STEP_BYTES: number = 128 * 1024

/** Content up to this size is copied beside its frame head; above it, it travels by reference. */
export const COPIED_BYTES_MAX = 1024

/** Memory that heads and small contents of several frames share. */
export const SLAB_BYTES: number = 16 * 1024

/** A batch this large is sent without waiting for the end of the turn. */
export const BATCH_BYTES_MAX: number = 256 * 1024

/** Bodies pause while the transport holds this much unsent. */
export const UNSENT_BYTES_MAX: number = 1024 * 1024

/** A server stops reading requests while this much of its answers is unsent. */
export const UNSENT_ANSWER_BYTES_MAX: number = 16 * 1024 * 1024

/** Buffer into which a dialled socket reads. */
export const READ_BUFFER_BYTES: number = 256 * 1024

/** Connections one listener serves at once. */
export const CONNECTIONS_PER_LISTENER_MAX = 4096

/** Text of an error as it crosses the wire, in UTF-16 units. */
export const ERROR_TEXT_MAX = 1024
