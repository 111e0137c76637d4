import { expect } from 'chai'
import { WIDE_KEYS } from '../../../src/adapters/etcd/etcd-limits.js'
import { RangeEnds } from '../../../src/adapters/etcd/etcd-range-ends.js'
import type { StoreRange, StoreRow } from '../../../src/ports.js'
import { bytes } from '../../conformance/subject.js'

const LIMIT = 1001
const ROWS = 20_000

/** Keys as a bucket of folders has them. */
const KEYS: readonly string[] = Array.from({ length: ROWS }, (_, at) => {
  const folder = String(Math.floor(at / 1000)).padStart(6, '0')
  return `o/S/data/${folder}/object-${String(at % 1000).padStart(4, '0')}`
})

function rowOf(key: string): StoreRow {
  return { key: bytes(key), value: bytes(''), revision: 1, created: 1 }
}

/** Reads as etcd does, in order, and counts what it walks over. */
function createReader() {
  const ends = new RangeEnds()
  let walked = 0
  let asked = 0
  function page(from: string, to: string, limit = LIMIT): string[] {
    const found: string[] = []
    let rest: StoreRange = { from: bytes(from), to: bytes(to) }
    for (let attempt = 0; ; attempt++) {
      const end = ends.cut(rest, { limit: limit - found.length, attempt })
      const inRange = KEYS.filter(
        (key) => Buffer.compare(bytes(key), rest.from) >= 0 && Buffer.compare(bytes(key), end) < 0,
      )
      asked++
      walked += inRange.length
      found.push(...inRange.slice(0, limit - found.length))
      ends.learn({ from: bytes(from), to: bytes(to) }, found.map(rowOf), inRange.length)
      if (found.length >= limit || end === rest.to) return found
      rest = { from: end, to: rest.to }
    }
  }
  return {
    page,
    take() {
      const cost = { walked, asked }
      walked = 0
      asked = 0
      return cost
    },
  }
}

describe('RangeEnds', () => {
  it('cuts the first page of a range again, though its start says nothing about where rows lie', () => {
    const { page, take } = createReader()
    expect(page('o/S/', 'o/S0')).to.deep.equal(KEYS.slice(0, LIMIT))
    expect(take()).to.deep.equal({ walked: ROWS, asked: 1 })
    expect(page('o/S/', 'o/S0')).to.deep.equal(KEYS.slice(0, LIMIT))
    expect(take().walked).to.be.below(WIDE_KEYS)
    expect(page('o/S/', 'o/S0', 10)).to.deep.equal(KEYS.slice(0, 10))
    expect(take().walked).to.be.below(WIDE_KEYS)
  })

  it('reads every page of a range in order, and walks over a few times what it gives', () => {
    const { page, take } = createReader()
    const all: string[] = []
    for (let from = 'o/S/'; all.length < ROWS; from = `${all.at(-1)}\0`) all.push(...page(from, 'o/S0'))
    expect(all).to.deep.equal(KEYS)
    const { walked, asked } = take()
    expect(walked).to.be.below(6 * ROWS)
    expect(asked).to.be.below(5 * (ROWS / 1000))
  })

  it('cuts at any start between or within folders', () => {
    const { page, take } = createReader()
    page('o/S/', 'o/S0')
    take()
    for (const from of ['o/S/d', 'o/S/data/000003/', 'o/S/data/000007/object-05', 'o/S/data/00000']) {
      const expected = KEYS.filter((key) => key >= from).slice(0, LIMIT)
      expect(page(from, 'o/S0')).to.deep.equal(expected)
      expect(take().walked).to.be.below(2 * WIDE_KEYS, from)
    }
  })

  it('goes on with what it knows of the first rows when rows come before them', () => {
    const { page, take } = createReader()
    page('o/S/data/000002/', 'o/S0')
    page('o/S/', 'o/S0')
    take()
    expect(page('o/S/', 'o/S0')).to.deep.equal(KEYS.slice(0, LIMIT))
    expect(take().walked).to.be.below(WIDE_KEYS)
  })
})
