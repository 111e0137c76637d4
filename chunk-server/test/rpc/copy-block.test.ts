import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  type CopyBlockRequest,
  copyBlock,
  findBlocks,
  getBlock,
  hashBlock,
  listBlocks,
  verifyBlocks,
} from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import type { SimulatedDisk } from '../../src/simulation/index.js'
import { blockId, codeOf, ownerOf, unitsOf } from '../conformance/blocks.js'
import { TwoServers } from './two-servers.js'

const call = { deadlineMs: BLOCK_DEADLINE_MS }
const never = new AbortController().signal
const BODY = createSeededRandom(3).bytes(300_000)

describe('CopyBlock', () => {
  let world: TwoServers

  const run = <T>(step: () => Promise<T>): Promise<T> => world.run(step)
  const driveId = (at: number): string => world.driveId(at)
  const storeOf = (at: number) => world.storeOf(at)

  const request = (block: BlockId, body: Uint8Array = BODY): CopyBlockRequest => ({
    drive: driveId(1),
    block,
    pool: 1,
    epoch: 1,
    owner: ownerOf('k'),
    sizeBytes: body.length,
    hash: hashBlock(body),
    sourceDrive: driveId(0),
    sourceAddress: 'local:c0',
  })
  const copy = async (wanted: CopyBlockRequest): Promise<number> =>
    (await world.peer.call(copyBlock, wanted, call)).response.writtenBytes
  const putAt = (at: number, block: BlockId, body: Uint8Array = BODY) =>
    storeOf(at).put(block, ownerOf('k'), unitsOf(block, body), { signal: never })

  /** Flips a byte in the middle of the stored data of a block. */
  function rot(at: number, body: Uint8Array): void {
    const disk = world.disks[at]
    for (const { path } of disk?.log ?? []) {
      const found = Buffer.from(disk?.peek(path) ?? Buffer.alloc(0)).indexOf(body)
      if (found < 0) continue
      disk?.flip(path, found + Math.floor(body.length / 2))
      return
    }
    throw new Error('the block is nowhere')
  }

  async function isGood(at: number, block: BlockId): Promise<boolean> {
    const blocks = await storeOf(at).find([block])
    const { damaged } = await storeOf(at).verify([block], { signal: never })
    return blocks.length === 1 && damaged.length === 0
  }

  beforeEach(async () => {
    world = await TwoServers.open()
  })
  afterEach(() => world.close())

  it('fetches a block with its owner, and reads a good copy instead of writing it again', () =>
    run(async () => {
      const block = blockId(1, 1)
      await putAt(0, block)
      expect(await copy(request(block))).to.equal(BODY.length)
      expect(await isGood(1, block)).to.equal(true)
      const { response } = await world.peer.call(findBlocks, { drive: driveId(1), blocks: [block] }, call)
      expect(response.blocks[0]?.owner).to.deep.equal(ownerOf('k'))
      const reads = world.disks[1]?.count('read') ?? 0
      expect(await copy(request(block))).to.equal(0)
      expect(world.disks[1]?.count('read')).to.be.above(reads + 1)
    }))

  for (const size of [0, 7, 300_000]) {
    it(`replaces a damaged copy of ${size} bytes that nobody had noticed`, () =>
      run(async () => {
        const block = blockId(1, 1)
        const body = BODY.subarray(0, size)
        await putAt(0, block, body)
        await putAt(1, block, body)
        if (size > 0) rot(1, Buffer.from(body))
        expect(await copy(request(block, body))).to.equal(size)
        expect(await isGood(1, block)).to.equal(true)
        const page = { drive: driveId(1), limit: 10, withOwner: false, damagedOnly: true }
        expect((await world.peer.call(listBlocks, page, call)).response.blocks).to.deep.equal([])
      }))
  }

  it('names what is damaged, by call and in its report', () =>
    run(async () => {
      const block = blockId(1, 1)
      await putAt(1, block)
      rot(1, BODY)
      const asked = { drive: driveId(1), blocks: [block, blockId(1, 2)] }
      const { response } = await world.peer.call(verifyBlocks, asked, call)
      expect(response.damaged.map((id) => Buffer.from(id))).to.deep.equal([Buffer.from(block)])
      expect(response.readBytes).to.equal(BODY.length)
      expect((await world.servers[1]?.drives()[0]?.report())?.damagedBlocks).to.equal(1)
    }))

  it('takes nothing from a source that lacks the block, holds other content, or rots', () =>
    run(async () => {
      const [lacking, other, rotten] = [blockId(1, 1), blockId(1, 2), blockId(1, 3)]
      expect(await codeOf(copy(request(lacking)))).to.equal('NoSuchBlock')
      await putAt(0, other, BODY.subarray(1))
      expect(await codeOf(copy(request(other)))).to.equal('BlockCorrupt')
      await putAt(0, rotten, BODY.subarray(0, 200_000))
      rot(0, BODY.subarray(0, 200_000))
      expect(await codeOf(copy(request(rotten, BODY.subarray(0, 200_000))))).to.equal('BlockCorrupt')
      expect(await storeOf(1).find([lacking, other, rotten])).to.deep.equal([])
      expect(await codeOf(copy({ ...request(other), sourceAddress: 'local:none' }))).to.be.oneOf([
        'ConnectionLost',
        'PeerRejected',
      ])
      expect(world.servers[1]?.status().drives[0]?.condition).to.equal('up')
    }))

  it('blames the source, not its own drive, when the source has failed', () =>
    run(async () => {
      const block = blockId(1, 1)
      await putAt(0, block)
      world.disks[0]?.fail('read', 1, { lasting: true })
      expect(await codeOf(copy(request(block)))).to.equal('DriveFailed')
      expect(world.servers[1]?.status().drives[0]?.condition).to.equal('up')
    }))

  it('refuses a conflict, an old map and what no block can be', () =>
    run(async () => {
      const block = blockId(1, 1)
      await putAt(1, block, BODY.subarray(1))
      expect(await codeOf(copy(request(block)))).to.equal('BlockConflict')
      expect(await codeOf(copy({ ...request(blockId(1, 2)), sizeBytes: 9_000_000 }))).to.equal(
        'InvalidArgument',
      )
      expect(await codeOf(copy({ ...request(blockId(1, 2)), hash: Buffer.alloc(31) }))).to.equal(
        'InvalidArgument',
      )
      await codeOf(copy({ ...request(blockId(1, 2)), epoch: 5 }))
      expect(await codeOf(copy(request(blockId(1, 2))))).to.equal('StaleClusterMap')
    }))

  it('shares syncs between many small copies', () =>
    run(async () => {
      const blocks = Array.from({ length: 200 }, (_, counter) => blockId(2, counter))
      const body = BODY.subarray(0, 1000)
      // As many at once as the small index of this test takes, and time for it to be written.
      for (let at = 0; at < blocks.length; at += 50) {
        const some = blocks.slice(at, at + 50)
        await Promise.all(some.map((block) => putAt(0, block, body)))
        await Promise.all(some.map((block) => copy(request(block, body))))
        await new Promise<void>((resolve) => world.clock.setTimer(1_000, resolve))
      }
      expect(await storeOf(1).find(blocks)).to.have.length(200)
      expect(world.disks[1]?.count('sync')).to.be.below(100)
    }))

  /** Copies a block while the power of the target goes at its `nth` write or sync; says if it was acknowledged. */
  async function copyThroughPowerCut(block: BlockId, nth: number): Promise<boolean> {
    const disk = world.disks[1]
    if (disk === undefined) throw new RangeError('no disk')
    let left: SimulatedDisk | undefined
    let operations = 0
    disk.onOperation = ({ kind }) => {
      if ((kind === 'write' || kind === 'sync') && ++operations === nth) left = disk.crash({ kind: 'lost' })
    }
    const done = await copy(request(block)).then(
      () => true,
      () => false,
    )
    world.disks[1] = left ?? disk.crash({ kind: 'lost' })
    await world.servers[1]?.close().catch(() => undefined)
    await world.start(1)
    return done
  }

  it('leaves nothing but whole blocks when the power goes while it copies', () =>
    run(async () => {
      for (let nth = 1; nth <= 12; nth++) {
        const block = blockId(3, nth)
        await putAt(0, block)
        const done = await copyThroughPowerCut(block, nth)
        const isThere = (await storeOf(1).find([block])).length > 0
        expect(isThere || !done, `cut ${nth}: what was acknowledged is there`).to.equal(true)
        expect(isThere && !(await isGood(1, block)), `cut ${nth}: what is there is whole`).to.equal(false)
        expect(await copy(request(block))).to.equal(isThere ? 0 : BODY.length)
        const range = { drive: driveId(1), block, offset: 0, length: 0 }
        expect((await world.peer.call(getBlock, range, call)).response.blockBytes).to.equal(BODY.length)
      }
    }))
})
