/**
 * Commits that wait for an entry, first in, first out. A commit that conflicts with one already taken, or with
 * one under way, waits for a later entry, and nothing that conflicts with a waiting one overtakes it; so the first
 * in the queue is always taken next, and none starves.
 */
import { CairnError } from '@cairn/protocol'
import type { Commit, CommitProof, CommitResult } from '../../ports.js'
import { type Footprint, FootprintSet } from './commit-footprint.js'
import { COMMITS_WAITING_MAX, PASSED_OVER_MAX, WAITING_BYTES_MAX } from './commit-limits.js'
import { type CommitSize, EntryRoom } from './commit-size.js'

/** One commit on its way. */
export interface PendingCommit {
  readonly commit: Commit
  readonly proof: CommitProof
  readonly footprint: Footprint
  readonly size: CommitSize
  /** Monotonic. */
  readonly deadlineAtMs: number
  resolve(result: CommitResult): void
  reject(error: CairnError): void
}

export class CommitQueue {
  private readonly waiting: PendingCommit[] = []
  private bytes = 0

  get length(): number {
    return this.waiting.length
  }

  /** `Busy` when the queue is full. */
  push(pending: PendingCommit): void {
    if (this.waiting.length >= COMMITS_WAITING_MAX || this.bytes + pending.size.bytes > WAITING_BYTES_MAX) {
      throw new CairnError('Busy', `${this.waiting.length} commits are waiting`)
    }
    this.waiting.push(pending)
    this.bytes += pending.size.bytes
  }

  /** Puts back, at the front, what is known not to have happened. */
  putBack(batch: readonly PendingCommit[]): void {
    this.waiting.unshift(...batch)
    for (const { size } of batch) this.bytes += size.bytes
  }

  /** Takes out what may share the next entry and adds it to `underWay`, which has what other entries hold. */
  take(underWay: readonly FootprintSet[], own: FootprintSet): PendingCommit[] {
    const room = new EntryRoom()
    const passedOver = new FootprintSet()
    const taken: PendingCommit[] = []
    const kept: PendingCommit[] = []
    let seen = 0
    for (const pending of this.waiting) {
      if (kept.length >= PASSED_OVER_MAX || room.isFull) break
      seen++
      const conflicts = (set: FootprintSet): boolean => set.conflictsWith(pending.footprint)
      const mustWait =
        conflicts(own) || (kept.length > 0 && conflicts(passedOver)) || underWay.some(conflicts)
      if (mustWait || !room.take(pending.size)) {
        passedOver.add(pending.footprint)
        kept.push(pending)
      } else {
        own.add(pending.footprint)
        taken.push(pending)
      }
    }
    this.waiting.splice(0, seen, ...kept)
    for (const { size } of taken) this.bytes -= size.bytes
    return taken
  }

  /** Takes out what nobody waits for any more. The oldest are in front. */
  takeExpired(nowMs: number): PendingCommit[] {
    const alive = this.waiting.findIndex((pending) => pending.deadlineAtMs > nowMs)
    const expired = this.waiting.splice(0, alive < 0 ? this.waiting.length : alive)
    for (const { size } of expired) this.bytes -= size.bytes
    return expired
  }
}
