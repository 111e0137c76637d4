/**
 * Large blocks: each streams into a segment that it holds alone, and is synced once at its end. Segments are
 * kept open for the next block. A block that breaks off before its footer leaves nothing that could count; the
 * next one overwrites it. If the footer may be there in part or whole, its range is made void.
 */
import { type BlockHasher, type BlockId, crc32c, createBlockHasher, type Unit } from '@cairn/protocol'
import { abandon, type Placement } from './group-commit.js'
import {
  align,
  dataStart,
  footerBytes,
  HEADER_BYTES,
  KIND_BLOCK,
  STREAMED,
  writeFooter,
  writeHeader,
} from './record.js'
import type { SegmentLimits } from './segment-limits.js'
import type { OpenSegment, Segment, SegmentSet } from './segment-set.js'
import type { WriteState } from './write-state.js'

/** A block to be streamed. */
export interface StreamedBlock {
  readonly block: BlockId
  readonly owner: Uint8Array
  readonly storedAtMs: number
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

export class StreamWriter {
  private readonly segments: SegmentSet
  private readonly state: WriteState
  private readonly limits: SegmentLimits
  private idle: OpenSegment[] = []
  private held = 0
  private readonly waiting: (() => void)[] = []

  constructor(segments: SegmentSet, state: WriteState, limits: SegmentLimits) {
    this.segments = segments
    this.state = state
    this.limits = limits
  }

  /** Stores a block whose first units are at hand. Nothing of it counts unless `settle` is called. */
  async write(block: StreamedBlock, first: readonly Unit[]): Promise<void> {
    const open = await this.acquire()
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

  private async acquire(): Promise<OpenSegment> {
    while (this.held >= this.limits.streamsMax) {
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve)
      })
    }
    this.held++
    try {
      return this.idle.pop() ?? (await this.segments.create())
    } catch (error) {
      this.letGo()
      throw error
    }
  }

  private async release(open: OpenSegment): Promise<void> {
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
  private readonly open: OpenSegment
  private readonly block: StreamedBlock
  private readonly start: number
  private readonly hasher: BlockHasher | undefined
  private readonly checks: number[] = []
  private sizeBytes = 0
  private writing: Promise<void> = Promise.resolve()

  constructor(state: WriteState, segments: SegmentSet, open: OpenSegment, block: StreamedBlock) {
    this.state = state
    this.segments = segments
    this.open = open
    this.block = block
    this.start = open.segment.position
    if (block.hash === undefined) this.hasher = createBlockHasher()
  }

  async run(first: readonly Unit[]): Promise<void> {
    try {
      this.submit([this.header(), ...this.account(first)], 0)
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
      const at = this.dataOffset + this.sizeBytes
      const buffers = this.account(units)
      await this.writing
      this.submit(buffers, at)
    }
    await this.writing
  }

  private get dataOffset(): number {
    return dataStart(this.block.owner.length)
  }

  private submit(buffers: readonly Uint8Array[], at: number): void {
    this.writing = this.state.write(this.open.file, buffers, this.start + at)
    this.writing.catch(() => undefined)
  }

  private account(units: readonly Unit[]): Uint8Array[] {
    return units.map(({ bytes, check }) => {
      this.hasher?.update(bytes)
      this.checks.push(check)
      this.sizeBytes += bytes.length
      return bytes
    })
  }

  private header(): Buffer {
    const { block, owner, storedAtMs, order = 0 } = this.block
    const { segment } = this.open
    const header = Buffer.alloc(this.dataOffset)
    writeHeader(header, 0, {
      kind: KIND_BLOCK,
      ownerBytes: owner.length,
      offset: this.start,
      salt: segment.salt,
      block,
      size: STREAMED,
      syncedTo: segment.appliedTo,
      order,
      storedAtMs,
      ownerCheck: crc32c(owner),
    })
    header.set(owner, HEADER_BYTES)
    return header
  }

  private hash(): Uint8Array {
    return this.block.hash?.() ?? this.hasher?.digest() ?? new Uint8Array()
  }

  private async finish(): Promise<void> {
    const { segment, file } = this.open
    const { start, sizeBytes } = this
    const order = this.block.order ?? this.segments.nextOrder++
    const hash = this.hash()
    const padding = align(sizeBytes) - sizeBytes
    const footer = Buffer.alloc(padding + footerBytes(sizeBytes))
    const { salt } = segment
    writeFooter(footer, padding, this.block.block, {
      offset: start,
      sizeBytes,
      salt,
      order,
      hash,
      checks: this.checks,
    })
    const end = start + this.dataOffset + sizeBytes + footer.length
    segment.position = end
    try {
      await this.state.write(file, [footer], end - footer.length)
      await this.state.sync(file)
    } catch (error) {
      if (this.state.failed) throw error
      await abandon(this.state, this.open, { offset: start, sizeBytes: end - start })
      segment.applied(end, { bytes: 0, horizon: 0 })
      throw error
    }
    this.block.settle(
      { segment: segment.sequence, offset: start, order, tombstones: [] },
      { sizeBytes, hash },
    )
    segment.applied(end, { bytes: 0, horizon: 0 })
  }
}
