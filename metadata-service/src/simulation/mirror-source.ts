/**
 * A store in memory that a mirror can copy, with everything going wrong between the two that a seed finds: changes
 * are lost, doubled, swapped or late, the line breaks or falls silent, history is compacted, answers are lost.
 */

import { CairnError, type Clock, mapKey, type Random } from '@cairn/protocol'
import { HEAD_KEY } from '../core/commit/commit-rows.js'
import { PassingStore } from '../core/commit/passing-store.js'
import type {
  CommitResult,
  Entry,
  EntryStore,
  Read,
  ReadResult,
  StoreEvent,
  StoreKey,
  StoreRange,
  StoreRow,
} from '../ports.js'
import type { Head, MirrorSource, SourceChange, SourceEvent, SourcePage } from '../ports-mirror.js'

/** What may happen to a change on its way. */
export type SourceFault = 'lost' | 'doubled' | 'swapped' | 'late' | 'cut' | 'silent'

export interface MirrorSourceOptions {
  /** Nobody else writes to it. */
  readonly store: EntryStore
  readonly clock: Clock
  readonly random: Random
  /** Probability of a fault for each change, drawn evenly from all kinds. */
  readonly faultRate?: number
  /** Probability that a page or a head gets lost. */
  readonly lossRate?: number
  /** Longest way of a change, in ms. */
  readonly delayMsMax?: number
}

export interface SimulatedMirrorSource extends EntryStore, MirrorSource {
  /** Forgets history before the newest revision. */
  compact(): void
  /** No further faults. */
  calm(): void
  readonly faults: number
  /** Pages asked for, and rows given. */
  readonly pages: number
}

/** Wraps `store`; closing the wrapper closes it. */
export function createMirrorSource(options: MirrorSourceOptions): SimulatedMirrorSource {
  return new Source(options)
}

const FAULTS: readonly SourceFault[] = ['lost', 'doubled', 'swapped', 'late', 'cut', 'silent']

/** Microtasks after which the next event of a revision would have come. */
const EVENT_TURNS = 20

/** One state of a row. */
interface Version {
  readonly revision: number
  readonly created: number
  readonly value: Uint8Array | undefined
}

class Source extends PassingStore<EntryStore> implements SimulatedMirrorSource {
  faults = 0
  pages = 0
  private readonly options: MirrorSourceOptions
  private readonly versions = new Map<string, Version[]>()
  private readonly changes: SourceChange[] = []
  private readonly waiting = new Set<() => void>()
  private readonly closing = new AbortController()
  /** Events of the revision that is being collected. */
  private collected: StoreEvent[] = []
  private headVersion = 0
  private compacted = 0
  private isCalm = false

  constructor(options: MirrorSourceOptions) {
    super(options.store)
    this.options = options
    void this.collect()
  }

  apply(entry: Entry): Promise<readonly CommitResult[]> {
    return this.store.apply(entry)
  }

  read(reads: readonly Read[]): Promise<ReadResult> {
    return this.store.read(reads)
  }

  rowsAt(keys: readonly StoreKey[], revision: number): Promise<readonly (StoreRow | undefined)[]> {
    return this.store.rowsAt(keys, revision)
  }

  override async close(): Promise<void> {
    this.closing.abort()
    await this.store.close()
    this.wake()
  }

  compact(): void {
    this.compacted = this.newest
  }

  calm(): void {
    this.isCalm = true
  }

  async head(): Promise<Head> {
    const { revision, results } = await this.store.read([{ kind: 'get', key: HEAD_KEY }])
    await this.collectedThrough(revision)
    const row = results[0]?.[0]
    const known = this.changes.findLast(
      (change) => change.revision <= revision && change.headVersion !== undefined,
    )
    this.maybeLose()
    return { revision: row?.revision ?? 0, version: known?.headVersion ?? 0 }
  }

  async page(range: StoreRange, limit: number, atRevision?: number): Promise<SourcePage> {
    this.pages++
    const { revision: newest } = await this.store.read([])
    await this.collectedThrough(newest)
    const revision = atRevision ?? newest
    if (revision < this.compacted) throw new CairnError('Busy', `revision ${revision} is compacted`)
    const all = this.rangeAt(range, revision)
    // Between the state it is of and its arrival others write.
    await this.delay()
    this.maybeLose()
    return { revision, rows: all.slice(0, limit), hasMore: all.length > limit, count: all.length }
  }

  async count(range: StoreRange): Promise<number> {
    return this.rangeAt(range, this.newest).length
  }

  async *follow(fromRevision: number, signal: AbortSignal): AsyncGenerator<SourceChange> {
    if (fromRevision < this.compacted) throw new CairnError('Busy', `revision ${fromRevision} is compacted`)
    let at = this.changes.findIndex(({ revision }) => revision > fromRevision)
    if (at < 0) at = this.changes.length
    while (!signal.aborted) {
      if (this.closing.signal.aborted) throw new CairnError('ShuttingDown', 'the store is closed')
      if (at >= this.changes.length) {
        await this.nextChange(signal)
        continue
      }
      at += yield* this.deliver(at, signal)
    }
  }

  /** Gives the change at `at`, or does to it what the dice say; how many changes are done with. */
  private async *deliver(at: number, signal: AbortSignal): AsyncGenerator<SourceChange, number> {
    const [change, next] = [this.changes[at], this.changes[at + 1]]
    if (change === undefined) return 0
    const fault = this.drawFault()
    await this.delay()
    if (fault === 'lost') return 1
    if (fault === 'cut') throw new CairnError('Busy', 'the line broke')
    if (fault === 'silent') await aborted(signal)
    if (fault === 'late') for (let count = 0; count < 20; count++) await this.delay()
    if (signal.aborted) return 0
    if (fault === 'swapped' && next !== undefined) {
      yield next
      yield change
      return 2
    }
    yield change
    if (fault === 'doubled') yield change
    return 1
  }

  private drawFault(): SourceFault | undefined {
    const { random, faultRate = 0 } = this.options
    if (this.isCalm || random.fraction() >= faultRate) return undefined
    this.faults++
    return FAULTS[Math.floor(random.fraction() * FAULTS.length)]
  }

  private maybeLose(): void {
    const { random, lossRate = 0 } = this.options
    if (this.isCalm || random.fraction() >= lossRate) return
    this.faults++
    throw new CairnError('ConnectionLost', 'the answer is lost')
  }

  private async delay(): Promise<void> {
    const { clock, random, delayMsMax = 0 } = this.options
    if (delayMsMax === 0) return
    await new Promise<void>((resolve) => clock.setTimer(random.fraction() * delayMsMax, resolve))
  }

  private get newest(): number {
    return this.changes.at(-1)?.revision ?? 0
  }

  /** Turns the events of the store into changes, revision by revision. */
  private async collect(): Promise<void> {
    const all = { from: Buffer.alloc(0), to: Buffer.from([0xff]) }
    try {
      for await (const event of this.store.watch(all, 0, this.closing.signal)) {
        if (this.collected[0] !== undefined && this.collected[0].revision !== event.revision) this.record()
        this.collected.push(event)
        void this.recordSoon(this.collected.length)
      }
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
    }
  }

  /** The events of one revision come one right after the other. */
  private async recordSoon(count: number): Promise<void> {
    for (let turn = 0; turn < EVENT_TURNS; turn++) await undefined
    if (this.collected.length === count) this.record()
  }

  private record(): void {
    const events = this.collected
    const revision = events[0]?.revision
    if (revision === undefined) return
    this.collected = []
    const isHead = events.some(({ key }) => Buffer.compare(key, HEAD_KEY) === 0)
    if (isHead) this.headVersion++
    const change = { revision, events: events.map((event) => this.recordOne(event)) }
    this.changes.push(isHead ? { ...change, headVersion: this.headVersion } : change)
    this.wake()
  }

  private recordOne({ key, value, revision }: StoreEvent): SourceEvent {
    const name = mapKey(key)
    const versions = this.versions.get(name) ?? []
    this.versions.set(name, versions)
    const before = versions.at(-1)
    const created = before?.value === undefined ? revision : before.created
    versions.push({ revision, created, value })
    return value === undefined ? { key } : { key, value, created }
  }

  private rangeAt(range: StoreRange, revision: number): StoreRow[] {
    const [from, to] = [mapKey(range.from), mapKey(range.to)]
    const names = [...this.versions.keys()].filter((name) => name >= from && name < to).sort()
    return names.flatMap((name) => {
      const version = this.versions.get(name)?.findLast((each) => each.revision <= revision)
      if (version?.value === undefined) return []
      const { value, created } = version
      return [{ key: Buffer.from(name, 'latin1'), value, created, revision: version.revision }]
    })
  }

  private async collectedThrough(revision: number): Promise<void> {
    while (this.newest < revision && !this.closing.signal.aborted) await this.nextChange(this.closing.signal)
  }

  private nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done)
      this.waiting.add(done)
      if (signal.aborted) done()
    })
  }

  private wake(): void {
    for (const done of [...this.waiting]) done()
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve())
  })
}
