/** What passes between the event loop and the thread that computes digests. */
import type { DigestAlgorithm, Digests } from '../api.js'

/** To the thread. Lanes are numbered by the sender; each begins with its algorithms and has one end. */
export type DigestOrder =
  | { readonly lane: number; readonly algorithms: readonly DigestAlgorithm[] }
  | { readonly lane: number; readonly bytes: Uint8Array }
  | { readonly lane: number; readonly end: 'digests' | 'leave' }

/** From the thread: the next bytes of a lane are done, or its digests. */
export interface DigestAnswer {
  readonly lane: number
  readonly digests?: Digests
}
