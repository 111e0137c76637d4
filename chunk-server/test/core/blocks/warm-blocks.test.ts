import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { WarmBlocks } from '../../../src/core/blocks/warm-blocks.js'

describe('WarmBlocks', () => {
  let nowMs = 0
  let warm: WarmBlocks

  beforeEach(() => {
    nowMs = 0
    const clock: SimulatedClock = createSimulatedClock(createSeededRandom(1))
    warm = new WarmBlocks({ ...clock, monotonicMs: () => nowMs })
  })

  function readFor(durationMs: number): void {
    warm.timed(() => {
      nowMs += durationMs
    })
  }

  it('knows what was touched, and nothing else', () => {
    warm.touch(1, 4096, 5000)
    expect(warm.isWarm(1, 4096)).to.equal(true)
    expect(warm.isWarm(1, 8192)).to.equal(false)
    expect(warm.isWarm(2, 4096)).to.equal(false)
  })

  it('forgets a block after half a gigabyte of others', () => {
    warm.touch(1, 4096, 5000)
    for (let other = 0; other < 8; other++) warm.touch(2, other * 8, 64 * 1024 * 1024)
    expect(warm.isWarm(1, 4096)).to.equal(true)
    warm.touch(3, 0, 1)
    expect(warm.isWarm(1, 4096)).to.equal(false)
  })

  it('trusts nothing for a while after two slow reads in a row', () => {
    warm.touch(1, 4096, 5000)
    readFor(50)
    readFor(0.01)
    readFor(50)
    expect(warm.isWarm(1, 4096)).to.equal(true)
    readFor(50)
    expect(warm.isWarm(1, 4096)).to.equal(false)
    nowMs += 5000
    expect(warm.isWarm(1, 4096)).to.equal(true)
  })
})
