import { expect } from 'chai'
import { median, pairedRatio } from '../src/compare.js'

describe('pairedRatio', () => {
  it('finds a constant factor under noise that both targets share', () => {
    const theirs = [10, 50, 20, 80, 40]
    const ratio = pairedRatio(
      theirs.map((value) => value * 1.5),
      theirs,
    )
    expect(ratio.median).to.be.closeTo(1.5, 1e-9)
    expect(ratio.low).to.be.closeTo(1.5, 1e-9)
  })

  it('widens its interval when the rounds disagree', () => {
    const ratio = pairedRatio([1, 2, 3, 4, 5], [1, 1, 1, 1, 1])
    expect(ratio.low).to.be.lessThan(ratio.median)
    expect(ratio.high).to.be.greaterThan(ratio.median)
  })
})

describe('median', () => {
  it('is the middle, or the mean of both middles', () => {
    expect(median([3, 1, 2])).to.equal(2)
    expect(median([4, 1, 3, 2])).to.equal(2.5)
  })
})
