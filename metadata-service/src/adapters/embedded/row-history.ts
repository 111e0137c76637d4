/** What rows were at recent revisions: of a store in memory, which several services share in tests and simulations. */
import { CairnError, mapKey } from '@cairn/protocol'
import type { StoreEvent, StoreKey, StoreRow } from '../../ports.js'

/** Changes that are remembered. */
const CHANGES_MAX = 10_000

interface Past {
  readonly revision: number
  /** Absent when the row was deleted. */
  readonly row: StoreRow | undefined
}

/** Told of every change of a store that begins empty. */
export class RowHistory {
  private readonly byKey = new Map<string, Past[]>()
  private changes: { readonly name: string; readonly revision: number }[] = []
  /** What was before this revision may be forgotten. */
  private knownSince = 0

  /** The row of the event as it is now. */
  note({ key, revision }: StoreEvent, row: StoreRow | undefined): void {
    const name = mapKey(key)
    const past = this.byKey.get(name) ?? []
    past.push({ revision, row })
    this.byKey.set(name, past)
    this.changes.push({ name, revision })
    if (this.changes.length > 2 * CHANGES_MAX) this.forgetOldest()
  }

  /** `Busy` if that is no longer known. */
  rowAt(key: StoreKey, revision: number): StoreRow | undefined {
    if (revision < this.knownSince) throw new CairnError('Busy', `revision ${revision} is no longer kept`)
    return this.byKey.get(mapKey(key))?.findLast((past) => past.revision <= revision)?.row
  }

  private forgetOldest(): void {
    const forgotten = this.changes.slice(0, CHANGES_MAX)
    this.changes = this.changes.slice(CHANGES_MAX)
    for (const { name, revision } of forgotten) {
      this.knownSince = revision
      const past = (this.byKey.get(name) ?? []).filter((one) => one.revision >= revision)
      if (past.length === 1 && past[0]?.row === undefined) this.byKey.delete(name)
      else this.byKey.set(name, past)
    }
  }
}
