import { type BlockId, hashBlock, releasePassing, UNIT_BYTES, type Unit, unitCheck } from '@cairn/protocol'
import { expect } from 'chai'
import { FramePool } from '../../src/blocks/frames.js'
import { type RecentBlock, RecentBlocks } from '../../src/blocks/recent-blocks.js'
import { FRAME_BYTES, FRAMES_MAX, LENT_UNITS_MAX } from '../../src/limits.js'
import { createWorld, type World } from '../world/world.js'

const MIB = 1024 * 1024
const LARGE = Buffer.alloc(3 * MIB + 1000, 'recent blocks')

/** A block of one frame, held as its writer holds it. */
function blockIn(pool: FramePool, seed: number, lastBytes = UNIT_BYTES): RecentBlock {
  const block = Buffer.alloc(20, seed) as Uint8Array as BlockId
  const frame = pool.take()
  frame.hold()
  frame.bytes.fill(seed)
  const units: Unit[] = []
  for (let at = 0; at < FRAME_BYTES; at += UNIT_BYTES) {
    const size = at + UNIT_BYTES < FRAME_BYTES ? UNIT_BYTES : lastBytes
    const bytes = frame.bytes.subarray(at, at + size)
    units.push({ bytes, check: unitCheck(block, units.length, bytes) })
  }
  const sizeBytes = FRAME_BYTES - UNIT_BYTES + lastBytes
  return { block, hash: hashBlock(frame.bytes.subarray(0, sizeBytes)), units, frames: [frame] }
}

/** Room for one block, which is kept. */
function one(): { readonly recent: RecentBlocks; readonly pool: FramePool; readonly content: RecentBlock } {
  const recent = new RecentBlocks(1)
  const pool = new FramePool(recent)
  const content = blockIn(pool, 1)
  recent.keep(content)
  return { recent, pool, content }
}

function lendTwice(recent: RecentBlocks, content: RecentBlock): Uint8Array[] {
  const lent = [recent.lend(content, 0, 10), recent.lend(content, 7, UNIT_BYTES)]
  return lent.filter((piece) => piece !== undefined)
}

async function read(world: World, range?: { offset: number; length: number }): Promise<Buffer> {
  const object = await world.run(world.client.openObject('b', 'k'))
  const chunks: Uint8Array[] = []
  await world.run(
    (async () => {
      for await (const chunk of object.read(range)) chunks.push(chunk)
    })(),
  )
  return Buffer.concat(chunks)
}

function gets(world: World): number {
  return world.servers.reduce((sum, server) => sum + server.gets, 0)
}

describe('RecentBlocks', () => {
  it('lends pieces of some units, from the byte asked for to the last one', () => {
    const recent = new RecentBlocks(2)
    const content = blockIn(new FramePool(recent), 1, 500)
    recent.keep(content)
    expect(recent.find(content.block, content.hash)).to.equal(content)
    const end = FRAME_BYTES - UNIT_BYTES + 500
    const first = recent.lend(content, 100, end)
    expect(first?.length).to.equal(LENT_UNITS_MAX * UNIT_BYTES - 100)
    const rest = recent.lend(content, LENT_UNITS_MAX * UNIT_BYTES, end)
    expect(rest?.length).to.equal(end - LENT_UNITS_MAX * UNIT_BYTES)
    expect(recent.lend(content, 5, 9)?.length).to.equal(4)
  })

  it('finds no block of another hash, and none beyond the frames it may keep', () => {
    const recent = new RecentBlocks(2)
    const pool = new FramePool(recent)
    const [first, second, third] = [blockIn(pool, 1), blockIn(pool, 2), blockIn(pool, 3)]
    for (const each of [first, second]) recent.keep(each)
    expect(recent.find(first.block, second.hash)).to.equal(undefined)
    expect(recent.find(first.block, first.hash)).to.equal(first)
    recent.keep(third)
    expect([first, second, third].map(({ block, hash }) => recent.find(block, hash))).to.deep.equal([
      first,
      undefined,
      third,
    ])
    expect(recent.lend(second, 0, 10)).to.equal(undefined)
  })

  it('gives a frame back once all that was lent of it has been released', () => {
    const { recent, pool, content } = one()
    for (const piece of lendTwice(recent, content)) releasePassing(piece)
    recent.keep(blockIn(pool, 2))
    expect(pool.take()).to.equal(content.frames[0])
  })

  it('leaves a frame to its readers while one of them has not released it', () => {
    const { recent, pool, content } = one()
    for (const piece of lendTwice(recent, content).slice(1)) releasePassing(piece)
    recent.keep(blockIn(pool, 2))
    expect(pool.take()).to.not.equal(content.frames[0])
  })

  it('forgets a block whose bytes have changed', () => {
    const recent = new RecentBlocks(1)
    const content = blockIn(new FramePool(recent), 1)
    recent.keep(content)
    content.units[3]?.bytes.fill(0, 0, 1)
    expect(recent.lend(content, 0, 2 * UNIT_BYTES)?.length).to.equal(2 * UNIT_BYTES)
    expect(recent.lend(content, 3 * UNIT_BYTES, 4 * UNIT_BYTES)).to.equal(undefined)
    expect(recent.find(content.block, content.hash)).to.equal(undefined)
  })

  it('takes no frame that writers have no room for, and gives back the one that was used least lately', () => {
    const recent = new RecentBlocks(2)
    const pool = new FramePool(recent, 2)
    const [first, second] = [blockIn(pool, 1), blockIn(pool, 2)]
    for (const each of [first, second]) recent.keep(each)
    expect(pool.isShort).to.equal(false)
    expect(pool.take()).to.equal(first.frames[0])
    expect(recent.find(first.block, first.hash)).to.equal(undefined)
    expect(recent.find(second.block, second.hash)).to.equal(second)
  })

  it('makes room for writers that need its frames', () => {
    const recent = new RecentBlocks(1)
    const pool = new FramePool(recent, FRAMES_MAX + 1)
    const content = blockIn(pool, 1)
    recent.keep(content)
    for (let index = 0; index < FRAMES_MAX; index++) pool.take().hold()
    expect(recent.find(content.block, content.hash)).to.equal(content)
    expect(pool.isShort).to.equal(true)
    expect(pool.take()).to.equal(content.frames[0])
  })
})

describe('an object written lately', () => {
  it('is read without a drive, whole and in part', async () => {
    const world = await createWorld({ recentBytes: 16 * MIB, inProcess: true })
    await world.run(world.client.putObject('b', 'k', LARGE))
    expect((await read(world)).equals(LARGE)).to.equal(true)
    const range = { offset: 100_000, length: 2_000_000 }
    expect((await read(world, range)).equals(LARGE.subarray(100_000, 2_100_000))).to.equal(true)
    expect(gets(world)).to.equal(0)
  })

  it('is read from the drives where it is kept no more, in the middle of a read too', async () => {
    const world = await createWorld({ recentBytes: 4 * MIB, inProcess: true })
    await world.run(world.client.putObject('b', 'k', LARGE))
    const object = await world.run(world.client.openObject('b', 'k'))
    const chunks = object.read()[Symbol.asyncIterator]()
    const first = await world.run(chunks.next())
    expect(gets(world)).to.equal(0)
    // As many as fill what is kept and what writers leave idle.
    for (let frames = 0; frames <= FRAMES_MAX; frames += 4) {
      await world.run(world.client.putObject('b', 'other', LARGE))
    }
    const parts = [Buffer.from(first.value ?? [])]
    for (let next = await world.run(chunks.next()); next.done !== true; next = await world.run(chunks.next()))
      parts.push(Buffer.from(next.value))
    expect(Buffer.concat(parts).equals(LARGE)).to.equal(true)
    expect(gets(world)).to.be.above(0)
  })

  it('is read from the drives if a replica was given up', async () => {
    const world = await createWorld({ recentBytes: 16 * MIB })
    const [silent] = world.servers
    if (silent === undefined) throw new Error('no server')
    silent.hangs = true
    await world.run(world.client.putObject('b', 'k', LARGE))
    silent.hangs = false
    expect((await read(world)).equals(LARGE)).to.equal(true)
    expect(gets(world)).to.be.above(0)
  })
})
