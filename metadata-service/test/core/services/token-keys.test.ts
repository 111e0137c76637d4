import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import { TokenKeyRing } from '../../../src/core/services/token-keys.js'
import type { KeyValueStore } from '../../../src/ports.js'

const MINUTE_MS = 60_000

describe('TokenKeyRing', () => {
  const random = createSeededRandom(5)
  const clock = createSimulatedClock(random)
  const run = <T>(work: Promise<T>): Promise<T> => clock.runUntil(work)
  const pass = (ms: number): Promise<void> => run(new Promise<void>((resolve) => clock.setTimer(ms, resolve)))
  let stores: KeyValueStore[]

  function ringOf(at: number): TokenKeyRing {
    return new TokenKeyRing({ store: stores[at] as KeyValueStore, clock, random })
  }
  const idsOf = async (ring: TokenKeyRing): Promise<number[]> =>
    (await run(ring.current())).map(({ id }) => id)

  beforeEach(() => {
    const store = createMemoryEntryStore({ clock })
    stores = ['a', 'b'].map((service) =>
      createKeyValueStore({ store, clock, random, service, entriesInFlight: 1 }),
    )
  })

  it('makes the first key, for use at once, and only once for all services', async () => {
    const rings = [ringOf(0), ringOf(1)]
    const [one, two] = await run(Promise.all(rings.map((ring) => ring.current())))
    expect(one).to.have.length(1)
    expect(one).to.deep.equal(two)
    expect(one?.[0]?.secret).to.have.length(32)
    expect(one?.[0]?.fromMs).to.be.at.most(clock.wallMicros() / 1000)
  })

  it('tells of a new key five minutes before it is used, and forgets one that nobody needs', async () => {
    const ring = ringOf(0)
    expect(await idsOf(ring)).to.deep.equal([1])
    const seen: string[] = []
    for (let minute = 1; minute <= 150; minute++) {
      await pass(MINUTE_MS)
      await run(ring.current())
      await pass(1)
      const keys = await run(ring.current())
      const nowMs = clock.wallMicros() / 1000
      const used = keys.findLast(({ fromMs }) => fromMs <= nowMs)
      seen.push(`${keys.map(({ id }) => id).join('+')} by ${used?.id}`)
    }
    expect(seen.filter((state, at) => state !== seen[at - 1])).to.deep.equal([
      '1 by 1',
      '1+2 by 1',
      '1+2 by 2',
      '2+3 by 2',
      '2+3 by 3',
    ])
  })

  it('keeps a key for a day more to check receipts by, and tells nobody of it', async () => {
    const ring = ringOf(0)
    const [first] = await run(ring.current())
    let keptHours = 0
    for (let hour = 1; hour <= 30; hour++) {
      for (let minute = 0; minute < 60; minute += 5) await pass(5 * MINUTE_MS)
      await run(ring.current())
      await pass(1)
      const all = await run(ring.forReceipts())
      const told = await run(ring.current())
      expect(told.length).to.be.at.most(3)
      expect(all.slice(-told.length)).to.deep.equal(told)
      expect(all.map(({ id }) => id)).to.deep.equal(all.map((_, at) => (all[0]?.id ?? 0) + at))
      expect(await run(ringOf(1).forReceipts())).to.deep.equal(all)
      if (all.some(({ id }) => id === 1)) {
        keptHours = hour
        expect(all[0]).to.deep.equal(first)
      }
    }
    expect(keptHours).to.be.within(24, 27)
  })

  it('goes on with the keys it knows while the store does not answer', async () => {
    const ring = ringOf(0)
    expect(await idsOf(ring)).to.deep.equal([1])
    await run((stores[0] as KeyValueStore).close())
    await pass(2 * MINUTE_MS)
    expect(await idsOf(ring)).to.deep.equal([1])
    await pass(2 * MINUTE_MS)
    expect(await idsOf(ring)).to.deep.equal([1])
  })
})
