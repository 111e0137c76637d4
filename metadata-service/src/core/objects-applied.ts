/**
 * Operations that the rows of a key no longer remember: the key has no row any more, or many writers. Their
 * repeats get the first result while this service lives; their `g/` rows prove them to the batcher.
 */
import type { OpId } from '@cairn/protocol'
import type { AppliedOperation } from './rows.js'

/** At some 150 bytes each about 10 MB; at 5,000 deletes a second, 13 s: beyond the deadline of a call. */
export const APPLIED_OPERATIONS_MAX = 65_536

export class AppliedOperations {
  private readonly byOp = new Map<string, AppliedOperation>()

  /** Remembers operations; the oldest go first when there are too many. */
  remember(operations: readonly AppliedOperation[]): void {
    for (const { seq, op, isNull, deleteMarker } of operations) {
      const name = nameOf(op)
      if (this.byOp.size >= APPLIED_OPERATIONS_MAX) this.forgetOldest()
      // The op id may be a view of a whole row: only a copy is kept.
      this.byOp.set(name, { seq, op: Uint8Array.from(op) as OpId, isNull, deleteMarker })
    }
  }

  find(op: OpId): AppliedOperation | undefined {
    return this.byOp.size === 0 ? undefined : this.byOp.get(nameOf(op))
  }

  private forgetOldest(): void {
    const oldest = this.byOp.keys().next().value
    if (oldest !== undefined) this.byOp.delete(oldest)
  }
}

function nameOf(op: OpId): string {
  return Buffer.from(op.buffer, op.byteOffset, op.byteLength).toString('latin1')
}
