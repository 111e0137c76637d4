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
 */
import { CairnError, type Unit } from '@cairn/protocol'
import type { Disk, IndexedBlock } from '../ports.js'
import { type BlockReader, concernsBlock } from './block-reader.js'
import { type BlockTable, keyOf } from './block-table.js'
import type { GroupCommit, Placement } from './group-commit.js'
import { TOMBSTONES_PER_RECORD_MAX, type Tombstone, tombstoneRecordBytes } from './record.js'
import { segmentPath } from './segment-header.js'
import type { SegmentLimits } from './segment-limits.js'
import { scanSegment } from './segment-scan.js'
import { recordBytesOf, type Segment, type SegmentSet } from './segment-set.js'
import type { StreamWriter } from './stream-writer.js'
import type { WriteState } from './write-state.js'

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
  /** Keys of blocks whose deletion is queued. */
  readonly deleting: ReadonlyMap<string, number>
  /** Large blocks being copied: their deletions wait. */
  readonly copying: Map<string, Promise<void>>
}

/** What one run did. */
export interface CompactionResult {
  readonly copiedBytes: number
  readonly freedBytes: number
  readonly removedSegments: number
  /** False if the budget ended the run before the work was done. */
  readonly complete: boolean
}

/** Copies of small blocks in flight at once: they share the group commit's syncs. */
const COPIES_AT_ONCE = 64

export class Compactor {
  private readonly options: CompactionOptions
  private running: Promise<CompactionResult> | undefined
  private copiedBytes = 0
  private freedBytes = 0
  private removedSegments = 0

  constructor(options: CompactionOptions) {
    this.options = options
  }

  /** One bounded run; joins the one that is under way. */
  run(signal: AbortSignal): Promise<CompactionResult> {
    this.running ??= this.compact(signal).finally(() => {
      this.running = undefined
    })
    return this.running
  }

  /** Waits for the run that is under way. */
  async idle(): Promise<void> {
    await this.running?.catch(() => undefined)
  }

  private async compact(signal: AbortSignal): Promise<CompactionResult> {
    this.options.state.assertWritable()
    this.copiedBytes = 0
    this.freedBytes = 0
    this.removedSegments = 0
    await this.closeDeadWeight()
    const done = new Set<Segment>()
    let complete = true
    for (;;) {
      const segment = this.choose(done)
      if (segment === undefined) break
      done.add(segment)
      if (signal.aborted || this.copiedBytes >= this.options.limits.compactionBytesMax) {
        complete = false
        break
      }
      await this.segment(segment)
    }
    const { copiedBytes, freedBytes, removedSegments } = this
    return { copiedBytes, freedBytes, removedSegments, complete }
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

  /** The emptiest sealed segment above the threshold, or the oldest while tombstones press. */
  private choose(done: ReadonlySet<Segment>): Segment | undefined {
    const { segments, limits } = this.options
    const open = [...segments.all.values()].filter(
      (segment) => segment.sealed && !done.has(segment) && !isStuck(segment),
    )
    const worthwhile = open.filter((segment) => this.deadShare(segment) >= limits.deadShareMin)
    if (worthwhile.length > 0) return worthwhile.reduce((a, b) => (b.liveBytes < a.liveBytes ? b : a))
    if (open.length === 0 || !this.tombstonesPress()) return undefined
    return open.reduce((a, b) => (b.sequence < a.sequence ? b : a))
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
    const needed: Tombstone[] = []
    const file = await this.options.disk.open(segmentPath(segment.sequence), 'read')
    if (file === undefined) return
    try {
      const place = { sequence: segment.sequence, from: 0 }
      await scanSegment(file, place, {
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
    }
    // One by one: a copy holds a segment that a writer may be waiting for.
    for (const entry of living) if (entry.sizeBytes > smallBlockBytesMax) await this.copy(entry)
    for (let at = 0; at < tombstones.length; at += TOMBSTONES_PER_RECORD_MAX) {
      await this.carry(tombstones.slice(at, at + TOMBSTONES_PER_RECORD_MAX))
    }
  }

  private livesHere(entry: IndexedBlock): boolean {
    const current = this.options.table.find(entry.block)
    return current?.segment === entry.segment && current.offset === entry.offset
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
    const units = reader
      .stream(entry.block, footer, { first: 0, last: footer.checks.length }, undefined)
      [Symbol.asyncIterator]()
    const take = async (): Promise<Unit[]> => {
      const next = await units.next()
      return next.done === true ? [] : [next.value]
    }
    const first = await take()
    const { block, storedAtMs, order } = entry
    const settle = (placement: Placement): void => this.moved(entry, placement)
    await this.holdingDeletions(entry, (admit) =>
      streams.write({ block, owner, storedAtMs, order, admit, take, settle }, first),
    )
  }

  /** From the turn in which the copy is admitted to its end no deletion of the block begins. */
  private async holdingDeletions(
    entry: IndexedBlock,
    copy: (admit: () => boolean) => Promise<void>,
  ): Promise<void> {
    const { copying } = this.options
    const key = keyOf(entry.block)
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
    return this.livesHere(entry) && !this.options.deleting.has(keyOf(entry.block))
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
