import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  createRouter,
  deleteBlocks,
  getBlock,
  putBlock,
  ReceiptMint,
  type RpcPeer,
  TokenCheck,
} from '@cairn/protocol'
import { connectAsCaller, createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type DriveSet, openDriveSet } from '../../src/core/drives/drive-set.js'
import { handleDeleteBlocks } from '../../src/rpc/delete-blocks.js'
import { handleGetBlock } from '../../src/rpc/get-block.js'
import { handlePutBlock } from '../../src/rpc/put-block.js'
import { createSimulatedDisk, simulatedSegmentDrive } from '../../src/simulation/index.js'
import { blockId, codeOf, ownerOf, unitsOf } from '../conformance/blocks.js'
import { createTestNetwork, identity, type TestNetwork } from './network.js'

const call = { deadlineMs: BLOCK_DEADLINE_MS }
const SCRUB_MS = 2000
const SMALL = 3000
const LARGE = 2_000_000

describe('The foreground of a drive', () => {
  const random = createSeededRandom(12)
  const clock = createSimulatedClock(random)
  let network: TestNetwork
  let drives: DriveSet
  let peer: RpcPeer

  const driveId = (at: number): string => drives.all()[at]?.id ?? ''
  const foreground = (): number[] => drives.all().map((drive) => drive.foreground)
  const passes = (): number[] => drives.status().map(({ scrub }) => scrub?.passesDone ?? 0)

  function put(at: number, block: BlockId, sizeBytes: number): Promise<unknown> {
    const request = { drive: driveId(at), block, pool: 1, epoch: 1, owner: ownerOf('k') }
    return peer.call(putBlock, request, { ...call, body: unitsOf(block, random.bytes(sizeBytes)) })
  }

  /** Reads a block, or only its first unit. */
  async function read(at: number, block: BlockId, length: number, unitsMax = 1000): Promise<void> {
    const request = { drive: driveId(at), block, offset: 0, length }
    const { body } = await peer.call(getBlock, request, call)
    let units = 0
    for await (const _ of body) if (++units >= unitsMax) break
  }

  beforeEach(() =>
    clock.runUntil(
      (async () => {
        const sources = [0, 1].map((at) => {
          const disk = createSimulatedDisk({ clock, random, latencyMs: 1 })
          return simulatedSegmentDrive({ name: `drive ${at}`, disk, clock, random })
        })
        network = createTestNetwork(clock, random)
        drives = await openDriveSet(sources, { clusterId: 'c1', clock, random, scrubMs: SCRUB_MS })
        const router = createRouter()
        handlePutBlock(router, drives, new ReceiptMint(clock))
        const tokens = new TokenCheck(clock)
        tokens.learn(undefined)
        handleGetBlock(router, drives, tokens)
        handleDeleteBlocks(router, drives)
        await network.listen('local:foreground', router, identity)
        peer = connectAsCaller(network, 'local:foreground', identity, 'chunk')
      })(),
    ),
  )
  afterEach(() => clock.runUntil(drives.close()))

  it('ends with the calls, however they end', () =>
    clock.runUntil(
      (async () => {
        await put(0, blockId(1, 1), SMALL)
        await put(0, blockId(1, 2), LARGE)
        await read(0, blockId(1, 1), SMALL)
        await read(0, blockId(1, 2), LARGE)
        await read(0, blockId(1, 2), LARGE, 1)
        expect(await codeOf(read(0, blockId(1, 3), 1))).to.equal('NoSuchBlock')
        expect(await codeOf(read(0, blockId(1, 1), SMALL + 1))).to.equal('InvalidArgument')
        await peer.call(deleteBlocks, { drive: driveId(0), blocks: [blockId(1, 1)] }, call)
        await new Promise<void>((resolve) => clock.setTimer(100, resolve))
        expect(foreground()).to.deep.equal([0, 0])
      })(),
    ))

  it('leaves a drive that was read from its scrub, as one that was not', async () => {
    const fill = async (): Promise<void> => {
      for (const at of [0, 1]) {
        for (let counter = 0; counter < 4; counter++) await put(at, blockId(2, counter), LARGE)
      }
      for (let counter = 0; counter < 4; counter++) await read(0, blockId(2, counter), LARGE)
    }
    await clock.runUntil(fill())
    const before = passes()
    await clock.advance(6 * SCRUB_MS)
    const done = passes().map((count, at) => count - (before[at] ?? 0))
    for (const count of done) expect(count, `${done}`).to.be.at.least(5)
  })
})
