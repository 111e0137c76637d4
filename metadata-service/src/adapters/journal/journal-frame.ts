/**
 * Frames: what one entry really did, in bytes. All numbers little endian.
 *
 * ```
 *  0 magic "CJFR"   4 CRC32C of everything behind it   8 format (u16)   10 flags (u16), none yet
 * 12 bytes of the content (u32)   16 number (u64)   24 number of the frame before (u64)
 * 32 wall time, µs (u64)   40 lineage (8)   48 content: operations one after the other
 *
 * put     1 | key length (u16) | value length (u32) | key | value
 * delete  2 | key length (u16) | key
 * range   3 | from length (u16) | to length (u16) | from | to
 * ```
 * The number is the store's revision after the entry. It only rises within a lineage (the life of a store between
 * two restores), and rises over lineages too (see REVISION_JUMP), but not by one: leases end in between. So each
 * frame names the one before, and whoever replays frames accepts only the one that names where he stands.
 *
 * Operations say what the rows are, not how they changed, so that replaying a frame twice, or over rows that were
 * read after it, does no harm as long as all later frames follow.
 */
import { CairnError, crc32c } from '@cairn/protocol'
import type { Commit, CommitResult, Entry, Put, StoreKey, StoreRange } from '../../ports.js'
import { FRAME_BUFFER_BYTES, FRAME_BYTES_MAX } from './journal-limits.js'

export const FRAME_MAGIC: Buffer = Buffer.from('CJFR')
export const FRAME_HEADER_BYTES = 48
export const LINEAGE_BYTES = 8
const FORMAT = 1
const PUT = 1
const DELETE = 2
const RANGE = 3

/** What a frame says before its operations. */
export interface FrameHeader {
  readonly number: number
  /** Number of the frame before it. */
  readonly after: number
  readonly wallMicros: number
  /** Hex. */
  readonly lineage: string
  /** Bytes of the whole frame. */
  readonly sizeBytes: number
}

/** A frame as it waits for the drives. */
export interface Frame {
  readonly number: number
  readonly bytes: Buffer
}

/** Where a frame stands. */
export interface FramePlace {
  readonly number: number
  readonly after: number
  readonly wallMicros: number
  readonly lineage: Uint8Array
}

/** Receives the operations of a frame. The bytes are views of it. */
export interface OperationVisitor {
  put(key: StoreKey, value: Uint8Array): void
  delete(key: StoreKey): void
  deleteRange(range: StoreRange): void
}

/** Encodes frames one after the other into large buffers: no allocation and no second copy for most of them. */
export class FrameEncoder {
  private buffer: Buffer = Buffer.alloc(0)
  private used = 0
  private view: DataView = new DataView(new ArrayBuffer(0))

  /** The frame of an entry that was applied with these results. Everything is copied. */
  encode(entry: Entry, results: readonly CommitResult[], place: FramePlace): Buffer {
    const start = this.reserve(FRAME_HEADER_BYTES + sizeOf(entry, results))
    this.used = start + FRAME_HEADER_BYTES
    for (const [at, commit] of entry.commits.entries()) {
      if (results[at]?.committed !== true) continue
      this.commit(commit)
    }
    for (const put of entry.always) this.put(put)
    return this.finish(start, place)
  }

  /** In the order in which a store applies them. */
  private commit({ deletes, deleteRanges, puts }: Commit): void {
    for (const key of deletes ?? []) this.delete(key)
    for (const range of deleteRanges ?? []) this.deleteRange(range)
    for (const put of puts ?? []) this.put(put)
  }

  private reserve(sizeBytes: number): number {
    if (this.used + sizeBytes > this.buffer.length) {
      this.buffer = Buffer.allocUnsafeSlow(Math.max(sizeBytes, FRAME_BUFFER_BYTES))
      this.view = new DataView(this.buffer.buffer, this.buffer.byteOffset, this.buffer.length)
      this.used = 0
    }
    return this.used
  }

  /** A row under a lease is not kept: it ends with the process that the copies are there to outlive. */
  private put({ key, value, lease }: Put): void {
    if (lease !== undefined) {
      this.delete(key)
      return
    }
    const { buffer, view, used } = this
    buffer[used] = PUT
    view.setUint16(used + 1, key.length, true)
    view.setUint32(used + 3, value.length, true)
    buffer.set(key, used + 7)
    buffer.set(value, used + 7 + key.length)
    this.used = used + 7 + key.length + value.length
  }

  private delete(key: StoreKey): void {
    const { buffer, view, used } = this
    buffer[used] = DELETE
    view.setUint16(used + 1, key.length, true)
    buffer.set(key, used + 3)
    this.used = used + 3 + key.length
  }

  private deleteRange({ from, to }: StoreRange): void {
    const { buffer, view, used } = this
    buffer[used] = RANGE
    view.setUint16(used + 1, from.length, true)
    view.setUint16(used + 3, to.length, true)
    buffer.set(from, used + 5)
    buffer.set(to, used + 5 + from.length)
    this.used = used + 5 + from.length + to.length
  }

  private finish(start: number, place: FramePlace): Buffer {
    const { view, used } = this
    const frame = this.buffer.subarray(start, used)
    frame.set(FRAME_MAGIC, 0)
    view.setUint32(start + 8, FORMAT, true)
    view.setUint32(start + 12, frame.length - FRAME_HEADER_BYTES, true)
    view.setBigUint64(start + 16, BigInt(place.number), true)
    view.setBigUint64(start + 24, BigInt(place.after), true)
    view.setBigUint64(start + 32, BigInt(place.wallMicros), true)
    frame.set(place.lineage, 40)
    view.setUint32(start + 4, crc32c(frame.subarray(8)), true)
    return frame
  }
}

function sizeOf(entry: Entry, results: readonly CommitResult[]): number {
  let size = putsBytes(entry.always)
  for (const [at, commit] of entry.commits.entries()) {
    if (results[at]?.committed !== true) continue
    size += putsBytes(commit.puts ?? [])
    for (const key of commit.deletes ?? []) size += 3 + key.length
    for (const { from, to } of commit.deleteRanges ?? []) size += 5 + from.length + to.length
  }
  return size
}

function putsBytes(puts: readonly Put[]): number {
  let size = 0
  for (const { key, value } of puts) size += 7 + key.length + value.length
  return size
}

/** The size that a frame at `offset` claims; `undefined` if none can start there. */
export function claimedFrameBytes(bytes: Buffer, offset: number): number | undefined {
  if (offset + FRAME_HEADER_BYTES > bytes.length) return undefined
  if (FRAME_MAGIC.compare(bytes, offset, offset + 4) !== 0) return undefined
  const sizeBytes = FRAME_HEADER_BYTES + bytes.readUInt32LE(offset + 12)
  return sizeBytes > FRAME_BYTES_MAX ? undefined : sizeBytes
}

/** The header of a whole, right frame at `offset`; `undefined` if it is damaged. `FormatTooNew` of a newer one. */
export function readFrameHeader(bytes: Buffer, offset: number): FrameHeader | undefined {
  const sizeBytes = claimedFrameBytes(bytes, offset)
  if (sizeBytes === undefined || offset + sizeBytes > bytes.length) return undefined
  const check = bytes.readUInt32LE(offset + 4)
  if (crc32c(bytes.subarray(offset + 8, offset + sizeBytes)) !== check) return undefined
  const format = bytes.readUInt16LE(offset + 8)
  if (format > FORMAT) {
    throw new CairnError('FormatTooNew', `a journal frame has format ${format}; this version knows ${FORMAT}`)
  }
  return {
    number: Number(bytes.readBigUInt64LE(offset + 16)),
    after: Number(bytes.readBigUInt64LE(offset + 24)),
    wallMicros: Number(bytes.readBigUInt64LE(offset + 32)),
    lineage: bytes.toString('hex', offset + 40, offset + 48),
    sizeBytes,
  }
}

/** Walks the operations of a frame whose check was found right. `MessageCorrupt` of what cannot be. */
export function visitFrame(frame: Buffer, visitor: OperationVisitor): void {
  let at = FRAME_HEADER_BYTES
  const take = (length: number): Buffer => {
    if (at + length > frame.length) throw corrupt()
    at += length
    return frame.subarray(at - length, at)
  }
  while (at < frame.length) {
    const kind = frame[at++]
    if (kind === PUT) {
      const keyBytes = take(2).readUInt16LE(0)
      const valueBytes = take(4).readUInt32LE(0)
      visitor.put(take(keyBytes), take(valueBytes))
    } else if (kind === DELETE) {
      visitor.delete(take(take(2).readUInt16LE(0)))
    } else if (kind === RANGE) {
      const fromBytes = take(2).readUInt16LE(0)
      const toBytes = take(2).readUInt16LE(0)
      visitor.deleteRange({ from: take(fromBytes), to: take(toBytes) })
    } else {
      throw corrupt()
    }
  }
}

function corrupt(): CairnError {
  return new CairnError('MessageCorrupt', 'a journal frame holds what is no operation')
}
