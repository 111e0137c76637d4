/**
 * One pass over all segments of a drive, in their order: large sequential reads, whatever the order of the blocks.
 * Every live block is compared with its checks, its hash and its row. Dead records are skipped: rot in them is no
 * fault.
 *
 * Rows and segments must agree both ways. A segment counts its live blocks, in the transactions of their rows; if a
 * walk over it meets fewer, either a record cannot be found any more or a row is lost. So the rows of such segments
 * are walked at the end of the pass: a row without a record is a damaged block, too few rows are a damaged index.
 */
import { type BlockId, CairnError, type Clock } from '@cairn/protocol'
import type { BlockIndex, DamageEvent, Disk, DiskFile, IndexedBlock } from '../ports.js'
import type { BlockTable } from './block-table.js'
import type { BlockVerifier } from './block-verifier.js'
import { segmentPath } from './segment-header.js'
import { type ScanResult, scanSegment } from './segment-scan.js'
import type { Segment, SegmentSet } from './segment-set.js'
import type { StoreCounters } from './write-state.js'

/** Bytes of one read, and records between two turns: what foreground work may have to wait for. */
const SLICE_BYTES = 256 * 1024
const RECORDS_PER_TURN = 32
/** Rows looked at in one turn while rows are walked. */
const ROWS_PER_TURN = 256

/** Where a pass stands: segments below `segment` are done. */
export interface ScrubPosition {
  readonly segment: number
  /** Segments whose rows must be walked at the end. */
  readonly suspects: readonly number[]
}

/** How a pass goes on. */
export interface ScrubControl {
  readonly signal: AbortSignal
  /** Asked before each read: resolves when so many bytes may be read. */
  readonly admit: (sizeBytes: number) => Promise<void>
  /** Told after each segment. */
  readonly passed: (position: ScrubPosition) => void
}

export interface SegmentScrubberOptions {
  readonly disk: Disk
  readonly index: BlockIndex
  readonly table: BlockTable
  readonly segments: SegmentSet
  readonly verifier: BlockVerifier
  readonly clock: Clock
  readonly counters: StoreCounters
  readonly onDamage: (event: DamageEvent) => void
}

/** A segment has gone, or the pass is to end, while it is read. */
class Interrupted extends Error {}

export class SegmentScrubber {
  private readonly options: SegmentScrubberOptions
  /** Rows were found to be missing: the index must be made anew. */
  indexDamaged = false

  constructor(options: SegmentScrubberOptions) {
    this.options = options
  }

  /** Bytes that a pass from `position` on reads at most. */
  bytesFrom({ segment: first }: ScrubPosition): number {
    let sizeBytes = 0
    for (const segment of this.options.segments.all.values()) {
      if (segment.sequence >= first) sizeBytes += segment.appliedTo
    }
    return sizeBytes
  }

  /** Reads on from `position` to the end of the pass; false if `signal` ended it before. */
  async pass(position: ScrubPosition, control: ScrubControl): Promise<boolean> {
    const suspects = new Set(position.suspects)
    let next = position.segment
    for (;;) {
      const segment = this.firstFrom(next)
      if (segment === undefined) break
      if (!(await this.segment(segment, control))) suspects.add(segment.sequence)
      if (control.signal.aborted) return false
      next = segment.sequence + 1
      control.passed({ segment: next, suspects: [...suspects] })
    }
    return suspects.size === 0 || this.walkRows(suspects, control)
  }

  private firstFrom(sequence: number): Segment | undefined {
    let first: Segment | undefined
    for (const segment of this.options.segments.all.values()) {
      const isLater = first !== undefined && segment.sequence > first.sequence
      if (segment.sequence >= sequence && !isLater) first = segment
    }
    return first
  }

  /** False if rows and records of the segment may not agree. */
  private async segment(segment: Segment, control: ScrubControl): Promise<boolean> {
    if (segment.liveBlocks === 0 && segment.tombstoneBytes === 0) return true
    const file = await this.options.disk.open(segmentPath(segment.sequence), 'read')
    if (file === undefined) return !this.isThere(segment)
    try {
      return await this.scan(segment, this.paced(file, segment, control), control)
    } catch (error) {
      if (error instanceof Interrupted) return true
      throw error
    } finally {
      await file.close()
    }
  }

  private async scan(segment: Segment, file: DiskFile, control: ScrubControl): Promise<boolean> {
    const broken: IndexedBlock[] = []
    const end = segment.appliedTo
    let found = 0
    let tombstoneBytes = 0
    let records = 0
    const place = { sequence: segment.sequence, from: 0, windowBytes: SLICE_BYTES }
    const result = await scanSegment(file, place, {
      hashes: true,
      wants: (block, offset) => this.living(block, segment, offset) !== undefined,
      block: (entry, intact) => {
        const row = this.living(entry.block, segment, entry.offset)
        if (row === undefined) return
        found++
        if (intact && isSame(entry, row)) this.right(row)
        else broken.push(row)
      },
      tombstones: (_, { sizeBytes }) => {
        tombstoneBytes += sizeBytes
      },
      rest: () => (++records % RECORDS_PER_TURN === 0 ? this.turn() : undefined),
    })
    for (const row of broken) await this.lookAgain(row, control)
    if (!this.isThere(segment)) return true
    this.tellOfRanges(segment, result, tombstoneBytes)
    if (result.fileBytes < end || isOther(result, segment)) return false
    // A block that was deleted or moved since it was met only makes `found` too high.
    return found >= segment.liveBlocks || (!segment.sealed && result.gaps.length === 0)
  }

  /** Reads a block that seemed damaged once more, from its place alone; this marks it if it is. */
  private async lookAgain(row: IndexedBlock, control: ScrubControl): Promise<void> {
    await control.admit(row.sizeBytes)
    const outcome = await this.options.verifier.verifyOne(row, control.signal)
    if (outcome !== 'absent') this.count(row)
  }

  private right(row: IndexedBlock): void {
    this.options.verifier.absolve(row)
    this.count(row)
  }

  private count(row: IndexedBlock): void {
    this.options.counters.blocksScrubbed++
    this.options.counters.bytesScrubbed += row.sizeBytes
  }

  /** Of what is not a block only that matters which the next start would miss: tombstones and the header page. */
  private tellOfRanges(segment: Segment, { header, gaps }: ScanResult, tombstoneBytes: number): void {
    const { sequence } = segment
    const lost = gaps.length > 0 && tombstoneBytes < segment.tombstoneBytes
    if (lost) this.damaged(sequence, 'tombstones cannot be read', gaps[0])
    if (header === undefined) this.damaged(sequence, 'the header page is damaged', undefined)
  }

  private damaged(
    segment: number,
    message: string,
    range: { offset: number; length: number } | undefined,
  ): void {
    this.options.counters.rangesQuarantined++
    this.options.onDamage({ kind: 'segment', message, segment, ...range })
  }

  /** Verifies every row of these segments, and counts them. */
  private async walkRows(suspects: ReadonlySet<number>, control: ScrubControl): Promise<boolean> {
    const { index, table, segments } = this.options
    await table.flush()
    const before = new Map([...suspects].map((one) => [one, segments.all.get(one)?.liveBlocks ?? 0]))
    const met = new Map<number, number>()
    let after: BlockId | undefined
    for (;;) {
      const rows = index.range(after, ROWS_PER_TURN)
      for (const row of rows.filter(({ segment }) => suspects.has(segment))) {
        if (control.signal.aborted) return false
        met.set(row.segment, (met.get(row.segment) ?? 0) + 1)
        await this.lookAgain(row, control)
      }
      after = rows.at(-1)?.block
      if (rows.length < ROWS_PER_TURN) break
      await this.turn()
    }
    for (const [sequence, count] of before) this.compareRows(sequence, count, met.get(sequence) ?? 0)
    return true
  }

  /** Only what did not change meanwhile can be judged; the next pass sees the rest. */
  private compareRows(sequence: number, before: number, met: number): void {
    const segment = this.options.segments.all.get(sequence)
    if (segment === undefined || !segment.sealed || segment.liveBlocks !== before || met >= before) return
    this.indexDamaged = true
    const message = `the block index lacks ${before - met} blocks of a segment`
    this.options.onDamage({ kind: 'index', message, segment: sequence })
  }

  private living(block: BlockId, segment: Segment, offset: number): IndexedBlock | undefined {
    const row = this.options.table.find(block)
    return row?.segment === segment.sequence && row.offset === offset ? row : undefined
  }

  private isThere(segment: Segment): boolean {
    return this.options.segments.all.get(segment.sequence) === segment
  }

  private turn(): Promise<void> {
    return new Promise((resolve) => this.options.clock.defer(resolve))
  }

  /** The part of the file that is acknowledged; gives up when the segment is removed, lest its space stay taken. */
  private paced(file: DiskFile, segment: Segment, control: ScrubControl): DiskFile {
    const readonly = (): never => {
      throw new CairnError('Internal', 'a scrub never writes')
    }
    const end = segment.appliedTo
    return {
      read: async (into, offset) => {
        await control.admit(into.length)
        if (control.signal.aborted || !this.isThere(segment)) throw new Interrupted()
        return file.read(into, offset)
      },
      size: async () => Math.min(end, await file.size()),
      write: readonly,
      sync: readonly,
      close: () => file.close(),
    }
  }
}

/** The file is another segment's, or was written by another version: nothing of it was read. */
function isOther({ header }: ScanResult, segment: Segment): boolean {
  return header === 'newer' || (header !== undefined && header.sequence !== segment.sequence)
}

/** Whether a record is the one that its row speaks of. */
function isSame(record: IndexedBlock, row: IndexedBlock): boolean {
  return (
    record.sizeBytes === row.sizeBytes &&
    record.ownerBytes === row.ownerBytes &&
    Buffer.compare(record.hash, row.hash) === 0
  )
}
