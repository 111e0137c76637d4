import { expect } from 'chai'
import { Memory } from '../../src/authentication/memory.js'

describe('Memory', () => {
  it('parses a text once', () => {
    const memory = new Memory<object>()
    const first = memory.get('text', () => ({}))
    expect(memory.get('text', () => ({}))).to.equal(first)
    expect(memory.get('other', () => ({}))).not.to.equal(first)
  })

  it('keeps nothing of a text that cannot be parsed', () => {
    const memory = new Memory<number>()
    expect(() =>
      memory.get('text', () => {
        throw new RangeError('malformed')
      }),
    ).to.throw(RangeError)
    expect(memory.get('text', () => 1)).to.equal(1)
  })

  it('keeps no long text, and forgets when there are many', () => {
    const memory = new Memory<number>()
    const long = 'x'.repeat(1000)
    memory.get(long, () => 1)
    expect(memory.get(long, () => 2)).to.equal(2)
    memory.get('first', () => 1)
    for (let count = 0; count < 1000; count++) memory.get(`text ${count}`, () => count)
    expect(memory.get('first', () => 2)).to.equal(2)
  })
})
