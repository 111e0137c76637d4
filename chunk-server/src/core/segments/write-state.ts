/**
 * Whether a drive may still be written to. ● The first write or sync that fails for another reason than a full
 * drive ends all writing for good: after it nobody knows what the page cache holds, and a second sync would
 * report success over lost data (ATC'20, "Can applications recover from fsync failures?").
 */
import { CairnError, hasCode } from '@cairn/protocol'
import type { Disk, DiskFile } from '../../ports.js'
import { defaultReserveBytes } from './segment-limits.js'

/** What a store has done since it was opened. */
export interface StoreCounters {
  fsyncs: number
  writes: number
  bytesWritten: number
  /** Batches of the group commit, and the records in them. */
  batches: number
  records: number
  blocksCorrupt: number
  /** Live blocks, and their bytes, that scrub has read from the disk: each once in a pass, right or damaged. */
  blocksScrubbed: number
  bytesScrubbed: number
  /** Damaged ranges of segments that recovery or compaction skipped. */
  rangesQuarantined: number
  segmentsRemoved: number
  bytesCompacted: number
}

/** Counters at zero. */
function createStoreCounters(): StoreCounters {
  return {
    fsyncs: 0,
    writes: 0,
    bytesWritten: 0,
    batches: 0,
    records: 0,
    blocksCorrupt: 0,
    blocksScrubbed: 0,
    bytesScrubbed: 0,
    rangesQuarantined: 0,
    segmentsRemoved: 0,
    bytesCompacted: 0,
  }
}

/** Bytes written after which free space is asked for again, at most. */
const SPACE_REFRESH_BYTES = 16 * 1024 * 1024
/**
 * The same as a part of the room that was found: others may write to the disk too, such as further drives of this
 * server, and together they must not come far into the reserve before they look.
 */
const SPACE_REFRESH_PART = 8

/** Room on a drive, and whether it is short of it: below a twentieth above the reserve. */
export interface DriveSpace {
  readonly freeBytes: number
  readonly tight: boolean
}

/** The only way of a store to write and sync, with its failure, its counters and its reserve. */
export class WriteState {
  readonly counters: StoreCounters = createStoreCounters()
  private readonly disk: Disk
  private readonly durable: boolean
  private readonly reserveBytes: number | undefined
  private failure: CairnError | undefined
  /** Free space above the reserve, as of the last look, less what was written since. */
  private headroomBytes = 0
  private bytesToLook = 0

  constructor(disk: Disk, options: { durability: 'fsync' | 'none'; reserveBytes: number | undefined }) {
    this.disk = disk
    this.durable = options.durability === 'fsync'
    this.reserveBytes = options.reserveBytes
  }

  get failed(): boolean {
    return this.failure !== undefined
  }

  /** Throws `DriveFailed` once a write or sync has failed. */
  assertWritable(): void {
    if (this.failure !== undefined) {
      throw new CairnError('DriveFailed', this.failure.message, { cause: this.failure })
    }
  }

  /** Throws `DriveFull` unless `sizeBytes` fit above the reserve. Asks the disk only now and then. */
  async assertRoom(sizeBytes: number): Promise<void> {
    if (!this.mustLook(sizeBytes)) return
    const { capacityBytes, freeBytes } = await this.disk.space()
    this.headroomBytes = freeBytes - (this.reserveBytes ?? defaultReserveBytes(capacityBytes))
    this.bytesToLook = Math.min(SPACE_REFRESH_BYTES, this.headroomBytes / SPACE_REFRESH_PART)
    if (this.headroomBytes < sizeBytes) {
      throw new CairnError('DriveFull', `${freeBytes} bytes are free, which is the drive's reserve`)
    }
  }

  /** Asks the disk for its room. */
  async space(): Promise<DriveSpace> {
    const { capacityBytes, freeBytes } = await this.disk.space()
    const reserveBytes = this.reserveBytes ?? defaultReserveBytes(capacityBytes)
    return { freeBytes, tight: freeBytes - reserveBytes < capacityBytes / 20 }
  }

  /** True if the answer of `assertRoom` takes a look at the disk: callers skip the await otherwise. */
  mustLook(sizeBytes: number): boolean {
    return this.bytesToLook <= 0 || this.headroomBytes < sizeBytes
  }

  /** Writes; `DriveFull` leaves the drive in service, everything else ends writing. */
  async write(file: DiskFile, buffers: readonly Uint8Array[], offset: number): Promise<void> {
    this.assertWritable()
    let sizeBytes = 0
    for (const buffer of buffers) sizeBytes += buffer.length
    this.counters.writes++
    this.counters.bytesWritten += sizeBytes
    this.headroomBytes -= sizeBytes
    this.bytesToLook -= sizeBytes
    try {
      await file.write(buffers, offset)
    } catch (error) {
      throw this.fail('write', error)
    }
  }

  /** Makes the file's writes durable. A failure ends writing. */
  async sync(file: DiskFile): Promise<void> {
    if (!this.durable) return
    this.assertWritable()
    this.counters.fsyncs++
    try {
      await file.sync()
    } catch (error) {
      throw this.fail('sync', error)
    }
  }

  /** Makes creations and removals in `folder` durable. A failure ends writing; `Busy` does not: nothing was synced. */
  async syncFolder(folder: string): Promise<void> {
    if (!this.durable) return
    this.assertWritable()
    this.counters.fsyncs++
    try {
      await this.disk.syncFolder(folder)
    } catch (error) {
      if (hasCode(error, 'Busy')) throw error
      throw this.fail('sync', error)
    }
  }

  /** Notes what went wrong, and returns what to throw. */
  private fail(step: 'write' | 'sync', cause: unknown): CairnError {
    if (step === 'write' && hasCode(cause, 'DriveFull')) {
      // The last look was wrong: what is freed now, such as the reserve of the metadata, is not for blocks.
      this.bytesToLook = 0
      return cause
    }
    const reason = cause instanceof Error ? cause.message : String(cause)
    const failure = new CairnError('DriveFailed', `a ${step} failed: ${reason}`, { cause })
    this.failure ??= failure
    return failure
  }
}
