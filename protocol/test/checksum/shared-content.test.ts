import { expect } from 'chai'
import { hashBlock } from '../../src/checksum/block-hash.js'
import { ContentShare, ContentSource } from '../../src/checksum/shared-content.js'
import { unitCheck } from '../../src/checksum/unit-check.js'
import { CairnError } from '../../src/errors.js'
import type { BlockId } from '../../src/ids.js'
import { UNIT_BYTES } from '../../src/limits.js'
import type { Unit } from '../../src/rpc/types.js'

const BLOCK = new Uint8Array(16).fill(7) as BlockId

function unitOf(index: number, bytes: Uint8Array): Unit {
  return { bytes, check: unitCheck(BLOCK, index, bytes) }
}

/** A whole unit and a short one. */
function units(): [Unit, Unit] {
  return [unitOf(0, Buffer.alloc(UNIT_BYTES, 'a')), unitOf(1, Buffer.from('end'))]
}

describe('ContentShare', () => {
  it('shares what was verified and hashed in the same memory', () => {
    const [first, last] = units()
    const source = new ContentSource(BLOCK)
    source.add(first)
    source.add(last)
    const one = ContentShare.join(BLOCK, [first])
    const other = ContentShare.join(BLOCK, [first])
    expect(one.isVerified(last)).to.equal(false)
    one.take(last)
    expect(other.isVerified(last)).to.equal(true)
    other.take(last)
    const whole = hashBlock(Buffer.concat([first.bytes, last.bytes]))
    for (const share of [one, other]) expect(Buffer.from(share.hash()).equals(whole)).to.equal(true)
    for (const user of [one, other, source]) user.leave()
  })

  it('takes a copy of the short unit at the end, as it is made on the way', () => {
    const [first, last] = units()
    const source = new ContentSource(BLOCK)
    source.add(first)
    source.add(last)
    const share = ContentShare.join(BLOCK, [first])
    share.take({ ...last, bytes: Buffer.from(last.bytes) })
    expect(Buffer.from(share.hash())).to.deep.equal(Buffer.from(source.hash()))
    share.leave()
    source.leave()
  })

  it('refuses other bytes under the same id', () => {
    const [first, last] = units()
    const source = new ContentSource(BLOCK)
    source.add(first)
    source.add(last)
    const share = ContentShare.join(BLOCK, [first])
    expect(() => share.take(unitOf(1, Buffer.from('END'))))
      .to.throw(CairnError)
      .with.property('code', 'BlockConflict')
    share.leave()
    source.leave()
  })
})
