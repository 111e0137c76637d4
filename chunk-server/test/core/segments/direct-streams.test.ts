import { allocateAligned, ContentSource, DIRECT_BYTES, UNIT_BYTES, type Unit } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createSimulatedDisk } from '../../../src/simulation/index.js'
import { blockId, codeOf, ownerOf, readRange, unitsOf } from '../../conformance/blocks.js'
import { World } from '../store/segment-world.js'

const never = new AbortController().signal

/** Around the borders of pages and units, and with footers and paddings of every kind behind them. */
const SIZES = [0, 1, 7, 8, 3500, 3512, 3900, 4000, 4088, 4095, 4096, 4097, UNIT_BYTES - 1, UNIT_BYTES].map(
  (over) => 2 * UNIT_BYTES + 1 + over,
)

function bodyOf(size: number): Buffer {
  return Buffer.from(createSeededRandom(size).bytes(size))
}

function put(world: World, size: number, units?: Unit[]): Promise<unknown> {
  const block = blockId(1, size)
  const body = units ?? unitsOf(block, bodyOf(size))
  return world.run(world.store.put(block, ownerOf('k'.repeat(size % 1000)), body, { signal: never }))
}

async function isRight(world: World, size: number): Promise<boolean> {
  const found = await world.run(readRange(world.store, blockId(1, size), { offset: 0, length: size }))
  return found.equals(bodyOf(size))
}

async function opened(seed: number, cachedCopiesMax = 0): Promise<World> {
  const world = new World(seed)
  world.limits = { ...world.limits, cachedCopiesMax, segmentBytes: 8 * 1024 * 1024 }
  await world.open()
  return world
}

/** Where the block's first bytes lie in the segment that holds them. */
async function placeOf(world: World, size: number): Promise<number> {
  const first = bodyOf(size).subarray(0, 64)
  for (const path of await world.segments()) {
    const at = Buffer.from(world.disk.peek(path) ?? []).indexOf(first)
    if (at >= 0) return at
  }
  throw new Error('the block is in no segment')
}

describe('Large blocks past the page cache', () => {
  it('begin and end at pages, whatever their size and their owner', async () => {
    const world = await opened(1)
    for (const size of SIZES) {
      await put(world, size)
      expect((await placeOf(world, size)) % DIRECT_BYTES, `${size} bytes`).to.equal(0)
      expect(await isRight(world, size), `${size} bytes`).to.equal(true)
    }
    for (const path of await world.segments()) {
      expect((world.disk.peek(path)?.length ?? 0) % DIRECT_BYTES).to.equal(0)
    }
  })

  it('are found again without the index, and leave nothing that looks like damage', async () => {
    const world = await opened(2)
    for (const size of SIZES) await put(world, size)
    world.crash({ kind: 'lost' }, { loseIndex: true })
    await world.open()
    for (const size of SIZES) expect(await isRight(world, size), `${size} bytes`).to.equal(true)
    expect(world.damage).to.deep.equal([])
  })

  it('are written from where they lie if that is at pages, and copied there if not', async () => {
    const world = await opened(3)
    const size = 3 * UNIT_BYTES
    const memory = allocateAligned(size)
    memory.set(bodyOf(size))
    const aligned = unitsOf(blockId(1, size), memory)
    const other = unitsOf(blockId(1, size), bodyOf(size))
    await put(
      world,
      size,
      aligned.map((unit, at) => (at === 1 ? (other[at] ?? unit) : unit)),
    )
    expect(await isRight(world, size)).to.equal(true)
  })

  it('take the place of a block that broke off', async () => {
    const world = await opened(4)
    const [size = 0, ...others] = SIZES
    const units = unitsOf(blockId(1, size), bodyOf(size))
    const broken = units.map((unit, at) => (at < 2 ? unit : { ...unit, check: unit.check ^ 1 }))
    expect(await codeOf(put(world, size, broken))).to.equal('BlockCorrupt')
    for (const other of others) await put(world, other)
    world.crash({ kind: 'kept' }, { loseIndex: true })
    await world.open()
    for (const other of others) expect(await isRight(world, other), `${other} bytes`).to.equal(true)
    expect(world.damage).to.deep.equal([])
  })

  it('are made void whole if the drive is full when their footer comes', async () => {
    const world = await opened(7)
    await put(world, 4 * UNIT_BYTES)
    const size = 3 * UNIT_BYTES
    let writes = 0
    world.disk.onOperation = ({ kind }) => {
      if (kind === 'write' && ++writes === 2) world.disk.setCapacity(0)
    }
    expect(await codeOf(put(world, size))).to.equal('DriveFull')
    world.disk.onOperation = undefined
    world.disk.setCapacity(Number.MAX_SAFE_INTEGER)
    await put(world, 5 * UNIT_BYTES)
    world.crash({ kind: 'kept' }, { loseIndex: true })
    await world.open()
    expect(await codeOf(isRight(world, size))).to.equal('NoSuchBlock')
    for (const other of [4, 5]) expect(await isRight(world, other * UNIT_BYTES)).to.equal(true)
    expect(world.damage).to.deep.equal([])
  })

  it('go through the page cache where the disk takes nothing else', async () => {
    const world = new World(5)
    world.limits = { ...world.limits, cachedCopiesMax: 0 }
    const { clock, random } = world
    world.disk = createSimulatedDisk({ clock, random, takesDirect: false })
    await world.open()
    const [size = 0] = SIZES
    await put(world, size)
    expect((await placeOf(world, size)) % DIRECT_BYTES).not.to.equal(0)
    expect(await isRight(world, size)).to.equal(true)
  })

  it('go through it as well on the first drive of a process', async () => {
    const world = await opened(6, 1)
    const [size = 0] = SIZES
    await put(world, size)
    expect((await placeOf(world, size)) % DIRECT_BYTES).not.to.equal(0)
  })

  it('do not go through it if their writer, in this process, keeps them in memory', async () => {
    const world = await opened(8, 1)
    const [size = 0] = SIZES
    const block = blockId(1, size)
    const units = unitsOf(block, bodyOf(size))
    const source = new ContentSource(block, { isKept: true })
    for (const unit of units) source.add(unit)
    await put(world, size, units)
    source.leave()
    expect((await placeOf(world, size)) % DIRECT_BYTES).to.equal(0)
    expect(await isRight(world, size)).to.equal(true)
  })
})
