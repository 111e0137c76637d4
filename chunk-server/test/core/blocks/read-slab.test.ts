import { expect } from 'chai'
import { ReadSlab } from '../../../src/core/blocks/read-slab.js'

describe('ReadSlab', () => {
  it('gives each buffer memory of its own, whatever its size', () => {
    const slab = new ReadSlab()
    const sizes = Array.from({ length: 200 }, (_, index) => 1 + ((index * 977) % 20_000))
    const buffers = sizes.map((sizeBytes, index) => slab.take(sizeBytes).fill(index))
    for (const [index, buffer] of buffers.entries()) {
      expect(buffer.length).to.equal(sizes[index])
      expect(buffer.every((byte) => byte === index)).to.equal(true)
    }
  })

  it('cuts small buffers from one slab, and no large ones', () => {
    const slab = new ReadSlab()
    const [first, second, large] = [slab.take(4200), slab.take(4200), slab.take(40_000)]
    expect(second.buffer).to.equal(first.buffer)
    expect(large.buffer).to.not.equal(first.buffer)
  })
})
