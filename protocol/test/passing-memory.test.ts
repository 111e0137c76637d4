import { expect } from 'chai'
import { allocatePassing, freeMemory, isLent, lendMemory, releasePassing } from '../src/index.js'

const SIZE = 64 * 1024

describe('passing memory', () => {
  it('is given out again with the last piece that its reader releases, not sooner', () => {
    const bytes = allocatePassing(SIZE - 100)
    expect(bytes.length).to.equal(SIZE - 100)
    releasePassing(bytes.subarray(0, 1000))
    expect(allocatePassing(SIZE - 100).buffer).to.not.equal(bytes.buffer)
    releasePassing(bytes.subarray(1000))
    expect(allocatePassing(SIZE).buffer).to.equal(bytes.buffer)
  })

  it('is freed when enough of it waits for the next body', () => {
    const buffers = Array.from({ length: 40 }, () => allocatePassing(SIZE))
    for (const bytes of buffers) releasePassing(bytes)
    const freed = buffers.filter(({ length }) => length === 0)
    expect(freed.length).to.be.within(20, 39)
  })

  it('that is lent is lent until all of it has been released, and stays with its owner', () => {
    const bytes = Buffer.allocUnsafeSlow(SIZE)
    const pieces = [bytes.subarray(0, 100), bytes.subarray(50, SIZE)]
    for (const piece of pieces) lendMemory(piece)
    const seen = pieces.map((piece) => {
      const before = isLent(bytes)
      releasePassing(piece)
      return before
    })
    expect([...seen, isLent(bytes)]).to.deep.equal([true, true, false])
    expect(allocatePassing(SIZE).buffer).to.not.equal(bytes.buffer)
    expect(bytes.length).to.equal(SIZE)
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
    for (let others = 0; others < 8; others++) freeMemory(Buffer.allocUnsafeSlow(SIZE))
    expect([large.length, part.length, small.length, shared.length]).to.deep.equal([0, SIZE, 1024, SIZE])
  })
})
