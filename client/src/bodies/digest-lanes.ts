/** What the client needs to digest bodies beside its event loop. */
import type { DigestAlgorithm, Digests } from '../api.js'

/** Threads that compute digests. */
export interface DigestLanes {
  /** Begins the digests of one body. */
  open(algorithms: readonly DigestAlgorithm[]): DigestLane
  /** Stops the threads; what is not finished rejects. */
  close(): Promise<void>
}

/** The digests of one body. */
export interface DigestLane {
  /** The next bytes, in shared memory; they must not change before this resolves. Rejects if the thread fails. */
  update(bytes: Uint8Array): Promise<void>
  /** The digests of all bytes so far; nothing may follow. Rejects with `Internal` if the thread has failed. */
  digests(): Promise<Digests>
  /** Gives them up; updates under way still settle. */
  leave(): void
}
