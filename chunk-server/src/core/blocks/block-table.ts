/**
 * The table of live blocks: the index on disk with the latest changes, not written there yet, in memory.
 *
 * Changes are applied here when they are durable in the log. They reach the index behind the caller's back, in
 * sorted slices of one transaction each; the checkpoint moves with the last slice. A crash in between leaves rows
 * ahead of the checkpoint: reading the tail again is idempotent, since every record carries its order, and live
 * bytes are counted in the transaction of their rows.
 */
import {
  type BlockId,
  type CancelTimer,
  type Clock,
  mapKey,
  type SessionId,
  sameBytes,
  sessionOf,
} from '@cairn/protocol'
import type { BlockIndex, IndexBatch, IndexedBlock, LiveDelta } from '../../ports.js'
import type { SegmentLimits } from '../segments/segment-limits.js'
import { recordBytesOf, type SegmentSet } from '../segments/segment-set.js'
import { KnownPlaces } from './known-places.js'
import { RecentIds } from './recent-ids.js'

/** A change that the index has not seen. */
interface Change {
  readonly block: BlockId
  readonly key: string
  current: IndexedBlock | undefined
  /** What the index's row counts as, once all earlier changes are written. */
  persisted: IndexedBlock | undefined
}

export class BlockTable {
  private readonly index: BlockIndex
  private readonly segments: SegmentSet
  private readonly clock: Clock
  private readonly limits: SegmentLimits
  private readonly recent: RecentIds = new RecentIds((session) => this.highestOf(session))
  /** Rows of the index; none of a block with a change in memory. */
  private readonly places: KnownPlaces = new KnownPlaces()
  private tail = new Map<string, Change>()
  /** Changes being written, also those that are; older than `tail`. */
  private flushing: Map<string, Change> | undefined
  private running: Promise<void> | undefined
  private cancelTimer: CancelTimer | undefined
  private tailBytes = 0
  private closed = false
  /** Damaged blocks; unknown until the index is first asked. */
  private damagedBlocks: number | undefined
  /** True until recovery has made durable what it found: nothing goes to the index by itself before. */
  private paused = true

  constructor(index: BlockIndex, segments: SegmentSet, options: { clock: Clock; limits: SegmentLimits }) {
    this.index = index
    this.segments = segments
    this.clock = options.clock
    this.limits = options.limits
  }

  find(block: BlockId, key: string = mapKey(block)): IndexedBlock | undefined {
    if (!this.recent.mayHold(block)) return undefined
    const change = this.changeOf(key)
    return change === undefined ? (this.places.find(key) ?? this.lookUp(block, key)) : change.current
  }

  /** The block lives where `entry` says; whatever it had before is dead. */
  put(entry: IndexedBlock, key: string = mapKey(entry.block)): void {
    this.change(entry.block, key, entry)
    this.tailBytes += recordBytesOf(entry)
    this.schedule()
  }

  remove(block: BlockId, key: string = mapKey(block)): void {
    this.change(block, key, undefined)
    this.schedule()
  }

  /** Writes all changes made so far to the index. */
  async flush(options: { durable: boolean } = { durable: false }): Promise<void> {
    while (this.running !== undefined) await this.running
    if (this.tail.size === 0 && !options.durable && !this.hasCheckpoint()) return
    this.cancelTimer?.()
    this.cancelTimer = undefined
    this.running = this.writeBehind(options.durable).finally(() => {
      this.running = undefined
    })
    await this.running
  }

  /** Writes what is in memory at once; only while no write-behind runs. */
  flushNow(): void {
    if (this.running !== undefined) return
    const { tailSliceRows } = this.limits
    try {
      const changes = this.takeTail()
      for (let at = 0; at < changes.length; at += tailSliceRows) {
        this.writeSlice(changes.slice(at, at + tailSliceRows))
      }
      this.flushing = undefined
    } catch (error) {
      this.takeBack(undefined)
      throw error
    }
  }

  /** Blocks that are marked as damaged. */
  get damagedCount(): number {
    this.damagedBlocks ??= this.countDamaged()
    return this.damagedBlocks
  }

  /** Changes in memory. */
  get size(): number {
    return this.tail.size
  }

  /** True if the index could not be written for so long that memory is running out. */
  get overloaded(): boolean {
    return this.tail.size >= 4 * this.limits.tailEntriesMax
  }

  /** Lets changes flow to the index; called once, when recovery is done. */
  resume(): void {
    this.paused = false
    if (this.tail.size > 0) this.schedule()
  }

  /** Writes what is left; if the index cannot be written, the next start reads it from the segments' tails. */
  async close(): Promise<void> {
    await this.flush().catch(() => undefined)
    this.abandon()
  }

  /** Writes nothing more by itself. */
  abandon(): void {
    this.closed = true
    this.cancelTimer?.()
  }

  private change(block: BlockId, key: string, current: IndexedBlock | undefined): void {
    // Of a block that was never stored there is nothing to find: most are such.
    const mayHold = this.recent.mayHold(block)
    const known = mayHold ? this.tail.get(key) : undefined
    const old = mayHold ? this.find(block, key) : undefined
    if (current !== undefined) this.recent.note(current.block)
    this.count(old, -1)
    this.count(current, 1)
    this.countMark(old, current)
    // Until the index has it, the change stands before the place; then the index is asked anew.
    if (old !== undefined) this.places.forget(key)
    if (known !== undefined) known.current = current
    else this.tail.set(key, { block: current?.block ?? block, key, current, persisted: old })
  }

  private lookUp(block: BlockId, key: string): IndexedBlock | undefined {
    const entry = this.index.get(block)
    if (entry !== undefined) this.places.note(key, entry)
    return entry
  }

  private changeOf(key: string): Change | undefined {
    return this.tail.get(key) ?? this.flushing?.get(key)
  }

  private highestOf(session: SessionId): BlockId | undefined {
    let highest = this.index.last(session)
    for (const changes of [this.tail, this.flushing ?? []]) {
      for (const [, { block, current }] of changes) {
        if (current === undefined || !sameBytes(sessionOf(block), session)) continue
        if (highest === undefined || Buffer.compare(block, highest) > 0) highest = block
      }
    }
    return highest
  }

  private countMark(old: IndexedBlock | undefined, current: IndexedBlock | undefined): void {
    const was = old?.damaged === true
    const is = current?.damaged === true
    if (was !== is && this.damagedBlocks !== undefined) this.damagedBlocks += is ? 1 : -1
  }

  /** Each change in memory stands for a difference to the row it will replace. */
  private countDamaged(): number {
    let count = this.index.damagedCount()
    const changes = new Map([...(this.flushing ?? []), ...this.tail])
    for (const [, { block, current }] of changes) {
      const was = this.index.get(block)?.damaged === true
      const is = current?.damaged === true
      if (was !== is) count += is ? 1 : -1
    }
    return count
  }

  private count(entry: IndexedBlock | undefined, sign: 1 | -1): void {
    const segment = entry === undefined ? undefined : this.segments.all.get(entry.segment)
    if (entry === undefined || segment === undefined) return
    segment.liveBytes += sign * recordBytesOf(entry)
    segment.liveBlocks += sign
  }

  private schedule(): void {
    if (this.running !== undefined || this.closed || this.paused) return
    const { tailEntriesFlush, tailBytesFlush, tailEntriesMax, tailFlushMs } = this.limits
    if (this.tail.size >= tailEntriesMax) {
      this.flushNow()
    } else if (this.tail.size >= tailEntriesFlush || this.tailBytes >= tailBytesFlush) {
      this.flushBehind()
    } else {
      this.cancelTimer ??= this.clock.setTimer(tailFlushMs, () => {
        this.cancelTimer = undefined
        this.flushBehind()
      })
    }
  }

  /** An index that cannot be written is no loss: the changes stay in memory and are tried again. */
  private flushBehind(): void {
    this.flush().catch(() => {
      if (this.closed) return
      this.cancelTimer ??= this.clock.setTimer(this.limits.tailFlushMs, () => {
        this.cancelTimer = undefined
        this.flushBehind()
      })
    })
  }

  private hasCheckpoint(): boolean {
    if (this.segments.gone.length > 0) return true
    for (const segment of this.segments.all.values()) if (segment.changed) return true
    return false
  }

  private takeTail(): Change[] {
    this.flushing = this.tail
    this.tail = new Map()
    this.tailBytes = 0
    return [...this.flushing.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  private async writeBehind(durable: boolean): Promise<void> {
    const changes = this.takeTail()
    const checkpoint = this.takeCheckpoint()
    const { tailSliceRows } = this.limits
    try {
      let at = 0
      for (; changes.length - at > tailSliceRows; at += tailSliceRows) {
        this.writeSlice(changes.slice(at, at + tailSliceRows))
        await new Promise<void>((resolve) => this.clock.defer(resolve))
      }
      this.writeSlice(changes.slice(at), { checkpoint, durable })
      this.flushing = undefined
    } catch (error) {
      this.takeBack(checkpoint)
      throw error
    }
  }

  private writeSlice(changes: readonly Change[], last?: Pick<IndexBatch, 'checkpoint' | 'durable'>): void {
    this.index.apply({ ...rowsOf(changes), ...(last ?? { durable: false }) })
    for (const change of changes) change.persisted = change.current
  }

  /** After a failed transaction: what is not written yet goes below the changes made since. */
  private takeBack(checkpoint: IndexBatch['checkpoint']): void {
    for (const [key, change] of this.flushing ?? []) {
      const newer = this.tail.get(key)
      if (newer === undefined) this.tail.set(key, change)
      else newer.persisted = change.persisted
    }
    this.flushing = undefined
    for (const { sequence } of checkpoint?.segments ?? []) {
      const segment = this.segments.all.get(sequence)
      if (segment !== undefined) segment.changed = true
    }
    this.segments.gone.push(...(checkpoint?.gone ?? []))
  }

  /** Taken in the same turn as the tail: all that lies before these positions is in it, or was written before. */
  private takeCheckpoint(): NonNullable<IndexBatch['checkpoint']> {
    const { segments } = this
    const changed = [...segments.all.values()].filter((segment) => segment.changed)
    for (const segment of changed) segment.changed = false
    const { gone } = segments
    segments.gone = []
    return {
      segments: changed.map((segment) => segment.checkpoint()),
      gone,
      nextOrder: segments.nextOrder,
      nextSequence: segments.sequenceMax + 1,
    }
  }
}

function rowsOf(changes: readonly Change[]): Pick<IndexBatch, 'put' | 'remove' | 'live'> {
  const put: IndexedBlock[] = []
  const remove: BlockId[] = []
  const live = new Map<number, { sequence: number; bytes: number; blocks: number }>()
  for (const { block, current, persisted } of changes) {
    if (current !== undefined) put.push(current)
    else if (persisted !== undefined) remove.push(block)
    addLive(live, persisted, -1)
    addLive(live, current, 1)
  }
  return { put, remove, live: [...live.values()] satisfies LiveDelta[] }
}

function addLive(
  live: Map<number, { sequence: number; bytes: number; blocks: number }>,
  entry: IndexedBlock | undefined,
  sign: 1 | -1,
): void {
  if (entry === undefined) return
  let delta = live.get(entry.segment)
  if (delta === undefined) {
    delta = { sequence: entry.segment, bytes: 0, blocks: 0 }
    live.set(entry.segment, delta)
  }
  delta.bytes += sign * recordBytesOf(entry)
  delta.blocks += sign
}
