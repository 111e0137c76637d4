/**
 * The contract between the gateway's front and its operations. An operation gets the decoded facts of one
 * request that was authenticated and authorised, and returns an answer or throws `S3Error` (or lets a
 * `CairnError` of the client pass: `errors.ts` maps every code). One file per operation.
 */
import type { CairnClient, DigestAlgorithm, Digests, WriteSeal } from '@cairn/client'
import type { ChecksumAlgorithm, Clock } from '@cairn/protocol'
import type { Principal } from '../authentication/principal.js'
import type { GatewayConfig } from '../config.js'
import type { Query } from '../http/query.js'
import type { Log } from '../ports.js'
import type { OperationName } from './table.js'

/**
 * Request headers by lower-case name; nothing is inherited. Values are latin1 text, byte for byte as sent; repeated
 * headers are joined by `,`. For presigned requests, `x-amz-*` query parameters count as headers.
 */
export type RequestHeaders = Readonly<Record<string, string | undefined>>

/** Response headers; those that are undefined are not sent. Names as they should appear on the wire. */
export type ResponseHeaders = Readonly<Record<string, string | number | undefined>>

/** Response headers while they are gathered. */
export type MutableHeaders = Record<string, string | number | undefined>

/** An answer. HEAD requests, 204 and 304 never send the body. */
export interface S3Response {
  readonly status: number
  readonly headers?: ResponseHeaders
  /**
   * Text and bytes get their `Content-Length` by themselves. A stream needs `Content-Length` among the headers
   * and must yield exactly so many bytes; otherwise the connection is cut, so that no client takes a part for the
   * whole. Without it the stream is sent chunked.
   */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>
}

/** The decoded body of a request, with what `CairnClient` needs to verify it. Fits `WriteOptions` by its names. */
export interface RequestBody {
  /** Yields payload bytes without framing. May be iterated once. Rejects with `S3Error` on a broken frame. */
  readonly body: AsyncIterable<Uint8Array>
  /** Absent only for `Transfer-Encoding: chunked` without a declared length. */
  readonly sizeBytes?: number
  /** What `seal` must be given, besides MD5. */
  readonly digests: readonly DigestAlgorithm[]
  /** Throws `S3Error` unless every hash, checksum and length the client declared is right. */
  readonly seal: (digests: Digests, sizeBytes: number) => WriteSeal
}

/** What an operation wants of its body. */
export interface OpenBodyOptions {
  /** Computed and sealed if the client declares no checksum. `CRC64NVME` unless given; `none` for documents. */
  readonly checksumDefault?: ChecksumAlgorithm | 'none'
  /** True where `x-amz-checksum-*` headers describe the object to be made, not this body. */
  readonly checksumOfObject?: boolean
  /** `EntityTooLarge` above; 5 GiB unless given. */
  readonly sizeBytesMax?: number
  /** A request without length and without chunks has an empty body instead of `MissingContentLength`. */
  readonly emptyWithoutLength?: boolean
}

/** One request as its operation sees it. */
export interface OperationContext {
  readonly operation: OperationName
  readonly method: string
  /** Empty for operations on no bucket. */
  readonly bucket: string
  /** Decoded once, opaque, 1 to 1,024 bytes of UTF-8 without NUL. Empty for operations on no object. */
  readonly key: string
  readonly query: Query
  readonly headers: RequestHeaders
  /** The `x-amz-request-id` of the answer. */
  readonly requestId: string
  readonly principal: Principal
  readonly client: CairnClient
  readonly config: GatewayConfig
  readonly log: Log
  /** Wall time at which the request was authenticated. */
  readonly nowMs: number
  /** The request came over TLS, as far as a trusted proxy says: `aws:SecureTransport`. */
  readonly secureTransport: boolean
  /** For answers that must not wait for the end of long work. */
  readonly clock: Clock
  /** Aborted when the client goes away. Pass it to every call of the client. */
  readonly signal: AbortSignal
  /**
   * The body, once. Throws `S3Error` for contradictory or missing length, checksum and payload headers.
   * A client that waits for `100 Continue` gets it when the first byte is asked for.
   */
  openBody(options?: OpenBodyOptions): RequestBody
}

/** One operation of S3. */
export interface Operation {
  readonly name: OperationName
  /** The answer itself where nothing has to be waited for; throws or rejects with what is told as an error. */
  handle(context: OperationContext): S3Response | Promise<S3Response>
}
