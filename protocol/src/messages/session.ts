/** Messages of sessions: one running writer each. */
import type { SessionId } from '../ids.js'
import { bytes, integer, type Message, message, required, text } from '../message.js'

export interface OpenSessionRequest {
  readonly role: string
  readonly name: string
}
export const OpenSessionRequest: Message<OpenSessionRequest> = message<OpenSessionRequest>(
  'OpenSessionRequest',
  1,
  {
    role: required(1, text),
    name: required(2, text),
  },
)
export interface OpenSessionResponse {
  readonly session: SessionId
  readonly leaseMs: number
}
export const OpenSessionResponse: Message<OpenSessionResponse> = message<OpenSessionResponse>(
  'OpenSessionResponse',
  1,
  { session: required(1, bytes<SessionId>()), leaseMs: required(2, integer) },
)
/** Renews or closes a session. `SessionExpired` once its row is gone. */
export interface SessionRequest {
  readonly session: SessionId
}
export const SessionRequest: Message<SessionRequest> = message<SessionRequest>('SessionRequest', 1, {
  session: required(1, bytes<SessionId>()),
})
