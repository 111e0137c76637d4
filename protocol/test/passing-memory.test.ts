import { expect } from 'chai'
import { allocatePassing, freeMemory, releasePassing } from '../src/index.js'

const SIZE = 64 * 1024

describe('passing memory', () => {
  it('is freed with the last piece that its reader releases, not sooner', () => {
    const bytes = allocatePassing(SIZE)
    releasePassing(bytes.subarray(0, 1000))
    expect(bytes.length).to.equal(SIZE)
    releasePassing(bytes.subarray(1000))
    expect(bytes.length).to.equal(0)
  })

  it('leaves memory alone that was not made for passing', () => {
    const bytes = Buffer.allocUnsafeSlow(SIZE)
    releasePassing(bytes)
    expect(bytes.length).to.equal(SIZE)
  })

  it('frees large bytes that have their memory for themselves, and nothing else', () => {
    const large = Buffer.allocUnsafeSlow(SIZE)
    const part = Buffer.allocUnsafeSlow(SIZE)
    const small = Buffer.allocUnsafeSlow(1024)
    const shared = new Uint8Array(new SharedArrayBuffer(SIZE))
    for (const bytes of [large, part.subarray(0, SIZE / 2), small, shared]) freeMemory(bytes)
    expect([large.length, part.length, small.length, shared.length]).to.deep.equal([0, SIZE, 1024, SIZE])
  })
})
