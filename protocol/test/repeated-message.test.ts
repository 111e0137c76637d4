import { expect } from 'chai'
import { bytes, message, required, text } from '../src/message.js'
import { kept, repeated } from '../src/repeated-message.js'

interface Name {
  readonly name: string
  readonly id: Uint8Array
}

const Name = message<Name>('Name', 1, { name: required(1, text), id: required(2, bytes()) })

describe('repeated', () => {
  const a: Name = { name: 'a', id: Buffer.from([1, 2]) }
  const b: Name = { name: 'b', id: Buffer.from([3, 4]) }

  it('writes and reads what the message itself does, in any order', () => {
    const remembered = repeated(Name)
    for (const value of [a, a, b, a, b, b]) {
      const encoded = remembered.encode(value)
      expect(Buffer.compare(encoded, Name.encode(value))).to.equal(0)
      const decoded = remembered.decode(encoded)
      expect(decoded).to.deep.equal(Name.decode(encoded))
      expect(Buffer.compare(remembered.encode(decoded), encoded)).to.equal(0)
    }
  })

  it('keeps no view of the memory that it read', () => {
    const remembered = repeated(Name)
    const memory = Buffer.from(Name.encode(a))
    const decoded = remembered.decode(memory)
    memory.set(Name.encode(b))
    expect([...decoded.id]).to.deep.equal([1, 2])
    expect(remembered.decode(memory).name).to.equal('b')
  })

  it('stands as a field of another message, among fields of its own kind', () => {
    const remembered = repeated(Name)
    const Pair = message<{ readonly first: Name; readonly second: Name }>('Pair', 1, {
      first: required(1, remembered),
      second: required(2, remembered),
    })
    for (const pair of [
      { first: a, second: b },
      { first: b, second: b },
      { first: b, second: a },
    ]) {
      expect(Pair.decode(Pair.encode(pair))).to.deep.equal({
        first: Name.decode(Name.encode(pair.first)),
        second: Name.decode(Name.encode(pair.second)),
      })
    }
  })

  it('gives each value its own bytes after a message that was refused', () => {
    const remembered = repeated(Name)
    expect(remembered.decode(Name.encode(a)).name).to.equal('a')
    expect(() => remembered.decode(Buffer.from([9]))).to.throw()
    expect(remembered.decode(Name.encode(a)).name).to.equal('a')
    expect(() => remembered.encode({ name: 'c' } as Name)).to.throw()
    expect(Buffer.compare(remembered.encode(b), Name.encode(b))).to.equal(0)
  })
})

describe('kept', () => {
  const value = { name: 'n', id: Buffer.from([1, 2]) }

  it('gives the same bytes each time for a value that is kept, and what they say is the value', () => {
    const Kept = kept(Name)
    const encoded = Kept.encode(Kept.keep(value))
    expect(Kept.encode(value)).to.equal(encoded)
    expect(Kept.decode(encoded)).to.deep.equal(value)
  })

  it('encodes an equal value that is not kept on its own', () => {
    const Kept = kept(Name)
    Kept.keep(value)
    const other = { ...value, name: 'm' }
    expect(Kept.decode(Kept.encode(other))).to.deep.equal(other)
    expect(Kept.encode(other)).not.to.equal(Kept.encode(other))
  })
})
