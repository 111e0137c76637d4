import { expect } from 'chai'
import { isMarkedVerified, markVerified } from '../../src/checksum/verified-units.js'
import type { BlockId } from '../../src/ids.js'

describe('verified units', () => {
  it('are known in their place of their block only, and as the same object', () => {
    const block = Buffer.alloc(16, 1) as Uint8Array as BlockId
    const other = Buffer.alloc(16, 2) as Uint8Array as BlockId
    const unit = { bytes: Buffer.alloc(8), check: 1 }
    expect(isMarkedVerified(unit, block, 3)).to.equal(false)
    const marked = markVerified(unit, block, 3)
    expect({ ...marked }).to.deep.equal(unit)
    expect(isMarkedVerified(marked, block, 3)).to.equal(true)
    expect(isMarkedVerified(marked, block, 2)).to.equal(false)
    expect(isMarkedVerified(marked, other, 3)).to.equal(false)
    expect(isMarkedVerified({ ...marked }, block, 3)).to.equal(false)
  })
})
