import { expect } from 'chai'
import { allocateAligned, DIRECT_BYTES, isAligned } from '../src/aligned-memory.js'

describe('Aligned memory', () => {
  it('is known by its pages, and no other memory is', () => {
    const memory = allocateAligned(3 * DIRECT_BYTES)
    expect(memory.length).to.equal(3 * DIRECT_BYTES)
    expect(memory.every((byte) => byte === 0)).to.equal(true)
    expect(isAligned(memory)).to.equal(true)
    expect(isAligned(memory.subarray(DIRECT_BYTES, DIRECT_BYTES + 1))).to.equal(true)
    expect(isAligned(memory.subarray(8))).to.equal(false)
    expect(isAligned(Buffer.allocUnsafeSlow(DIRECT_BYTES))).to.equal(false)
  })
})
