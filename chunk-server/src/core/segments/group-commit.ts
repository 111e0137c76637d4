/**
 * The shared log: small blocks and tombstones of all writers, appended to one segment. While one batch is written
 * and synced the next one fills; an idle log starts after the current turn, so that what arrives together shares
 * one write and one sync. Records are placed in the order in which they were queued, and are applied to the table
 * (by `settle`) in that order, once their sync has returned.
 *
 * A batch for which the drive has no room is answered with `DriveFull`, and the place where it may lie in part is
 * made void, durably, before the answer: none of its records can come back after a crash.
 */
import { type BlockId, CairnError, type Clock, crc32c, hasCode, type Unit } from '@cairn/protocol'
import {
  align,
  dataStart,
  HEADER_BYTES,
  KIND_BLOCK,
  KIND_TOMBSTONES,
  noBlock,
  type Tombstone,
  writeFooter,
  writeHeader,
  writeTombstones,
  writeVoid,
} from './record.js'
import type { SegmentLimits } from './segment-limits.js'
import type { OpenSegment, Segment, SegmentSet } from './segment-set.js'
import type { WriteState } from './write-state.js'

/** Where a record was put. */
export interface Placement {
  readonly segment: number
  readonly offset: number
  readonly order: number
  /** What a tombstone record says, complete. */
  readonly tombstones: readonly Tombstone[]
}

interface LogItem {
  readonly recordBytes: number
  /** Called once: with the placement when the record is durable, else with the reason why it is not. */
  readonly settle: (outcome: Placement | CairnError) => void
}

/** A block that is at hand as a whole. */
export interface BlockItem extends LogItem {
  readonly kind: 'block'
  readonly block: BlockId
  readonly owner: Uint8Array
  /** CRC of the owner, if the caller knows it. */
  readonly ownerCheck?: number
  readonly units: readonly Unit[]
  /** Of the units. */
  readonly checks: readonly number[]
  readonly sizeBytes: number
  readonly hash: Uint8Array
  readonly storedAtMs: number
  /** A copy made by compaction keeps the order of its original. */
  readonly order?: number
}

/** Deletions. `order` and `horizon` 0 mean: as of now. */
export interface TombstonesItem extends LogItem {
  readonly kind: 'tombstones'
  readonly tombstones: readonly Tombstone[]
}

type Item = BlockItem | TombstonesItem

const NO_TOMBSTONES: readonly Tombstone[] = []

/** Bodies up to this size are copied beside their headers: cheaper than one more buffer in the write. */
const COPY_BYTES_MAX = 32 * 1024

/**
 * Turns that a batch may grow before it is written: while requests come in one after the other the event loop is
 * busy anyway, and each sync saved is 100 µs of CPU on each drive. A lone writer waits for one turn.
 */
const GATHER_TURNS_MAX = 16

/** The checks of units that lie behind one another. */
export function checksOf(units: readonly Unit[]): number[] {
  return units.map((unit) => unit.check)
}

/** Makes the `sizeBytes` from `offset` on void, durably if there was anything to void. */
export async function abandon(
  state: WriteState,
  open: OpenSegment,
  range: { readonly offset: number; readonly sizeBytes: number; readonly page?: Buffer },
): Promise<void> {
  const { segment, file } = open
  const { offset, sizeBytes } = range
  const header = range.page?.fill(0) ?? Buffer.alloc(HEADER_BYTES)
  writeVoid(header, 0, { offset, sizeBytes, salt: segment.salt, syncedTo: segment.appliedTo })
  try {
    await state.write(file, [header], offset)
  } catch (error) {
    // No room even for a header: then no whole header of the batch is there either.
    if (!hasCode(error, 'DriveFull')) throw error
  }
  await state.sync(file)
}

export class GroupCommit {
  private readonly segments: SegmentSet
  private readonly state: WriteState
  private readonly clock: Clock
  private readonly limits: SegmentLimits
  private queue: Item[] = []
  private queuedBytes = 0
  private active: OpenSegment | undefined
  private running: Promise<void> | undefined
  private arena: Buffer = Buffer.allocUnsafe(256 * 1024)

  constructor(
    segments: SegmentSet,
    state: WriteState,
    options: { readonly clock: Clock; readonly limits: SegmentLimits },
  ) {
    this.segments = segments
    this.state = state
    this.clock = options.clock
    this.limits = options.limits
  }

  /** Queues a record; `settle` tells the outcome. Throws `Busy` if too much is waiting. */
  append(item: Item): void {
    this.state.assertWritable()
    if (this.queuedBytes + item.recordBytes > this.limits.queuedBytesMax && this.queue.length > 0) {
      throw new CairnError('Busy', `${this.queuedBytes} bytes wait for the drive`)
    }
    this.queue.push(item)
    this.queuedBytes += item.recordBytes
    this.running ??= this.run()
  }

  /** Waits until nothing is queued or written. */
  async idle(): Promise<void> {
    while (this.running !== undefined) await this.running
  }

  /** The segment that records go to now. */
  get activeSegment(): Segment | undefined {
    return this.active?.segment
  }

  /** Seals the active segment; the next record starts another. */
  async roll(): Promise<void> {
    await this.idle()
    const { active } = this
    if (active === undefined) return
    this.active = undefined
    active.segment.seal()
    await active.file.close()
  }

  private async run(): Promise<void> {
    while (this.queue.length > 0) {
      await this.gather()
      const batch = this.takeBatch()
      try {
        await this.writeBatch(batch)
      } catch (error) {
        const failure =
          error instanceof CairnError ? error : new CairnError('DriveFailed', String(error), { cause: error })
        for (const item of batch) item.settle(failure)
      }
    }
    this.running = undefined
  }

  /** At least one turn, so that what arrives together shares a batch; more as long as each brings more. */
  private gather(): Promise<void> {
    return new Promise((resolve) => {
      let turn = 0
      let seen = 0
      const look = (): void => {
        const isDone = turn === GATHER_TURNS_MAX || this.queue.length === seen
        turn++
        seen = this.queue.length
        if (isDone) resolve()
        else this.clock.defer(look)
      }
      look()
    })
  }

  private takeBatch(): Item[] {
    const { batchBytesMax, batchRecordsMax } = this.limits
    let count = 0
    let bytes = 0
    for (const item of this.queue) {
      if (count === batchRecordsMax || (count > 0 && bytes + item.recordBytes > batchBytesMax)) break
      bytes += item.recordBytes
      count++
    }
    this.queuedBytes -= bytes
    return this.queue.splice(0, count)
  }

  private async writeBatch(batch: readonly Item[]): Promise<void> {
    const open = await this.openSegment()
    const { segment, file } = open
    const start = segment.position
    const encoded = new BatchEncoder(this.arenaFor(batch), segment, this.segments)
    const placements = batch.map((item) => encoded.add(item))
    const sizeBytes = encoded.position - start
    segment.position = encoded.position
    this.state.counters.batches++
    this.state.counters.records += batch.length
    try {
      await this.state.write(file, encoded.finish(), start)
      await this.state.sync(file)
    } catch (error) {
      if (hasCode(error, 'DriveFull')) await this.giveUp(open, { offset: start, sizeBytes })
      throw error
    }
    batch.forEach((item, index) => {
      const placement = placements[index]
      if (placement !== undefined) item.settle(placement)
    })
    segment.applied(segment.position, encoded.tombstones)
  }

  private async giveUp(open: OpenSegment, range: { offset: number; sizeBytes: number }): Promise<void> {
    await abandon(this.state, open, range)
    open.segment.applied(range.offset + range.sizeBytes, { bytes: 0, horizon: 0 })
  }

  private async openSegment(): Promise<OpenSegment> {
    const { active } = this
    if (active !== undefined && active.segment.position < this.limits.segmentBytes) return active
    this.active = undefined
    if (active !== undefined) {
      active.segment.seal()
      await active.file.close()
    }
    this.active = await this.segments.create()
    return this.active
  }

  private arenaFor(batch: readonly Item[]): Buffer {
    let needed = 0
    for (const item of batch) {
      const body = item.kind === 'block' && item.sizeBytes > COPY_BYTES_MAX ? item.sizeBytes : 0
      needed += item.recordBytes - body
    }
    if (needed > this.arena.length) this.arena = Buffer.allocUnsafe(needed * 2)
    return this.arena
  }
}

/** Lays records out one behind the other: heads, feet and small bodies in the arena, large bodies as they are. */
class BatchEncoder {
  position: number
  readonly tombstones: { bytes: number; horizon: number } = { bytes: 0, horizon: 0 }
  private readonly arena: Buffer
  private readonly segment: Segment
  private readonly segments: SegmentSet
  private readonly buffers: Uint8Array[] = []
  private used = 0
  /** Arena bytes before this are in `buffers` already. */
  private handedOver = 0

  constructor(arena: Buffer, segment: Segment, segments: SegmentSet) {
    this.arena = arena
    this.segment = segment
    this.segments = segments
    this.position = segment.position
  }

  add(item: Item): Placement {
    const offset = this.position
    const placement = item.kind === 'block' ? this.addBlock(item, offset) : this.addTombstones(item, offset)
    this.position = offset + item.recordBytes
    return placement
  }

  finish(): Uint8Array[] {
    this.handOver()
    return this.buffers
  }

  private addBlock(item: BlockItem, offset: number): Placement {
    const order = item.order ?? this.segments.nextOrder++
    this.addHeader(item, offset, order)
    for (const unit of item.units) this.addBytes(unit.bytes, item.sizeBytes <= COPY_BYTES_MAX)
    this.pad(align(item.sizeBytes) - item.sizeBytes)
    this.used += writeFooter(this.arena, this.used, item.block, {
      offset,
      sizeBytes: item.sizeBytes,
      salt: this.segment.salt,
      order,
      hash: item.hash,
      checks: item.checks,
    })
    return { segment: this.segment.sequence, offset, order, tombstones: NO_TOMBSTONES }
  }

  private addHeader(item: BlockItem, offset: number, order: number): void {
    const { owner } = item
    writeHeader(this.arena, this.used, {
      kind: KIND_BLOCK,
      ownerBytes: owner.length,
      offset,
      salt: this.segment.salt,
      block: item.block,
      size: item.sizeBytes,
      syncedTo: this.segment.appliedTo,
      order,
      storedAtMs: item.storedAtMs,
      ownerCheck: item.ownerCheck ?? crc32c(owner),
    })
    this.arena.set(owner, this.used + HEADER_BYTES)
    this.used += HEADER_BYTES + owner.length
    this.pad(dataStart(owner.length) - HEADER_BYTES - owner.length)
  }

  private addTombstones(item: TombstonesItem, offset: number): Placement {
    const order = this.segments.nextOrder++
    const horizon = this.segments.sequenceMax
    const tombstones = item.tombstones.map((entry) =>
      entry.order === 0 ? { block: entry.block, order, horizon } : entry,
    )
    writeHeader(this.arena, this.used, {
      kind: KIND_TOMBSTONES,
      ownerBytes: 0,
      offset,
      salt: this.segment.salt,
      block: noBlock,
      size: tombstones.length,
      syncedTo: this.segment.appliedTo,
      order,
      storedAtMs: 0,
      ownerCheck: 0,
    })
    this.used = writeTombstones(this.arena, this.used + HEADER_BYTES, tombstones)
    this.tombstones.bytes += item.recordBytes
    for (const entry of tombstones) this.tombstones.horizon = Math.max(this.tombstones.horizon, entry.horizon)
    return { segment: this.segment.sequence, offset, order, tombstones }
  }

  private addBytes(bytes: Uint8Array, copy: boolean): void {
    if (copy) {
      this.arena.set(bytes, this.used)
      this.used += bytes.length
    } else {
      this.handOver()
      this.buffers.push(bytes)
    }
  }

  private pad(count: number): void {
    if (count === 0) return
    this.arena.fill(0, this.used, this.used + count)
    this.used += count
  }

  private handOver(): void {
    if (this.used > this.handedOver) this.buffers.push(this.arena.subarray(this.handedOver, this.used))
    this.handedOver = this.used
  }
}
