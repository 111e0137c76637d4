import { expect } from 'chai'
import { S3Error } from '../../../src/errors.js'
import { parseCopyRange } from '../../../src/operations/objects/ranges.js'

describe('parseCopyRange', () => {
  it('takes both ends of a range within the source', () => {
    expect(parseCopyRange('bytes=0-9', 10)).to.deep.equal({ offset: 0, length: 10 })
    expect(parseCopyRange('bytes=9-9', 10)).to.deep.equal({ offset: 9, length: 1 })
    expect(parseCopyRange(undefined, 10)).to.equal(undefined)
  })

  for (const range of ['bytes=0-', 'bytes=-1', 'bytes=2-1', '0-1', '']) {
    it(`refuses ${JSON.stringify(range)} as malformed`, () => {
      expect(() => parseCopyRange(range, 10))
        .to.throw(S3Error)
        .with.property('code', 'InvalidArgument')
    })
  }

  it('refuses what lies outside of the source with 400, not 416', () => {
    for (const range of ['bytes=0-10', 'bytes=10-11']) {
      expect(() => parseCopyRange(range, 10))
        .to.throw(S3Error)
        .with.property('status', 400)
    }
  })
})
