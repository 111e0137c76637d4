/** A store over a line that may fall silent or become slow, as etcd over a network. */
import { CairnError, type Clock } from '@cairn/protocol'
import type { EntryStore } from '../src/ports.js'

/** How long a call waits for an answer: the longest of etcd's. */
const CALL_MS = 7_500

export class SilentStore {
  private readonly clock: Clock
  private isSilent = false
  private isClosed = false
  private answerMs = 0
  private readonly waiting = new Set<() => void>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** From now on no call is answered: each ends after some seconds, or at once when the store is closed. */
  fallSilent(): void {
    this.isSilent = true
  }

  /** From now on every answer takes so long. */
  answerIn(answerMs: number): void {
    this.answerMs = answerMs
  }

  over(store: EntryStore): EntryStore {
    return {
      apply: (entry) => this.ask(() => store.apply(entry), 'OutcomeUnknown'),
      read: (reads) => this.ask(() => store.read(reads), 'Busy'),
      rowsAt: (keys, revision) => this.ask(() => store.rowsAt(keys, revision), 'Busy'),
      watch: (range, from, signal) => store.watch(range, from, signal),
      grantLease: (ttlMs) => this.ask(() => store.grantLease(ttlMs), 'Busy'),
      renewLease: (lease) => this.ask(() => store.renewLease(lease), 'Busy'),
      revokeLease: (lease) => this.ask(() => store.revokeLease(lease), 'Busy'),
      close: async () => {
        this.isClosed = true
        for (const end of this.waiting) end()
      },
    }
  }

  private async ask<T>(call: () => Promise<T>, late: 'OutcomeUnknown' | 'Busy'): Promise<T> {
    if (this.isSilent) await this.wait(CALL_MS)
    else if (this.answerMs > 0) await this.wait(this.answerMs)
    if (this.isClosed) throw new CairnError('ShuttingDown', 'the store is closed')
    if (this.isSilent) throw new CairnError(late, 'no answer')
    return call()
  }

  private async wait(waitMs: number): Promise<void> {
    if (this.isClosed) return
    await new Promise<void>((resolve) => {
      this.waiting.add(resolve)
      this.clock.setTimer(waitMs, resolve)
    })
  }
}
