/**
 * An entry store with a bad line to it: answers get lost before or after the entry was applied, entries arrive late
 * (after their sender was told that the outcome is unknown, between or after its next calls), and reads fail.
 */

import { CairnError, type Random } from '@cairn/protocol'
import { authorityOf } from '../core/commit/commit-reads.js'
import { PassingStore } from '../core/commit/passing-store.js'
import type { CommitResult, Entry, EntryStore, Read, ReadResult, StoreKey, StoreRow } from '../ports.js'

/** What may happen to an entry. */
export type EntryFault = 'lost-before' | 'lost-after' | 'late' | 'too-large'

export interface FaultyEntryStoreOptions {
  readonly store: EntryStore
  readonly random: Random
  /** Probability of a fault for each entry, drawn evenly from all kinds, and of an error for each read. */
  readonly rate?: number
}

export interface FaultyEntryStore extends EntryStore {
  /** The next entries meet these faults, in order, whatever the rate. `undefined` lets one pass. */
  inject(...faults: (EntryFault | undefined)[]): void
  /** The next `count` reads fail with `ConnectionLost`. */
  failReads(count: number): void
  /** No further faults by chance; late entries arrive now. */
  calm(): Promise<void>
  /** How many faults have happened. */
  readonly faults: number
}

/** Wraps `store`; closing the wrapper closes it. */
export function createFaultyEntryStore(options: FaultyEntryStoreOptions): FaultyEntryStore {
  return new BadLine(options)
}

/** Calls that may pass before a late entry arrives. */
const LATE_CALLS_MAX = 5

const FAULTS: readonly EntryFault[] = ['lost-before', 'lost-after', 'late', 'too-large']

interface LateEntry {
  readonly entry: Entry
  callsLeft: number
}

class BadLine extends PassingStore<EntryStore> implements FaultyEntryStore {
  faults = 0
  private readonly random: Random
  private rate: number
  private readonly injected: (EntryFault | undefined)[] = []
  private failingReads = 0
  private late: LateEntry[] = []

  constructor({ store, random, rate }: FaultyEntryStoreOptions) {
    super(store)
    this.random = random
    this.rate = rate ?? 0
  }

  inject(...faults: (EntryFault | undefined)[]): void {
    this.injected.push(...faults)
  }

  failReads(count: number): void {
    this.failingReads += count
  }

  async calm(): Promise<void> {
    this.rate = 0
    for (const one of this.late) one.callsLeft = 0
    await this.deliverLate()
  }

  async apply(entry: Entry): Promise<readonly CommitResult[]> {
    await this.deliverLate()
    const fault = this.drawFault()
    if (fault === undefined) return this.store.apply(entry)
    if (fault === 'too-large' && entry.commits.length < 2) return this.store.apply(entry)
    this.faults++
    if (fault === 'too-large') throw new CairnError('MessageTooLarge', 'the store refuses the entry')
    if (fault === 'lost-after') await this.store.apply(entry)
    if (fault === 'late') {
      this.late.push({ entry, callsLeft: 1 + Math.floor(this.random.fraction() * LATE_CALLS_MAX) })
    }
    throw new CairnError('OutcomeUnknown', `the answer is lost (${fault})`)
  }

  async read(reads: readonly Read[]): Promise<ReadResult> {
    await this.meetFault()
    return this.store.read(reads)
  }

  /** No answer is lost within a turn. */
  readNow(reads: readonly Read[]): ReadResult | undefined {
    return this.store.readNow?.(reads)
  }

  async readAuthority(reads: readonly Read[]): Promise<ReadResult> {
    await this.meetFault()
    return authorityOf(this.store).read(reads)
  }

  async rowsAt(keys: readonly StoreKey[], revision: number): Promise<readonly (StoreRow | undefined)[]> {
    await this.meetFault()
    return this.store.rowsAt(keys, revision)
  }

  private async meetFault(): Promise<void> {
    await this.deliverLate()
    if (this.failingReads > 0 || this.random.fraction() < this.rate) {
      this.failingReads = Math.max(0, this.failingReads - 1)
      this.faults++
      throw new CairnError('ConnectionLost', 'the read is lost')
    }
  }

  private drawFault(): EntryFault | undefined {
    if (this.injected.length > 0) return this.injected.shift()
    if (this.random.fraction() >= this.rate) return undefined
    return FAULTS[Math.floor(this.random.fraction() * FAULTS.length)]
  }

  /** Nobody waits for the answer of a late entry, whatever it is. */
  private async deliverLate(): Promise<void> {
    const arrived = this.late.filter((one) => --one.callsLeft < 0)
    this.late = this.late.filter((one) => one.callsLeft >= 0)
    for (const { entry } of arrived) await this.store.apply(entry).catch(() => undefined)
  }
}
