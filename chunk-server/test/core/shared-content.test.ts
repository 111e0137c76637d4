import { type BlockId, hashBlock, UNIT_BYTES, type Unit, unitCheck } from '@cairn/protocol'
import { expect } from 'chai'
import { ContentShare } from '../../src/core/shared-content.js'
import { UnitIntake } from '../../src/core/unit-intake.js'

const block = Buffer.alloc(20, 3) as Uint8Array as BlockId
const { signal } = new AbortController()

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
  it('knows units that another drive has verified in the same memory, and gives all the same hash', () => {
    const bytes = pattern()
    const units = unitsOf(bytes)
    const first = ContentShare.join(block, units.slice(0, 1))
    const second = ContentShare.join(block, unitsOf(bytes).slice(0, 1))
    const seen = units.slice(1).map((unit) => {
      const before = [first.isVerified(unit), second.isVerified(unit)]
      first.take(unit)
      const after = second.isVerified({ ...unit })
      second.take({ ...unit })
      return [...before, after]
    })
    expect(seen).to.deep.equal([
      [false, false, true],
      [false, false, true],
      [false, false, true],
    ])
    for (const share of [first, second]) {
      expect(Buffer.compare(share.hash(), hashBlock(bytes))).to.equal(0)
      share.leave()
    }
  })

  it('knows nothing of equal bytes elsewhere, of another check or of another place', () => {
    const bytes = pattern()
    const units = unitsOf(bytes)
    const first = ContentShare.join(block, units.slice(0, 1))
    takeRest(first, units)
    const second = ContentShare.join(block, unitsOf(bytes).slice(0, 1))
    const [, unit, later] = units
    if (unit === undefined || later === undefined) throw new Error('no units')
    expect(second.isVerified({ ...unit, bytes: Buffer.from(unit.bytes) })).to.equal(false)
    expect(second.isVerified({ ...unit, check: unit.check ^ 1 })).to.equal(false)
    expect(second.isVerified(later)).to.equal(false)
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
    expect(others.slice(1).map((unit) => second.isVerified(unit))).to.deep.equal([false, false, false])
    takeRest(second, others)
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
    expect(units.slice(1).map((unit) => second.isVerified(unit))).to.deep.equal([false, false, false])
    second.leave()
  })

  it('lets an intake refuse a changed unit that no drive has verified', async () => {
    const bytes = pattern()
    const units = unitsOf(bytes)
    const intake = new UnitIntake(block, units, { signal })
    const first = await intake.take(UNIT_BYTES)
    const share = ContentShare.join(block, first)
    intake.follower = share
    bytes[UNIT_BYTES] = 0
    let refusal: unknown
    try {
      await intake.take(UNIT_BYTES)
    } catch (error) {
      refusal = error
    }
    expect(refusal).to.have.property('code', 'BlockCorrupt')
    share.leave()
  })
})
