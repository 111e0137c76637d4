/**
 * Reads of one drive. ● What leaves here has passed the check of its unit, and a stream either brings all units
 * of its range or ends with an error. Between two reads nothing is held: each piece looks up where its block lies
 * now, so that compaction never waits for a slow reader and never takes a segment from under one.
 */
import {
  allocatePassing,
  type BlockId,
  CairnError,
  crc32c,
  hasCode,
  sameBytes,
  UNIT_BYTES,
  type Unit,
} from '@cairn/protocol'
import type { BlockAtHand, DamageEvent, IndexedBlock, OpenBlock } from '../../ports.js'
import {
  align,
  dataStart,
  footerBytes,
  HEADER_BYTES,
  type RecordFooter,
  readFooter,
  readHeader,
  verifyUnits,
} from '../segments/record.js'
import type { SegmentLimits } from '../segments/segment-limits.js'
import type { SegmentSet } from '../segments/segment-set.js'
import type { WriteState } from '../segments/write-state.js'
import type { BlockTable } from './block-table.js'
import { PieceStream, type UnitRange } from './piece-stream.js'
import { ReadSlab } from './read-slab.js'
import type { WarmBlocks } from './warm-blocks.js'

/** What a reader works on. */
export interface BlockReaderOptions {
  readonly table: BlockTable
  readonly segments: SegmentSet
  readonly state: WriteState
  readonly limits: SegmentLimits
  readonly warm: WarmBlocks
  readonly onDamage: (event: DamageEvent) => void
}

/** Largest read in the turn that wants it: some 6 µs of copying. */
const READ_NOW_BYTES_MAX = UNIT_BYTES + 4096

export class BlockReader {
  private readonly options: BlockReaderOptions
  private readonly slab = new ReadSlab()

  constructor(options: BlockReaderOptions) {
    this.options = options
  }

  /** See `BlockStore.get`. */
  async get(
    block: BlockId,
    range: { readonly offset: number; readonly length: number },
    control: { readonly signal: AbortSignal },
  ): Promise<OpenBlock> {
    const entry = this.locate(block)
    const units = unitsOf(entry, range)
    const from = dataStart(entry.ownerBytes) + units.first * UNIT_BYTES
    const footerAt = dataStart(entry.ownerBytes) + align(entry.sizeBytes)
    const opened = { sizeBytes: entry.sizeBytes, hash: entry.hash, firstUnit: units.first }
    if (footerAt - from <= this.options.limits.smallBlockBytesMax) {
      const length = footerAt + footerBytes(entry.sizeBytes) - from
      const bytes = this.readNow(entry, from, length) ?? (await this.read(entry, from, length))
      const footer = this.footer(entry, bytes, footerAt - from)
      return { ...opened, units: this.verified(entry, bytes, units, footer) }
    }
    const footer = this.footer(entry, await this.read(entry, footerAt, footerBytes(entry.sizeBytes)), 0)
    return { ...opened, units: this.stream(block, footer, units, control.signal) }
  }

  /** What `get` would resolve with, if the block is small and in memory; `undefined` if not. Throws as it rejects. */
  getNow(
    block: BlockId,
    range: { readonly offset: number; readonly length: number },
  ): BlockAtHand | undefined {
    const entry = this.locate(block)
    const units = unitsOf(entry, range)
    const from = dataStart(entry.ownerBytes) + units.first * UNIT_BYTES
    const length = align(entry.sizeBytes) - units.first * UNIT_BYTES
    const bytes = this.readNow(entry, from, length + footerBytes(entry.sizeBytes))
    if (bytes === undefined) return undefined
    const footer = this.footer(entry, bytes, length)
    const { sizeBytes, hash } = entry
    return { sizeBytes, hash, firstUnit: units.first, units: this.verified(entry, bytes, units, footer) }
  }

  /** Where the block lies now; `NoSuchBlock`. */
  locate(block: BlockId): IndexedBlock {
    const entry = this.options.table.find(block)
    if (entry === undefined) throw new CairnError('NoSuchBlock', 'the drive does not hold this block')
    return entry
  }

  /** Units of a block, one read of at most `readBytesMax` at a time. */
  stream(
    block: BlockId,
    footer: RecordFooter,
    range: UnitRange,
    signal: AbortSignal | undefined,
  ): PieceStream {
    const pieceUnits = Math.floor(this.options.limits.readBytesMax / UNIT_BYTES)
    return new PieceStream((piece) => this.piece(block, footer, piece), range, { pieceUnits, signal })
  }

  /** The footer of a block, read from its place. */
  async readFooter(entry: IndexedBlock): Promise<RecordFooter> {
    const at = dataStart(entry.ownerBytes) + align(entry.sizeBytes)
    return this.footer(entry, await this.read(entry, at, footerBytes(entry.sizeBytes)), 0)
  }

  /** The encoded owner of a block, from a header that is right. */
  async readOwner(entry: IndexedBlock): Promise<Buffer> {
    const head = await this.read(entry, 0, HEADER_BYTES + entry.ownerBytes)
    const header = readHeader(head, 0)
    const owner = head.subarray(HEADER_BYTES)
    const right =
      header !== undefined &&
      header.offset === entry.offset &&
      header.ownerBytes === entry.ownerBytes &&
      sameBytes(header.block, entry.block) &&
      crc32c(owner) === header.ownerCheck
    if (!right) throw this.corrupt(entry, 'its header is wrong')
    return owner
  }

  /** `length` bytes of the block's record from `at` on; whatever is not there is `BlockCorrupt`. */
  async read(
    entry: IndexedBlock,
    at: number,
    length: number,
    into: Buffer = Buffer.allocUnsafe(length),
  ): Promise<Buffer> {
    const filled = await this.options.segments.read(entry.segment, into, entry.offset + at)
    if (filled !== length)
      throw this.lost(entry, filled === undefined ? 'its segment is gone' : 'it is cut off')
    if (length <= READ_NOW_BYTES_MAX) this.options.warm.touch(entry.segment, entry.offset, length)
    return into
  }

  /** The same for a small block that is in memory; `undefined` if it may not be, or anything is odd. */
  private readNow(entry: IndexedBlock, at: number, length: number): Buffer | undefined {
    const { warm, segments } = this.options
    if (length > READ_NOW_BYTES_MAX || !warm.isWarm(entry.segment, entry.offset)) return undefined
    const into = this.slab.take(length)
    const filled = warm.timed(() => segments.readNow(entry.segment, into, entry.offset + at))
    return filled === length ? into : undefined
  }

  /** Notes that a block's bytes are wrong, once, and returns the error to throw. */
  corrupt(entry: IndexedBlock, what: string): CairnError {
    const { table, state, onDamage } = this.options
    const { block, segment, offset } = entry
    const current = table.find(block)
    const same = current?.segment === segment && current.offset === offset
    if (same && !current.damaged) {
      table.put({ ...current, damaged: true })
      state.counters.blocksCorrupt++
      onDamage({ kind: 'block', message: `a block is corrupt: ${what}`, block, segment, offset })
    }
    return new CairnError('BlockCorrupt', `the block is corrupt on this drive: ${what}`)
  }

  /** The same for bytes that are not on the disk: `details.reason` is `lost`. */
  private lost(entry: IndexedBlock, what: string): CairnError {
    const { message } = this.corrupt(entry, what)
    return new CairnError('BlockCorrupt', message, { details: { reason: 'lost' } })
  }

  private async piece(block: BlockId, footer: RecordFooter, range: UnitRange): Promise<Unit[]> {
    const entry = this.locate(block)
    const from = range.first * UNIT_BYTES
    const to = Math.min(range.last * UNIT_BYTES, entry.sizeBytes)
    const at = dataStart(entry.ownerBytes) + from
    const bytes = await this.read(entry, at, to - from, allocatePassing(to - from))
    return this.verified(entry, bytes, range, footer)
  }

  private footer(entry: IndexedBlock, bytes: Buffer, at: number): RecordFooter {
    const footer = readFooter(bytes, at, entry.block)
    const right =
      footer !== undefined &&
      footer.offset === entry.offset &&
      footer.sizeBytes === entry.sizeBytes &&
      sameBytes(footer.hash, entry.hash)
    if (!right) throw this.corrupt(entry, 'its footer is wrong')
    return footer
  }

  private verified(entry: IndexedBlock, bytes: Buffer, range: UnitRange, footer: RecordFooter): Unit[] {
    const length = Math.min(range.last * UNIT_BYTES, entry.sizeBytes) - range.first * UNIT_BYTES
    const units = verifyUnits(entry.block, bytes.subarray(0, Math.max(0, length)), {
      firstUnit: range.first,
      checks: footer.checks,
    })
    if (typeof units === 'number') throw this.corrupt(entry, `unit ${units} does not match its check`)
    return units
  }
}

function unitsOf(entry: IndexedBlock, range: { offset: number; length: number }): UnitRange {
  const { offset, length } = range
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0
  if (!valid || offset + length > entry.sizeBytes) {
    throw new CairnError('InvalidArgument', `no bytes ${offset} + ${length} in a block of ${entry.sizeBytes}`)
  }
  const first = Math.floor(offset / UNIT_BYTES)
  return { first, last: length === 0 ? first : Math.ceil((offset + length) / UNIT_BYTES) }
}

/** True for errors that say something about one block only. */
export function concernsBlock(error: unknown): boolean {
  return hasCode(error, 'NoSuchBlock', 'BlockCorrupt')
}
