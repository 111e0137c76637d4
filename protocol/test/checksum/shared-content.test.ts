import { expect } from 'chai'
import {
  type BlockId,
  ContentShare,
  ContentSource,
  hashBlock,
  UNIT_BYTES,
  type Unit,
  unitCheck,
} from '../../src/index.js'

const block = Buffer.alloc(20, 3) as Uint8Array as BlockId

function unitsOf(bytes: Uint8Array): Unit[] {
  const units: Unit[] = []
  for (let at = 0; at < bytes.length; at += UNIT_BYTES) {
    const unit = bytes.subarray(at, at + UNIT_BYTES)
    units.push({ bytes: unit, check: unitCheck(block, units.length, unit) })
  }
  return units
}

function pattern(): Buffer {
  return Buffer.allocUnsafeSlow(3 * UNIT_BYTES + 100).fill('pattern')
}

function takeRest(share: ContentShare, units: readonly Unit[]): void {
  for (const unit of units.slice(1)) share.take(unit)
}

describe('ContentShare', () => {
  it('gives all who take the same memory the same hash', () => {
    const bytes = pattern()
    const units = unitsOf(bytes)
    const first = ContentShare.join(block, units.slice(0, 1))
    const second = ContentShare.join(block, unitsOf(bytes).slice(0, 1))
    for (const unit of units.slice(1)) {
      first.take(unit)
      second.take({ ...unit })
    }
    expect([first.rank, second.rank]).to.deep.equal([0, 1])
    expect(second.hash()).to.equal(first.hash())
    expect(Buffer.compare(first.hash(), hashBlock(bytes))).to.equal(0)
    for (const share of [first, second]) share.leave()
  })

  it('takes no unit of another check or of another place', () => {
    const bytes = pattern()
    const units = unitsOf(bytes)
    const first = ContentShare.join(block, units.slice(0, 1))
    takeRest(first, units)
    const second = ContentShare.join(block, unitsOf(bytes).slice(0, 1))
    const [, unit, later] = units
    if (unit === undefined || later === undefined) throw new Error('no units')
    expect(() => second.take({ ...unit, check: unit.check ^ 1 })).to.throw('another writer')
    expect(() => second.take(later)).to.throw('another writer')
    expect(() => second.hash()).to.throw('another writer')
    first.leave()
    second.leave()
  })

  it('shares nothing with a block of equal bytes in memory of its own', () => {
    const units = unitsOf(pattern())
    const others = unitsOf(pattern())
    const first = ContentShare.join(block, units.slice(0, 1))
    const second = ContentShare.join(block, others.slice(0, 1))
    takeRest(first, units)
    takeRest(second, others)
    expect([first.rank, second.rank]).to.deep.equal([0, 0])
    expect(second.hash()).to.not.equal(first.hash())
    expect(Buffer.compare(second.hash(), first.hash())).to.equal(0)
    first.leave()
    second.leave()
  })

  it('forgets a block with the last drive that leaves it', () => {
    const units = unitsOf(pattern())
    const first = ContentShare.join(block, units.slice(0, 1))
    takeRest(first, units)
    first.leave()
    const second = ContentShare.join(block, units.slice(0, 1))
    expect(second.rank).to.equal(0)
    second.leave()
  })

  it('takes the hash of a writer in this process', () => {
    const bytes = pattern()
    const units = unitsOf(bytes)
    const source = new ContentSource(block)
    for (const unit of units) source.add(unit)
    const first = ContentShare.join(block, units.slice(0, 1))
    const second = ContentShare.join(block, units.slice(0, 1))
    for (const share of [first, second]) takeRest(share, units)
    expect(Buffer.compare(source.hash(), hashBlock(bytes))).to.equal(0)
    expect([first.hash(), second.hash()]).to.deep.equal([source.hash(), source.hash()])
    for (const user of [source, first, second]) user.leave()
  })

  it('takes a short unit that was copied on its way', () => {
    const bytes = pattern()
    const units = unitsOf(bytes)
    const source = new ContentSource(block)
    for (const unit of units) source.add(unit)
    const last = units.pop()
    if (last === undefined) throw new Error('no units')
    for (let drive = 0; drive < 2; drive++) {
      const share = ContentShare.join(block, units.slice(0, 1))
      takeRest(share, units)
      share.take({ ...last, bytes: Buffer.from(last.bytes) })
      expect(Buffer.compare(share.hash(), hashBlock(bytes))).to.equal(0)
      share.leave()
    }
    source.leave()
  })

  it('gives no hash of more units than the drive has taken', () => {
    const units = unitsOf(pattern())
    const source = new ContentSource(block)
    for (const unit of units) source.add(unit)
    const share = ContentShare.join(block, units.slice(0, 1))
    expect(() => share.hash()).to.throw('another writer')
    source.leave()
    share.leave()
  })
})
