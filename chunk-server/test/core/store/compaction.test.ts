import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createSimulatedDisk } from '../../../src/simulation/index.js'
import { blockId, ownerOf, unitsOf } from '../../conformance/blocks.js'
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

  async function put(world: World, counter: number, size: number): Promise<void> {
    const block = blockId(2, counter)
    const units = unitsOf(block, createSeededRandom(counter).bytes(size))
    await world.run(world.store.put(block, ownerOf('k'), units, { signal: never }))
  }

  async function isWhole(world: World, counters: readonly number[]): Promise<boolean> {
    const blocks = counters.map((counter) => blockId(2, counter))
    const { damaged } = await world.run(world.store.verify(blocks, { signal: never }))
    return damaged.length === 0 && (await world.run(world.store.find(blocks))).length === blocks.length
  }

  it('merges the small segments that many restarts leave, and keeps all that lives in them', async () => {
    const world = new World(1)
    await world.open()
    const counters = Array.from({ length: 20 }, (_, counter) => counter)
    for (const counter of counters) {
      await put(world, counter, 1000)
      await world.reopen()
    }
    expect((await world.segments()).length).to.be.at.least(20)
    await world.run(world.store.compactOnce())
    expect((await world.segments()).length).to.be.at.most(2)
    await world.reopen()
    expect(await isWhole(world, counters)).to.equal(true)
    await world.run(world.store.compactOnce())
    expect((await world.segments()).length).to.be.at.most(2)
  })

  it('takes the segment that gives most for its cost first', async () => {
    const world = new World(2)
    world.limits = { ...TIGHT, compactionBytesMax: 1, tombstoneBytesMin: 1_000_000, segmentBytes: 50_000 }
    await world.open()
    for (let counter = 0; counter < 15; counter++) await put(world, counter, 10_000)
    await world.reopen()
    const [first, second] = await world.segments()
    await world.run(world.store.delete([0, 1].map((counter) => blockId(2, counter))))
    await world.run(world.store.delete([5, 6, 7, 8].map((counter) => blockId(2, counter))))
    await world.run(world.store.compactOnce())
    const left = await world.segments()
    expect(left).to.include(first)
    expect(left).not.to.include(second)
  })

  it('gives way between its steps', async () => {
    const world = await halfDead(1)
    let rests = 0
    await world.run(world.store.compactOnce({ rest: () => void rests++ as undefined }))
    expect(rests).to.be.above(0)
  })

  it('gives space back on a drive that is full to the reserve, and never fills it further', async () => {
    const world = new World(3)
    const { clock, random } = world
    const capacityBytes = 28 * 1024 * 1024
    world.disk = createSimulatedDisk({ clock, random, capacityBytes })
    world.limits = { tailFlushMs: 50 }
    await world.open()
    const stored: number[] = []
    for (let counter = 0; ; counter++) {
      try {
        await put(world, counter, 400_000)
        stored.push(counter)
      } catch (error) {
        expect((error as { code: string }).code).to.equal('DriveFull')
        break
      }
    }
    const full = (await world.disk.space()).freeBytes
    expect(full).to.be.within(1, 20 * 1024 * 1024)
    const gone = stored.filter((counter) => counter % 3 === 0)
    const kept = stored.filter((counter) => counter % 3 !== 0)
    await world.run(world.store.delete(gone.map((counter) => blockId(2, counter))))
    let lowest = full
    world.disk.onOperation = () => {
      void world.disk.space().then(({ freeBytes }) => {
        lowest = Math.min(lowest, freeBytes)
      })
    }
    for (let round = 0; round < 12; round++) await world.run(world.store.compactOnce())
    world.disk.onOperation = undefined
    expect(lowest).to.be.above(0)
    expect((await world.disk.space()).freeBytes - full).to.be.above(gone.length * 400_000 * 0.8)
    expect(await isWhole(world, kept)).to.equal(true)
    await put(world, 1000, 400_000)
  })
})
