/**
 * Gives the space of dead records back: copies what lives out of a segment, then deletes the file.
 *
 * ● Nothing is lost: copies are durable in the log, and the index with them, before the file goes. A crash before
 * that leaves both; they carry one order, so either will do.
 *
 * ● Nothing comes back: a tombstone is dropped only when no segment that may hold an older record of its block is
 * left. Its horizon is the highest sequence handed out when it was placed. Records of the block older than the
 * tombstone were placed before it, in segments not above the horizon: puts, because a block that is being deleted
 * is in the table already; copies, because a copy is placed only while its block lives and no deletion of it is
 * queued, the log keeps the order of the queue, and deletions wait for large copies, which do not pass through it.
 * So once all segments up to the horizon are gone, durably, the tombstone has nothing left to kill. Until then it is
 * carried along, with its order and horizon unchanged. Tombstones that pile up make the oldest segments be
 * rewritten, so that their horizon can pass.
 *
 * Which segment: the one that gives most space for its age and cost (benefit = space freed x age, cost = bytes read
 * and copied), as in log-structured file systems: what has been quiet for long stays so, and is worth packing
 * tightly. Many small segments, left by restarts, are merged. ● A segment is only begun if the drive has room for
 * all that lives in it, so that a full drive gets emptier with every step; puts stop at the reserve, copies do not.
 */
import { type BlockId, CairnError, type Clock, mapKey, type Unit } from '@cairn/protocol'
import type { Disk, IndexedBlock } from '../../ports.js'
import { type BlockReader, concernsBlock } from '../blocks/block-reader.js'
import type { BlockTable } from '../blocks/block-table.js'
import { checksOf, type GroupCommit, type Placement } from '../segments/group-commit.js'
import { TOMBSTONES_PER_RECORD_MAX, type Tombstone, tombstoneRecordBytes } from '../segments/record.js'
import { SEGMENT_HEADER_BYTES, segmentPath } from '../segments/segment-header.js'
import type { SegmentLimits } from '../segments/segment-limits.js'
import { scanSegment } from '../segments/segment-scan.js'
import { recordBytesOf, roomFor, type Segment, type SegmentSet } from '../segments/segment-set.js'
import type { StreamWriter } from '../segments/stream-writer.js'
import type { DriveSpace, WriteState } from '../segments/write-state.js'

/** What compaction works on. */
export interface CompactionOptions {
  readonly disk: Disk
  readonly table: BlockTable
  readonly segments: SegmentSet
  readonly state: WriteState
  readonly log: GroupCommit
  readonly streams: StreamWriter
  readonly reader: BlockReader
  readonly limits: SegmentLimits
  readonly clock: Clock
  /** Keys of blocks whose deletion is queued. */
  readonly deleting: ReadonlyMap<string, number>
  /** Large blocks being copied: their deletions wait. */
  readonly copying: Map<string, Promise<void>>
}

/** How a run behaves. */
export interface CompactionControl {
  /** Ends the run between two segments. */
  readonly signal: AbortSignal
  /** Awaited between small steps: a run that shares its drive gives way here. */
  readonly rest?: () => Promise<void> | undefined
}

/** What one run did. */
export interface CompactionResult {
  readonly copiedBytes: number
  readonly freedBytes: number
  readonly removedSegments: number
  /** False if the budget ended the run before the work was done. */
  readonly complete: boolean
  /** The drive is short of space: the next run should come soon. */
  readonly tight: boolean
}

/** Copies of small blocks in flight at once: they share the group commit's syncs. */
const COPIES_AT_ONCE = 64
/** Small sealed segments from which they are merged, and the share of a full one up to which one is small. */
const SMALL_SEGMENTS_MIN = 8
const SMALL_SHARE = 0.25
/** On a drive that is short of space: share of dead bytes that is worth a rewrite, and factor of the budget. */
const TIGHT_DEAD_SHARE_MIN = 0.05
const TIGHT_BUDGET = 4
/** One read of a scan, and its records between two turns. */
const SCAN_BYTES = 256 * 1024
const RECORDS_PER_TURN = 32
/** Room beyond what lives in a segment: headers of new segments. */
const SLACK_BYTES = 3 * SEGMENT_HEADER_BYTES

export class Compactor {
  private readonly options: CompactionOptions
  private running: Promise<CompactionResult> | undefined
  private copiedBytes = 0
  private freedBytes = 0
  private removedSegments = 0
  private space: DriveSpace = { freeBytes: Number.POSITIVE_INFINITY, tight: false }
  private merging: ReadonlySet<Segment> = new Set()
  private rest: () => Promise<void> | undefined = () => undefined

  constructor(options: CompactionOptions) {
    this.options = options
  }

  /** One bounded run; joins the one that is under way. */
  run(control: CompactionControl): Promise<CompactionResult> {
    this.running ??= this.compact(control).finally(() => {
      this.running = undefined
    })
    return this.running
  }

  /** Waits for the run that is under way. */
  async idle(): Promise<void> {
    await this.running?.catch(() => undefined)
  }

  private async compact({ signal, rest }: CompactionControl): Promise<CompactionResult> {
    this.options.state.assertWritable()
    this.rest = rest ?? (() => undefined)
    this.space = await this.options.state.space()
    const { tight } = this.space
    this.copiedBytes = 0
    this.freedBytes = 0
    this.removedSegments = 0
    await this.closeDeadWeight()
    this.merging = tight ? new Set() : this.smallSegments()
    const done = new Set<Segment>()
    const budgetBytes = this.options.limits.compactionBytesMax * (tight ? TIGHT_BUDGET : 1)
    let complete = true
    for (;;) {
      const segment = this.choose(done)
      if (segment === undefined) break
      done.add(segment)
      if (signal.aborted || this.copiedBytes >= budgetBytes) {
        complete = false
        break
      }
      await this.segment(segment)
    }
    const { copiedBytes, freedBytes, removedSegments } = this
    return { copiedBytes, freedBytes, removedSegments, complete, tight }
  }

  /** Seals open segments that are worth compacting, so that space comes back without further writes. */
  private async closeDeadWeight(): Promise<void> {
    const { log, streams, limits } = this.options
    const heavy = (segment: Segment): boolean =>
      segment.deadBytes >= limits.rollBytesMin && this.deadShare(segment) >= limits.deadShareMin
    const pressed = this.tombstonesPress()
    await streams.sealIdle((segment) => heavy(segment) || pressed)
    const { activeSegment } = log
    if (activeSegment !== undefined && heavy(activeSegment)) await log.roll()
  }

  /** The sealed segment worth most above the threshold, a small one, or the oldest while tombstones press. */
  private choose(done: ReadonlySet<Segment>): Segment | undefined {
    const open = this.sealed().filter((segment) => !done.has(segment) && this.fits(segment))
    const worthwhile = open.filter((segment) => this.deadShare(segment) >= this.deadShareMin)
    if (worthwhile.length > 0) return worthwhile.reduce((a, b) => (this.worth(b) > this.worth(a) ? b : a))
    const small = open.find((segment) => this.merging.has(segment))
    if (small !== undefined || open.length === 0 || !this.tombstonesPress()) return small
    return open.reduce((a, b) => (b.sequence < a.sequence ? b : a))
  }

  private sealed(): Segment[] {
    return [...this.options.segments.all.values()].filter((segment) => segment.sealed && !isStuck(segment))
  }

  private smallSegments(): Set<Segment> {
    const bytesMax = this.options.limits.segmentBytes * SMALL_SHARE
    const small = this.sealed().filter((segment) => segment.position <= bytesMax)
    return new Set(small.length < SMALL_SEGMENTS_MIN ? [] : small)
  }

  private get deadShareMin(): number {
    const { deadShareMin } = this.options.limits
    return this.space.tight ? Math.min(TIGHT_DEAD_SHARE_MIN, deadShareMin) : deadShareMin
  }

  /** Whether there is room for all that would be copied out of it. */
  private fits(segment: Segment): boolean {
    if (segment.liveBytes === 0 && segment.tombstoneBytes === 0) return true
    const freeBytes = this.space.freeBytes - this.copiedBytes + this.freedBytes
    return roomFor(segment, this.options.limits) + SLACK_BYTES <= freeBytes
  }

  /** Space x age over cost; a sequence is about the time, in ms, at which the segment was begun. */
  private worth(segment: Segment): number {
    const nowMs = this.options.clock.wallMicros() / 1000
    const ageMs = Math.max(1, nowMs - segment.sequence)
    return (this.deadShare(segment) * ageMs) / (1 + segment.liveBytes / Math.max(1, segment.position))
  }

  /** Share of a segment that a rewrite would give back. */
  private deadShare(segment: Segment): number {
    const { segments } = this.options
    const droppable = segments.sequenceMin(segment.sequence) > segment.horizon ? segment.tombstoneBytes : 0
    if (segment.liveBytes === 0 && segment.tombstoneBytes === droppable) return 1
    return (segment.deadBytes + droppable) / Math.max(1, segment.position)
  }

  private tombstonesPress(): boolean {
    const { segments, limits } = this.options
    let tombstoneBytes = 0
    let liveBytes = 0
    for (const segment of segments.all.values()) {
      tombstoneBytes += segment.tombstoneBytes
      liveBytes += segment.liveBytes
    }
    return tombstoneBytes > Math.max(limits.tombstoneBytesMin, liveBytes / 64)
  }

  private async segment(segment: Segment): Promise<void> {
    if (segment.liveBlocks > 0 || segment.tombstoneBytes > 0) await this.empty(segment)
    if (segment.liveBlocks > 0) {
      segment.stuckWithBlocks = segment.liveBlocks
      return
    }
    await this.options.table.flush({ durable: true })
    if (segment.liveBlocks > 0) return
    await this.options.segments.remove(segment)
    this.freedBytes += segment.position
    this.removedSegments++
  }

  /** Copies all that lives, and all tombstones that are still needed. */
  private async empty(segment: Segment): Promise<void> {
    const living: IndexedBlock[] = []
    let records = 0
    const needed: Tombstone[] = []
    const file = await this.options.disk.open(segmentPath(segment.sequence), 'read')
    if (file === undefined) return
    try {
      const place = { sequence: segment.sequence, from: 0, windowBytes: SCAN_BYTES }
      await scanSegment(file, place, {
        wants: (block, offset) => this.livesAt(block, segment.sequence, offset),
        rest: () => (++records % RECORDS_PER_TURN === 0 ? this.giveWay() : undefined),
        block: (entry) => {
          if (this.livesHere(entry)) living.push(entry)
        },
        tombstones: (tombstones) => {
          const oldest = this.options.segments.sequenceMin(segment.sequence)
          for (const tombstone of tombstones) if (oldest <= tombstone.horizon) needed.push(tombstone)
        },
      })
    } finally {
      await file.close()
    }
    await this.rewrite(living, needed)
  }

  /** Writes blocks, as far as they live where they are said to, and tombstones anew. Rejects with `DriveFull`. */
  async rewrite(blocks: readonly IndexedBlock[], tombstones: readonly Tombstone[]): Promise<void> {
    const { smallBlockBytesMax } = this.options.limits
    const living = blocks.filter((entry) => this.livesHere(entry))
    const small = living.filter((entry) => entry.sizeBytes <= smallBlockBytesMax)
    for (let at = 0; at < small.length; at += COPIES_AT_ONCE) {
      await settleAll(small.slice(at, at + COPIES_AT_ONCE).map((entry) => this.copy(entry)))
      await this.giveWay()
    }
    // One by one: a copy holds a segment that a writer may be waiting for.
    for (const entry of living) {
      if (entry.sizeBytes <= smallBlockBytesMax) continue
      await this.copy(entry)
      await this.giveWay()
    }
    for (let at = 0; at < tombstones.length; at += TOMBSTONES_PER_RECORD_MAX) {
      await this.carry(tombstones.slice(at, at + TOMBSTONES_PER_RECORD_MAX))
    }
  }

  private livesHere(entry: IndexedBlock): boolean {
    return this.livesAt(entry.block, entry.segment, entry.offset)
  }

  private livesAt(block: BlockId, sequence: number, offset: number): boolean {
    const current = this.options.table.find(block)
    return current?.segment === sequence && current.offset === offset
  }

  private async giveWay(): Promise<void> {
    await this.rest()
    await new Promise<void>((resolve) => this.options.clock.defer(resolve))
  }

  /** Moves one block. What cannot be read stays where it is, and its segment with it. */
  private async copy(entry: IndexedBlock): Promise<void> {
    try {
      const { reader, limits } = this.options
      const owner: Uint8Array = await reader.readOwner(entry)
      const large = entry.sizeBytes > limits.smallBlockBytesMax
      await (large ? this.copyLarge(entry, owner) : this.copySmall(entry, owner))
    } catch (error) {
      if (!concernsBlock(error)) throw error
    }
  }

  private async copySmall(entry: IndexedBlock, owner: Uint8Array): Promise<void> {
    const { log, reader } = this.options
    const whole = { offset: 0, length: entry.sizeBytes }
    const opened = await reader.get(entry.block, whole, new AbortController())
    const units: Unit[] = []
    for await (const unit of opened.units) units.push(unit)
    if (!this.mayPlace(entry)) return
    const { block, sizeBytes, hash, storedAtMs, order } = entry
    await new Promise<void>((resolve, reject) => {
      log.append({
        kind: 'block',
        block,
        owner,
        units,
        checks: checksOf(units),
        sizeBytes,
        hash,
        storedAtMs,
        order,
        recordBytes: recordBytesOf(entry),
        settle: (outcome) => {
          if (outcome instanceof CairnError) return reject(outcome)
          this.moved(entry, outcome)
          resolve()
        },
      })
    })
  }

  private async copyLarge(entry: IndexedBlock, owner: Uint8Array): Promise<void> {
    const { streams, reader } = this.options
    const footer = await reader.readFooter(entry)
    const units = reader.stream(entry.block, footer, { first: 0, last: footer.checks.length }, undefined)
    const take = async (): Promise<Unit[]> => {
      const next = await units.next()
      return next.done === true ? [] : [next.value]
    }
    const first = await take()
    const { block, storedAtMs, order } = entry
    const copied = { block, owner, storedAtMs, order, direct: true }
    const settle = (placement: Placement): void => this.moved(entry, placement)
    await this.holdingDeletions(entry, (admit) => streams.write({ ...copied, admit, take, settle }, first))
  }

  /** From the turn in which the copy is admitted to its end no deletion of the block begins. */
  private async holdingDeletions(
    entry: IndexedBlock,
    copy: (admit: () => boolean) => Promise<void>,
  ): Promise<void> {
    const { copying } = this.options
    const key = mapKey(entry.block)
    let end = (): void => undefined
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    try {
      await copy(() => {
        const isAdmitted = this.mayPlace(entry)
        if (isAdmitted) copying.set(key, ended)
        return isAdmitted
      })
    } finally {
      copying.delete(key)
      end()
    }
  }

  /** Asked in the same turn in which the copy is queued or has its segment: see above. */
  private mayPlace(entry: IndexedBlock): boolean {
    return this.livesHere(entry) && !this.options.deleting.has(mapKey(entry.block))
  }

  /** The copy is durable. If the block was deleted or replaced meanwhile, the copy is dead already. */
  private moved(entry: IndexedBlock, placement: Placement): void {
    const sizeBytes = recordBytesOf(entry)
    this.copiedBytes += sizeBytes
    this.options.state.counters.bytesCompacted += sizeBytes
    if (!this.livesHere(entry)) return
    const { segment, offset } = placement
    this.options.table.put({ ...entry, segment, offset })
  }

  private carry(tombstones: readonly Tombstone[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.options.log.append({
        kind: 'tombstones',
        tombstones,
        recordBytes: tombstoneRecordBytes(tombstones.length),
        settle: (outcome) => (outcome instanceof CairnError ? reject(outcome) : resolve()),
      })
    })
  }
}

/** Nothing has changed since a run could not copy all that lives in it. */
function isStuck({ stuckWithBlocks, liveBlocks }: Segment): boolean {
  return stuckWithBlocks > 0 && stuckWithBlocks === liveBlocks
}

/** Waits for all, then throws the first failure: nothing runs on behind the caller's back. */
async function settleAll(tasks: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(tasks)) {
    if (outcome.status === 'rejected') throw outcome.reason
  }
}
