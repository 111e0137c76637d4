import { expect } from 'chai'
import { ChunkDecoder } from '../../src/payload/chunk-decoder.js'
import { DecodedBody } from '../../src/payload/decoded-body.js'
import { frame } from './frames.js'

class Source {
  readonly released: Uint8Array[] = []
  readonly chunks: readonly Uint8Array[]

  constructor(chunks: readonly Uint8Array[]) {
    this.chunks = chunks
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    yield* this.chunks
  }

  release(chunk: Uint8Array): void {
    this.released.push(chunk)
  }
}

/** In memory of its own, as what Node's parser gives. */
function alone(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

describe('DecodedBody', () => {
  const parts = ['one', 'two', 'three'].map((text) => Buffer.from(text))
  const framed = frame({ chunks: parts })
  const decoder = (): ChunkDecoder => new ChunkDecoder({ decodedBytes: 11, trailer: false, trailerNames: [] })

  it('gives a received chunk back once all slices of it were released', async () => {
    const source = new Source([alone(framed.subarray(0, 14)), alone(framed.subarray(14))])
    const body = new DecodedBody(source, decoder())
    const slices: Uint8Array[] = []
    for await (const slice of body) slices.push(slice)
    expect(Buffer.concat(slices).toString()).to.equal('onetwothree')
    const counts = slices.map((slice) => {
      body.release(slice)
      return source.released.length
    })
    expect(counts[0]).to.equal(0)
    expect(source.released).to.deep.equal(source.chunks)
  })

  it('gives no chunk back that shares its memory', async () => {
    const source = new Source([framed.subarray(0, 14), framed.subarray(14)])
    const body = new DecodedBody(source, decoder())
    for await (const slice of body) body.release(slice)
    expect(source.released).to.deep.equal([])
  })
})
