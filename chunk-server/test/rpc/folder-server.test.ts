import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  createNetwork,
  createRouter,
  deleteBlocks,
  getBlock,
  type Network,
  putBlock,
  type RpcListener,
  type RpcPeer,
  reportDrives,
  systemClock,
  systemRandom,
} from '@cairn/protocol'
import { connectAsCaller, createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type ChunkServer, type ChunkServerEvent, createChunkServer } from '../../src/app.js'
import { blockId, codeOf, ownerOf, unitsOf } from '../conformance/blocks.js'
import { temporaryFolder } from '../temporary-folder.js'
import { recordMetadata } from './metadata-stub.js'
import { identity } from './network.js'

const call = { deadlineMs: BLOCK_DEADLINE_MS }

describe('ChunkServer on folders, over TCP', () => {
  const random = createSeededRandom(21)
  let folder: ReturnType<typeof temporaryFolder>
  let network: Network
  let metadata: RpcListener
  let server: ChunkServer
  let peer: RpcPeer
  let events: ChunkServerEvent[]

  const driveFolder = (at: number): string => join(folder.path, `${at}`)
  const create = (): Promise<ChunkServer> =>
    createChunkServer({
      id: 'chunk-1',
      drives: [driveFolder(0), driveFolder(1)],
      address: '127.0.0.1:0',
      metadata: metadata.address,
      network,
      identity,
      clock: systemClock,
      random: systemRandom,
      durability: 'fsync',
      onEvent: (event) => events.push(event),
    })

  async function open(): Promise<void> {
    server = await create()
    const address = await server.start()
    await server.registered()
    peer = connectAsCaller(network, address, identity, 'chunk')
  }

  async function close(): Promise<void> {
    await peer.close()
    await server.close()
  }

  const driveId = (at: number): string => server.status().drives[at]?.drive ?? ''
  const put = (block: BlockId, body: Uint8Array, at = 0) => {
    const request = { drive: driveId(at), block, pool: 1, epoch: 1, owner: ownerOf('key') }
    return peer.call(putBlock, request, { ...call, body: unitsOf(block, body) })
  }
  async function read(block: BlockId, length: number, at = 0): Promise<Buffer> {
    const { body } = await peer.call(getBlock, { drive: driveId(at), block, offset: 0, length }, call)
    const parts: Uint8Array[] = []
    for await (const unit of body) parts.push(Buffer.from(unit.bytes))
    return Buffer.concat(parts)
  }

  beforeEach(async () => {
    folder = temporaryFolder()
    events = []
    network = createNetwork({ clock: systemClock, random: systemRandom })
    const router = createRouter()
    recordMetadata(router)
    metadata = await network.listen('127.0.0.1:0', router, { ...identity, role: 'metadata' })
    await open()
  })
  afterEach(async () => {
    await close()
    await metadata.close(0)
    folder.remove()
  })

  it('keeps blocks of all sizes over a restart, each on its drive, under the same drive ids', async () => {
    const bodies = [0, 1, 65_536, 300_000, 8 * 1024 * 1024].map((size) => random.bytes(size))
    await Promise.all(bodies.map((body, at) => put(blockId(1, at), body, at % 2)))
    const ids = [driveId(0), driveId(1)]
    await close()
    await open()
    expect([driveId(0), driveId(1)]).to.deep.equal(ids)
    for (const [at, body] of bodies.entries()) {
      expect((await read(blockId(1, at), body.length, at % 2)).equals(body)).to.equal(true)
    }
    const gone = await peer.call(
      deleteBlocks,
      { drive: driveId(0), blocks: [blockId(1, 0), blockId(1, 2)] },
      call,
    )
    expect(gone.response.deleted).to.equal(2)
    const { response } = await peer.call(reportDrives, { epoch: 1 }, call)
    expect(response.drives.map((report) => report.blockCount)).to.deep.equal([1, 2])
    expect(response.drives.every((report) => report.healthy && report.freeBytes > 0)).to.equal(true)
  })

  it('shares syncs between the puts of many writers', async () => {
    await put(blockId(2, 0), random.bytes(4096))
    const before = server.drives()[0]?.counters()?.fsyncs ?? 0
    await Promise.all(Array.from({ length: 64 }, (_, at) => put(blockId(2, at + 1), random.bytes(4096))))
    const after = server.drives()[0]?.counters()?.fsyncs ?? 0
    expect(after - before).to.be.within(1, 16)
  })

  it('keeps a second server out of its folders', async () => {
    expect(await codeOf(create())).to.equal('DataFolderInUse')
    expect(server.status().drives.every((drive) => drive.condition === 'up')).to.equal(true)
  })

  it('starts without the drive whose drive.json is damaged, and tells which and why', async () => {
    await close()
    writeFileSync(join(driveFolder(1), 'drive.json'), '{')
    await open()
    const told = events.filter((event) => event.kind === 'drive').at(-1)
    expect(told?.status.name).to.equal(driveFolder(1))
    expect(told?.status.reason).to.match(/damaged/)
    await put(blockId(3, 1), random.bytes(10))
  })

  it('takes an emptied folder for a new drive', async () => {
    await put(blockId(4, 1), random.bytes(10))
    const old = driveId(0)
    await close()
    rmSync(driveFolder(0), { recursive: true })
    await open()
    expect(driveId(0)).not.to.equal(old)
    expect(await codeOf(read(blockId(4, 1), 10))).to.equal('NoSuchBlock')
  })

  it('makes a drive suspect whose folder is removed while it runs', async () => {
    rmSync(driveFolder(0), { recursive: true })
    const { response } = await peer.call(reportDrives, { epoch: 1 }, call)
    expect(response.drives.map((report) => report.healthy)).to.deep.equal([false, true])
    expect(await codeOf(put(blockId(5, 1), random.bytes(10)))).to.equal('DriveFailed')
    await put(blockId(5, 2), random.bytes(10), 1)
  })

  it('makes a lost index anew from the segments, which is no damage of blocks', async () => {
    const body = random.bytes(5000)
    await put(blockId(6, 1), body)
    await close()
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(driveFolder(0), `index.sqlite${suffix}`), { force: true })
    await open()
    expect((await read(blockId(6, 1), body.length)).equals(body)).to.equal(true)
    expect(events.some((event) => event.kind === 'damage' && event.damage.kind !== 'index')).to.equal(false)
  })
})
