import { type BlockId, markVerified, UNIT_BYTES, type Unit, unitCheck } from '@cairn/protocol'
import { expect } from 'chai'
import { UnitIntake } from '../../../src/core/blocks/unit-intake.js'

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

/** Takes two units, of which the second was changed after its check was computed. */
async function takeChanged(unitsFrom: (units: Unit[]) => Unit[]): Promise<unknown> {
  const bytes = Buffer.alloc(3 * UNIT_BYTES, 1)
  const intake = new UnitIntake(block, unitsFrom(unitsOf(bytes)), { signal })
  await intake.take(UNIT_BYTES)
  bytes[UNIT_BYTES] = 0
  try {
    return await intake.take(UNIT_BYTES)
  } catch (error) {
    return error
  }
}

describe('UnitIntake', () => {
  it('refuses a changed unit', async () => {
    expect(await takeChanged((units) => units)).to.have.property('code', 'BlockCorrupt')
  })

  it('does not verify what a writer in this process has marked, in its place only', async () => {
    const mark = (units: Unit[], by: number): Unit[] =>
      units.map((unit, index) => markVerified(unit, block, index + by))
    expect(await takeChanged((units) => mark(units, 0))).to.have.length(1)
    expect(await takeChanged((units) => mark(units, 1))).to.have.property('code', 'BlockCorrupt')
    const copied = await takeChanged((units) => mark(units, 0).map((unit) => ({ ...unit })))
    expect(copied).to.have.property('code', 'BlockCorrupt')
  })
})
