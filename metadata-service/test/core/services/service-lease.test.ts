import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import { ServiceLease } from '../../../src/core/services/service-lease.js'
import type { Compare } from '../../../src/ports.js'
import { rejection } from '../../rejection.js'

const ABSENT: Compare = { kind: 'absent', key: Buffer.from('m/cluster') }
const NEVER: Compare = { kind: 'revision', key: Buffer.from('m/cluster'), revision: 99 }

describe('ServiceLease', () => {
  it('gives up for now when what it compares never holds, and asks no more often than it pauses', async () => {
    const random = createSeededRandom(12)
    const clock = createSimulatedClock(random)
    const entries = createMemoryEntryStore({ clock })
    const store = createKeyValueStore({ store: entries, clock, random, service: 'm1' })
    let compare: Compare = ABSENT
    let asked = 0
    const lease = new ServiceLease({
      store,
      clock,
      row: { name: 'm1', startedMs: 0, featureLevel: 1, softwareVersion: '', run: 'r' },
      isExclusive: false,
      joinCompare: async () => {
        asked++
        return compare
      },
      isServing: async () => false,
    })
    await clock.runUntil(lease.claim())
    expect(lease.leftMs()).to.be.above(0)
    await store.revokeLease(lease.lease ?? '')
    compare = NEVER
    asked = 0
    expect((await clock.runUntil(rejection(lease.renew()))).code).to.equal('Busy')
    expect(asked).to.be.within(1, 10)
    expect(lease.leftMs()).to.equal(0)
    compare = ABSENT
    await clock.runUntil(lease.renew())
    expect(lease.leftMs()).to.be.above(0)
  })
})
