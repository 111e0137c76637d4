/** How fast chunk servers answer, in the words of those who read and write blocks. */
import { boolean, integer, list, type Message, message, oneOf, optional, required, text } from '../message.js'

/** What a call asked for. */
export type SpeedKind = 'read' | 'write'

/**
 * How long one chunk server took for calls of one kind since the last report. Of a call that was given up it is known
 * that it took longer than it was waited for, and that counts as its time.
 */
export interface ServerSpeed {
  /** Member id. */
  readonly server: string
  readonly kind: SpeedKind
  /** Calls. */
  readonly calls: number
  /** A quarter of the calls took at most so long, and three quarters at most so long, in µs. */
  readonly lowMicros: number
  readonly highMicros: number
}
export const ServerSpeed: Message<ServerSpeed> = message<ServerSpeed>('ServerSpeed', 1, {
  server: required(1, text),
  kind: required(2, oneOf<SpeedKind>('read', 'write')),
  calls: required(3, integer),
  lowMicros: required(4, integer),
  highMicros: required(5, integer),
})

/** At most LIST_PAGE_MAX speeds. */
export interface ReportSpeedsRequest {
  /** Tells one reporter from another; drawn by each anew. */
  readonly observer: string
  readonly speeds: readonly ServerSpeed[]
  /** By another metadata service. */
  readonly passedOn?: boolean
}
export const ReportSpeedsRequest: Message<ReportSpeedsRequest> = message<ReportSpeedsRequest>(
  'ReportSpeedsRequest',
  1,
  { observer: required(1, text), speeds: list(2, ServerSpeed), passedOn: optional(20, boolean) },
)

/** The epoch of the cluster map, so that who reports learns soon of what came of it. */
export interface ReportSpeedsResponse {
  readonly epoch: number
}
export const ReportSpeedsResponse: Message<ReportSpeedsResponse> = message<ReportSpeedsResponse>(
  'ReportSpeedsResponse',
  1,
  { epoch: required(1, integer) },
)
