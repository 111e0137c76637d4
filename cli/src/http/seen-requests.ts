/**
 * ● A signed request works once. A signature is good for CLOCK_SKEW_MS around its date; for so long it is remembered
 * here, and the same one is refused. What was signed before this process began is refused too, since what the process
 * before it has seen is not known.
 *
 * Only requests whose signature was proved are remembered, so nobody else can fill the memory. Where it is full,
 * requests are refused rather than forgotten. Each gateway remembers its own: what was captured on the way to one may
 * still work once at each other one, so the way has to be TLS.
 */
import { CLOCK_SKEW_MS } from '@cairn/gateway'
import { CairnError, type Clock } from '@cairn/protocol'

/** Signatures remembered, of 64 characters each: about 12 MB, and 70 requests a second for a quarter of an hour. */
export const SEEN_REQUESTS_MAX: number = 65_536

/** A request whose signature was proved. */
export interface ProvenSignature {
  readonly signature: string
  /** The date that was signed, in whole seconds. */
  readonly signedMs: number
}

export class SeenRequests {
  private readonly clock: Clock
  private readonly startedMs: number
  /** When each may be forgotten. */
  private readonly seen = new Map<string, number>()

  constructor(clock: Clock) {
    this.clock = clock
    this.startedMs = Math.floor(this.nowMs() / 1000) * 1000
  }

  /** Remembers it. `PreconditionFailed` if it must be signed anew; `Busy` while there is no memory for one more. */
  admit({ signature, signedMs }: ProvenSignature): void {
    if (signedMs < this.startedMs) {
      throw new CairnError(
        'PreconditionFailed',
        'the request was signed before this server started; sign it anew',
      )
    }
    if (this.seen.has(signature)) {
      throw new CairnError(
        'PreconditionFailed',
        'a request with this signature was received before; sign it anew',
      )
    }
    if (this.seen.size >= SEEN_REQUESTS_MAX) this.forgetOld()
    if (this.seen.size >= SEEN_REQUESTS_MAX)
      throw new CairnError('Busy', 'too many requests in a quarter of an hour')
    this.seen.set(signature, signedMs + CLOCK_SKEW_MS)
  }

  /** Those whose signature is too old to be taken by anybody. */
  private forgetOld(): void {
    const nowMs = this.nowMs()
    for (const [signature, endsMs] of this.seen) if (endsMs < nowMs) this.seen.delete(signature)
  }

  private nowMs(): number {
    return Math.floor(this.clock.wallMicros() / 1000)
  }
}
