/**
 * Reads message fields in place, nested ones too: a page of a thousand rows makes no views. The layout is that of
 * `message.ts` in the protocol.
 */
import { CairnError } from '@cairn/protocol'

const WIRE_VARINT = 0
const WIRE_WORD = 1
const WIRE_BYTES = 2

export class Cursor {
  private readonly buffer: Buffer
  private at: number
  private end: number

  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = 0
    this.end = bytes.length
  }

  get done(): boolean {
    return this.at >= this.end
  }

  /** Reads the format number in front of a message; `FormatTooNew` above ours. */
  format(known: number, name: string): void {
    const found = this.byte()
    if (found > known) {
      throw new CairnError('FormatTooNew', `${name} has format ${found}; this version knows ${known}`)
    }
  }

  varint(): number {
    let byte = this.byte()
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    for (let scale = 0x80; scale < Number.MAX_SAFE_INTEGER; scale *= 0x80) {
      byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    throw new CairnError('MessageCorrupt', 'varint above 2^53')
  }

  text(): string {
    const from = this.skipBytes()
    return this.buffer.toString('utf8', from, this.at)
  }

  hex(): string {
    const from = this.skipBytes()
    return this.buffer.toString('hex', from, this.at)
  }

  skip(wire: number): void {
    if (wire === WIRE_VARINT) this.varint()
    else if (wire === WIRE_WORD) this.at += 8
    else if (wire === WIRE_BYTES) this.skipBytes()
    else throw new CairnError('MessageCorrupt', `unknown wire type ${wire}`)
  }

  /** Narrows the cursor to the message that follows; give the answer to `leave`. */
  enter(): number {
    const outerEnd = this.end
    const from = this.skipBytes()
    this.end = this.at
    this.at = from
    return outerEnd
  }

  /** Goes on behind the message that was entered. */
  leave(outerEnd: number): void {
    this.at = this.end
    this.end = outerEnd
  }

  private byte(): number {
    const byte = this.at < this.end ? this.buffer[this.at++] : undefined
    if (byte === undefined) throw new CairnError('MessageCorrupt', 'message ends early')
    return byte
  }

  /** Moves behind the delimited bytes and says where they begin. */
  private skipBytes(): number {
    const size = this.varint()
    const from = this.at
    if (from + size > this.end) throw new CairnError('MessageCorrupt', 'message ends early')
    this.at = from + size
    return from
  }
}
