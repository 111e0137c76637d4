/** Messages of sessions: one running writer each. */
import type { SessionId } from '../ids.js'
import { bytes, integer, type Message, message, optional, required, text } from '../message.js'

export interface OpenSessionRequest {
  readonly role: string
  readonly name: string
  /** Highest feature level that the writer supports; 1 if it does not say. */
  readonly featureLevel?: number
}
export const OpenSessionRequest: Message<OpenSessionRequest> = message<OpenSessionRequest>(
  'OpenSessionRequest',
  1,
  {
    role: required(1, text),
    name: required(2, text),
    featureLevel: optional(3, integer),
  },
)
export interface OpenSessionResponse {
  readonly session: SessionId
  readonly leaseMs: number
  /** The clock of the answering service: see `Attempt.sinceMicros`. */
  readonly nowMicros?: number
}
export const OpenSessionResponse: Message<OpenSessionResponse> = message<OpenSessionResponse>(
  'OpenSessionResponse',
  1,
  {
    session: required(1, bytes<SessionId>()),
    leaseMs: required(2, integer),
    nowMicros: optional(3, integer),
  },
)
/** Renews or closes a session. `SessionExpired` once its row is gone. */
export interface SessionRequest {
  readonly session: SessionId
}
export const SessionRequest: Message<SessionRequest> = message<SessionRequest>('SessionRequest', 1, {
  session: required(1, bytes<SessionId>()),
})

/**
 * Binds a session to the service that answers, on a new route: see `Attempt`. The session opens on route 1, bound to
 * the service that opened it. `SessionExpired` once its row is gone.
 */
export interface MoveSessionRequest {
  readonly session: SessionId
  /** The last route that the caller knows of. */
  readonly route: number
}
export const MoveSessionRequest: Message<MoveSessionRequest> = message<MoveSessionRequest>(
  'MoveSessionRequest',
  1,
  { session: required(1, bytes<SessionId>()), route: required(2, integer) },
)
export interface MoveSessionResponse {
  readonly route: number
  readonly nowMicros: number
}
export const MoveSessionResponse: Message<MoveSessionResponse> = message<MoveSessionResponse>(
  'MoveSessionResponse',
  1,
  { route: required(1, integer), nowMicros: required(2, integer) },
)
