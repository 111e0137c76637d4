/** The payload of an aws-chunked body: slices of what was received. A received chunk goes back with its last slice. */
import type { ReleasableBody } from '@cairn/client'
import type { ChunkDecoder } from './chunk-decoder.js'

/** See the head of this file. Throws what the decoder throws. */
export class DecodedBody implements ReleasableBody {
  private readonly source: AsyncIterable<Uint8Array> | ReleasableBody
  private readonly decoder: ChunkDecoder
  /** Received chunks by their memory, with the slices of them that are still in use. */
  private readonly used = new Map<ArrayBufferLike, { readonly chunk: Uint8Array; slices: number }>()

  constructor(source: AsyncIterable<Uint8Array> | ReleasableBody, decoder: ChunkDecoder) {
    this.source = source
    this.decoder = decoder
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    const slices: Uint8Array[] = []
    for await (const chunk of this.source) {
      this.decoder.push(chunk, slices)
      this.note(chunk, slices.length)
      for (const slice of slices) yield slice
      slices.length = 0
    }
    this.decoder.finish()
    return undefined
  }

  release(slice: Uint8Array): void {
    const use = this.used.get(slice.buffer)
    if (use === undefined) return
    use.slices--
    if (use.slices > 0) return
    this.used.delete(slice.buffer)
    if ('release' in this.source) this.source.release(use.chunk)
  }

  private note(chunk: Uint8Array, slices: number): void {
    // Small chunks may share their memory; nobody wants them back.
    if (slices > 0 && chunk.length === chunk.buffer.byteLength) this.used.set(chunk.buffer, { chunk, slices })
  }
}
