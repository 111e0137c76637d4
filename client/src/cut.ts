/** From any body to units: the borders of chunks mean nothing, the borders of units are fixed. */
import { CairnError, UNIT_BYTES } from '@cairn/protocol'
import type { ByteBody } from './api.js'
import { Abortable, throwIfCancelled } from './waiting.js'

/** Where the chunks of a body come from. */
export interface ByteSource {
  /** The next chunk that is not empty; `undefined` at the end. */
  next(): Promise<Uint8Array | undefined>
  /** Tells the producer that no more is wanted. */
  leave(): void
}

/** A body of at most one unit that is at hand as a whole, or the source of a longer one. */
export type BodyHead =
  | { readonly whole: Uint8Array; readonly source?: never }
  | { readonly whole?: never; readonly source: ByteSource }

/**
 * Cuts chunks into units of UNIT_BYTES. A unit inside one chunk is a view of it; only units that span chunks are
 * copied, once.
 */
export class UnitCutter {
  private chunk: Uint8Array = new Uint8Array(0)
  private at = 0
  private partial: Uint8Array | undefined
  private filled = 0

  /** The next chunk; the one before must have been taken up. */
  add(chunk: Uint8Array): void {
    this.chunk = chunk
    this.at = 0
  }

  /** The next full unit; `undefined` when the chunk is used up. */
  take(): Uint8Array | undefined {
    const left = this.chunk.length - this.at
    if (this.partial === undefined && left >= UNIT_BYTES) {
      this.at += UNIT_BYTES
      return this.chunk.subarray(this.at - UNIT_BYTES, this.at)
    }
    if (left > 0) this.fill(left)
    if (this.filled < UNIT_BYTES) return undefined
    return this.rest()
  }

  /** What has been gathered since the last full unit, at the end of the body. */
  rest(): Uint8Array | undefined {
    const rest = this.partial?.subarray(0, this.filled)
    this.partial = undefined
    this.filled = 0
    return rest
  }

  private fill(left: number): void {
    this.partial ??= Buffer.allocUnsafeSlow(UNIT_BYTES)
    const size = Math.min(left, UNIT_BYTES - this.filled)
    this.partial.set(this.chunk.subarray(this.at, this.at + size), this.filled)
    this.at += size
    this.filled += size
  }
}

/** Reads the first unit of a body: most bodies end within it and then take the short path. */
export async function readHead(body: ByteBody, signal: AbortSignal | undefined): Promise<BodyHead> {
  throwIfCancelled(signal)
  if (body instanceof Uint8Array) {
    return body.length <= UNIT_BYTES ? { whole: body } : { source: sourceOf([body]) }
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
    leave: () => rest?.leave(),
  }
}

function iterate(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): ByteSource {
  const iterator = body[Symbol.asyncIterator]()
  const abortable = new Abortable(signal)
  const leave = (): void => {
    abortable.stop()
    // The producer may be stuck: nobody waits for its farewell.
    iterator.return?.()?.catch(() => undefined)
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
  return { next, leave }
}

function assertBytes(chunk: unknown): asserts chunk is Uint8Array {
  if (chunk instanceof Uint8Array) return
  throw new CairnError('InvalidArgument', `a body gave ${typeof chunk} instead of bytes`)
}
