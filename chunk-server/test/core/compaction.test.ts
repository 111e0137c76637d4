import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createSimulatedDisk } from '../../src/simulation/index.js'
import { blockId, ownerOf, unitsOf } from '../conformance/block-store.js'
import { TIGHT, World } from './segment-world.js'

const never = new AbortController().signal
const BODY = createSeededRandom(1).bytes(200_000)
/** By this write to the copy's segment all of the block has been read: its deletion no longer ends the copy. */
const LATE_WRITE = 4

/** A segment with two large blocks, of which the second is deleted, so that the first is worth copying. */
async function halfDead(seed: number): Promise<World> {
  const world = new World(seed)
  const { clock, random } = world
  world.disk = createSimulatedDisk({ clock, random, latencyMs: 50 })
  world.limits = { ...TIGHT, segmentBytes: 300_000 }
  await world.open()
  for (const counter of [1, 2]) {
    const block = blockId(1, counter)
    await world.run(world.store.put(block, ownerOf('k'), unitsOf(block, BODY), { signal: never }))
  }
  await world.run(world.store.delete([blockId(1, 2)]))
  await world.run(world.store.flushIndex())
  return world
}

/** Compacts, deletes the block while the rest of its copy is written, and cuts the power after the index. */
async function deleteDuringCopy(world: World): Promise<boolean> {
  const { store } = world
  let copyPath: string | undefined
  let writes = 0
  let isDeleted = false
  world.disk.onOperation = ({ kind, path }) => {
    if (kind === 'create') copyPath ??= path
    if (kind !== 'write' || path !== copyPath || ++writes !== LATE_WRITE) return
    void store
      .delete([blockId(1, 1)])
      .then(() => store.flushIndex())
      .then(() => {
        isDeleted = true
      })
  }
  void store.compactOnce().catch(() => undefined)
  for (let turn = 0; turn < 1000 && !isDeleted; turn++) await world.clock.advance(1)
  world.crash({ kind: 'kept' }, { keepIndex: true })
  return isDeleted
}

describe('Compactor', () => {
  it('brings no block back that was deleted while it was being copied', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const world = await halfDead(seed)
      expect(await deleteDuringCopy(world), `seed ${seed}: the deletion ends`).to.equal(true)
      await world.open()
      const { blocks } = await world.run(world.store.list(undefined, 10, false))
      expect(blocks, `seed ${seed}`).to.deep.equal([])
    }
  })
})
