/** The bytes under the message codec: a writer that grows and a reader that never copies. */
import { CairnError } from './errors.js'

export const WIRE_VARINT = 0
export const WIRE_WORD = 1
export const WIRE_BYTES = 2
/** How the content after a tag is delimited. */
export type WireType = 0 | 1 | 2

/** Text up to this length is tried as ASCII first; its length is one byte. */
const SHORT_TEXT_MAX = 64

/** Writes fields into one buffer that grows; reusable after `reset`. */
export class Writer {
  private buffer: Buffer = Buffer.allocUnsafe(1024)
  private length = 0

  private reserve(size: number): void {
    if (this.length + size <= this.buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + size))
    this.buffer.copy(grown, 0, 0, this.length)
    this.buffer = grown
  }

  byte(value: number): void {
    this.reserve(1)
    this.buffer[this.length++] = value
  }

  varint(value: number): void {
    this.reserve(8)
    this.putVarint(value)
  }

  /** Needs its room reserved: a buffer that grew here would lose what stands after the write position. */
  private putVarint(value: number): void {
    if (value < 0x80) {
      this.buffer[this.length++] = value
      return
    }
    let rest = value
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.length++] = rest
  }

  word(value: bigint): void {
    this.reserve(8)
    this.length = this.buffer.writeBigUInt64LE(value, this.length)
  }

  double(value: number): void {
    this.reserve(8)
    this.length = this.buffer.writeDoubleLE(value, this.length)
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.length)
    this.length += bytes.length
  }

  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length)
    this.raw(bytes)
  }

  text(value: string): void {
    if (value.length <= SHORT_TEXT_MAX && this.ascii(value)) return
    const size = Buffer.byteLength(value, 'utf8')
    this.varint(size)
    this.reserve(size)
    this.length += this.buffer.write(value, this.length, size, 'utf8')
  }

  /** Writes short ASCII without a call into C++; false, and nothing written, if it is something else. */
  private ascii(value: string): boolean {
    const size = value.length
    this.reserve(size + 1)
    const { buffer, length } = this
    buffer[length] = size
    for (let at = 0; at < size; at++) {
      const code = value.charCodeAt(at)
      if (code >= 0x80) return false
      buffer[length + 1 + at] = code
    }
    this.length = length + 1 + size
    return true
  }

  /** Begins delimited content: what is written from here to `endDelimited(mark)` gets its length in front. */
  beginDelimited(): number {
    this.reserve(1)
    return this.length++
  }

  /** Makes room for a length of more than one byte by moving the content: most contents are shorter. */
  endDelimited(mark: number): void {
    const size = this.length - mark - 1
    if (size < 0x80) {
      this.buffer[mark] = size
      return
    }
    const headBytes = size < 0x4000 ? 2 : size < 0x200000 ? 3 : size < 0x10000000 ? 4 : 5
    this.reserve(headBytes)
    this.buffer.copyWithin(mark + headBytes, mark + 1, this.length)
    this.length = mark
    this.putVarint(size)
    this.length = mark + headBytes + size
  }

  /** A copy of what was written; the writer may then be reset and used again. */
  finish(): Uint8Array {
    const copy = Buffer.allocUnsafe(this.length)
    this.buffer.copy(copy, 0, 0, this.length)
    return copy
  }

  reset(): void {
    this.length = 0
    if (this.buffer.length > 64 * 1024) this.buffer = Buffer.allocUnsafe(1024)
  }
}

/** Reads fields from a message; what it gives are views. `MessageCorrupt` wherever the bytes end early. */
export class Reader {
  private readonly buffer: Buffer
  private position = 0
  /** Where the content being read ends: that of the message, or of the part that was entered. */
  private end: number

  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.end = bytes.byteLength
  }

  /** Goes into the next length-delimited content: nothing beyond it is read before `leave(outer)`. */
  enter(): number {
    const size = this.varint()
    this.need(size)
    const outer = this.end
    this.end = this.position + size
    return outer
  }

  /** Goes on behind the content that was entered. */
  leave(outer: number): void {
    this.position = this.end
    this.end = outer
  }

  get offset(): number {
    return this.position
  }

  get done(): boolean {
    return this.position >= this.end
  }

  byte(): number {
    const value = this.position < this.end ? this.buffer[this.position++] : undefined
    if (value === undefined) throw new CairnError('MessageCorrupt', 'message ends early')
    return value
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < 8; count++) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 0x80
    }
    throw new CairnError('MessageCorrupt', 'varint above 2^53')
  }

  word(): bigint {
    this.need(8)
    const value = this.buffer.readBigUInt64LE(this.position)
    this.position += 8
    return value
  }

  double(): number {
    this.need(8)
    const value = this.buffer.readDoubleLE(this.position)
    this.position += 8
    return value
  }

  /** The next length-delimited bytes, as a view of the message, not a copy. */
  bytes(): Buffer {
    const size = this.varint()
    this.need(size)
    const start = this.position
    this.position += size
    return this.buffer.subarray(start, this.position)
  }

  text(): string {
    const size = this.varint()
    this.need(size)
    const start = this.position
    this.position += size
    return this.buffer.toString('utf8', start, this.position)
  }

  slice(from: number, to: number): Buffer {
    return this.buffer.subarray(from, to)
  }

  skip(wire: number): void {
    if (wire === WIRE_VARINT) this.varint()
    else if (wire === WIRE_WORD) this.word()
    else if (wire === WIRE_BYTES) this.bytes()
    else throw new CairnError('MessageCorrupt', `unknown wire type ${wire}`)
  }

  private need(size: number): void {
    if (this.position + size > this.end) throw new CairnError('MessageCorrupt', 'message ends early')
  }
}
