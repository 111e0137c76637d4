import { expect } from 'chai'
import { countParts, findPart, partsAfter } from '../../../src/operations/objects/object-parts.js'

/** Parts 1 and 2 of 10 bytes, 5 of 20 bytes, 7 and 8 of 10 bytes; their MD5s are all of one byte repeated. */
const OBJECT = {
  parts: [
    { firstNumber: 1, count: 2, sizeBytes: 10 },
    { firstNumber: 5, count: 1, sizeBytes: 20 },
    { firstNumber: 7, count: 2, sizeBytes: 10 },
  ],
  checksum: { algorithm: 'MD5', type: 'COMPOSITE', value: 'x-5' },
  partChecksums: Buffer.concat([1, 2, 3, 4, 5].map((byte) => Buffer.alloc(16, byte))),
} as const

function md5(byte: number): string {
  return Buffer.alloc(16, byte).toString('base64')
}

describe('object parts', () => {
  it('are counted over all runs', () => {
    expect(countParts(OBJECT.parts)).to.equal(5)
    expect(countParts([])).to.equal(0)
  })

  it('are found by number, with place and checksum', () => {
    expect(findPart(OBJECT, 2)).to.deep.equal({ partNumber: 2, offset: 10, length: 10, checksum: md5(2) })
    expect(findPart(OBJECT, 5)).to.deep.equal({ partNumber: 5, offset: 20, length: 20, checksum: md5(3) })
    expect(findPart(OBJECT, 8)).to.deep.equal({ partNumber: 8, offset: 50, length: 10, checksum: md5(5) })
    for (const absent of [0, 3, 4, 6, 9]) expect(findPart(OBJECT, absent), String(absent)).to.equal(undefined)
  })

  it('come in pages, whatever the runs', () => {
    const numbers = (after: number, limit: number) =>
      partsAfter(OBJECT, after, limit).map(({ partNumber }) => partNumber)
    expect(numbers(0, 1000)).to.deep.equal([1, 2, 5, 7, 8])
    expect(numbers(1, 2)).to.deep.equal([2, 5])
    expect(numbers(5, 2)).to.deep.equal([7, 8])
    expect(numbers(8, 2)).to.deep.equal([])
    expect(numbers(0, 0)).to.deep.equal([])
  })

  it('have no checksum where none is kept', () => {
    const { partChecksums: _dropped, ...without } = OBJECT
    expect(findPart(without, 1)).to.deep.equal({ partNumber: 1, offset: 0, length: 10 })
    const short = { ...OBJECT, partChecksums: OBJECT.partChecksums.subarray(0, 16) }
    expect(findPart(short, 2)).to.deep.equal({ partNumber: 2, offset: 10, length: 10 })
  })
})
