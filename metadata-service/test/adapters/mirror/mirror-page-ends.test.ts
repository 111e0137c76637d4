import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { FILL_ROWS } from '../../../src/adapters/mirror/mirror-limits.js'
import { PageEnds } from '../../../src/adapters/mirror/mirror-page-ends.js'
import { MIRROR_RANGE, ROW_PREFIXES } from '../../../src/adapters/mirror/mirror-rows.js'
import { successorOfKey } from '../../../src/core/rows/keys.js'
import { seed } from '../../conformance/subject.js'

/** What a fill over these keys costs. */
interface Cost {
  readonly found: number
  readonly pages: number
  /** Keys that the most expensive pages walked, largest first. */
  readonly largest: readonly number[]
}

function fill(keys: readonly Buffer[]): Cost {
  const sorted = [...keys].sort(Buffer.compare)
  const firstFrom = (key: Uint8Array): number => {
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (Buffer.compare(sorted[middle] ?? Buffer.alloc(0), key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
  const ends = new PageEnds(MIRROR_RANGE, ROW_PREFIXES)
  const walked: number[] = []
  let from = MIRROR_RANGE.from
  let found = 0
  while (Buffer.compare(from, MIRROR_RANGE.to) < 0) {
    const to = ends.next(from)
    expect(Buffer.compare(from, to)).to.be.lessThan(0)
    const [first, last] = [firstFrom(from), firstFrom(to)]
    const rows = sorted.slice(first, Math.min(last, first + FILL_ROWS))
    const hasMore = last - first > rows.length
    const facts = { hasMore, count: last - first }
    ends.note({ rows: rows.map((key) => ({ key, value: key, revision: 1, created: 1 })), ...facts })
    walked.push(last - first)
    found += rows.length
    const lastRow = rows.at(-1)
    from = hasMore && lastRow !== undefined ? successorOfKey(lastRow) : to
  }
  return { found, pages: walked.length, largest: walked.sort((a, b) => b - a) }
}

const random = createSeededRandom(seed)
const space = (): Buffer => Buffer.concat([Buffer.from('o/'), random.bytes(16)])
const below = (prefix: Buffer, names: Iterable<string>): Buffer[] =>
  [...names].map((name) => Buffer.concat([prefix, Buffer.from(name)]))
const numbered = (count: number, name: (at: number) => string): string[] =>
  Array.from({ length: count }, (_, at) => name(at))
const few = numbered(20, (at) => `b/bucket-${at}`).map((name) => Buffer.from(name))

const CASES: readonly {
  readonly name: string
  readonly keys: () => Buffer[]
  readonly firstLooks: number
}[] = [
  {
    name: 'a bucket of 300,000 numbered keys',
    keys: () =>
      below(
        space(),
        numbered(300_000, (at) => `key-${String(at).padStart(8, '0')}`),
      ),
    firstLooks: 1,
  },
  {
    name: 'a bucket of 200,000 keys in folders',
    keys: () =>
      below(
        space(),
        numbered(200_000, (at) => `photos/20${10 + (at % 15)}/${at % 12}/img_${at}.jpg`),
      ),
    firstLooks: 4,
  },
  {
    name: 'a bucket of 300,000 keys in folders that make just a page each',
    keys: () =>
      below(
        space(),
        numbered(
          300_000,
          (at) =>
            `data/${String(Math.floor(at / 1000)).padStart(6, '0')}/object-${String(at % 1000).padStart(4, '0')}`,
        ),
      ),
    firstLooks: 1,
  },
  {
    name: 'a bucket of 200,000 keys of random hexadecimal digits',
    keys: () =>
      below(
        space(),
        numbered(200_000, () => Buffer.from(random.bytes(16)).toString('hex')),
      ),
    firstLooks: 1,
  },
  {
    name: 'thirty buckets of 5,000 keys, and garbage of random ids',
    keys: () => [
      ...Array.from({ length: 30 }, () =>
        below(
          space(),
          numbered(5_000, (at) => `${at}/file`),
        ),
      ).flat(),
      ...Array.from({ length: 50_000 }, () => Buffer.concat([Buffer.from('p/'), random.bytes(18)])),
    ],
    firstLooks: 6,
  },
]

describe('PageEnds', () => {
  for (const { name, keys, firstLooks } of CASES) {
    it(`goes through ${name} by pages of few keys, but for a first look (seed ${seed})`, () => {
      const all = [...few, ...keys()]
      const cost = fill(all)
      expect(cost.found).to.equal(all.length)
      expect(cost.largest[firstLooks], String(cost.largest.slice(0, 12))).to.be.at.most(30 * FILL_ROWS)
      expect(cost.pages, 'pages').to.be.at.most(2_500 + (8 * all.length) / FILL_ROWS)
    })
  }

  it('ends over an empty store', () => {
    expect(fill([])).to.deep.include({ found: 0 })
  })

  it('goes through all of 300 random sets of keys', () => {
    for (let round = 0; round < 300; round++) {
      const size = Math.floor(random.fraction() * 40)
      const keys = Array.from({ length: size }, () =>
        Buffer.from(random.bytes(1 + Math.floor(random.fraction() * 4))),
      )
      const distinct = [
        ...new Map(
          keys.filter((key) => (key[0] ?? 0) < 255).map((key) => [key.toString('hex'), key]),
        ).values(),
      ]
      expect(fill(distinct).found).to.equal(distinct.length)
    }
  })
})
