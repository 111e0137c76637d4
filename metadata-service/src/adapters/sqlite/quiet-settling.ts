/**
 * Has the rows of a store that falls quiet written to their table (see `write-behind-rows.ts`): what is read then, above
 * all listings, need not be merged with what waits. Under load rows wait, as many of them share a page.
 */
import type { CancelTimer, Clock } from '@cairn/protocol'

/** Time between two looks, while rows wait. */
const LOOK_MS = 1_000

/** A store with more entries than this between two looks is not quiet. */
const QUIET_ENTRIES = 100

/** The store whose rows wait. */
export interface QuietStore {
  /** Writes some of the rows that wait, in a transaction of their own; whether more of the same are to follow. */
  settleSome(): boolean
  /** Whether any row waits. */
  readonly hasWaiting: boolean
}

/** See the head of this file. */
export class QuietSettling {
  private readonly clock: Clock
  private readonly store: QuietStore
  private entries = 0
  private cancel: CancelTimer | undefined

  constructor(clock: Clock, store: QuietStore) {
    this.clock = clock
    this.store = store
  }

  /** The store has applied an entry, so that rows wait. */
  noteEntry(): void {
    this.entries++
    if (this.cancel === undefined) this.lookLater()
  }

  stop(): void {
    this.cancel?.()
  }

  private lookLater(): void {
    this.cancel = this.clock.setTimer(LOOK_MS, () => {
      const isQuiet = this.entries <= QUIET_ENTRIES
      this.entries = 0
      if (isQuiet) this.settle()
      else this.lookLater()
    })
  }

  /** A turn for each transaction: requests come in between. */
  private settle(): void {
    if (this.store.settleSome()) this.cancel = this.clock.setTimer(0, () => this.settle())
    else if (this.store.hasWaiting) this.lookLater()
    else this.cancel = undefined
  }
}
