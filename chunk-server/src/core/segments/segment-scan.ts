/**
 * Walks a segment from one record to the next, for recovery, compaction and scrub. Where no right record starts, it
 * searches for the next one; what lies between is a gap. Nothing is changed, so that a crash while scanning, and
 * scanning twice, are harmless.
 */
import {
  BLOCK_BYTES_MAX,
  type BlockId,
  crc32c,
  createBlockHasher,
  sameBytes,
  UNIT_BYTES,
  unitCheck,
} from '@cairn/protocol'
import type { DiskFile, IndexedBlock } from '../../ports.js'
import { PlacedBlock } from './placed-block.js'
import {
  align,
  dataStart,
  FOOTER_MAGIC,
  footerBytes,
  HEADER_BYTES,
  KIND_BLOCK,
  KIND_TOMBSTONES,
  KIND_VOID,
  RECORD_ALIGN,
  RECORD_MAGIC,
  type RecordFooter,
  type RecordHeader,
  readFooter,
  readHeader,
  readTombstones,
  STREAMED,
  TOMBSTONES_PER_RECORD_MAX,
  type Tombstone,
  tombstoneRecordBytes,
} from './record.js'
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.js'

const WINDOW_BYTES = 1024 * 1024

/** Called in the order of the segment. */
export interface ScanVisitor {
  /** A block whose header and footer are right; `intact`: so are its units and its owner. */
  block(entry: IndexedBlock, intact: boolean): void
  tombstones(tombstones: readonly Tombstone[], record: { offset: number; sizeBytes: number }): void
  /** Compare the content of blocks with their hash as well. */
  readonly hashes?: boolean
  /** Blocks that are not wanted are neither read nor told. */
  wants?(block: BlockId, offset: number): boolean
  /** Called behind every record: a scan that shares its thread waits here. */
  rest?(): Promise<void> | undefined
}

export interface ScanResult {
  /** Bytes of the file. */
  readonly fileBytes: number
  /** Records said that everything before this was durable. */
  readonly syncedTo: number
  /** Ranges without a right record. */
  readonly gaps: readonly { readonly offset: number; readonly length: number }[]
  /** What the header page says; `undefined` if it is damaged. */
  readonly header: ReturnType<typeof decodeSegmentHeader>
}

/** Scans the records of `file` from `from` on, at least `windowBytes` in one read. */
export async function scanSegment(
  file: DiskFile,
  place: { readonly sequence: number; readonly from: number; readonly windowBytes?: number },
  visitor: ScanVisitor,
): Promise<ScanResult> {
  const window = new Window(file, await file.size(), place.windowBytes ?? WINDOW_BYTES)
  await window.ensure(0, SEGMENT_HEADER_BYTES)
  const header = decodeSegmentHeader(Buffer.from(window.view(0, SEGMENT_HEADER_BYTES)))
  const strange = header === 'newer' || (header !== undefined && header.sequence !== place.sequence)
  if (strange) return { fileBytes: window.fileBytes, syncedTo: 0, gaps: [], header }
  const scan = new Scan(window, place.sequence, visitor, header?.salt)
  await scan.run(Math.max(place.from, SEGMENT_HEADER_BYTES))
  return { fileBytes: window.fileBytes, syncedTo: scan.syncedTo, gaps: scan.gaps, header }
}

/** A sliding view of a file; views are valid until the next `ensure`. */
class Window {
  readonly fileBytes: number
  private readonly file: DiskFile
  private buffer: Buffer = Buffer.alloc(0)
  private start = 0
  private filled = 0
  private readonly windowBytes: number

  constructor(file: DiskFile, fileBytes: number, windowBytes: number) {
    this.file = file
    this.fileBytes = fileBytes
    this.windowBytes = windowBytes
  }

  has(offset: number, length: number): boolean {
    const end = Math.min(offset + length, this.fileBytes)
    return offset >= this.start && end <= this.start + this.filled
  }

  async ensure(offset: number, length: number): Promise<void> {
    if (this.has(offset, length)) return
    const wanted = Math.min(Math.max(length, this.windowBytes), Math.max(0, this.fileBytes - offset))
    if (wanted > this.buffer.length) this.buffer = Buffer.allocUnsafe(wanted)
    this.start = offset
    this.filled = await this.file.read(this.buffer.subarray(0, wanted), offset)
  }

  /** Up to `length` bytes at `offset`, fewer at the end of what is there. */
  view(offset: number, length: number): Buffer {
    const at = offset - this.start
    return this.buffer.subarray(at, Math.max(at, Math.min(at + length, this.filled)))
  }
}

class Scan {
  syncedTo = 0
  readonly gaps: { offset: number; length: number }[] = []
  private readonly window: Window
  private readonly sequence: number
  private readonly visitor: ScanVisitor
  /** Unknown if the header page is damaged: then the first right record tells. */
  private salt: Uint8Array | undefined

  constructor(window: Window, sequence: number, visitor: ScanVisitor, salt: Uint8Array | undefined) {
    this.window = window
    this.sequence = sequence
    this.visitor = visitor
    this.salt = salt
  }

  async run(from: number): Promise<void> {
    const { fileBytes } = this.window
    let position = from
    while (position < fileBytes) {
      const end = await this.record(position)
      const rest = this.visitor.rest?.()
      if (rest !== undefined) await rest
      if (end !== undefined) {
        position = end
        continue
      }
      const next = await this.search(RECORD_MAGIC, position + RECORD_ALIGN, fileBytes)
      this.noteGap(position, next ?? fileBytes)
      position = next ?? fileBytes
    }
  }

  /** Where the right record at `offset` ends; `undefined` if there is none. */
  private async record(offset: number): Promise<number | undefined> {
    if (!this.window.has(offset, HEADER_BYTES)) await this.window.ensure(offset, HEADER_BYTES)
    const found = readHeader(this.window.view(offset, HEADER_BYTES), 0)
    if (found === undefined || found.offset !== offset) return undefined
    if (this.salt !== undefined && Buffer.compare(this.salt, found.salt) !== 0) return undefined
    const header = { ...found, salt: Buffer.from(found.salt), block: copyOf(found.block) }
    const end = await this.content(header)
    if (end === undefined) return undefined
    this.salt ??= header.salt
    this.syncedTo = Math.max(this.syncedTo, header.syncedTo)
    return end
  }

  private content(header: RecordHeader): Promise<number | undefined> | number | undefined {
    if (header.kind === KIND_VOID) return align(header.offset + Math.max(header.size, HEADER_BYTES))
    if (header.kind === KIND_TOMBSTONES) return this.tombstones(header)
    if (header.kind === KIND_BLOCK) return this.block(header)
    return undefined
  }

  private async tombstones(header: RecordHeader): Promise<number | undefined> {
    if (header.size > TOMBSTONES_PER_RECORD_MAX) return undefined
    const sizeBytes = tombstoneRecordBytes(header.size)
    if (!this.window.has(header.offset, sizeBytes)) await this.window.ensure(header.offset, sizeBytes)
    const found = readTombstones(this.window.view(header.offset, sizeBytes), HEADER_BYTES, header.size)
    if (found === undefined) return undefined
    this.visitor.tombstones(found, { offset: header.offset, sizeBytes })
    return header.offset + sizeBytes
  }

  private async block(header: RecordHeader): Promise<number | undefined> {
    const data = header.offset + dataStart(header.ownerBytes)
    const footer =
      header.size === STREAMED
        ? await this.findFooter(header, data)
        : await this.footerAt(header, data, data + align(header.size))
    if (footer === undefined) return undefined
    if (this.visitor.wants?.(header.block, header.offset) !== false) {
      const intact = (await this.ownerIntact(header)) && (await this.unitsIntact(header, data, footer))
      this.visitor.block(entryOf(this.sequence, header, footer), intact)
    }
    return data + align(footer.sizeBytes) + footerBytes(footer.sizeBytes)
  }

  /** Most streamed blocks are full ones: their footer is tried where it then is, before searching for it. */
  private async findFooter(header: RecordHeader, data: number): Promise<RecordFooter | undefined> {
    const last = data + BLOCK_BYTES_MAX
    const expected = last < this.window.fileBytes ? await this.footerAt(header, data, last) : undefined
    if (expected !== undefined) return expected
    let at = await this.search(FOOTER_MAGIC, data, last + RECORD_ALIGN)
    while (at !== undefined) {
      const footer = await this.footerAt(header, data, at)
      if (footer !== undefined) return footer
      at = await this.search(FOOTER_MAGIC, at + RECORD_ALIGN, last + RECORD_ALIGN)
    }
    return undefined
  }

  private async footerAt(header: RecordHeader, data: number, at: number): Promise<RecordFooter | undefined> {
    const sizeBytes = footerBytes(Math.min(at - data, BLOCK_BYTES_MAX))
    if (!this.window.has(at, sizeBytes)) await this.window.ensure(at, sizeBytes)
    const footer = readFooter(this.window.view(at, sizeBytes), 0, header.block)
    if (footer === undefined || footer.offset !== header.offset) return undefined
    if (align(footer.sizeBytes) !== at - data || Buffer.compare(footer.salt, header.salt) !== 0)
      return undefined
    return { ...footer, hash: Buffer.from(footer.hash), salt: header.salt }
  }

  private async ownerIntact(header: RecordHeader): Promise<boolean> {
    const at = header.offset + HEADER_BYTES
    if (!this.window.has(at, header.ownerBytes)) await this.window.ensure(at, header.ownerBytes)
    return crc32c(this.window.view(at, header.ownerBytes)) === header.ownerCheck
  }

  private async unitsIntact(header: RecordHeader, data: number, footer: RecordFooter): Promise<boolean> {
    const hasher = this.visitor.hashes === true ? createBlockHasher() : undefined
    for (let index = 0; index * UNIT_BYTES < footer.sizeBytes; index++) {
      const at = data + index * UNIT_BYTES
      const sizeBytes = Math.min(UNIT_BYTES, footer.sizeBytes - index * UNIT_BYTES)
      if (!this.window.has(at, sizeBytes)) await this.window.ensure(at, sizeBytes)
      const unit = this.window.view(at, sizeBytes)
      if (unitCheck(header.block, index, unit) !== footer.checks[index]) return false
      hasher?.update(unit)
    }
    return hasher === undefined || sameBytes(hasher.digest(), footer.hash)
  }

  /** First aligned place from `from` to before `to` where `magic` stands. */
  private async search(magic: Buffer, from: number, to: number): Promise<number | undefined> {
    const end = Math.min(to, this.window.fileBytes)
    let position = from
    while (position < end) {
      await this.window.ensure(position, Math.min(WINDOW_BYTES, end - position))
      const view = this.window.view(position, Math.min(WINDOW_BYTES, end - position))
      const found = alignedIndexOf(view, magic)
      if (found !== undefined) return position + found
      position += Math.max(RECORD_ALIGN, view.length - (view.length % RECORD_ALIGN))
    }
    return undefined
  }

  private noteGap(offset: number, end: number): void {
    this.gaps.push({ offset, length: end - offset })
  }
}

/** Windows start at aligned offsets, so that an aligned magic of 8 bytes never crosses two of them. */
function alignedIndexOf(view: Buffer, magic: Buffer): number | undefined {
  let found = view.indexOf(magic)
  while (found !== -1 && found % RECORD_ALIGN !== 0) found = view.indexOf(magic, found + 1)
  return found === -1 ? undefined : found
}

function entryOf(sequence: number, header: RecordHeader, footer: RecordFooter): IndexedBlock {
  const { block, offset, ownerBytes, storedAtMs } = header
  const { sizeBytes, hash, order } = footer
  const place = { segment: sequence, offset, order }
  return new PlacedBlock(block, { ownerBytes, sizeBytes, hash, storedAtMs }, place)
}

function copyOf<Bytes extends Uint8Array>(bytes: Bytes): Bytes {
  return Buffer.from(bytes) as Uint8Array as Bytes
}
