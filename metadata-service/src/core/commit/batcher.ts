/**
 * Group commit: the commits of many requests share the entries of a store.
 *
 * ● Two commits share an entry only if neither writes what the other compares, reads or writes. Each lane has one
 * entry under way while the next one fills; what conflicts with an entry under way, or with a commit that waits,
 * waits too. Entries are sent at the end of a turn of the event loop, so that all that arrived in it share one.
 *
 * ● A lost answer is never guessed. The lane settles whether the entry happened (see `commit-lane.ts`); then the
 * proof rows of each commit, as its entry left them, tell whether *it* was among those applied: others may have
 * superseded it since. One that was refused, or whose entry never happened, is tried again; its result is always the
 * truth. What cannot be settled within COMMIT_DEADLINE_MS ends as `OutcomeUnknown`. `Busy` means that a commit was given up before it happened. What the store says for good, as
 * that its lane row is damaged, ends a commit at once.
 */

import { CairnError, type Clock, type ErrorCode, hasCode, type Random, toCairnError } from '@cairn/protocol'
import type {
  Commit,
  CommitProof,
  CommitResult,
  EntryStore,
  KeyValueStore,
  Put,
  Read,
  ReadResult,
  StoreRow,
} from '../../ports.js'
import { ChangeRecord } from './commit-change-record.js'
import { FootprintSet, footprintOf } from './commit-footprint.js'
import { Lane, type LaneStep, type Verdict } from './commit-lane.js'
import { COMMIT_DEADLINE_MS } from './commit-limits.js'
import { CommitQueue, type PendingCommit } from './commit-queue.js'
import { authorityOf, ReadBatcher } from './commit-reads.js'
import { Backoff, isFinal } from './commit-retry.js'
import { ChangeKeys, laneKey } from './commit-rows.js'
import { sizeOf } from './commit-size.js'
import { PassingStore } from './passing-store.js'

export interface BatcherOptions {
  readonly store: EntryStore
  readonly clock: Clock
  readonly random: Random
  /** Name of the lane rows; two services that run at once never share it. */
  readonly service: string
  /** Entries under way at once, each in a lane of its own; 1 unless said otherwise. */
  readonly entriesInFlight?: number
  /** Told of each entry that was applied: how many commits shared it. */
  readonly onEntry?: (commits: number) => void
}

/** The store that `core` sees, in front of any adapter. Closing it closes the adapter. */
export function createKeyValueStore(options: BatcherOptions): KeyValueStore {
  return new Batcher(options)
}

/** One sequence of entries. */
interface Slot {
  readonly lane: Lane
  /** What the entry under way reads and writes. */
  readonly footprints: FootprintSet
  isBusy: boolean
}

/** Errors after which an entry may or may not have happened; the last two come from a transport. */
const UNKNOWN_CODES: readonly ErrorCode[] = ['OutcomeUnknown', 'ConnectionLost', 'DeadlineExceeded']

/** Errors that one commit may have brought on an entry. */
const SPLIT_CODES = ['MessageTooLarge', 'SessionExpired', 'InvalidArgument'] as const

/** Turns that an entry may grow before it is sent, as long as each brings more: an entry costs a sync. */
const GATHER_TURNS_MAX = 16

class Batcher extends PassingStore<EntryStore> implements KeyValueStore {
  private readonly options: BatcherOptions
  private readonly queue = new CommitQueue()
  private readonly reads: ReadBatcher
  private readonly authorityReads: ReadBatcher
  private readonly changeKeys: ChangeKeys
  private readonly slots: readonly Slot[]
  private isScheduled = false
  private closing: Promise<void> | undefined
  private onIdle: (() => void) | undefined

  constructor(options: BatcherOptions) {
    const { store, clock, random, service } = options
    super(store)
    this.options = options
    this.reads = new ReadBatcher(store)
    this.authorityReads = store.readAuthority === undefined ? this.reads : new ReadBatcher(authorityOf(store))
    this.changeKeys = new ChangeKeys(clock, service)
    const { changeKeys } = this
    const run = random.bytes(8)
    this.slots = Array.from({ length: options.entriesInFlight ?? 1 }, (_, at) => ({
      lane: new Lane({ store, clock, random, run, changeKeys, key: laneKey(service, at) }),
      footprints: new FootprintSet(),
      isBusy: false,
    }))
  }

  commit(commit: Commit & { readonly proof: CommitProof }): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      if (this.closing !== undefined) throw new CairnError('ShuttingDown', 'the store is closing')
      const footprint = footprintOf(commit)
      this.changeKeys.assertUntouched(footprint)
      const deadlineAtMs = this.options.clock.monotonicMs() + COMMIT_DEADLINE_MS
      const { proof } = commit
      this.queue.push({ commit, proof, footprint, size: sizeOf(commit), deadlineAtMs, resolve, reject })
      this.schedule()
    })
  }

  read(reads: readonly Read[]): Promise<ReadResult> {
    return this.reads.read(reads)
  }

  readNow(reads: readonly Read[]): ReadResult | undefined {
    return this.store.readNow?.(reads)
  }

  readAuthority(reads: readonly Read[]): Promise<ReadResult> {
    return this.authorityReads.read(reads)
  }

  /** Lets what waits finish, then closes the store. */
  override close(): Promise<void> {
    this.closing ??= this.drain().then(() => this.store.close())
    return this.closing
  }

  private async drain(): Promise<void> {
    if (this.isIdle()) return
    await new Promise<void>((resolve) => {
      this.onIdle = resolve
    })
  }

  private isIdle(): boolean {
    return this.queue.length === 0 && this.slots.every((slot) => !slot.isBusy)
  }

  private schedule(): void {
    if (this.isScheduled || this.queue.length === 0) return
    if (this.slots.every((slot) => slot.isBusy)) return
    this.isScheduled = true
    this.gather(0, 1)
  }

  /** Sends after a turn that has brought no further commit. */
  private gather(seen: number, turn: number): void {
    const { length } = this.queue
    if (length > seen && turn <= GATHER_TURNS_MAX) {
      this.options.clock.defer(() => this.gather(length, turn + 1))
      return
    }
    this.isScheduled = false
    this.sendEntries()
  }

  private sendEntries(): void {
    for (const pending of this.queue.takeExpired(this.options.clock.monotonicMs())) pending.reject(givenUp())
    for (const slot of this.slots) {
      if (slot.isBusy || this.queue.length === 0) continue
      const underWay = this.slots.filter((other) => other.isBusy).map((other) => other.footprints)
      const batch = this.queue.take(underWay, slot.footprints)
      if (batch.length > 0) void this.occupy(slot, batch)
    }
    if (this.isIdle()) this.onIdle?.()
  }

  /** The slot is busy until every commit of the batch has its result or is back in the queue. */
  private async occupy(slot: Slot, batch: readonly PendingCommit[]): Promise<void> {
    slot.isBusy = true
    try {
      await this.sendEntry(slot, batch)
    } catch (error) {
      rejectAll(batch, toCairnError(error))
    }
    slot.footprints.clear()
    slot.isBusy = false
    this.schedule()
    if (this.isIdle()) this.onIdle?.()
  }

  private async sendEntry(slot: Slot, batch: readonly PendingCommit[]): Promise<void> {
    if (!slot.lane.isKnown && !(await this.learnLane(slot, batch))) return
    const changes = this.changesOf(batch)
    const step = slot.lane.next()
    let results: readonly CommitResult[]
    try {
      results = await this.store.apply({
        commits: batch.map(({ commit }) => commit),
        always: changes === undefined ? step.puts : [...step.puts, changes],
        fence: step.fence,
      })
    } catch (error) {
      return this.onFailure(slot, batch, { error: toCairnError(error), step })
    }
    slot.lane.confirm(step)
    this.options.onEntry?.(batch.length)
    batch.forEach((pending, at) => {
      const result = results[at]
      if (result === undefined) pending.reject(new CairnError('Internal', 'the store lost a result'))
      else pending.resolve(result)
    })
  }

  private changesOf(batch: readonly PendingCommit[]): Put | undefined {
    const changes: Uint8Array[] = []
    for (const { commit } of batch) if (commit.changes !== undefined) changes.push(...commit.changes)
    if (changes.length === 0) return undefined
    return { key: this.changeKeys.next(), value: ChangeRecord.encode({ changes }) }
  }

  private async learnLane(slot: Slot, batch: readonly PendingCommit[]): Promise<boolean> {
    try {
      await slot.lane.learn(lastDeadline(batch))
      return true
    } catch (error) {
      const cause = toCairnError(error)
      rejectAll(batch, isFinal(cause) ? cause : givenUp(cause))
      return false
    }
  }

  private async onFailure(
    slot: Slot,
    batch: readonly PendingCommit[],
    { error, step }: { error: CairnError; step: LaneStep },
  ): Promise<void> {
    if (UNKNOWN_CODES.includes(error.code)) return this.settle(slot, batch, step)
    if (error.code === 'PreconditionFailed') {
      slot.lane.forget()
      this.queue.putBack(batch)
    } else if (batch.length > 1 && hasCode(error, ...SPLIT_CODES)) {
      const half = Math.ceil(batch.length / 2)
      await this.sendEntry(slot, batch.slice(0, half))
      await this.sendEntry(slot, batch.slice(half))
    } else {
      rejectAll(batch, error)
    }
  }

  private async settle(slot: Slot, batch: readonly PendingCommit[], lost: LaneStep): Promise<void> {
    const untilMs = lastDeadline(batch)
    const verdict = await slot.lane.settle(lost, untilMs)
    if (verdict.kind === 'never') return this.queue.putBack(batch)
    const isRefuted = await Promise.all(batch.map((pending) => this.isRefuted(pending, verdict, untilMs)))
    this.queue.putBack(batch.filter((_, at) => isRefuted[at]))
  }

  /**
   * Resolves a commit whose rows prove it; true if they say that it has not happened. If they cannot be read, or not
   * be judged, for example rows of a newer format, that commit alone ends as unknown.
   */
  private async isRefuted(pending: PendingCommit, verdict: Verdict, untilMs: number): Promise<boolean> {
    const { proof } = pending
    try {
      const found = await this.readProof(proof, verdict, untilMs)
      if (!proof.carries(found.rows)) return isRefutation(proof, verdict)
      pending.resolve({ committed: true, revision: provenRevision(proof, found) })
    } catch (cause) {
      pending.reject(new CairnError('OutcomeUnknown', 'the proof of a commit cannot be judged', { cause }))
    }
    return false
  }

  /** Retries what may pass until `untilMs`, then rejects with the last error. */
  private async readProof(proof: CommitProof, verdict: Verdict, untilMs: number): Promise<ProofRows> {
    const { clock, random } = this.options
    const backoff = new Backoff(clock, random)
    for (;;) {
      try {
        return await this.readRows(proof, verdict)
      } catch (error) {
        if (isFinal(toCairnError(error)) || clock.monotonicMs() >= untilMs) throw error
        await backoff.wait()
      }
    }
  }

  private async readRows({ keys }: CommitProof, verdict: Verdict): Promise<ProofRows> {
    if (verdict.kind === 'happened') {
      return { revision: verdict.revision, rows: await this.store.rowsAt(keys, verdict.revision) }
    }
    const { revision, results } = await this.authorityReads.read(keys.map((key) => ({ kind: 'get', key })))
    return { revision, rows: results.map((found) => found[0]) }
  }
}

/** The rows of a proof, in the order of its keys, at one revision. */
interface ProofRows {
  readonly revision: number
  readonly rows: readonly (StoreRow | undefined)[]
}

/** The revision of the oldest row that proves the commit by itself, or that of the read if none does. */
function provenRevision(proof: CommitProof, { revision, rows }: ProofRows): number {
  const proving = rows.filter(
    (row, at) =>
      row !== undefined && proof.carries(rows.map((other, index) => (index === at ? other : undefined))),
  )
  return Math.min(revision, ...proving.map((row) => row?.revision ?? revision))
}

/**
 * Whether rows without the proof say that the commit has not happened. Rows of a later time do not: others may have
 * superseded it. Throws `OutcomeUnknown` then, unless the commit may be run again.
 */
function isRefutation({ keys }: CommitProof, verdict: Verdict): true {
  if (verdict.kind === 'happened' || keys.length === 0) return true
  throw new CairnError('OutcomeUnknown', 'others may have superseded the commit')
}

function lastDeadline(batch: readonly PendingCommit[]): number {
  return batch.reduce((last, { deadlineAtMs }) => Math.max(last, deadlineAtMs), 0)
}

function rejectAll(batch: readonly PendingCommit[], error: CairnError): void {
  for (const { reject } of batch) reject(error)
}

function givenUp(cause?: CairnError): CairnError {
  return new CairnError('Busy', 'a commit waited too long for an entry and has not happened', { cause })
}
