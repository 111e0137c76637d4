import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createOrderedRows } from '../../../src/adapters/embedded/ordered-rows.js'
import { seed } from '../../conformance/subject.js'

describe('OrderedRows', () => {
  it(`keeps thousands of random rows in byte order (seed ${seed})`, () => {
    const random = createSeededRandom(seed)
    const table = createOrderedRows()
    const model = new Map<string, number>()
    for (let revision = 1; revision <= 20_000; revision++) {
      const key = Buffer.from(random.bytes(2))
      if (random.fraction() < 0.6) {
        table.put(key, Buffer.from(`${revision}`), revision, undefined)
        model.set(key.toString('hex'), revision)
      } else {
        expect(table.delete(key)).to.equal(model.delete(key.toString('hex')))
      }
    }
    const range = { from: Buffer.from([0x20]), to: Buffer.from([0xe0, 0x80]) }
    const expected = [...model]
      .filter(([key]) => key >= '20' && key < 'e080')
      .sort(([a], [b]) => (a < b ? -1 : 1))
    const read = { kind: 'scan' as const, range, limit: 100_000 }
    const plain = (rows: readonly { key: Uint8Array; revision: number }[]): [string, number][] =>
      rows.map(({ key, revision }) => [Buffer.from(key).toString('hex'), revision])
    expect(plain(table.scan(read))).to.deep.equal(expected)
    expect(plain(table.scan({ ...read, reverse: true }))).to.deep.equal(expected.toReversed())
    expect(table.deleteRange(range)).to.have.length(expected.length)
    expect(table.findFirst(range)).to.equal(undefined)
  })

  it('does not change when the bytes handed over change', () => {
    const table = createOrderedRows()
    const key = Buffer.from('k')
    const value = Buffer.from('value')
    table.put(key, value, 1, undefined)
    key.write('x')
    value.write('xxxxx')
    expect(Buffer.from(table.find(Buffer.from('k'))?.value ?? []).toString()).to.equal('value')
  })
})
