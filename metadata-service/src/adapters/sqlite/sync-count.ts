/** Counts the syncs of the embedded store, which SQLite makes. */

/** Syncs that a store has made since it was opened; none with durability `none`. */
export interface StoreSyncs {
  /** One per entry, per lease that begins or ends, and per transaction that writes rows to their table. */
  readonly entries: number
  /** Three per checkpoint: the WAL, the database, and the head of the WAL that the next entry begins anew. */
  readonly checkpoints: number
}

export class SyncCount implements StoreSyncs {
  private readonly isSynced: boolean
  private walStartsOver = false
  entries = 0
  checkpoints = 0

  constructor(isSynced: boolean) {
    this.isSynced = isSynced
  }

  /** A transaction has written something. */
  noteTransaction(): void {
    if (!this.isSynced) return
    this.entries++
    if (this.walStartsOver) this.checkpoints++
    this.walStartsOver = false
  }

  /** A checkpoint is through: the next transaction begins the WAL anew. */
  noteCheckpoint(): void {
    if (!this.isSynced) return
    this.checkpoints += 2
    this.walStartsOver = true
  }
}
