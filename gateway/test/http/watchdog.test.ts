import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type Transfer, type Watch, Watchdog } from '../../src/http/watchdog.js'

const LIMITS = { bytesPerSecondMin: 1024, windowMs: 30_000, intervalMs: 5000 }

/** A transfer whose progress a test sets. */
class Hand implements Transfer {
  place = -1
  watch: Watch | undefined
  progress: number | undefined = 0
  expired = false

  owedProgress(): number | undefined {
    return this.progress
  }
  expire(): void {
    this.expired = true
  }
}

describe('Watchdog', () => {
  let clock: SimulatedClock
  let watchdog: Watchdog
  let hand: Hand

  beforeEach(() => {
    clock = createSimulatedClock(createSeededRandom(1))
    watchdog = new Watchdog(clock, LIMITS)
    hand = new Hand()
    watchdog.add(hand)
  })

  it('ends a transfer that stands still for a window', async () => {
    await clock.advance(29_000)
    expect(hand.expired).to.equal(false)
    await clock.advance(12_000)
    expect(hand.expired).to.equal(true)
  })

  it('lets a slow one go on for as long as it keeps the rate', async () => {
    for (let second = 0; second < 3600; second++) {
      hand.progress = (hand.progress ?? 0) + 1100
      await clock.advance(1000)
    }
    expect(hand.expired).to.equal(false)
  })

  it('does not count the time in which the client waits for us', async () => {
    for (let round = 0; round < 20; round++) {
      hand.progress = undefined
      await clock.advance(20_000)
      hand.progress = round
      await clock.advance(20_000)
    }
    expect(hand.expired).to.equal(false)
  })

  it('forgets what was removed', async () => {
    watchdog.remove(hand)
    await clock.advance(120_000)
    expect(hand.expired).to.equal(false)
  })
})
