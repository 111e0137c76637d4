import { CairnError, createRouter } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createMemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import { createChunkServer } from '../../src/app.js'
import { createSimulatedDisk, simulatedDrive } from '../../src/simulation/index.js'
import { recordMetadata } from './metadata-stub.js'
import { createTestNetwork, identity } from './network.js'

describe('The upkeep of a chunk server', () => {
  it('compacts its drives in the background and goes on after a failure', async () => {
    const random = createSeededRandom(13)
    const clock = createSimulatedClock(random)
    const network = createTestNetwork(clock, random)
    const router = createRouter()
    recordMetadata(router)
    await clock.runUntil(network.listen('local:metadata', router, { ...identity, role: 'metadata' }))
    const rounds: string[] = []
    const told: string[] = []
    let closed = 0
    const drives = ['drive 0', 'drive 1'].map((name) => {
      const store = createMemoryBlockStore({ clock })
      const close = store.close.bind(store)
      const upkept = Object.assign(store, {
        compactOnce: async () => {
          rounds.push(name)
          if (rounds.length === 1) throw new CairnError('DriveFull', 'full')
          return undefined
        },
        close: () => {
          closed++
          return close()
        },
      })
      const disk = createSimulatedDisk({ clock, random })
      return simulatedDrive({ name, disk, openStore: async () => upkept })
    })
    const creating = createChunkServer({
      id: 'chunk-2',
      drives,
      address: 'local:other',
      metadata: 'local:metadata',
      network,
      identity,
      clock,
      random,
      durability: 'fsync',
      onEvent: (event) => told.push(event.kind),
    })
    const server = await clock.runUntil(creating)
    await clock.runUntil(server.start())
    for (let turn = 0; rounds.length < 4; turn++) {
      expect(turn, 'turns without four rounds').to.be.below(1000)
      await clock.advance(100)
    }
    expect(rounds.slice(0, 4)).to.deep.equal(['drive 0', 'drive 1', 'drive 0', 'drive 1'])
    expect(told).to.include('upkeep failed')
    await clock.runUntil(server.close())
    expect(closed).to.equal(2)
  })
})
