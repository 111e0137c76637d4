/** Limits of the HTTP side, with their units and reasons. */

/** Header section as S3 bounds it; names, values and separators. */
export const HEADER_BYTES_MAX: number = 8 * 1024

/** Header lines of one request. */
export const HEADERS_MAX: number = 100

/** What Node's parser takes before it answers by itself: above ours, so that the answer is ours. */
export const PARSER_HEADER_BYTES_MAX: number = 32 * 1024

/** Largest body of one PUT, as in S3. */
export const PUT_BYTES_MAX: number = 5 * 1024 ** 3

/** Bytes of one answer that wait for its socket: few large writes cost less than many small ones. */
export const ANSWER_QUEUE_BYTES_MAX: number = 512 * 1024

/** Received but not yet consumed bytes of one body at which the socket is paused. */
export const BODY_QUEUE_BYTES_MAX: number = 256 * 1024

/** Line of an aws-chunked head or trailer. */
export const CHUNK_LINE_BYTES_MAX: number = 1024

/** Trailer lines of one aws-chunked body. */
export const TRAILERS_MAX: number = 16

/** Nesting of XML request bodies. */
export const XML_DEPTH_MAX: number = 20

/** What one XML request body may have. */
export interface DocumentBounds {
  readonly sizeBytesMax: number
  readonly elementsMax: number
}

/** Documents that set something. */
export const DOCUMENT_BOUNDS: DocumentBounds = { sizeBytesMax: 1024 * 1024, elementsMax: 20_000 }

/** Room for 10,000 parts, each with number, ETag and the longest checksum, indented. */
export const PART_LIST_BOUNDS: DocumentBounds = { sizeBytesMax: 4 * 1024 * 1024, elementsMax: 50_000 }

/** Room for 1,000 keys of 1,024 bytes, each byte written as the longest entity, with all conditions. */
export const DELETE_LIST_BOUNDS: DocumentBounds = { sizeBytesMax: 8 * 1024 * 1024, elementsMax: 20_000 }

/** Unread rest of a body up to which an early answer keeps the connection. */
export const DRAIN_BYTES_MAX: number = 64 * 1024

/** An early answer reads on at most so long and so much before it cuts, so that the client sees the answer. */
export const LINGER_MS: number = 2_000
/** The bytes of that. */
export const LINGER_BYTES_MAX: number = 16 * 1024 * 1024

/** Time for the whole header section; longer is an attack. */
export const HEADERS_TIMEOUT_MS: number = 10_000

/** Time for the handshake of a TLS connection. */
export const HANDSHAKE_TIMEOUT_MS: number = 10_000

/** Idle keep-alive: above the pools of common clients, so that they, not we, close. */
export const KEEP_ALIVE_MS: number = 75_000

/** A socket on which nothing moves in either direction for so long is dropped, in the middle of a body too. */
export const IDLE_SOCKET_MS: number = 300_000

/** Requests of one connection that wait for the answers before them; a client that sends more is cut off. */
export const PIPELINED_REQUESTS_MAX: number = 64

/** Running requests may finish for so long when the gateway closes. */
export const CLOSE_MS: number = 10_000

/**
 * Work on a large object that takes longer is answered before its end, and a blank sent as often: well within the
 * 60 s that SDKs wait for a byte.
 */
export const EARLY_ANSWER_MS: number = 10_000

/** Allowed difference between the clocks of client and gateway, as in S3. */
export const CLOCK_SKEW_MS: number = 15 * 60 * 1000

/** Longest life of a presigned URL, as in S3: a week. */
export const PRESIGNED_SECONDS_MAX: number = 604_800

/** Derived signing keys kept; one is needed for each access key and day. */
export const SIGNING_KEYS_MAX: number = 1024

/** CORS rules of a bucket are read again after this: so long may another gateway's change stay unseen. */
export const CORS_CACHE_MS: number = 1_000

/** Buckets whose CORS rules, or lack of them, are remembered. */
export const CORS_BUCKETS_MAX: number = 1_024

/** Header names that one preflight request may ask for. */
export const CORS_HEADERS_MAX: number = 100

/** Fields of one form, names and values together, as in S3. */
export const FORM_FIELDS_BYTES_MAX: number = 20 * 1024

/** Fields of one form; S3's own are some 40, the rest is user metadata. */
export const FORM_FIELDS_MAX: number = 200

/** Name of a form field: user metadata as a whole may not be longer than 2 KiB. */
export const FORM_NAME_BYTES_MAX: number = 2_048 + 64

/** Head of one part of a form: the longest name, and a file name. */
export const FORM_PART_HEAD_BYTES_MAX: number = 8 * 1024

/** Header lines of one part of a form. */
export const FORM_PART_HEADERS_MAX: number = 16

/**
 * Received of a form before its file begins: ample for all fields with their heads. Whoever sends more has not said
 * yet who he is, and may not keep the parser busy.
 */
export const FORM_HEAD_BYTES_MAX: number = 256 * 1024

/** Longest time between the signing of a form and its use, as for presigned URLs. */
export const FORM_AGE_MS_MAX: number = PRESIGNED_SECONDS_MAX * 1000

/**
 * Share of all turns, running or waiting, that the requests of one address may take, unless it is that of a trusted
 * proxy: a few hundred slow readers cost their sender nothing, and would stop everybody.
 */
export const ADDRESS_SHARE_MAX: number = 3 / 4

/** What a gateway takes on at once; a program may set its own. */
export interface GatewayLimits {
  /** Requests under way; more wait. Each holds at most a few MiB. */
  readonly requestsRunningMax: number
  /** Requests that wait for their turn; more are answered `SlowDown`. */
  readonly requestsWaitingMax: number
  /** Longest wait for a turn, then `SlowDown`. */
  readonly requestWaitMsMax: number
  readonly connectionsMax: number
  /** From one address that is not a trusted proxy. */
  readonly connectionsPerAddressMax: number
  /** Least rate of a body in either direction while the client owes it, over each window. */
  readonly bytesPerSecondMin: number
  readonly rateWindowMs: number
}

/** What a gateway takes on unless told otherwise. */
export const GATEWAY_LIMITS: GatewayLimits = {
  requestsRunningMax: 256,
  requestsWaitingMax: 1024,
  requestWaitMsMax: 10_000,
  connectionsMax: 4096,
  connectionsPerAddressMax: 2048,
  bytesPerSecondMin: 1024,
  rateWindowMs: 30_000,
}
