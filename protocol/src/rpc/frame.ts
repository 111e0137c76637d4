/**
 * The frame codec. Every frame has one head of 18 bytes, little-endian, then its content:
 *
 *     0  length  u32   bytes that follow this word
 *     4  type    u8
 *     5  flags   u8
 *     6  stream  u32   0: the connection itself
 *    10  a       u32   REQUEST: method · DATA: check · CREDIT: bytes granted
 *    14  b       u32   REQUEST: time left in ms
 *    18  content       HELLO, CHALLENGE, PROOF, REQUEST, RESPONSE, ERROR: a message · DATA: the bytes of one unit
 *
 * Frames of a type that this version does not know are skipped. Sizes are checked before anything is allocated.
 */
import { CairnError } from '../errors.js'
import { MESSAGE_BYTES_MAX, UNIT_BYTES } from '../limits.js'
import { HANDSHAKE_BYTES_MAX } from './limits.js'

/** Frame types. Numbers are for ever. */
export const FRAME = {
  hello: 1,
  challenge: 2,
  proof: 3,
  request: 4,
  response: 5,
  data: 6,
  end: 7,
  credit: 8,
  error: 9,
  cancel: 10,
  ping: 11,
  pong: 12,
} as const

/** Flag of REQUEST and RESPONSE: DATA frames and an END follow. */
export const HAS_BODY = 1

/** Size of every frame head, length word included. */
export const FRAME_HEAD_BYTES = 18
const LENGTH_BYTES = 4

/** Content of a frame that has none. */
export const NO_CONTENT: Buffer = Buffer.alloc(0)

/** The fixed part of a frame; what `a` and `b` mean depends on its type. */
export interface FrameHead {
  type: number
  flags: number
  stream: number
  a: number
  b: number
}

/** Writes a frame head for `contentBytes` of content at `offset`. */
export function writeFrameHead(into: Buffer, offset: number, head: FrameHead, contentBytes: number): void {
  into.writeUInt32LE(FRAME_HEAD_BYTES - LENGTH_BYTES + contentBytes, offset)
  into[offset + 4] = head.type
  into[offset + 5] = head.flags
  into.writeUInt32LE(head.stream, offset + 6)
  into.writeUInt32LE(head.a, offset + 10)
  into.writeUInt32LE(head.b, offset + 14)
}

/** Largest encoded message that a frame carries. */
export const MESSAGE_CONTENT_BYTES_MAX: number = MESSAGE_BYTES_MAX - FRAME_HEAD_BYTES

/** Content limit by type; a hole is a type unknown to this version. */
const CONTENT_BYTES_MAX: readonly (number | undefined)[] = Object.values(FRAME).reduce<number[]>(
  (limits, type) => {
    limits[type] = contentLimit(type)
    return limits
  },
  [],
)

function contentLimit(type: number): number {
  if (type === FRAME.data) return UNIT_BYTES
  if (type === FRAME.request || type === FRAME.response || type === FRAME.error) {
    return MESSAGE_CONTENT_BYTES_MAX
  }
  return type <= FRAME.proof ? HANDSHAKE_BYTES_MAX : 0
}

/** Takes whole frames. `head` is valid only during the call. */
export type FrameSink = (head: Readonly<FrameHead>, content: Buffer) => void

/** How a parser treats the chunks it is given. */
export interface FrameParserOptions {
  /** The chunks pushed are used again by their owner, so that content must be copied out of them. */
  readonly copies: boolean
}

/**
 * Cuts chunks of any size into frames. Content that lies inside one chunk is handed on as a view (unless `copies`);
 * content split over chunks is copied once.
 */
export class FrameParser {
  /** Until the handshake is complete, no frame may be larger than this. */
  contentBytesMax: number = HANDSHAKE_BYTES_MAX
  private readonly sink: FrameSink
  private readonly copies: boolean
  private readonly head: FrameHead = { type: 0, flags: 0, stream: 0, a: 0, b: 0 }
  private readonly partialHead: Buffer = Buffer.alloc(FRAME_HEAD_BYTES)
  private partialHeadBytes = 0
  private contentBytes = 0
  private content: Buffer | undefined
  private contentFilled = 0
  private skipBytes = 0
  private stopped = false

  constructor(sink: FrameSink, options: FrameParserOptions) {
    this.sink = sink
    this.copies = options.copies
  }

  /** Throws `MessageTooLarge` or `MessageCorrupt`; the connection is then beyond repair. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.stopped) {
      if (this.contentBytes > 0) at = this.takeContent(chunk, at)
      else if (this.skipBytes > 0) at = this.skip(chunk, at)
      else at = this.takeHead(chunk, at)
    }
  }

  /** Drops everything from here on, also the rest of a chunk being pushed. */
  stop(): void {
    this.stopped = true
    this.content = undefined
  }

  private takeHead(chunk: Buffer, at: number): number {
    if (this.partialHeadBytes === 0 && chunk.length - at >= FRAME_HEAD_BYTES) {
      this.readHead(chunk, at)
      return at + FRAME_HEAD_BYTES
    }
    const size = Math.min(FRAME_HEAD_BYTES - this.partialHeadBytes, chunk.length - at)
    chunk.copy(this.partialHead, this.partialHeadBytes, at, at + size)
    this.partialHeadBytes += size
    if (this.partialHeadBytes === FRAME_HEAD_BYTES) {
      this.partialHeadBytes = 0
      this.readHead(this.partialHead, 0)
    }
    return at + size
  }

  private readHead(from: Buffer, at: number): void {
    const head = this.head
    const size = from.readUInt32LE(at) - (FRAME_HEAD_BYTES - LENGTH_BYTES)
    head.type = from[at + 4] ?? 0
    head.flags = from[at + 5] ?? 0
    head.stream = from.readUInt32LE(at + 6)
    head.a = from.readUInt32LE(at + 10)
    head.b = from.readUInt32LE(at + 14)
    const known = this.checkSize(head.type, size)
    if (!known) this.skipBytes = size
    else if (size === 0) this.sink(head, NO_CONTENT)
    else this.contentBytes = size
  }

  private checkSize(type: number, size: number): boolean {
    if (size < 0) throw new CairnError('MessageCorrupt', 'frame shorter than its head')
    const limit = CONTENT_BYTES_MAX[type]
    if (size > Math.min(limit ?? MESSAGE_CONTENT_BYTES_MAX, this.contentBytesMax)) {
      throw new CairnError('MessageTooLarge', `frame of type ${type} with ${size} bytes`)
    }
    return limit !== undefined
  }

  private takeContent(chunk: Buffer, at: number): number {
    if (this.content === undefined && chunk.length - at >= this.contentBytes) {
      const end = at + this.contentBytes
      const view = chunk.subarray(at, end)
      this.emit(this.copies ? Buffer.from(view) : view)
      return end
    }
    this.content ??= Buffer.allocUnsafe(this.contentBytes)
    const size = Math.min(this.contentBytes - this.contentFilled, chunk.length - at)
    chunk.copy(this.content, this.contentFilled, at, at + size)
    this.contentFilled += size
    if (this.contentFilled === this.contentBytes) this.emit(this.content)
    return at + size
  }

  private emit(content: Buffer): void {
    this.content = undefined
    this.contentBytes = 0
    this.contentFilled = 0
    this.sink(this.head, content)
  }

  private skip(chunk: Buffer, at: number): number {
    const size = Math.min(this.skipBytes, chunk.length - at)
    this.skipBytes -= size
    return at + size
  }
}
