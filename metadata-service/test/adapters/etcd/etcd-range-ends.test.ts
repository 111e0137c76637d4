import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { WIDE_KEYS } from '../../../src/adapters/etcd/etcd-limits.js'
import { type Cut, RangeEnds } from '../../../src/adapters/etcd/etcd-range-ends.js'
import type { StoreRange, StoreRow } from '../../../src/ports.js'
import { bytes } from '../../conformance/subject.js'

const LIMIT = 1001
const ROWS = 20_000

/** Keys as a bucket of folders has them, in order. */
function keysOf(rows: number, perFolder: number, nameOf: (folder: number, at: number) => string): string[] {
  return Array.from({ length: rows }, (_, at) => nameOf(Math.floor(at / perFolder), at % perFolder))
}

const digits = (value: number, length: number): string => String(value).padStart(length, '0')

const KEYS = keysOf(ROWS, 1000, (folder, at) => `o/S/data/${digits(folder, 6)}/object-${digits(at, 4)}`)

function rowOf(key: string): StoreRow {
  return { key: bytes(key), value: bytes(''), revision: 1, created: 1 }
}

/** Reads as etcd does, in order, and counts what it walks over. */
function createReader(keys: readonly string[] = KEYS) {
  const ends = new RangeEnds()
  let walked = 0
  let asked = 0
  function page(from: string, to: string, limit = LIMIT): string[] {
    const found: string[] = []
    let rest: StoreRange = { from: bytes(from), to: bytes(to) }
    for (let cut: Cut | undefined; ; ) {
      const next = ends.cut(rest, limit - found.length, cut)
      cut = next
      const inRange = keys.slice(placeOf(keys, rest.from), placeOf(keys, next.end))
      asked++
      walked += inRange.length
      found.push(...inRange.slice(0, limit - found.length))
      if (inRange.length > 0) {
        ends.learn({ from: bytes(from), to: bytes(to) }, found.map(rowOf), inRange.length)
      }
      if (found.length >= limit || next.end === rest.to) return found
      rest = { from: next.end, to: rest.to }
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

/** Of the first key that is not before `bound`. */
function placeOf(keys: readonly string[], bound: Uint8Array): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (Buffer.compare(bytes(keys[middle] ?? ''), bound) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** All pages of a bucket, and what they cost in all. */
function readAll(keys: readonly string[], limit = LIMIT): { walked: number; asked: number; pages: number } {
  const { page, take } = createReader(keys)
  const all: string[] = []
  let pages = 0
  for (let from = 'o/S/'; ; from = `${all.at(-1)}\0`) {
    const found = page(from, 'o/S0', limit)
    pages++
    all.push(...found)
    if (found.length < limit) break
  }
  expect(all).to.deep.equal(keys)
  return { ...take(), pages }
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

  const tail = 'x'.repeat(100)
  const shapes: Readonly<Record<string, readonly string[]>> = {
    'folders of a thousand': KEYS,
    'folders of 300 below long paths': keysOf(ROWS, 300, (folder, at) => {
      return `o/S/backups/host-${digits(folder, 4)}/${tail}/file-${digits(at, 6)}`
    }),
    'folders of 1,500 below long paths': keysOf(ROWS, 1500, (folder, at) => {
      return `o/S/backups/host-${digits(folder, 4)}/${tail}${tail}/file-${digits(at, 6)}`
    }),
    'folders of two': keysOf(ROWS, 2, (folder, at) => `o/S/${digits(folder, 8)}/${at}`),
    'one folder': keysOf(ROWS, ROWS, (_, at) => `o/S/${digits(at, 8)}`),
    hashes: keysOf(ROWS, 1, (at) => `o/S/${createHash('md5').update(String(at)).digest('hex')}`).sort(),
    'years, months and days': keysOf(ROWS, 20, (day, at) => {
      const date = new Date(Date.UTC(2020, 0, 1) + day * 86_400_000).toISOString().slice(0, 10)
      return `o/S/logs/${date.replaceAll('-', '/')}/host-${digits(at, 3)}.gz`
    }),
  }
  for (const [name, keys] of Object.entries(shapes)) {
    it(`reads every page of ${name} in order, with few requests and little more walked than read`, () => {
      const { walked, asked, pages } = readAll(keys)
      expect(walked).to.be.below(6 * ROWS)
      expect(asked).to.be.below(15 * pages)
    })
  }

  it('finds the folders of a bucket one behind the other', () => {
    const keys = keysOf(14_400, 1200, (folder, at) => `o/S/${digits(folder, 2)}/${tail}/${digits(at, 6)}`)
    const { page, take } = createReader(keys)
    for (let folder = 0; folder < 12; folder++) {
      expect(page(folder === 0 ? 'o/S/' : `o/S/${digits(folder - 1, 2)}0`, 'o/S0', 1000)[0]).to.equal(
        keys[folder * 1200],
      )
    }
    const { walked, asked } = take()
    expect(asked).to.be.below(60)
    expect(walked).to.be.below(4 * keys.length)
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
