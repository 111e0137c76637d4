/**
 * Brings the table up to what the segments hold: reads, of each segment, what lies behind its checkpoint.
 *
 * 1. Segments the index knows as sealed are taken over unread. Of all others the tail is scanned, and synced:
 *    after kill -9 its bytes may still be in the page cache alone, and from now on they count as durable. What no
 *    later record proves durable is also written again (by the store, as compaction does): if the last process
 *    died of a failed sync, the page cache may hold what the drive never got, and another sync would not tell.
 * 2. Of several records of one block the highest order counts; a tombstone kills all below its own. A record
 *    found in two places with one order is a copy by compaction: either will do.
 * 3. A block whose units are wrong is kept as damaged if later records say that it had been durable (it was
 *    acknowledged and has rotted), and ignored otherwise (a crash cut it off before it was acknowledged).
 * 4. Only then do the checkpoints move. No segment is changed and all scanned ones are sealed, so that a crash at
 *    any step, and doing it all again, are harmless.
 *
 * An index that names a segment with live blocks which is not there is older than the drive, or the file is lost:
 * it is forgotten, and all segments are scanned.
 */
import { CairnError, mapKey } from '@cairn/protocol'
import type { BlockIndex, DamageEvent, Disk, IndexedBlock, IndexedSegment } from '../../ports.js'
import type { BlockTable } from '../blocks/block-table.js'
import type { Tombstone } from '../segments/record.js'
import {
  parseSegmentName,
  SEGMENT_FOLDER,
  SEGMENT_HEADER_BYTES,
  segmentPath,
} from '../segments/segment-header.js'
import { type ScanResult, scanSegment } from '../segments/segment-scan.js'
import { Segment, type SegmentSet } from '../segments/segment-set.js'
import type { WriteState } from '../segments/write-state.js'

/** What recovery works on. */
export interface RecoveryOptions {
  readonly disk: Disk
  readonly index: BlockIndex
  readonly table: BlockTable
  readonly segments: SegmentSet
  readonly state: WriteState
  readonly driveId: string
  /** Changes in memory from which they are written to the index while recovery goes on. */
  readonly tailEntriesMax: number
  readonly onDamage: (event: DamageEvent) => void
  /** Ends it between two segments. */
  readonly signal?: AbortSignal
}

/** Records that may have been acknowledged, but for which no later record says that they were durable. */
export interface Unproven {
  readonly blocks: readonly IndexedBlock[]
  readonly tombstones: readonly Tombstone[]
}

/** Opens the segments of a drive. `FormatTooNew` for segments of a later version, `ShuttingDown` if it was ended. */
export async function recover(options: RecoveryOptions): Promise<Unproven> {
  const { disk, index, segments } = options
  await prepareFolder(options)
  const names = await disk.list(SEGMENT_FOLDER)
  const present = names
    .map(parseSegmentName)
    .filter((sequence) => sequence !== undefined)
    .sort((a, b) => a - b)
  const next = index.next()
  segments.nextOrder = next.order
  segments.sequenceMax = Math.max(next.sequence - 1, present.at(-1) ?? 0)
  const rows = knownSegments(options, new Set(present))
  const recovery = new Recovery(options, rows)
  await recovery.run(present)
  return recovery.unproven
}

/** What is found may not be durable: the last process may have ended between a change of a folder and its sync. */
async function prepareFolder({ disk, state }: RecoveryOptions): Promise<void> {
  const isMade = (await disk.list('')).includes(SEGMENT_FOLDER)
  if (!isMade) await disk.makeFolder(SEGMENT_FOLDER)
  await state.syncFolder('')
  if (isMade) await state.syncFolder(SEGMENT_FOLDER)
}

/** The index's segments, or none if it does not belong to what is on the drive. */
function knownSegments(
  options: RecoveryOptions,
  present: ReadonlySet<number>,
): ReadonlyMap<number, IndexedSegment> {
  const { index, segments, onDamage } = options
  const rows = index.segments()
  const missing = rows.filter((row) => !present.has(row.sequence))
  const lost = missing.filter((row) => row.liveBlocks > 0)
  if (lost.length === 0) {
    segments.gone.push(...missing.map((row) => row.sequence))
    return new Map(rows.filter((row) => present.has(row.sequence)).map((row) => [row.sequence, row]))
  }
  for (const row of lost) {
    const message = `a segment with ${row.liveBlocks} live blocks is missing`
    onDamage({ kind: 'segment', message, segment: row.sequence })
  }
  index.reset()
  return new Map()
}

class Recovery {
  private readonly options: RecoveryOptions
  private readonly rows: ReadonlyMap<number, IndexedSegment>
  /** Highest order of each block's tombstones. */
  private readonly tombstones = new Map<string, number>()
  readonly unproven: { blocks: IndexedBlock[]; tombstones: Tombstone[] } = { blocks: [], tombstones: [] }
  private readonly scanned: { segment: Segment; end: number }[] = []

  constructor(options: RecoveryOptions, rows: ReadonlyMap<number, IndexedSegment>) {
    this.options = options
    this.rows = rows
  }

  async run(present: readonly number[]): Promise<void> {
    for (const sequence of present) {
      const row = this.rows.get(sequence)
      const segment = row === undefined ? newlyFound(sequence) : Segment.from(row)
      this.options.segments.all.set(sequence, segment)
    }
    for (const sequence of present) await this.segment(sequence)
    for (const { segment, end } of this.scanned) {
      segment.seal()
      segment.position = end
      segment.appliedTo = end
    }
  }

  private async segment(sequence: number): Promise<void> {
    const segment = this.options.segments.all.get(sequence)
    if (segment === undefined || segment.sealed) return
    if (this.options.signal?.aborted === true)
      throw new CairnError('ShuttingDown', 'the drive is being closed')
    const file = await this.options.disk.open(segmentPath(sequence), 'write')
    if (file === undefined) throw new CairnError('DriveFailed', `segment ${sequence} has vanished`)
    try {
      await this.tail(segment, file)
    } finally {
      await file.close()
    }
    if (this.options.table.size >= this.options.tailEntriesMax) this.options.table.flushNow()
  }

  private async tail(segment: Segment, file: Parameters<typeof scanSegment>[0]): Promise<void> {
    const intact: IndexedBlock[] = []
    const broken: IndexedBlock[] = []
    const buried: { offset: number; tombstones: readonly Tombstone[] }[] = []
    const place = { sequence: segment.sequence, from: segment.appliedTo }
    const result = await scanSegment(file, place, {
      block: (entry, whole) => {
        if (whole) this.block(entry)
        ;(whole ? intact : broken).push(entry)
      },
      tombstones: (tombstones, { offset, sizeBytes }) => {
        for (const tombstone of tombstones) this.tombstone(tombstone, segment)
        buried.push({ offset, tombstones })
        segment.tombstoneBytes += sizeBytes
      },
    })
    const records = intact.length + broken.length + buried.length
    this.assertOurs(segment, result, records)
    if (records > 0) await this.options.state.sync(file)
    for (const entry of broken) if (entry.offset < result.syncedTo) this.rotten(entry)
    this.unproven.blocks.push(...intact.filter(({ offset }) => offset >= result.syncedTo))
    for (const { offset, tombstones } of buried) {
      if (offset >= result.syncedTo) this.unproven.tombstones.push(...tombstones)
    }
    this.reportGaps(segment, result)
    this.scanned.push({ segment, end: Math.max(result.fileBytes, SEGMENT_HEADER_BYTES) })
  }

  private block(entry: IndexedBlock): void {
    const { table, segments } = this.options
    segments.nextOrder = Math.max(segments.nextOrder, entry.order + 1)
    const key = mapKey(entry.block)
    if ((this.tombstones.get(key) ?? 0) > entry.order) return
    const known = table.find(entry.block, key)
    if (known === undefined || supersedes(entry, known)) table.put(entry, key)
  }

  private tombstone({ block, order, horizon }: Tombstone, segment: Segment): void {
    const { table, segments } = this.options
    segments.nextOrder = Math.max(segments.nextOrder, order + 1)
    segment.horizon = Math.max(segment.horizon, horizon)
    const key = mapKey(block)
    this.tombstones.set(key, Math.max(order, this.tombstones.get(key) ?? 0))
    const known = table.find(block, key)
    if (known !== undefined && known.order < order) table.remove(block, key)
  }

  private rotten(entry: IndexedBlock): void {
    const { block, segment, offset } = entry
    this.block({ ...entry, damaged: true })
    this.options.state.counters.blocksCorrupt++
    this.options.onDamage({ kind: 'block', message: 'a block has rotted', block, segment, offset })
  }

  /** A damaged header page without any record is a segment that a crash cut off as it was made. */
  private assertOurs(segment: Segment, { header }: ScanResult, records: number): void {
    const { driveId, onDamage } = this.options
    const { sequence } = segment
    if (header === 'newer') {
      throw new CairnError('FormatTooNew', `segment ${sequence} was written by a later version`)
    }
    if (header === undefined && records > 0) {
      this.damaged(segment, 'the header page is damaged', { offset: 0, length: SEGMENT_HEADER_BYTES })
    } else if (header !== undefined && header.sequence !== sequence) {
      this.damaged(segment, `the file is segment ${header.sequence}`, { offset: 0, length: 0 })
    } else if (
      header !== undefined &&
      driveId !== '' &&
      header.driveId !== '' &&
      header.driveId !== driveId
    ) {
      onDamage({ kind: 'segment', message: `the segment is of drive ${header.driveId}`, segment: sequence })
    }
  }

  /** A gap that later records know as durable is damage; one at the end is what a crash cut off. */
  private reportGaps(segment: Segment, { gaps, syncedTo }: ScanResult): void {
    for (const gap of gaps)
      if (gap.offset < syncedTo) this.damaged(segment, 'no record can be read here', gap)
  }

  private damaged(segment: Segment, message: string, range: { offset: number; length: number }): void {
    this.options.state.counters.rangesQuarantined++
    this.options.onDamage({ kind: 'segment', message, segment: segment.sequence, ...range })
  }
}

function newlyFound(sequence: number): Segment {
  return new Segment(sequence, new Uint8Array())
}

/** Whether a record found now counts more than the one known. */
function supersedes(found: IndexedBlock, known: IndexedBlock): boolean {
  if (found.order !== known.order) return found.order > known.order
  return known.damaged && !found.damaged
}
