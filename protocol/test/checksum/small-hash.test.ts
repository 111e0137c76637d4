import { hash } from 'blake3'
import { expect } from 'chai'
import { SMALL_BYTES_MAX, SMALL_BYTES_MIN, SmallHasher } from '../../src/checksum/small-hash.js'
import { createSeededRandom } from '../../src/simulation/index.js'

const SEED = Number(process.env.CAIRN_TEST_SEED ?? 20261121)

/** Both sides of each border of a chunk or a block, in no order: what one size left behind must not show in the next. */
function sizesAtBorders(fraction: () => number): number[] {
  const sizes: number[] = []
  for (let at = SMALL_BYTES_MIN - 1; at <= SMALL_BYTES_MAX; at += 64) sizes.push(at - 1, at, at + 1)
  const fitting = sizes.filter((size) => size >= SMALL_BYTES_MIN && size <= SMALL_BYTES_MAX)
  return fitting
    .map((size) => ({ size, order: fraction() }))
    .sort((a, b) => a.order - b.order)
    .map(({ size }) => size)
}

describe('SmallHasher', () => {
  it(`agrees with another implementation at every border (seed ${SEED})`, function () {
    const hasher = SmallHasher.create()
    if (hasher === undefined) return this.skip()
    const random = createSeededRandom(SEED)
    for (const size of sizesAtBorders(() => random.fraction())) {
      const bytes = random.bytes(size)
      const got = Buffer.from(hasher.hash(bytes)).toString('hex')
      expect([size, got]).to.deep.equal([size, hash(Buffer.from(bytes)).toString('hex')])
    }
  })

  it('gives bytes of their own for each message', function () {
    const hasher = SmallHasher.create()
    if (hasher === undefined) return this.skip()
    const first = hasher.hash(Buffer.alloc(SMALL_BYTES_MAX, 'a'))
    const second = hasher.hash(Buffer.alloc(SMALL_BYTES_MAX, 'b'))
    expect(Buffer.from(first).equals(hash(Buffer.alloc(SMALL_BYTES_MAX, 'a')))).to.equal(true)
    expect(Buffer.from(second).equals(first)).to.equal(false)
  })
})
