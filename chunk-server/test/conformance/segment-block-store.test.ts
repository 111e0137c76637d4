import { join } from 'node:path'
import { systemClock, systemRandom } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { MemoryBlockIndex } from '../../src/adapters/memory-block-index.js'
import { createNodeDisk } from '../../src/adapters/node-disk.js'
import { openSqliteBlockIndex } from '../../src/adapters/sqlite-block-index.js'
import { openSegmentBlockStore, type SegmentBlockStore } from '../../src/core/store/segment-block-store.js'
import type { BlockIndex, Disk } from '../../src/ports.js'
import { createSimulatedDisk } from '../../src/simulation/index.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type BlockStoreFixture, describeBlockStore } from './block-store.js'

interface Ground {
  disk(): Disk
  index(): BlockIndex
  /** How the life of a store ends before the next one. */
  end(store: SegmentBlockStore): Promise<void>
  dispose(): void
}

async function fixtureOn({ disk, index, end, dispose }: Ground): Promise<BlockStoreFixture> {
  const open = (): Promise<SegmentBlockStore> =>
    openSegmentBlockStore({
      disk: disk(),
      index: index(),
      clock: systemClock,
      random: systemRandom,
      durability: 'fsync',
      onDamage: (event) => {
        throw new Error(event.message)
      },
    })
  let store = await open()
  return {
    store,
    async reopen() {
      await end(store)
      store = await open()
      return store
    },
    async dispose() {
      await store.close()
      dispose()
    },
  }
}

describeBlockStore('SegmentBlockStore on NodeDisk and SQLite', async () => {
  const folder = temporaryFolder()
  const disk = createNodeDisk(folder.path, { durability: 'fsync' })
  return fixtureOn({
    disk: () => disk,
    index: () => openSqliteBlockIndex(join(folder.path, 'index.sqlite')),
    end: (store) => store.close(),
    dispose: folder.remove,
  })
})

describeBlockStore('SegmentBlockStore that loses power and its index at each reopening', async () => {
  let disk = createSimulatedDisk({ clock: systemClock, random: createSeededRandom(5) })
  return fixtureOn({
    disk: () => disk,
    index: () => new MemoryBlockIndex(),
    end: async () => {
      disk = disk.crash({ kind: 'lost' })
    },
    dispose: () => undefined,
  })
})
