import { expect } from 'chai'
import { createProgress } from '../src/progress.js'

describe('progress', () => {
  function record(isTTY: boolean) {
    const written: string[] = []
    let nowMs = 0
    const progress = createProgress({ isTTY, write: (text) => written.push(text) }, () => nowMs)
    return { written, progress, pass: (ms: number) => (nowMs += ms) }
  }

  it('is one plain line each five seconds in a pipe', () => {
    const { written, progress, pass } = record(false)
    for (let step = 0; step < 60; step++) {
      progress.show('fsck', step, 60)
      pass(200)
    }
    progress.end()
    expect(written).to.deep.equal(['fsck 25/60\n', 'fsck 50/60\n'])
  })

  it('is a bar on a terminal, and goes at the end', () => {
    const { written, progress } = record(true)
    progress.show('fsck', 1, 2)
    progress.end()
    progress.end()
    expect(written).to.have.length(2)
    expect(written[0]).to.contain('############............] 1/2')
  })
})
