/**
 * The segments of a drive: what each holds, their files, and the two counters of the log: sequences of segments
 * and orders of records. Sequences only grow, also over restarts; the wall clock is mixed in so that an index
 * brought back from an older copy never mistakes a new segment for one it knew.
 */
import { CairnError, type Clock, type Random } from '@cairn/protocol'
import type { Disk, DiskFile, IndexedBlock, IndexedSegment, SegmentCheckpoint } from '../../ports.js'
import { blockRecordBytes, PADDING_BYTES_MAX, SALT_BYTES } from './record.js'
import {
  encodeSegmentHeader,
  parseSegmentName,
  SEGMENT_FOLDER,
  SEGMENT_HEADER_BYTES,
  segmentPath,
} from './segment-header.js'
import type { WriteState } from './write-state.js'

/** One segment file. */
export class Segment {
  readonly sequence: number
  /** Empty if the segment was not opened since the start: nothing is written to it any more. */
  readonly salt: Uint8Array
  /** Where the next record starts; of a sealed segment its size. */
  position: number = SEGMENT_HEADER_BYTES
  /** All records before it are acknowledged and in the table. */
  appliedTo: number = SEGMENT_HEADER_BYTES
  sealed = false
  liveBytes = 0
  liveBlocks = 0
  tombstoneBytes = 0
  /** See `SegmentCheckpoint.horizon`. */
  horizon = 0
  /** The next checkpoint must name it. */
  changed = true
  /** Live blocks at the last compaction that could not copy all of them. */
  stuckWithBlocks = 0

  constructor(sequence: number, salt: Uint8Array) {
    this.sequence = sequence
    this.salt = salt
  }

  static from(row: IndexedSegment, salt: Uint8Array = new Uint8Array()): Segment {
    const segment = new Segment(row.sequence, salt)
    segment.position = row.indexedTo
    segment.appliedTo = row.indexedTo
    segment.sealed = row.sealed
    segment.liveBytes = row.liveBytes
    segment.liveBlocks = row.liveBlocks
    segment.tombstoneBytes = row.tombstoneBytes
    segment.horizon = row.horizon
    segment.changed = false
    return segment
  }

  get deadBytes(): number {
    return Math.max(0, this.position - SEGMENT_HEADER_BYTES - this.liveBytes - this.tombstoneBytes)
  }

  /** Records up to `end` are acknowledged. */
  applied(end: number, tombstones: { readonly bytes: number; readonly horizon: number }): void {
    this.appliedTo = end
    this.tombstoneBytes += tombstones.bytes
    this.horizon = Math.max(this.horizon, tombstones.horizon)
    this.changed = true
  }

  seal(): void {
    this.sealed = true
    this.changed = true
  }

  checkpoint(): SegmentCheckpoint {
    const { sequence, appliedTo, sealed, tombstoneBytes, horizon } = this
    return { sequence, indexedTo: appliedTo, sealed, tombstoneBytes, horizon }
  }
}

/** A segment that one writer holds, with its descriptor. */
export interface OpenSegment {
  readonly segment: Segment
  readonly file: DiskFile
}

/** A read descriptor and those who use it. */
interface ReadHandle {
  readonly opening: Promise<DiskFile | undefined>
  file: DiskFile | undefined
  users: number
  whenIdle: (() => void) | undefined
}

export interface SegmentSetOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly state: WriteState
  readonly driveId: string
  readonly openFilesMax: number
}

/** Size of a live block's whole record. */
export function recordBytesOf(entry: IndexedBlock): number {
  return blockRecordBytes(entry.ownerBytes, entry.sizeBytes)
}

/** Bytes that copies of all that lives in a segment may take: large blocks may be filled up to whole pages. */
export function roomFor(
  { liveBlocks, liveBytes, tombstoneBytes }: Segment,
  { smallBlockBytesMax }: { readonly smallBlockBytesMax: number },
): number {
  const largeBlocks = Math.min(liveBlocks, Math.floor(liveBytes / smallBlockBytesMax))
  return liveBytes + tombstoneBytes + largeBlocks * PADDING_BYTES_MAX
}

export class SegmentSet {
  /** By sequence, in no order. */
  readonly all: Map<number, Segment> = new Map()
  /** Removed since the last checkpoint. */
  gone: number[] = []
  /** Highest sequence handed out or seen. */
  sequenceMax = 0
  nextOrder = 1
  private readonly options: SegmentSetOptions
  private closed = false
  /** In order of last use. */
  private readonly handles = new Map<number, ReadHandle>()

  constructor(options: SegmentSetOptions) {
    this.options = options
  }

  /** Sequence for a new segment. */
  private takeSequence(): number {
    this.sequenceMax = Math.max(this.sequenceMax + 1, Math.floor(this.options.clock.wallMicros() / 1000))
    return this.sequenceMax
  }

  /**
   * Makes a segment, durable with its name; with aligned memory for its header page, one that is written past the page
   * cache if the disk can do that. `DriveFull` leaves nothing behind.
   */
  async create(page?: Buffer): Promise<OpenSegment> {
    const { disk, random, state, driveId } = this.options
    state.assertWritable()
    const sequence = this.takeSequence()
    const segment = new Segment(sequence, random.bytes(SALT_BYTES))
    const path = segmentPath(sequence)
    const file = await disk.open(path, page === undefined ? 'create' : 'createDirect')
    if (file === undefined) throw new CairnError('DriveFailed', `cannot create ${path}`)
    try {
      const header = encodeSegmentHeader({ sequence, salt: segment.salt, driveId }, page)
      await state.write(file, [header], 0)
      await state.sync(file)
      await state.syncFolder(SEGMENT_FOLDER)
    } catch (error) {
      await file.close()
      if (!state.failed) await disk.remove(path)
      throw error
    }
    this.all.set(sequence, segment)
    return { segment, file }
  }

  /** Lowest sequence on the drive but `except`; infinity if there is none. */
  sequenceMin(except: number): number {
    let lowest = Number.POSITIVE_INFINITY
    for (const sequence of this.all.keys()) {
      if (sequence !== except && sequence < lowest) lowest = sequence
    }
    return lowest
  }

  /** A segment with live blocks whose file is not there any more. */
  async findMissing(): Promise<number | undefined> {
    const known = [...this.all.values()]
    const present = new Set((await this.options.disk.list(SEGMENT_FOLDER)).map(parseSegmentName))
    // Compaction removes a file only once nothing lives in it.
    const isMissing = ({ sequence, liveBlocks }: Segment): boolean => liveBlocks > 0 && !present.has(sequence)
    return known.find(isMissing)?.sequence
  }

  /** Fills `into` from a segment; `undefined` if its file is gone, fewer bytes at its end. */
  async read(sequence: number, into: Uint8Array, offset: number): Promise<number | undefined> {
    if (this.closed) throw new CairnError('ShuttingDown', 'the block store is closed')
    const handle = this.handle(sequence)
    handle.users++
    try {
      const file = handle.file ?? (await handle.opening)
      return await file?.read(into, offset)
    } finally {
      handle.users--
      if (handle.users === 0) handle.whenIdle?.()
    }
  }

  /** As `read`, but at once; `undefined` if that is not possible now. */
  readNow(sequence: number, into: Uint8Array, offset: number): number | undefined {
    return this.handle(sequence).file?.readNow?.(into, offset)
  }

  /** Deletes a segment that holds nothing any more, after its last reader; durable once it resolves. */
  async remove(segment: Segment): Promise<void> {
    await this.closeHandle(segment.sequence)
    await this.options.disk.remove(segmentPath(segment.sequence))
    await this.options.state.syncFolder(SEGMENT_FOLDER)
    this.all.delete(segment.sequence)
    this.gone.push(segment.sequence)
    this.options.state.counters.segmentsRemoved++
  }

  /** Nothing is read any more: a slow reader must not open again what was closed. */
  async close(): Promise<void> {
    this.closed = true
    for (const sequence of [...this.handles.keys()]) await this.closeHandle(sequence)
  }

  private handle(sequence: number): ReadHandle {
    const known = this.handles.get(sequence)
    if (known !== undefined) {
      this.handles.delete(sequence)
      this.handles.set(sequence, known)
      return known
    }
    const opening = this.options.disk.open(segmentPath(sequence), 'read')
    const handle: ReadHandle = { opening, file: undefined, users: 0, whenIdle: undefined }
    this.handles.set(sequence, handle)
    opening.then(
      (file) => {
        handle.file = file
        if (file === undefined) this.forget(sequence, handle)
      },
      () => this.forget(sequence, handle),
    )
    if (this.handles.size > this.options.openFilesMax) this.evict(sequence)
    return handle
  }

  private forget(sequence: number, handle: ReadHandle): void {
    if (this.handles.get(sequence) === handle) this.handles.delete(sequence)
  }

  /** Closes the descriptor that was not used for longest. */
  private evict(except: number): void {
    for (const [sequence, handle] of this.handles) {
      if (handle.users > 0 || handle.file === undefined || sequence === except) continue
      this.handles.delete(sequence)
      handle.file.close().catch(() => undefined)
      return
    }
  }

  private async closeHandle(sequence: number): Promise<void> {
    const handle = this.handles.get(sequence)
    if (handle === undefined) return
    if (handle.users > 0) {
      await new Promise<void>((resolve) => {
        handle.whenIdle = resolve
      })
    }
    this.handles.delete(sequence)
    const file = await handle.opening.catch(() => undefined)
    await file?.close()
  }
}
