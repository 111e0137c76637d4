import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  type BlockOwner,
  CairnError,
  createRouter,
  isReceiptOf,
  type PutBlockResponse,
  putBlock,
  ReceiptMint,
  type Role,
  readReceipt,
  type TokenKey,
} from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type DriveSet, openDriveSet } from '../../src/core/drives/drive-set.js'
import { handlePutBlock } from '../../src/rpc/put-block.js'
import { createSimulatedDisk, simulatedSegmentDrive } from '../../src/simulation/index.js'
import { blockId, ownerOf, unitsOf } from '../conformance/blocks.js'
import { createTestNetwork, identity, type TestNetwork } from './network.js'

describe('PutBlock by those who are no gateways', () => {
  const random = createSeededRandom(17)
  let clock: SimulatedClock
  let network: TestNetwork
  let drives: DriveSet
  let mint: ReceiptMint
  let key: TokenKey

  const drive = (): string => drives.status()[0]?.drive ?? ''

  beforeEach(async () => {
    clock = createSimulatedClock(random)
    key = { id: 5, secret: random.bytes(32), fromMs: 0 }
    await clock.runUntil(open())
  })
  afterEach(() => clock.runUntil(drives.close()))

  async function open(): Promise<void> {
    const disk = createSimulatedDisk({ clock, random, latencyMs: 1 })
    const source = simulatedSegmentDrive({ name: 'drive', disk, clock, random })
    drives = await openDriveSet([source], { clusterId: 'c1', clock, random, scrubMs: 0 })
    network = createTestNetwork(clock, random)
    mint = new ReceiptMint(clock)
    mint.learn({ required: false, keys: [key] })
    const router = createRouter()
    handlePutBlock(router, drives, mint)
    await network.listen('local:receipts', router, identity)
  }

  /** What a peer of this role is answered that stores this block. */
  async function put(
    role: Role,
    block: BlockId,
    { owner = ownerOf('key'), sizeBytes = 1_000 }: { owner?: BlockOwner; sizeBytes?: number } = {},
  ): Promise<PutBlockResponse> {
    const peer = network.connect('local:receipts', { ...identity, role }, 'chunk')
    const request = { drive: drive(), block, pool: 3, epoch: 8, owner }
    const body = unitsOf(block, Buffer.alloc(sizeBytes, 7))
    try {
      const call = peer.call(putBlock, request, { deadlineMs: BLOCK_DEADLINE_MS, body })
      return (await clock.runUntil(call)).response
    } finally {
      await clock.runUntil(peer.close())
    }
  }

  for (const sizeBytes of [1, 65_536, 3_000_000]) {
    it(`gives a receipt for what was stored, of ${sizeBytes} bytes`, async () => {
      const block = blockId(1, 1)
      const { hash, receipt } = await put('client', block, { sizeBytes })
      const made = receipt ?? Buffer.alloc(0)
      expect(readReceipt(made)).to.deep.equal({ key: 5, epoch: 8, drive: drive() })
      const claim = { pool: 3, block, sizeBytes, hash, owner: ownerOf('key') }
      expect(isReceiptOf(made, claim, key.secret)).to.equal(true)
      expect(isReceiptOf(made, { ...claim, owner: ownerOf('other') }, key.secret)).to.equal(false)
    })
  }

  it('gives one again for the same block, and none to a gateway', async () => {
    const block = blockId(1, 2)
    expect(await put('gateway', block)).to.have.keys('sizeBytes', 'hash')
    const first = await put('client', block)
    expect(first.receipt).to.have.length(59)
    expect((await put('client', block)).receipt).to.deep.equal(first.receipt)
    expect(await put('gateway', block)).to.have.keys('sizeBytes', 'hash')
  })

  it('gives none for a block that was stored for another object', async () => {
    const block = blockId(1, 3)
    await put('gateway', block, { owner: ownerOf('key') })
    const outcome = await put('client', block, { owner: ownerOf('mine') }).catch((error: unknown) => error)
    expect(outcome).to.be.instanceOf(CairnError).with.property('code', 'BlockConflict')
  })

  it('stores blocks without a receipt as long as it was told no key', async () => {
    mint.learn({ required: false, keys: [] })
    expect(await put('client', blockId(1, 4))).to.have.keys('sizeBytes', 'hash')
  })
})
