/**
 * Debts of groups of which some holder is silent: what the others lack among themselves is copied meanwhile, so that
 * the loss of one more leaves a copy to be read. The debt itself stays: who is silent may owe something too. A debt of
 * every group is one of all drives of the pool: all groups are looked at then.
 */
import { type Clock, type DriveId, formatId } from '@cairn/protocol'
import { EVERY_GROUP, parseDirtyKey } from '../core/rows/keys.js'
import type { StoreRow } from '../ports.js'
import { ComparisonPause } from './comparison-pause.js'
import type { ComparisonResult } from './repair-comparison.js'

/** A debt, and the holders of its group, or of any group, that answer. */
export interface PartialDebt {
  readonly row: StoreRow
  readonly drives: readonly DriveId[]
}

export class PartialDebts {
  /** Under each key: the drives that were compared last, and the revision for which nothing was left to be done. */
  private readonly seen = new Map<
    string,
    { readonly drives: string; readonly revision: number | undefined }
  >()
  private readonly pause: ComparisonPause

  constructor(clock: Clock) {
    this.pause = new ComparisonPause(clock)
  }

  /** At once for other drives than before; after a pause for a debt that was written anew, or could not be settled. */
  isDue({ row, drives }: PartialDebt): boolean {
    if (drives.length < 2) return false
    const seen = this.seen.get(formatId(row.key))
    if (seen?.drives !== drives.join()) return true
    return seen.revision !== row.revision && this.pause.isOver
  }

  /** These were compared. */
  note(debts: readonly PartialDebt[], result: ComparisonResult, tookMs: number): void {
    for (const { row, drives } of debts) {
      const { group } = parseDirtyKey(row.key)
      const isSettled = group === EVERY_GROUP ? result.allSettled : result.isSettled(group)
      const revision = isSettled ? row.revision : undefined
      this.seen.set(formatId(row.key), { drives: drives.join(), revision })
    }
    if (debts.length > 0) this.pause.begin(false, tookMs)
  }

  /** Everything is due again. */
  reset(): void {
    this.seen.clear()
    this.pause.reset()
  }
}
