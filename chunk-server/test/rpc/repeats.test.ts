/** Every method of a chunk server that changes something, done again where and when it should not be. */
import type { BlockId } from '@cairn/protocol'
import * as protocol from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { blockId, codeOf, ownerOf, unitsOf } from '../conformance/blocks.js'
import { TwoServers } from './two-servers.js'

const call = { deadlineMs: protocol.BLOCK_DEADLINE_MS }
const never = new AbortController().signal
const BODY = createSeededRandom(3).bytes(300_000)
const BLOCK = blockId(1, 1)
const NEIGHBOUR = blockId(1, 2)
const BOTH = [BLOCK, NEIGHBOUR]
const EPOCH = 5

/** A call of server 1 by the placement of an epoch. */
type Send = (world: TwoServers, epoch: number) => Promise<unknown>

const put: Send = (world, epoch) => {
  const request = { drive: world.driveId(1), block: BLOCK, pool: 1, epoch, owner: ownerOf('k') }
  return world.peer.call(protocol.putBlock, request, { ...call, body: unitsOf(BLOCK, BODY) })
}

const copy: Send = (world, epoch) => {
  const source = { sourceDrive: world.driveId(0), sourceAddress: 'local:c0' }
  const content = { owner: ownerOf('k'), sizeBytes: BODY.length, hash: protocol.hashBlock(BODY) }
  const request = { drive: world.driveId(1), block: BLOCK, pool: 1, epoch, ...content, ...source }
  return world.peer.call(protocol.copyBlock, request, call)
}

const remove: Send = (world, epoch) => {
  const request = { drive: world.driveId(1), blocks: [BLOCK], placedBy: { pool: 1, epoch } }
  return world.peer.call(protocol.deleteBlocks, request, call)
}

const list: Send = (world, epoch) => {
  const page = { drive: world.driveId(1), limit: 9, withOwner: false, placedBy: { pool: 1, epoch } }
  return world.peer.call(protocol.listBlocks, page, call)
}

interface Change {
  readonly send: Send
  /** The block is there before. */
  readonly needsBlock?: boolean
  /** Blocks of server 1 after it. */
  readonly leaves: readonly BlockId[]
  /** What undoes it, by the same placement or a later one. */
  readonly successor: Send
}

/** What moves between drives, or by which epoch they are known to be placed: fenced by that epoch. */
const CHANGES: Readonly<Record<string, Change>> = {
  PutBlock: { send: put, leaves: BOTH, successor: remove },
  CopyBlock: { send: copy, leaves: BOTH, successor: remove },
  DeleteBlocks: { send: remove, needsBlock: true, leaves: [NEIGHBOUR], successor: copy },
  ListBlocks: { send: list, leaves: [NEIGHBOUR], successor: put },
}

/** What changes nothing but what is known of the drive's own copies. */
const READS: Readonly<Record<string, Send>> = {
  GetBlock: (world) => {
    const range = { drive: world.driveId(1), block: NEIGHBOUR, offset: 0, length: 10 }
    return world.peer.call(protocol.getBlock, range, call)
  },
  FindBlocks: (world) =>
    world.peer.call(protocol.findBlocks, { drive: world.driveId(1), blocks: BOTH }, call),
  VerifyBlocks: (world) =>
    world.peer.call(protocol.verifyBlocks, { drive: world.driveId(1), blocks: BOTH }, call),
  ListWriters: (world) => world.peer.call(protocol.listWriters, { drive: world.driveId(1), limit: 9 }, call),
  ReportDrives: (world, epoch) => world.peer.call(protocol.reportDrives, { epoch }, call),
}

/** Server 0 has the block, server 1 its neighbour, and the block too if that is needed. */
async function stage({ needsBlock = false }: { readonly needsBlock?: boolean } = {}): Promise<TwoServers> {
  const world = await TwoServers.open()
  const store = (at: number, block: BlockId): Promise<unknown> =>
    world.storeOf(at).put(block, ownerOf('k'), unitsOf(block, BODY), { signal: never })
  await world.run(async () => {
    await store(0, BLOCK)
    await store(1, NEIGHBOUR)
    if (needsBlock) await store(1, BLOCK)
  })
  return world
}

/** Those of the two blocks that server 1 has; each is whole, and as it was first stored. */
async function blocksOf(world: TwoServers): Promise<BlockId[]> {
  const found = await world.storeOf(1).find(BOTH)
  const { damaged } = await world.storeOf(1).verify(BOTH, { signal: never })
  expect(damaged).to.deep.equal([])
  for (const { hash, owner } of found) {
    expect([Buffer.from(hash), owner]).to.deep.equal([Buffer.from(protocol.hashBlock(BODY)), ownerOf('k')])
  }
  return BOTH.filter((block) => found.some((entry) => protocol.sameBytes(entry.block, block)))
}

const restart = async (world: TwoServers): Promise<void> => {
  await world.servers[1]?.close()
  await world.start(1)
}

describe('calls of a chunk server that are repeated', () => {
  let world: TwoServers
  afterEach(() => world.close())

  it('are all in a table', async () => {
    world = await stage()
    const methods = Object.values(protocol as Record<string, unknown>).filter(
      (value): value is { number: number; name: string } =>
        typeof value === 'object' && value !== null && 'request' in value && 'response' in value,
    )
    // Those below 100 are of metadata services, which have tables of their own.
    const names = methods.filter(({ number }) => number >= 100).map(({ name }) => name)
    expect([...Object.keys(CHANGES), ...Object.keys(READS)]).to.have.members(names)
  })

  for (const [name, { send, needsBlock = false, leaves, successor }] of Object.entries(CHANGES)) {
    it(`${name}: twice, at once and after a restart, is once`, async () => {
      world = await stage({ needsBlock })
      await world.run(async () => {
        await Promise.all([send(world, EPOCH), send(world, EPOCH)])
        expect(await blocksOf(world)).to.deep.equal(leaves)
        await send(world, EPOCH)
        await restart(world)
        await send(world, EPOCH)
        expect(await blocksOf(world)).to.deep.equal(leaves)
      })
    })

    it(`${name}: does nothing after its successor by a later placement, also after a restart`, async () => {
      world = await stage({ needsBlock })
      await world.run(async () => {
        await send(world, EPOCH)
        await successor(world, EPOCH + 1)
        const after = await blocksOf(world)
        expect(await codeOf(send(world, EPOCH))).to.equal('StaleClusterMap')
        await restart(world)
        expect(await codeOf(send(world, EPOCH))).to.equal('StaleClusterMap')
        expect(await blocksOf(world)).to.deep.equal(after)
      })
    })

    it(`${name}: by the same placement it only does the same again, and can be undone again`, async () => {
      world = await stage({ needsBlock })
      await world.run(async () => {
        await send(world, EPOCH)
        await successor(world, EPOCH)
        const after = await blocksOf(world)
        await send(world, EPOCH)
        expect(await blocksOf(world)).to.deep.equal(name === 'ListBlocks' ? after : leaves)
        await successor(world, EPOCH)
        expect(await blocksOf(world)).to.deep.equal(after)
      })
    })
  }

  for (const [name, send] of Object.entries(READS)) {
    it(`${name}: changes nothing, whatever placement the drive has seen`, async () => {
      world = await stage()
      await world.run(async () => {
        await list(world, EPOCH)
        await Promise.all([send(world, EPOCH - 1), send(world, EPOCH - 1)])
        expect(await blocksOf(world)).to.deep.equal([NEIGHBOUR])
        expect(await codeOf(list(world, EPOCH - 1))).to.equal('StaleClusterMap')
        await put(world, EPOCH)
      })
    })
  }

  it('DeleteBlocks: of garbage takes what it names, however late, and nothing else', async () => {
    world = await stage({ needsBlock: true })
    await world.run(async () => {
      const request = { drive: world.driveId(1), blocks: [BLOCK] }
      const counts: number[] = []
      for (let at = 0; at < 3; at++) {
        if (at === 2) await restart(world)
        counts.push((await world.peer.call(protocol.deleteBlocks, request, call)).response.deleted)
      }
      expect(counts).to.deep.equal([1, 0, 0])
      expect(await blocksOf(world)).to.deep.equal([NEIGHBOUR])
    })
  })
})
