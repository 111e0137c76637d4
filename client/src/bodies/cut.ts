/** From any body to units: the borders of chunks mean nothing, the borders of units are fixed. */
import { CairnError, UNIT_BYTES } from '@cairn/protocol'
import type { ByteBody, ReleasableBody, WriteOptions } from '../api.js'
import type { Frame, FramePool } from '../blocks/frames.js'
import { Abortable, throwIfCancelled } from '../waiting.js'

/** Where the chunks of a body come from. */
export interface ByteSource {
  /** The next chunk that is not empty; `undefined` at the end. */
  next(): Promise<Uint8Array | undefined>
  /** All bytes of this chunk have been copied. */
  release(chunk: Uint8Array): void
  /** Tells the producer that no more is wanted. */
  leave(): void
}

/** A body of at most one unit that is at hand as a whole, or the source of a longer one. */
export type BodyHead =
  | { readonly whole: Uint8Array; readonly source?: never }
  | { readonly whole?: never; readonly source: ByteSource }

/** A unit, and the frame it lies in. */
export interface CutUnit {
  readonly bytes: Uint8Array
  readonly frame: Frame
}

/** Cuts chunks into units of UNIT_BYTES, copying each byte once, into a frame. */
export class UnitCutter {
  private readonly frames: FramePool
  private chunk: Uint8Array = new Uint8Array(0)
  private at = 0
  private frame: Frame | undefined
  /** Where the unit begins that is being filled, and where its bytes end so far. */
  private start = 0
  private end = 0

  constructor(frames: FramePool) {
    this.frames = frames
  }

  /** The next chunk; the one before must have been taken up. */
  add(chunk: Uint8Array): void {
    this.chunk = chunk
    this.at = 0
  }

  /** The next full unit; `undefined` when the chunk is used up: all its bytes have been copied. */
  take(): CutUnit | undefined {
    while (this.at < this.chunk.length) {
      const frame = this.openFrame()
      const size = Math.min(this.chunk.length - this.at, this.start + UNIT_BYTES - this.end)
      frame.bytes.set(this.chunk.subarray(this.at, this.at + size), this.end)
      this.at += size
      this.end += size
      if (this.end - this.start === UNIT_BYTES) return this.cut(frame)
    }
    return undefined
  }

  /** What has been gathered since the last full unit, at the end of the body. */
  rest(): CutUnit | undefined {
    const { frame } = this
    return frame === undefined || this.end === this.start ? undefined : this.cut(frame)
  }

  /** Lets go of the frame being filled; whoever was given units of it holds it. */
  leave(): void {
    this.frame?.release()
    this.frame = undefined
  }

  private cut(frame: Frame): CutUnit {
    const bytes = frame.bytes.subarray(this.start, this.end)
    this.start = this.end
    return { bytes, frame }
  }

  private openFrame(): Frame {
    const { frame } = this
    if (frame !== undefined && this.start < frame.bytes.length) return frame
    this.leave()
    const next = this.frames.take()
    next.hold()
    this.frame = next
    this.start = 0
    this.end = 0
    return next
  }
}

/** Reads the first unit of a body: most bodies end within it and then take the short path. */
export async function readHead(
  body: ByteBody,
  { signal, sizeBytes = 0 }: Pick<WriteOptions, 'signal' | 'sizeBytes'>,
): Promise<BodyHead> {
  throwIfCancelled(signal)
  if (body instanceof Uint8Array) {
    return body.length <= UNIT_BYTES ? { whole: body } : { source: sourceOf([body]) }
  }
  if ('whole' in body && body.whole !== undefined && sizeBytes > 0 && sizeBytes <= UNIT_BYTES) {
    return { whole: await body.whole(sizeBytes) }
  }
  const source = iterate(body, signal)
  const chunks: Uint8Array[] = []
  let size = 0
  while (size <= UNIT_BYTES) {
    const chunk = await source.next()
    if (chunk === undefined) return { whole: join(chunks, size) }
    chunks.push(chunk)
    size += chunk.length
  }
  return { source: sourceOf(chunks, source) }
}

function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = chunks
  return only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks, size)
}

/** Chunks that are at hand, then those of another source. */
function sourceOf(chunks: Uint8Array[], rest?: ByteSource): ByteSource {
  return {
    next: () => {
      const chunk = chunks.shift()
      if (chunk !== undefined) return Promise.resolve(chunk)
      return rest?.next() ?? Promise.resolve(undefined)
    },
    release: (chunk) => rest?.release(chunk),
    leave: () => rest?.leave(),
  }
}

function iterate(
  body: AsyncIterable<Uint8Array> | ReleasableBody,
  signal: AbortSignal | undefined,
): ByteSource {
  const iterator = body[Symbol.asyncIterator]()
  const abortable = new Abortable(signal)
  const leave = (): void => {
    abortable.stop()
    // The producer may be stuck: nobody waits for its farewell.
    iterator.return?.()?.catch(() => undefined)
  }
  const release = (chunk: Uint8Array): void => {
    if ('release' in body) body.release(chunk)
  }
  async function next(): Promise<Uint8Array | undefined> {
    try {
      for (;;) {
        const result = await abortable.wait(iterator.next())
        if (result.done) {
          abortable.stop()
          return undefined
        }
        assertBytes(result.value)
        if (result.value.length > 0) return result.value
      }
    } catch (error) {
      leave()
      throw error
    }
  }
  return { next, release, leave }
}

function assertBytes(chunk: unknown): asserts chunk is Uint8Array {
  if (chunk instanceof Uint8Array) return
  throw new CairnError('InvalidArgument', `a body gave ${typeof chunk} instead of bytes`)
}
