/**
 * Operations that were answered and changed nothing: refused by a condition, or a delete that found nothing. They
 * leave no row, so a repeat that arrives late, when the condition holds or the key is there again, would act on what
 * came after it. Their repeats get the first answer while this service lives, unless the session has been bound to
 * another service in between: that one may have done what was refused here.
 */
import { AgingMap, CairnError, type ErrorCode, hasCode, mapKey, type OpId } from '@cairn/protocol'

/** At some 250 bytes each about 16 MB; at 5,000 refusals a second, 13 s: beyond the deadline of a call. */
const REFUSED_OPERATIONS_MAX = 65_536

/** Answers that end an operation; after all others the caller may send it again. */
const FINAL: readonly ErrorCode[] = ['PreconditionFailed', 'NoSuchKey', 'NoSuchVersion']

type Refusal = Pick<CairnError, 'code' | 'message' | 'details'>

interface Answer {
  readonly route: number | undefined
  readonly refusal: Refusal | 'nothing'
}

export class RefusedOperations {
  private readonly byOp = new AgingMap<string, Answer>()

  /** Nothing was there to be done. */
  rememberNothing(op: OpId, route?: number): void {
    this.remember(op, { route, refusal: 'nothing' })
  }

  /** Remembers an error if it ends the operation. */
  rememberError(op: OpId, error: unknown, route?: number): void {
    if (!hasCode(error, ...FINAL)) return
    const { code, message, details } = error
    this.remember(op, { route, refusal: { code, message, details } })
  }

  /** The first answer, if it was given on this route or a later one; throws it if it was an error. */
  find(op: OpId, sinceRoute = 0): 'nothing' | undefined {
    const found = this.byOp.size === 0 ? undefined : this.byOp.get(mapKey(op))
    if (found === undefined || (found.route ?? 0) < sinceRoute) return undefined
    const { refusal } = found
    if (refusal === 'nothing') return refusal
    throw new CairnError(refusal.code, refusal.message, { details: refusal.details })
  }

  private remember(op: OpId, answer: Answer): void {
    this.byOp.set(mapKey(op), answer)
    if (this.byOp.size > REFUSED_OPERATIONS_MAX) this.byOp.takeOldest()
  }
}
