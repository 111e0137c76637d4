import { randomBytes } from 'node:crypto'
import { crc32c as native } from '@node-rs/crc32'
import { expect } from 'chai'
import { crc32c, crc32cOfPart } from '../../src/checksum/unit-check.js'

describe('crc32c', () => {
  it('knows the check value of the polynomial', () => {
    expect(crc32c(Buffer.from('123456789'))).to.equal(0xe3069283)
  })

  it('gives the same for short bytes as the native code, from any start', () => {
    const bytes = randomBytes(128)
    for (let size = 0; size <= bytes.length; size++) {
      const part = bytes.subarray(0, size)
      for (const initial of [0, 1, 0x80000000, 0xffffffff]) {
        expect(crc32c(part, initial), bytes.toString('hex')).to.equal(native(part, initial))
      }
    }
  })

  it('gives the same for a part as for a view of it', () => {
    const bytes = randomBytes(256)
    for (let size = 0; size <= 128; size++) {
      const range = { from: size % 7, to: (size % 7) + size }
      const expected = native(bytes.subarray(range.from, range.to), size)
      expect(crc32cOfPart(bytes, range, size), bytes.toString('hex')).to.equal(expected)
    }
  })
})
