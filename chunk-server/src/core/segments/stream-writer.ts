/**
 * Large blocks: each streams into a segment that it holds alone, and is synced once at its end. Segments are
 * kept open for the next block. A block that breaks off before its footer leaves nothing that could count; the
 * next one overwrites it. If the footer may be there in part or whole, its range is made void.
 *
 * Some segments are written past the page cache, in whole pages: there a block's data begins at a page, and void
 * records fill up what is left of the pages before and behind. ● No page holds bytes of two blocks, so that none is
 * written again once a block in it counts, and none is read from the page cache while it may still be written.
 */
import {
  type BlockHasher,
  type BlockId,
  crc32c,
  createBlockHasher,
  DIRECT_BYTES,
  isAligned,
  type Unit,
} from '@cairn/protocol'
import { DirectMemory } from './direct-memory.js'
import { abandon, type Placement } from './group-commit.js'
import {
  align,
  dataStart,
  footerBytes,
  HEADER_BYTES,
  KIND_BLOCK,
  paddingBytes,
  STREAMED,
  writeFooter,
  writeHeader,
  writeVoid,
} from './record.js'
import type { SegmentLimits } from './segment-limits.js'
import type { OpenSegment, Segment, SegmentSet } from './segment-set.js'
import type { WriteState } from './write-state.js'

/** A block to be streamed. */
export interface StreamedBlock {
  readonly block: BlockId
  readonly owner: Uint8Array
  readonly storedAtMs: number
  /** Past the page cache, if the disk can do that: for what nobody is likely to read from this drive soon. */
  readonly direct?: boolean
  /** A copy made by compaction keeps the order of its original. */
  readonly order?: number
  /** Asked in the turn in which the block gets its segment; false: it is not to be stored any more. */
  readonly admit?: () => boolean
  /** The next units, verified; none at the end. */
  readonly take: () => Promise<Unit[]>
  /** The hash of all units, asked for at their end, if whoever gives them knows it; else it is computed here. */
  readonly hash?: () => Uint8Array
  /** Called once the record is durable, before the checkpoint may pass it. */
  readonly settle: (placement: Placement, content: { sizeBytes: number; hash: Uint8Array }) => void
}

/** A segment of one stream; with the memory for its pages if it is written past the page cache. */
interface StreamSegment extends OpenSegment {
  readonly memory: DirectMemory | undefined
}

export class StreamWriter {
  private readonly segments: SegmentSet
  private readonly state: WriteState
  private readonly limits: SegmentLimits
  private idle: StreamSegment[] = []
  private held = 0
  private readonly waiting: (() => void)[] = []
  /** The disk takes no direct writes. */
  private isCached = false

  constructor(segments: SegmentSet, state: WriteState, limits: SegmentLimits) {
    this.segments = segments
    this.state = state
    this.limits = limits
  }

  /** Stores a block whose first units are at hand. Nothing of it counts unless `settle` is called. */
  async write(block: StreamedBlock, first: readonly Unit[]): Promise<void> {
    const open = await this.acquire(block.direct === true && !this.isCached)
    try {
      if (block.admit?.() === false) return
      await new Recording(this.state, this.segments, open, block).run(first)
    } finally {
      await this.release(open)
    }
  }

  /** Seals open segments that nobody holds and `when` picks. */
  async sealIdle(when: (segment: Segment) => boolean): Promise<void> {
    const chosen = this.idle.filter((open) => when(open.segment))
    this.idle = this.idle.filter((open) => !chosen.includes(open))
    for (const open of chosen) await seal(open)
  }

  private async acquire(direct: boolean): Promise<StreamSegment> {
    while (this.held >= this.limits.streamsMax) {
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve)
      })
    }
    this.held++
    try {
      return this.takeIdle(direct) ?? (await this.create(direct))
    } catch (error) {
      this.letGo()
      throw error
    }
  }

  private takeIdle(direct: boolean): StreamSegment | undefined {
    const found = this.idle.findLastIndex(({ memory }) => (memory !== undefined) === direct)
    return found === -1 ? undefined : this.idle.splice(found, 1)[0]
  }

  private async create(direct: boolean): Promise<StreamSegment> {
    if (!direct) return { ...(await this.segments.create()), memory: undefined }
    const memory = new DirectMemory()
    const open = await this.segments.create(memory.page)
    this.isCached = open.file.isDirect !== true
    return { ...open, memory: this.isCached ? undefined : memory }
  }

  private async release(open: StreamSegment): Promise<void> {
    this.letGo()
    const { segment } = open
    if (segment.position < this.limits.segmentBytes && !this.state.failed) this.idle.push(open)
    else await seal(open)
  }

  private letGo(): void {
    this.held--
    this.waiting.shift()?.()
  }
}

async function seal(open: OpenSegment): Promise<void> {
  open.segment.seal()
  await open.file.close()
}

/** One block on its way into a segment. */
class Recording {
  private readonly state: WriteState
  private readonly segments: SegmentSet
  private readonly open: StreamSegment
  private readonly block: StreamedBlock
  /** Where its first page begins, and where its record. */
  private readonly base: number
  private readonly start: number
  private readonly hasher: BlockHasher | undefined
  private readonly checks: number[] = []
  private sizeBytes = 0
  /** What follows the last whole page of the data. */
  private rest: Uint8Array = new Uint8Array()
  private writing: Promise<void> = Promise.resolve()

  constructor(state: WriteState, segments: SegmentSet, open: StreamSegment, block: StreamedBlock) {
    this.state = state
    this.segments = segments
    this.open = open
    this.block = block
    this.base = open.segment.position
    this.start = this.base + this.padding(this.base + dataStart(block.owner.length))
    if (block.hash === undefined) this.hasher = createBlockHasher()
  }

  async run(first: readonly Unit[]): Promise<void> {
    try {
      this.account(first)
      this.submit([this.header(), ...this.place(first)], this.base)
      await this.addRest()
    } catch (error) {
      await this.writing.catch(() => undefined)
      throw error
    }
    await this.finish()
  }

  /** Takes and hashes the next units while the last ones are being written. */
  private async addRest(): Promise<void> {
    for (;;) {
      const units = await this.block.take()
      if (units.length === 0) break
      const at = this.dataAt + this.sizeBytes
      this.account(units)
      await this.writing
      const buffers = this.place(units)
      if (buffers.length > 0) this.submit(buffers, at)
    }
    await this.writing
  }

  private get dataAt(): number {
    return this.start + dataStart(this.block.owner.length)
  }

  /** Of the void record that begins at `end`. */
  private padding(end: number): number {
    return this.open.memory === undefined ? 0 : paddingBytes(end)
  }

  private submit(buffers: readonly Uint8Array[], at: number): void {
    this.writing = this.state.write(this.open.file, buffers, at)
    this.writing.catch(() => undefined)
  }

  private account(units: readonly Unit[]): void {
    for (const { bytes, check } of units) {
      this.hasher?.update(bytes)
      this.checks.push(check)
      this.sizeBytes += bytes.length
    }
  }

  /** What can be written of these units now; only the last unit of a block does not end at a page. */
  private place(units: readonly Unit[]): Uint8Array[] {
    const { memory } = this.open
    if (memory === undefined) return units.map(({ bytes }) => bytes)
    memory.reuse()
    const buffers: Uint8Array[] = []
    for (const { bytes } of units) {
      const whole = bytes.length - (bytes.length % DIRECT_BYTES)
      if (whole > 0) buffers.push(isAligned(bytes) ? bytes.subarray(0, whole) : memory.copy(bytes, whole))
      this.rest = bytes.subarray(whole)
    }
    return buffers
  }

  private memoryOf(sizeBytes: number): Buffer {
    return this.open.memory?.edge(sizeBytes) ?? Buffer.alloc(sizeBytes)
  }

  private header(): Buffer {
    const { block, owner, storedAtMs, order = 0 } = this.block
    const { salt, appliedTo: syncedTo } = this.open.segment
    const lead = this.start - this.base
    const header = this.memoryOf(this.dataAt - this.base)
    if (lead > 0) writeVoid(header, 0, { offset: this.base, sizeBytes: lead, salt, syncedTo })
    writeHeader(header, lead, {
      kind: KIND_BLOCK,
      ownerBytes: owner.length,
      offset: this.start,
      salt,
      block,
      size: STREAMED,
      syncedTo,
      order,
      storedAtMs,
      ownerCheck: crc32c(owner),
    })
    header.set(owner, lead + HEADER_BYTES)
    return header
  }

  private hash(): Uint8Array {
    return this.block.hash?.() ?? this.hasher?.digest() ?? new Uint8Array()
  }

  /** The rest of the data, the footer, and a void record up to the next page. */
  private async finish(): Promise<void> {
    const { segment, file } = this.open
    const order = this.block.order ?? this.segments.nextOrder++
    const hash = this.hash()
    const footer = this.footer(order, hash)
    const at = this.dataAt + this.sizeBytes - this.rest.length
    const end = at + footer.length
    segment.position = end
    try {
      await this.state.write(file, [footer], at)
      await this.state.sync(file)
    } catch (error) {
      if (this.state.failed) throw error
      await this.abandon(end)
      throw error
    }
    const { start: offset, sizeBytes } = this
    this.block.settle({ segment: segment.sequence, offset, order, tombstones: [] }, { sizeBytes, hash })
    segment.applied(end, { bytes: 0, horizon: 0 })
  }

  private footer(order: number, hash: Uint8Array): Buffer {
    const { start: offset, sizeBytes, checks, rest } = this
    const { salt, appliedTo: syncedTo } = this.open.segment
    const footerAt = align(sizeBytes) - sizeBytes + rest.length
    const voidAt = footerAt + footerBytes(sizeBytes)
    const recordEnd = this.dataAt + align(sizeBytes) + footerBytes(sizeBytes)
    const padding = this.padding(recordEnd)
    const footer = this.memoryOf(voidAt + padding)
    footer.set(rest)
    writeFooter(footer, footerAt, this.block.block, { offset, sizeBytes, salt, order, hash, checks })
    if (padding > 0) writeVoid(footer, voidAt, { offset: recordEnd, sizeBytes: padding, salt, syncedTo })
    return footer
  }

  /** Its range is void, whatever of it is there. */
  private async abandon(end: number): Promise<void> {
    const { segment, memory } = this.open
    const range = { offset: this.base, sizeBytes: end - this.base }
    await abandon(this.state, this.open, memory === undefined ? range : { ...range, page: memory.page })
    segment.applied(end, { bytes: 0, horizon: 0 })
  }
}
