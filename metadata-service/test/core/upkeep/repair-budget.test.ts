import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { REPAIR_RATE_MIN, RepairBudget } from '../../../src/core/upkeep/repair-budget.js'

const { signal } = new AbortController()

/** Bytes that the budget lets through in so many seconds. */
async function spend(clock: SimulatedClock, budget: RepairBudget, seconds: number): Promise<number> {
  const untilMs = clock.monotonicMs() + seconds * 1000
  let bytes = 0
  async function run(): Promise<void> {
    while (clock.monotonicMs() < untilMs) {
      await budget.take(1_000_000, signal)
      bytes += 1_000_000
    }
  }
  await clock.runUntil(run())
  return bytes
}

describe('RepairBudget', () => {
  let clock: SimulatedClock
  let budget: RepairBudget
  beforeEach(() => {
    clock = createSimulatedClock(createSeededRandom(5))
    budget = new RepairBudget(clock)
  })

  it('rises while nobody is held up', async () => {
    budget.begin()
    const before = budget.rateBytes
    await clock.advance(2_000)
    expect(budget.rateBytes).to.be.above(before)
    budget.end()
  })

  it('falls to its floor, and never below, while commits take longer than they did', async () => {
    for (let count = 0; count < 200; count++) budget.noteCommit(3)
    budget.begin()
    let lowest = budget.rateBytes
    for (let step = 0; step < 30; step++) {
      budget.noteCommit(budget.rateBytes > REPAIR_RATE_MIN ? 30 : 3)
      await clock.advance(200)
      lowest = Math.min(lowest, budget.rateBytes)
    }
    expect(lowest).to.equal(REPAIR_RATE_MIN)
    budget.end()
  })

  it('goes on where commits are slow whatever it does', async () => {
    for (let count = 0; count < 200; count++) budget.noteCommit(3)
    budget.begin()
    for (let step = 0; step < 60; step++) {
      budget.noteCommit(30)
      await clock.advance(200)
    }
    expect(budget.rateBytes).to.be.above(REPAIR_RATE_MIN)
    budget.end()
  })

  it('lets no more through than its rate', async () => {
    const bytes = await spend(clock, budget, 4)
    expect(bytes).to.be.within(budget.rateBytes * 3.5, budget.rateBytes * 4.6)
  })

  it('ends its waits when it is told to stop', async () => {
    const controller = new AbortController()
    await clock.runUntil(budget.take(1e12, signal))
    const waiting = budget.take(1, controller.signal)
    controller.abort()
    await clock.runUntil(waiting)
  })
})
