import { type BlockId, ContentShare, UNIT_BYTES, type Unit, unitCheck } from '@cairn/protocol'
import { expect } from 'chai'
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

describe('UnitIntake', () => {
  it('refuses a changed unit that no drive has verified', async () => {
    const bytes = Buffer.alloc(3 * UNIT_BYTES, 1)
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
