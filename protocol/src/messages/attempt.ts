/**
 * How one attempt of a change reached a metadata service.
 *
 * ● A session is bound to one running service at a time, by its row; each new binding is a new route. A service
 * refuses attempts of other routes, and every commit compares the row: so once a session has been moved, no attempt
 * that was sent on an earlier route can happen any more, however late it arrives.
 */
import { integer, type Message, message, optional, required } from '../message.js'

export interface Attempt {
  /** `SessionMoved` unless the session of the op is bound to the answering service by this route. */
  readonly route: number
  /** Route of the first attempt that was sent without an answer, and may have happened. */
  readonly firstRoute?: number
  /**
   * A time that a service had told before the first attempt, and the same for all attempts. Whatever the operation
   * writes gets a sequence number that is not lower: so its traces are found, whichever clocks are wrong.
   */
  readonly sinceMicros: number
}
export const Attempt: Message<Attempt> = message<Attempt>('Attempt', 1, {
  route: required(1, integer),
  firstRoute: optional(2, integer),
  sinceMicros: required(3, integer),
})

/** Number of the field `attempt` in every message that changes the namespace. */
export const ATTEMPT_FIELD = 30

/** What every request that changes the namespace may carry. Without it nothing fences late or doubled attempts. */
export interface Attempted {
  readonly attempt?: Attempt
}
