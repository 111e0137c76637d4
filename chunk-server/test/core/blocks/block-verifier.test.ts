import { formatId } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { blockId, ownerOf, readRange, unitsOf } from '../../conformance/blocks.js'
import { World } from '../store/segment-world.js'

const never = new AbortController().signal
const SIZES = [1, 5000, 300_000]
const BLOCKS = SIZES.map((_, counter) => blockId(1, counter))
const BODIES = SIZES.map((size) => createSeededRandom(size).bytes(size))

async function put(world: World, counter: number): Promise<void> {
  const block = blockId(1, counter)
  const body = BODIES[counter] ?? Buffer.alloc(0)
  await world.run(world.store.put(block, ownerOf('k'), unitsOf(block, body), { signal: never }))
}

async function filled(): Promise<World> {
  const world = new World(1)
  await world.open()
  for (const counter of SIZES.keys()) await put(world, counter)
  return world
}

/** Where the record of a block starts: its id stands 24 bytes into the header. */
async function placeOf(world: World, counter: number): Promise<{ path: string; offset: number }> {
  for (const path of await world.segments()) {
    const at = Buffer.from(world.disk.peek(path) ?? Buffer.alloc(0)).indexOf(blockId(1, counter))
    if (at >= 0) return { path, offset: at - 24 }
  }
  throw new Error(`block ${counter} is in no segment`)
}

async function damagedOf(world: World): Promise<string[]> {
  const { damaged } = await world.run(world.store.verify(BLOCKS, { signal: never }))
  return damaged.map(formatId)
}

describe('BlockVerifier', () => {
  for (const [what, at] of [
    ['its header', 45],
    ['its owner', 72 + 20],
    ['its data', 160],
  ] as const) {
    for (const counter of SIZES.keys()) {
      it(`finds a flipped bit in ${what} of a block of ${SIZES[counter]} bytes, and marks that block alone`, async () => {
        const world = await filled()
        const { path, offset } = await placeOf(world, counter)
        const dataAt = Buffer.from(world.disk.peek(path) ?? Buffer.alloc(0)).indexOf(
          BODIES[counter] ?? '',
          offset,
        )
        world.disk.flip(path, what === 'its data' ? dataAt : offset + at)
        expect(await damagedOf(world)).to.deep.equal([formatId(blockId(1, counter))])
        expect(world.damage.map((event) => event.kind)).to.deep.equal(['block'])
        expect(world.store.usage().damagedBlocks).to.equal(1)
        await world.reopen()
        expect(world.store.usage().damagedBlocks).to.equal(1)
        const page = await world.run(world.store.list(undefined, 10, false, { damagedOnly: true }))
        expect(page.blocks.map((entry) => entry.damaged)).to.deep.equal([true])
      })
    }
  }

  it('gives no owner out that does not match its check, and carries none into a copy', async () => {
    const world = await filled()
    const { path, offset } = await placeOf(world, 1)
    world.disk.flip(path, offset + 72 + 25)
    const found = await world.run(world.store.find([blockId(1, 1)]))
    expect(found.map((entry) => entry.owner)).to.deep.equal([undefined])
    expect(world.store.usage().damagedBlocks).to.equal(1)
  })

  it('takes a mark back when the bytes are right again, and when a put replaced them', async () => {
    const world = await filled()
    const { path, offset } = await placeOf(world, 2)
    world.disk.flip(path, offset + 200)
    expect((await damagedOf(world)).length).to.equal(1)
    world.disk.flip(path, offset + 200)
    expect((await damagedOf(world)).length).to.equal(0)
    expect(world.store.usage().damagedBlocks).to.equal(0)
    world.disk.flip(path, offset + 200)
    expect((await damagedOf(world)).length).to.equal(1)
    await put(world, 2)
    expect((await damagedOf(world)).length).to.equal(0)
    const whole = { offset: 0, length: 300_000 }
    const read = await world.run(readRange(world.store, blockId(1, 2), whole))
    expect(read.equals(BODIES[2] ?? Buffer.alloc(0))).to.equal(true)
    expect(world.store.usage()).to.include({ damagedBlocks: 0, blockCount: 3 })
  })
})
