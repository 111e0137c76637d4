/**
 * Operations that were answered and changed nothing: refused by a condition, or a delete that found nothing. They
 * leave no row, so a repeat that arrives late, when the condition holds or the key is there again, would act on what
 * came after it. Their repeats get the first answer while this service lives.
 */
import { CairnError, type ErrorCode, hasCode, type OpId } from '@cairn/protocol'

/** At some 250 bytes each about 16 MB; at 5,000 refusals a second, 13 s: beyond the deadline of a call. */
export const REFUSED_OPERATIONS_MAX = 65_536

/** Answers that end an operation; after all others the caller may send it again. */
const FINAL: readonly ErrorCode[] = ['PreconditionFailed', 'NoSuchKey', 'NoSuchVersion']

type Refusal = Pick<CairnError, 'code' | 'message' | 'details'>

export class RefusedOperations {
  private readonly byOp = new Map<string, Refusal | 'nothing'>()

  /** Nothing was there to be done. */
  rememberNothing(op: OpId): void {
    this.remember(op, 'nothing')
  }

  /** Remembers an error if it ends the operation. */
  rememberError(op: OpId, error: unknown): void {
    if (!hasCode(error, ...FINAL)) return
    const { code, message, details } = error
    this.remember(op, { code, message, details })
  }

  /** The first answer; throws it if it was an error. */
  find(op: OpId): 'nothing' | undefined {
    const found = this.byOp.size === 0 ? undefined : this.byOp.get(nameOf(op))
    if (found === undefined || found === 'nothing') return found
    throw new CairnError(found.code, found.message, { details: found.details })
  }

  private remember(op: OpId, answer: Refusal | 'nothing'): void {
    const oldest = this.byOp.size >= REFUSED_OPERATIONS_MAX ? this.byOp.keys().next().value : undefined
    if (oldest !== undefined) this.byOp.delete(oldest)
    this.byOp.set(nameOf(op), answer)
  }
}

function nameOf(op: OpId): string {
  return Buffer.from(op.buffer, op.byteOffset, op.byteLength).toString('latin1')
}
