/**
 * One pass over all segments of a drive, in their order: large sequential reads, whatever the order of the blocks.
 * Every live block is compared with its checks, its hash and its row. Dead records are skipped: rot in them is no
 * fault.
 *
 * Rows and segments must agree both ways. A segment counts its live blocks, in the transactions of their rows; if a
 * walk over it meets fewer, either a record cannot be found any more or a row is lost. So the rows of such segments
 * are walked at the end of the pass: a row without a record is a damaged block, too few rows are a damaged index.
 *
 * A block counts as scrubbed once in a pass, right or damaged, if it was read: not when its bytes are gone, and not
 * again when its row is walked. One that moves while the pass goes on (compaction, repair) is read at both places and
 * counts twice; so does a segment that is begun anew after an error.
 */
import { type BlockId, CairnError, type Clock } from '@cairn/protocol'
import type { BlockIndex, DamageEvent, Disk, DiskFile, IndexedBlock } from '../../ports.js'
import type { BlockTable } from '../blocks/block-table.js'
import { type BlockVerifier, wasRead } from '../blocks/block-verifier.js'
import { segmentPath } from '../segments/segment-header.js'
import { type ScanResult, scanSegment } from '../segments/segment-scan.js'
import type { Segment, SegmentSet } from '../segments/segment-set.js'
import type { StoreCounters } from '../segments/write-state.js'

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

/** Blocks read, and their bytes. */
interface Tally {
  blocks: number
  bytes: number
}

/** The rows of a segment, and the blocks that it counted before they were walked. */
interface Walk {
  readonly before: number
  rows: number
  readonly read: Tally
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
    const counted = new Map<number, Tally>()
    let next = position.segment
    for (;;) {
      const segment = this.firstFrom(next)
      if (segment === undefined) break
      const tally = { blocks: 0, bytes: 0 }
      if (!(await this.segment(segment, control, tally))) {
        suspects.add(segment.sequence)
        counted.set(segment.sequence, tally)
      }
      if (control.signal.aborted) return false
      next = segment.sequence + 1
      control.passed({ segment: next, suspects: [...suspects] })
    }
    return suspects.size === 0 || this.walkRows(suspects, control, counted)
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
  private async segment(segment: Segment, control: ScrubControl, tally: Tally): Promise<boolean> {
    if (segment.liveBlocks === 0 && segment.tombstoneBytes === 0) return true
    const file = await this.options.disk.open(segmentPath(segment.sequence), 'read')
    if (file === undefined) return !this.isThere(segment)
    try {
      return await this.scan({ segment, file: this.paced(file, segment, control), tally }, control)
    } catch (error) {
      if (error instanceof Interrupted) return true
      throw error
    } finally {
      await file.close()
    }
  }

  private async scan(
    { segment, file, tally }: { segment: Segment; file: DiskFile; tally: Tally },
    control: ScrubControl,
  ): Promise<boolean> {
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
        if (intact && isSame(entry, row)) this.right(row, tally)
        else broken.push(row)
      },
      tombstones: (_, { sizeBytes }) => {
        tombstoneBytes += sizeBytes
      },
      rest: () => (++records % RECORDS_PER_TURN === 0 ? this.turn() : undefined),
    })
    for (const row of broken) if (await this.lookAgain(row, control)) this.count(row, tally)
    if (!this.isThere(segment)) return true
    this.tellOfRanges(segment, result, tombstoneBytes)
    if (result.fileBytes < end || isOther(result, segment)) return false
    // A block that was deleted or moved since it was met only makes `found` too high.
    return found >= segment.liveBlocks || (!segment.sealed && result.gaps.length === 0)
  }

  /** Reads a block from its place alone, which marks it if it is damaged; false if there was nothing to read. */
  private async lookAgain(row: IndexedBlock, control: ScrubControl): Promise<boolean> {
    await control.admit(row.sizeBytes)
    return wasRead(await this.options.verifier.verifyOne(row, control.signal))
  }

  private right(row: IndexedBlock, tally: Tally): void {
    this.options.verifier.absolve(row)
    this.count(row, tally)
  }

  private count({ sizeBytes }: IndexedBlock, tally: Tally): void {
    add(tally, sizeBytes)
    this.options.counters.blocksScrubbed++
    this.options.counters.bytesScrubbed += sizeBytes
  }

  /** Counts what a walk over rows has read and the scan of their segment had not. */
  private countRest(walked: Tally, scanned: Tally = { blocks: 0, bytes: 0 }): void {
    this.options.counters.blocksScrubbed += Math.max(0, walked.blocks - scanned.blocks)
    this.options.counters.bytesScrubbed += Math.max(0, walked.bytes - scanned.bytes)
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

  /** Verifies every row of these segments, and counts them; `scanned`: what was counted of them before. */
  private async walkRows(
    suspects: ReadonlySet<number>,
    control: ScrubControl,
    scanned: ReadonlyMap<number, Tally>,
  ): Promise<boolean> {
    const { index, table, segments } = this.options
    await table.flush()
    const walks = new Map<number, Walk>()
    for (const sequence of suspects) {
      const before = segments.all.get(sequence)?.liveBlocks ?? 0
      walks.set(sequence, { before, rows: 0, read: { blocks: 0, bytes: 0 } })
    }
    let after: BlockId | undefined
    for (;;) {
      const rows = index.range(after, ROWS_PER_TURN)
      if (!(await this.walkPage(rows, walks, control))) return false
      after = rows.at(-1)?.block
      if (rows.length < ROWS_PER_TURN) break
      await this.turn()
    }
    for (const [sequence, walk] of walks) {
      this.countRest(walk.read, scanned.get(sequence))
      this.compareRows(sequence, walk)
    }
    return true
  }

  private async walkPage(
    rows: readonly IndexedBlock[],
    walks: ReadonlyMap<number, Walk>,
    control: ScrubControl,
  ): Promise<boolean> {
    for (const row of rows) {
      const walk = walks.get(row.segment)
      if (walk === undefined) continue
      if (control.signal.aborted) return false
      walk.rows++
      if (await this.lookAgain(row, control)) add(walk.read, row.sizeBytes)
    }
    return true
  }

  /** Only what did not change meanwhile can be judged; the next pass sees the rest. */
  private compareRows(sequence: number, { before, rows }: Walk): void {
    const segment = this.options.segments.all.get(sequence)
    if (segment === undefined || !segment.sealed || segment.liveBlocks !== before || rows >= before) return
    this.indexDamaged = true
    const message = `the block index lacks ${before - rows} blocks of a segment`
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

function add(tally: Tally, sizeBytes: number): void {
  tally.blocks++
  tally.bytes += sizeBytes
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
