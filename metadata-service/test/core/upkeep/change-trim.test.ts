import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import { rangeOfPrefix } from '../../../src/core/rows/keys.js'
import { CHANGES_KEPT_SECONDS, trimChanges } from '../../../src/core/upkeep/change-trim.js'

const random = createSeededRandom(61)
const clock = createSimulatedClock(random)
const store = createKeyValueStore({ store: createMemoryEntryStore({ clock }), clock, random, service: 'm1' })
const run = <T>(work: Promise<T>): Promise<T> => clock.runUntil(work)

async function change(name: string): Promise<void> {
  const key = Buffer.from(`x/${name}`)
  const proof = { keys: [key], carries: () => true }
  await store.commit({ compares: [], puts: [{ key, value: key }], changes: [key], proof })
}

async function countRecords(): Promise<number> {
  const { results } = await store.read([
    { kind: 'scan', range: rangeOfPrefix(Buffer.from('c/')), limit: 100 },
  ])
  return results[0]?.length ?? 0
}

describe('trimChanges', () => {
  it('deletes change records after a day, and only those', async () => {
    await run(change('old'))
    expect(await run(trimChanges(store, clock))).to.equal(false)
    await clock.advance(CHANGES_KEPT_SECONDS * 1000 - 60_000)
    await run(change('young'))
    await clock.advance(120_000)
    expect(await run(trimChanges(store, clock))).to.equal(true)
    expect(await run(countRecords())).to.equal(1)
    expect(await run(trimChanges(store, clock))).to.equal(false)
  })
})
