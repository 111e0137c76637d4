import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  createRouter,
  deleteBlocks,
  getBlock,
  hasCode,
  type Network,
  putBlock,
  type Random,
  type RpcPeer,
} from '@cairn/protocol'
import { connectAsCaller, createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type ChunkServer, createChunkServer } from '../../src/app.js'
import {
  type CrashChoice,
  createSimulatedDisk,
  type SimulatedDisk,
  simulatedSegmentDrive,
} from '../../src/simulation/index.js'
import { blockId, ownerOf, unitsOf } from '../conformance/blocks.js'
import { recordMetadata } from './metadata-stub.js'
import { createTestNetwork, identity } from './network.js'

const call = { deadlineMs: BLOCK_DEADLINE_MS }
const FIRST_SEED = Number(process.env.CAIRN_TEST_SEED ?? 1)
const SEEDS = 8
const LIVES = 4
const SIZES = [0, 1, 700, 4096, 65_536, 65_537, 300_000]

/** What the outside knows of a block. */
interface Known {
  readonly body: Buffer
  state: 'unknown' | 'stored' | 'deleting' | 'deleted'
}

class World {
  readonly random: Random
  readonly clock: ReturnType<typeof createSimulatedClock>
  readonly network: Network
  readonly known = new Map<number, Known>()
  disk: SimulatedDisk
  private counter = 0

  constructor(seed: number) {
    this.random = createSeededRandom(seed)
    this.clock = createSimulatedClock(this.random)
    this.network = createTestNetwork(this.clock, this.random)
    const { clock, random } = this
    this.disk = createSimulatedDisk({ clock, random, latencyMs: 3 })
  }

  draw(below: number): number {
    return Math.floor(this.random.fraction() * below)
  }

  async open(life: number): Promise<{ server: ChunkServer; peer: RpcPeer }> {
    const { disk, clock, random, network } = this
    const limits = { segmentBytes: 512 * 1024, reserveBytes: 0 }
    const server = await createChunkServer({
      id: 'chunk',
      drives: [simulatedSegmentDrive({ name: 'drive', disk, clock, random, limits })],
      address: `local:chunk-${life}`,
      metadata: 'local:metadata',
      network,
      identity,
      clock,
      random,
      durability: 'fsync',
      compactionMs: 20,
    })
    const address = await server.start()
    // Nothing is read from a server that has not heard yet whether reads need a token.
    await server.registered()
    return { server, peer: connectAsCaller(network, address, identity, 'chunk') }
  }

  /** Writes and deletes, many at once, until the power goes. */
  async work(peer: RpcPeer, drive: string): Promise<void> {
    await Promise.all(Array.from({ length: 8 }, () => this.writer(peer, drive)))
  }

  /** Every acknowledged write reads back whole, every acknowledged delete is gone, nothing is half there. */
  async check(peer: RpcPeer, drive: string): Promise<void> {
    for (const [counter, known] of this.known) {
      const found = await read(peer, drive, { block: blockId(1, counter), length: known.body.length })
      if (known.state === 'stored') expect(found, `block ${counter} was acknowledged`).not.to.equal(undefined)
      if (known.state === 'deleted') expect(found, `block ${counter} was deleted`).to.equal(undefined)
      if (found !== undefined) expect(found.equals(known.body), `block ${counter} is whole`).to.equal(true)
      known.state = found === undefined ? 'deleted' : 'stored'
    }
  }

  private async writer(peer: RpcPeer, drive: string): Promise<void> {
    for (let turn = 0; turn < 40; turn++) {
      try {
        if (this.draw(4) === 0) await this.deleteOne(peer, drive)
        else await this.putOne(peer, drive)
      } catch (error) {
        if (hasCode(error, 'DriveFailed')) return
        throw error
      }
    }
  }

  private async putOne(peer: RpcPeer, drive: string): Promise<void> {
    const counter = ++this.counter
    const block = blockId(1, counter)
    const body = Buffer.from(this.random.bytes(SIZES[this.draw(SIZES.length)] ?? 0))
    const known: Known = { body, state: 'unknown' }
    this.known.set(counter, known)
    const request = { drive, block, pool: 1, epoch: 1, owner: ownerOf(`key ${counter}`) }
    await peer.call(putBlock, request, { ...call, body: unitsOf(block, body) })
    known.state = 'stored'
  }

  private async deleteOne(peer: RpcPeer, drive: string): Promise<void> {
    const stored = [...this.known].filter(([, known]) => known.state === 'stored')
    const chosen = stored[this.draw(stored.length)]
    if (chosen === undefined) return
    const [counter, known] = chosen
    known.state = 'deleting'
    await peer.call(deleteBlocks, { drive, blocks: [blockId(1, counter)] }, call)
    known.state = 'deleted'
  }
}

async function read(
  peer: RpcPeer,
  drive: string,
  wanted: { block: BlockId; length: number },
): Promise<Buffer | undefined> {
  try {
    const { body } = await peer.call(getBlock, { drive, offset: 0, ...wanted }, call)
    const parts: Uint8Array[] = []
    for await (const unit of body) parts.push(Buffer.from(unit.bytes))
    return Buffer.concat(parts)
  } catch (error) {
    if (hasCode(error, 'NoSuchBlock')) return undefined
    throw error
  }
}

function crashChoice(world: World): CrashChoice {
  const choices: CrashChoice[] = [
    { kind: 'lost' },
    { kind: 'kept' },
    { kind: 'subset', random: world.random, grainBytes: 512 },
    { kind: 'subset', random: world.random, grainBytes: 4096 },
    { kind: 'torn', keptBytes: 512 * world.draw(64) },
  ]
  return choices[world.draw(choices.length)] ?? { kind: 'lost' }
}

/** Opens, checks what earlier lives promised, works until a random operation, and loses power there. */
async function live(world: World, life: number): Promise<void> {
  const { server, peer } = await world.open(life)
  const drive = server.status().drives[0]
  expect(drive?.condition, drive?.reason).to.equal('up')
  await world.check(peer, drive?.drive ?? '')
  let left = world.disk
  const { disk } = world
  let countdown = 20 + world.draw(1000)
  disk.onOperation = () => {
    if (--countdown === 0) left = disk.crash(crashChoice(world))
  }
  await world.work(peer, drive?.drive ?? '')
  disk.onOperation = undefined
  if (left === disk) left = disk.crash(crashChoice(world))
  world.disk = left
  await peer.close()
  await server.close().catch(() => undefined)
}

describe('ChunkServer after power cuts', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    it(`keeps its promises over ${LIVES} lives (seed ${seed})`, async () => {
      const world = new World(seed)
      const router = createRouter()
      recordMetadata(router)
      await world.network.listen('local:metadata', router, { ...identity, role: 'metadata' })
      for (let life = 0; life < LIVES; life++) await world.clock.runUntil(live(world, life))
    }).timeout(60_000)
  }
})
