import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  createNetwork,
  createRouter,
  findBlocks,
  getBlock,
  type Network,
  putBlock,
  type RpcListener,
  type RpcPeer,
  systemClock,
  systemRandom,
} from '@cairn/protocol'
import { connectAsCaller, createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type ChunkServer, type ChunkServerEvent, createChunkServer } from '../../src/app.js'
import { blockId, codeOf, ownerOf, unitsOf } from '../conformance/blocks.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type RecordedMetadata, recordMetadata } from './metadata-stub.js'
import { identity } from './network.js'

const call = { deadlineMs: BLOCK_DEADLINE_MS }
const BODY = createSeededRandom(4).bytes(5000)

describe('ChunkServer whose folders go and come while it runs', function () {
  this.timeout(30_000)
  let folder: { path: string; remove(): void }
  let network: Network
  let metadata: RpcListener
  let recorded: RecordedMetadata
  let server: ChunkServer
  let peer: RpcPeer
  let events: ChunkServerEvent[]

  const driveFolder = (at = 0) => join(folder.path, `d${at}`)
  const driveId = (at = 0): string => server.status().drives[at]?.drive ?? ''
  const put = (block: BlockId, at = 0) =>
    peer.call(
      putBlock,
      { drive: driveId(at), block, pool: 1, epoch: 3, owner: ownerOf('key') },
      { ...call, body: unitsOf(block, BODY) },
    )
  async function has(block: BlockId, at = 0): Promise<boolean> {
    const { response } = await peer.call(findBlocks, { drive: driveId(at), blocks: [block] }, call)
    return response.blocks.length > 0
  }

  async function open(): Promise<void> {
    events = []
    const world = {
      clock: systemClock,
      random: systemRandom,
      network,
      identity,
      durability: 'fsync',
    } as const
    server = await createChunkServer({
      ...world,
      id: 'c1',
      drives: [driveFolder(0), driveFolder(1)],
      address: '127.0.0.1:0',
      metadata: metadata.address,
      onEvent: (event) => events.push(event),
    })
    peer = connectAsCaller(network, await server.start(), identity, 'chunk')
    await server.registered()
  }
  async function close(): Promise<void> {
    await peer.close()
    await server.close()
  }

  /** Waits for a state that the server reaches by itself. */
  async function until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => systemClock.setTimer(20, resolve))
  }
  const isUp = () => server.status().drives.every((drive) => drive.condition === 'up')

  beforeEach(async () => {
    folder = temporaryFolder()
    network = createNetwork({ clock: systemClock, random: systemRandom })
    const router = createRouter()
    recorded = recordMetadata(router)
    metadata = await network.listen('127.0.0.1:0', router, { ...identity, role: 'metadata' })
    await open()
  })
  afterEach(async () => {
    await close()
    await metadata.close(0)
    folder.remove()
  })

  it('makes a new drive of a folder that was removed, and registers it in the place of the old one', async () => {
    await put(blockId(1, 1))
    const [old, other] = [driveId(0), driveId(1)]
    rmSync(driveFolder(), { recursive: true })
    await until(() => driveId() !== old && isUp())
    expect(driveId(1)).to.equal(other)
    await until(() => recorded.registrations.at(-1)?.drives.some(({ id }) => id === driveId()) === true)
    const [first, last] = [recorded.registrations[0], recorded.registrations.at(-1)]
    const place = (request = first, at = 0) => {
      const { path, device, parent } = request?.drives[at] ?? {}
      return { path, device, parent }
    }
    expect(place(last)).to.deep.equal(place(first))
    expect(last?.drives.some(({ id }) => id === old)).to.equal(false)
    await put(blockId(1, 2))
    expect(await has(blockId(1, 1))).to.equal(false)
    expect(await has(blockId(1, 2))).to.equal(true)
    const range = { drive: old, block: blockId(1, 1), offset: 0, length: 1 }
    expect(await codeOf(peer.call(getBlock, range, call))).to.equal('NoSuchDrive')
  })

  it('resumes the drive when its folder comes back, whatever stood there meanwhile', async () => {
    await put(blockId(1, 1))
    const old = driveId()
    renameSync(driveFolder(), `${driveFolder()}.away`)
    await until(() => driveId() !== old && isUp())
    rmSync(driveFolder(), { recursive: true })
    renameSync(`${driveFolder()}.away`, driveFolder())
    await until(() => driveId() === old && isUp())
    expect(await has(blockId(1, 1))).to.equal(true)
    await put(blockId(1, 2))
  })

  it('makes nothing in the place of a disk whose parent folder is another', async () => {
    await close()
    const nested = join(folder.path, 'mount')
    mkdirSync(nested)
    const world = {
      clock: systemClock,
      random: systemRandom,
      network,
      identity,
      durability: 'fsync',
    } as const
    server = await createChunkServer({
      ...world,
      id: 'c2',
      drives: [join(nested, 'drive')],
      address: '127.0.0.1:0',
      metadata: metadata.address,
    })
    peer = connectAsCaller(network, await server.start(), identity, 'chunk')
    const old = driveId()
    renameSync(nested, `${nested}.away`)
    mkdirSync(nested)
    await until(() => server.status().drives[0]?.condition === 'failed')
    expect(existsSync(join(nested, 'drive'))).to.equal(false)
    rmSync(nested, { recursive: true })
    renameSync(`${nested}.away`, nested)
    await until(isUp)
    expect(driveId()).to.equal(old)
  })

  it('makes a lost or damaged drive.json anew, running or not', async () => {
    await put(blockId(1, 1))
    const old = driveId()
    const file = join(driveFolder(), 'drive.json')
    writeFileSync(file, readFileSync(file).subarray(0, 20))
    await until(() => readFileSync(file).length > 20)
    expect(isUp()).to.equal(true)
    for (const spoil of [() => rmSync(file), () => writeFileSync(file, '')]) {
      await close()
      spoil()
      await open()
      expect(driveId()).to.equal(old)
      expect(await has(blockId(1, 1))).to.equal(true)
    }
  })

  it('goes on with a drive whose drive.json was removed while it ran', async () => {
    await put(blockId(1, 1))
    const old = driveId()
    const openedMs = (): number | undefined =>
      recorded.heartbeats.at(-1)?.reports.find(({ drive }) => drive === old)?.openedMs
    await until(() => openedMs() !== undefined)
    const before = openedMs() ?? 0
    rmSync(join(driveFolder(), 'drive.json'))
    await until(() => existsSync(join(driveFolder(), 'drive.json')) && isUp())
    await until(() => (openedMs() ?? 0) > before)
    expect(driveId()).to.equal(old)
    expect(await has(blockId(1, 1))).to.equal(true)
    await put(blockId(1, 2))
  })

  it('never acknowledges what went to a removed segment, and opens with what is left', async () => {
    await put(blockId(1, 1))
    const old = driveId()
    rmSync(join(driveFolder(), 'segments'), { recursive: true })
    expect(await codeOf(put(blockId(1, 2)))).to.equal('DriveFailed')
    await until(() => existsSync(join(driveFolder(), 'segments')) && isUp())
    expect(driveId()).to.equal(old)
    expect(await has(blockId(1, 1))).to.equal(false)
    await put(blockId(1, 3))
    expect(await has(blockId(1, 3))).to.equal(true)
  })

  it('notices a sealed segment that was removed, and opens with what is left', async () => {
    await put(blockId(1, 1))
    await close()
    await open()
    await put(blockId(1, 2))
    const old = driveId()
    const segments = join(driveFolder(), 'segments')
    const [sealed = ''] = readdirSync(segments).sort()
    rmSync(join(segments, sealed))
    await until(() => server.status().drives[0]?.condition !== 'up')
    await until(isUp)
    expect(driveId()).to.equal(old)
    expect([await has(blockId(1, 1)), await has(blockId(1, 2))]).to.deep.equal([false, true])
  })

  it('refuses segments of a drive that the cluster does not know, and says whose they are', async () => {
    await put(blockId(1, 1))
    const old = driveId()
    const file = join(driveFolder(), 'drive.json')
    for (const spoil of [() => rmSync(file), () => writeFileSync(file, '{')]) {
      await close()
      spoil()
      recorded.unknown.add(old)
      await open()
      expect(server.status().drives[0]?.condition).to.equal('failed')
      expect(server.status().drives[0]?.reason).to.match(
        new RegExp(`drive ${old}, which this cluster does not`),
      )
      expect(recorded.registrations.at(-1)?.drives.map(({ id }) => id)).to.deep.equal([driveId(1)])
      recorded.unknown.clear()
      await until(() => driveId() === old && isUp())
      expect(await has(blockId(1, 1))).to.equal(true)
    }
  })

  it('asks for the epochs of its pools when it has lost them', async () => {
    await put(blockId(1, 1))
    await close()
    recorded.pools = [{ id: 1, epoch: 7 }]
    writeFileSync(join(driveFolder(), 'epochs.json'), 'junk')
    await open()
    expect(isUp()).to.equal(true)
    expect(await codeOf(put(blockId(1, 2)))).to.equal('StaleClusterMap')
    expect(readFileSync(join(driveFolder(), 'epochs.json'), 'utf8')).to.match(/7/)
  })

  it('makes an index anew that rots while it is in use', async () => {
    const blocks = Array.from({ length: 1500 }, (_, counter) => blockId(1, counter))
    for (let at = 0; at < blocks.length; at += 500) {
      await Promise.all(blocks.slice(at, at + 500).map((block) => put(block)))
    }
    await close()
    await open()
    const file = join(driveFolder(), 'index.sqlite')
    writeFileSync(
      file,
      readFileSync(file).map((byte, at) => (at < 4096 ? byte : byte ^ 0x55)),
    )
    // The look that goes round may have met it first.
    expect(await codeOf(has(blockId(1, 750)))).to.be.oneOf(['BlockCorrupt', 'Busy'])
    await until(isUp)
    for (const block of blocks.slice(700, 800)) expect(await has(block)).to.equal(true)
    expect(events.some((event) => event.kind === 'damage' && event.damage.kind === 'index')).to.equal(true)
    await put(blockId(1, 4000))
    await close()
    await open()
    expect(await has(blockId(1, 750))).to.equal(true)
    expect(await has(blockId(1, 4000))).to.equal(true)
  })
})
