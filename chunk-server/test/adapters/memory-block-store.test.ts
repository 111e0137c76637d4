import { systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { createMemoryBlockStore, type MemoryBlocks } from '../../src/adapters/memory-block-store.js'
import { describeBlockStore } from '../conformance/block-store.js'
import { blockId, codeOf, ownerOf, readRange, unitsOf } from '../conformance/blocks.js'

describeBlockStore('MemoryBlockStore', async () => {
  const blocks: MemoryBlocks = new Map()
  let store = createMemoryBlockStore({ clock: systemClock, blocks })
  return {
    store,
    async reopen() {
      await store.close()
      store = createMemoryBlockStore({ clock: systemClock, blocks })
      return store
    },
    dispose: () => store.close(),
  }
})

describe('MemoryBlockStore', () => {
  it('notices bytes that rot while it holds them', async () => {
    const blocks: MemoryBlocks = new Map()
    const store = createMemoryBlockStore({ clock: systemClock, blocks })
    const block = blockId(1, 1)
    const { signal } = new AbortController()
    await store.put(block, ownerOf('k'), unitsOf(block, Buffer.alloc(100, 1)), { signal })
    for (const { units } of blocks.values()) units[0]?.bytes.fill(2, 50, 51)
    expect(await codeOf(readRange(store, block, { offset: 0, length: 100 }))).to.equal('BlockCorrupt')
    expect(store.usage().damagedBlocks).to.equal(1)
    const { blocks: damaged } = await store.list(undefined, 10, false, { damagedOnly: true })
    expect(damaged.map((entry) => entry.damaged)).to.deep.equal([true])
    await store.put(block, ownerOf('k'), unitsOf(block, Buffer.alloc(100, 1)), { signal })
    expect((await readRange(store, block, { offset: 0, length: 100 })).length).to.equal(100)
    expect(store.usage().damagedBlocks).to.equal(0)
  })
})
