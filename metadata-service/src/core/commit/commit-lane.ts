/**
 * The lane: a row that every entry of one sequence rewrites with a value never used before, and whose former value
 * each entry demands (its fence). So entries of a lane happen in order or not at all, and an entry whose answer was
 * lost can be settled for certain:
 *
 * 1. Read the lane. If it holds the lost entry's value, the entry has happened, at the revision of that row.
 * 2. If it still holds the value before it, the entry may be under way. An empty entry, with the same fence, raises
 *    the lane: once that has happened, the lost entry's fence can never hold again.
 * 3. If it holds the value of one of our raises, that raise won, and the lost entry never will happen.
 * 4. Any other value was written by another run under the same name. The lost entry's fence is gone, so it has
 *    happened or never will; which of the two, only the rows of its commits can tell.
 *
 * A value is the random id of this run, a counter, and the µs of the last change record.
 */
import { CairnError, type Clock, type Random, sameBytes, toCairnError } from '@cairn/protocol'
import type { EntryFence, EntryStore, Put, StoreKey, StoreRow } from '../../ports.js'
import { authorityOf } from './commit-reads.js'
import { Backoff, isFinal } from './commit-retry.js'
import { type ChangeKeys, HEAD_KEY } from './commit-rows.js'

/** One entry's place in its lane. */
export interface LaneStep {
  readonly fence: EntryFence
  /** What the lane holds once the entry has happened. */
  readonly value: Uint8Array
  /** Lane row and head. */
  readonly puts: readonly Put[]
}

/** What became of an entry whose answer was lost. */
export type Verdict =
  | { readonly kind: 'happened'; readonly revision: number }
  | { readonly kind: 'never' }
  /** It has happened or never will: its commits' rows can tell. */
  | { readonly kind: 'unknown' }

export interface LaneOptions {
  readonly store: EntryStore
  readonly clock: Clock
  readonly random: Random
  readonly key: StoreKey
  /** Random id of this run, 8 bytes. */
  readonly run: Uint8Array
  readonly changeKeys: ChangeKeys
}

const RUN_BYTES = 8
const VALUE_BYTES = RUN_BYTES + 16

export class Lane {
  private readonly options: LaneOptions
  private counter = 0
  /** The value that the next entry must find; unknown at the start and after an entry without a clear answer. */
  private current: { readonly value: Uint8Array | undefined } | undefined

  constructor(options: LaneOptions) {
    this.options = options
  }

  get isKnown(): boolean {
    return this.current !== undefined
  }

  /** The lane must be known. Settle or confirm one step before taking the next. */
  next(): LaneStep {
    if (this.current === undefined) throw new Error('the lane is not known')
    return this.stepFrom(this.current.value)
  }

  /** The step's entry has happened. */
  confirm(step: LaneStep): void {
    this.current = { value: step.value }
  }

  /** The lane is to be read again before the next entry. */
  forget(): void {
    this.current = undefined
  }

  /** Reads where the lane stands. Retries what may pass until `untilMs`, then rejects with the last error. */
  async learn(untilMs: number): Promise<void> {
    await this.retry(untilMs, async () => {
      const row = await this.readRow()
      this.current = { value: row?.value }
    })
  }

  /**
   * Settles a step whose answer was lost; afterwards the lane is known. Rejects with `OutcomeUnknown` when that is
   * not possible until `untilMs`, or never will be.
   */
  async settle(lost: LaneStep, untilMs: number): Promise<Verdict> {
    this.forget()
    const raises: Uint8Array[] = []
    try {
      return await this.retry(untilMs, () => this.trySettle(lost, raises))
    } catch (error) {
      throw new CairnError('OutcomeUnknown', 'the store did not say what became of an entry', {
        cause: error,
      })
    }
  }

  private async trySettle(lost: LaneStep, raises: Uint8Array[]): Promise<Verdict> {
    const row = await this.readRow()
    const value = row?.value
    if (row !== undefined && sameBytes(row.value, lost.value)) {
      this.current = { value }
      return { kind: 'happened', revision: row.revision }
    }
    if (same(value, lost.fence.value)) {
      const raise = this.stepFrom(value)
      raises.push(raise.value)
      await this.options.store.apply({ commits: [], always: raise.puts, fence: raise.fence })
      this.confirm(raise)
      return { kind: 'never' }
    }
    this.current = { value }
    return raises.some((raise) => same(value, raise)) ? { kind: 'never' } : { kind: 'unknown' }
  }

  private async retry<T>(untilMs: number, attempt: () => Promise<T>): Promise<T> {
    const { clock, random } = this.options
    const backoff = new Backoff(clock, random)
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (isFinal(toCairnError(error)) || clock.monotonicMs() >= untilMs) throw error
        await backoff.wait()
      }
    }
  }

  private async readRow(): Promise<StoreRow | undefined> {
    const { store, key, changeKeys } = this.options
    const { results } = await authorityOf(store).read([{ kind: 'get', key }])
    const row = results[0]?.[0]
    if (row !== undefined) changeKeys.raise(lastMicrosOf(row.value))
    return row
  }

  private stepFrom(before: Uint8Array | undefined): LaneStep {
    const { key, run, changeKeys } = this.options
    const value = Buffer.alloc(VALUE_BYTES)
    value.set(run, 0)
    value.writeBigUInt64BE(BigInt(++this.counter), RUN_BYTES)
    value.writeBigUInt64BE(BigInt(changeKeys.lastMicros), RUN_BYTES + 8)
    const puts = [
      { key, value },
      { key: HEAD_KEY, value },
    ]
    return { fence: { key, value: before }, value, puts }
  }
}

function lastMicrosOf(value: Uint8Array): number {
  if (value.length < VALUE_BYTES) return 0
  return Number(Buffer.from(value).readBigUInt64BE(RUN_BYTES + 8))
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameBytes(a, b)
}
