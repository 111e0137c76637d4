import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  CairnError,
  createRouter,
  deleteBlocks,
  formatId,
  getBlock,
  listBlocks,
  listWriters,
  type PutBlockRequest,
  putBlock,
  type RpcPeer,
  reportDrives,
} from '@cairn/protocol'
import {
  connectAsCaller,
  createSeededRandom,
  createSimulatedClock,
  type SimulatedClock,
} from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createMemoryBlockStore, type MemoryBlocks } from '../../src/adapters/memory-block-store.js'
import { type ChunkServer, createChunkServer } from '../../src/app.js'
import type { DriveSource } from '../../src/core/drives/drive-source.js'
import type { BlockStore } from '../../src/ports.js'
import { createSimulatedDisk, type SimulatedDisk, simulatedDrive } from '../../src/simulation/index.js'
import { blockId, codeOf, ownerOf, unitsOf } from '../conformance/blocks.js'
import { type RecordedMetadata, recordMetadata } from './metadata-stub.js'
import { createTestNetwork, identity, type TestNetwork } from './network.js'

const call = { deadlineMs: BLOCK_DEADLINE_MS }

describe('ChunkServer', () => {
  const random = createSeededRandom(11)
  let clock: SimulatedClock
  let network: TestNetwork
  let metadata: RecordedMetadata
  let disks: SimulatedDisk[]
  let memory: MemoryBlocks[]
  let stores: BlockStore[]
  let server: ChunkServer
  let peer: RpcPeer

  function drive(at: number): DriveSource {
    const disk = disks[at]
    if (disk === undefined) throw new RangeError(`no disk ${at}`)
    const openStore = async () => {
      const store = createMemoryBlockStore({ clock, blocks: memory[at] ?? new Map() })
      stores[at] = store
      return store
    }
    return simulatedDrive({ name: `drive ${at}`, disk, openStore })
  }

  async function open(drives: DriveSource[] = [drive(0), drive(1)]): Promise<void> {
    const options = { address: 'local:chunk', metadata: 'local:metadata', durability: 'fsync' } as const
    const place = { zone: 'z', rack: 'r', host: 'h' }
    const world = { clock, random, network, identity }
    server = await createChunkServer({ id: 'chunk-1', drives, ...options, ...place, ...world })
    await server.start()
    await server.registered()
    peer = connectAsCaller(network, 'local:chunk', identity, 'chunk')
  }
  /** Runs a step of the test while simulated time goes on. */
  const run = <T>(step: () => Promise<T>): Promise<T> => clock.runUntil(step())

  const driveId = (at: number): string => server.status().drives[at]?.drive ?? ''
  const request = (block: BlockId, epoch = 1, at = 0): PutBlockRequest => ({
    drive: driveId(at),
    block,
    pool: 1,
    epoch,
    owner: ownerOf('key'),
  })
  const put = (block: BlockId, epoch = 1, at = 0) =>
    peer.call(putBlock, request(block, epoch, at), {
      ...call,
      body: unitsOf(block, Buffer.alloc(100_000, 5)),
    })

  beforeEach(async () => {
    clock = createSimulatedClock(random)
    network = createTestNetwork(clock, random)
    disks = [0, 1].map(() => createSimulatedDisk({ clock, random }))
    memory = [new Map(), new Map()]
    stores = []
    const router = createRouter()
    metadata = recordMetadata(router)
    await network.listen('local:metadata', router, { ...identity, role: 'metadata' })
  })
  afterEach(() => run(() => server.close()))

  it('stores, reads, lists and deletes blocks on the drive it is asked for', () =>
    run(async () => {
      await open()
      const block = blockId(1, 1)
      const { response: stored } = await put(block)
      expect(stored.sizeBytes).to.equal(100_000)
      const range = { drive: driveId(0), block, offset: 65_536, length: 10 }
      const { response: found, body } = await peer.call(getBlock, range, call)
      expect(found).to.include({ blockBytes: 100_000, firstUnit: 1 })
      const sizes: number[] = []
      for await (const unit of body) sizes.push(unit.bytes.length)
      expect(sizes).to.deep.equal([100_000 - 65_536])
      const page = { drive: driveId(0), limit: 1000, withOwner: true }
      const { response: listed } = await peer.call(listBlocks, page, call)
      expect(listed.blocks.map((entry) => formatId(entry.block))).to.deep.equal([formatId(block)])
      const { response: writers } = await peer.call(listWriters, { drive: driveId(0), limit: 10 }, call)
      expect(writers.sessions.length).to.equal(1)
      const other = await peer.call(listBlocks, { ...page, drive: driveId(1) }, call)
      expect(other.response.blocks).to.deep.equal([])
      const gone = await peer.call(deleteBlocks, { drive: driveId(0), blocks: [block, blockId(1, 2)] }, call)
      expect(gone.response.deleted).to.equal(1)
      expect(await codeOf(peer.call(getBlock, range, call))).to.equal('NoSuchBlock')
    }))

  it('names a drive it does not own', () =>
    run(async () => {
      await open()
      const drive = '00'.repeat(8)
      const block = blockId(1, 1)
      const range = { drive, block, offset: 0, length: 0 }
      expect(await codeOf(peer.call(getBlock, range, call))).to.equal('NoSuchDrive')
      expect(await codeOf(peer.call(putBlock, { ...request(block), drive }, call))).to.equal('NoSuchDrive')
      expect(await codeOf(peer.call(deleteBlocks, { drive, blocks: [] }, call))).to.equal('NoSuchDrive')
    }))

  it('refuses arguments beyond the limits', () =>
    run(async () => {
      await open()
      const drive = driveId(0)
      const short = Buffer.alloc(15) as Uint8Array as BlockId
      const many = Array.from({ length: 1001 }, (_, at) => blockId(1, at))
      const beyond = { drive, block: blockId(1, 1), offset: 8 * 1024 * 1024, length: 1 }
      const calls = [
        peer.call(putBlock, request(short), call),
        peer.call(getBlock, beyond, call),
        peer.call(deleteBlocks, { drive, blocks: many }, call),
        peer.call(listBlocks, { drive, limit: 1001, withOwner: false }, call),
        peer.call(listWriters, { drive, limit: 0 }, call),
      ]
      for (const code of await Promise.all(calls.map(codeOf))) expect(code).to.equal('InvalidArgument')
    }))

  it('refuses deletions by an older placement than a list or a write has named', () =>
    run(async () => {
      await open()
      await put(blockId(1, 1), 5, 0)
      const drive = driveId(0)
      const blocks = [blockId(1, 1)]
      const remove = (epoch?: number): Promise<unknown> =>
        peer.call(
          deleteBlocks,
          { drive, blocks, ...(epoch === undefined ? {} : { placedBy: { pool: 1, epoch } }) },
          call,
        )
      const list = (epoch: number): Promise<unknown> =>
        peer.call(listBlocks, { drive, limit: 9, withOwner: false, placedBy: { pool: 1, epoch } }, call)
      expect(await codeOf(remove(4))).to.equal('StaleClusterMap')
      await list(6)
      expect(await codeOf(remove(5))).to.equal('StaleClusterMap')
      expect(await codeOf(list(5))).to.equal('StaleClusterMap')
      await remove(6)
      const { response } = await peer.call(listBlocks, { drive, limit: 9, withOwner: false }, call)
      expect(response.blocks).to.deep.equal([])
    }))

  it('refuses writes by an older epoch than any of its drives has seen, also after a restart', () =>
    run(async () => {
      await open()
      await put(blockId(1, 1), 7, 0)
      expect(await codeOf(put(blockId(1, 2), 6, 0))).to.equal('StaleClusterMap')
      expect(await codeOf(put(blockId(1, 2), 6, 1))).to.equal('StaleClusterMap')
      await server.close()
      disks = disks.map((disk) => disk.crash({ kind: 'lost' }))
      await open()
      expect(await codeOf(put(blockId(1, 2), 6, 1))).to.equal('StaleClusterMap')
      await put(blockId(1, 2), 7, 1)
    }))

  it('makes a new epoch durable before it stores a block by it', () =>
    run(async () => {
      await open()
      disks[0]?.fail('syncFolder', 1)
      expect(await codeOf(put(blockId(1, 1), 3))).to.equal('DriveFailed')
      expect(memory[0]?.size).to.equal(0)
    }))

  it('goes on with its other drives when one fails to open', () =>
    run(async () => {
      disks[0]?.poke('drive.json', Buffer.from('{'))
      await open()
      expect(server.status().drives[0]).to.include({ name: 'drive 0', condition: 'failed' })
      expect(server.status().drives[0]?.reason).to.match(/drive.json is damaged/)
      await put(blockId(1, 1), 1, 1)
      expect(metadata.registrations[0]?.drives.map((entry) => entry.id)).to.deep.equal([driveId(1)])
    }))

  it('tries a drive again that did not open, and makes it known once it does', () =>
    run(async () => {
      const good = drive(0)
      let attempts = 0
      const source: DriveSource = {
        name: good.name,
        open: () => (++attempts < 4 ? Promise.reject(new CairnError('DriveFailed', 'EIO')) : good.open()),
      }
      await open([source, drive(1)])
      expect(metadata.registrations.at(-1)?.drives.length).to.equal(1)
      await waitFor(() => metadata.registrations.at(-1)?.drives.length === 2)
      expect(attempts).to.equal(4)
      await put(blockId(1, 1))
    }))

  it('answers for a drive whose store does not open that it has failed', () =>
    run(async () => {
      const broken = simulatedDrive({
        name: 'broken',
        disk: disks[0] ?? createSimulatedDisk({ clock, random }),
        openStore: () => Promise.reject(new CairnError('DriveFailed', 'no index')),
      })
      await open([broken, drive(1)])
      expect(await codeOf(put(blockId(1, 1)))).to.equal('DriveFailed')
      const range = { drive: driveId(0), block: blockId(1, 1), offset: 0, length: 0 }
      expect(await codeOf(peer.call(getBlock, range, call))).to.equal('DriveFailed')
      const { response } = await peer.call(reportDrives, { epoch: 1 }, call)
      expect(response.drives.map((report) => report.healthy)).to.deep.equal([false, true])
    }))

  it('takes no more writes or deletes on a drive after its first failure, but reads and other drives go on', () =>
    run(async () => {
      await open()
      const block = blockId(1, 1)
      await put(block)
      const store = stores[0]
      if (store === undefined) throw new Error('no store')
      store.put = () => Promise.reject(new CairnError('DriveFailed', 'a sync failed'))
      expect(await codeOf(put(blockId(1, 2)))).to.equal('DriveFailed')
      expect(await codeOf(peer.call(deleteBlocks, { drive: driveId(0), blocks: [block] }, call))).to.equal(
        'DriveFailed',
      )
      expect(server.status().drives[0]).to.include({ condition: 'suspect', reason: 'a sync failed' })
      const { response } = await peer.call(getBlock, { drive: driveId(0), block, offset: 0, length: 1 }, call)
      expect(response.blockBytes).to.equal(100_000)
      await put(blockId(1, 3), 1, 1)
      expect((await peer.call(reportDrives, { epoch: 1 }, call)).response.drives[0]?.healthy).to.equal(false)
    }))

  it('makes a drive suspect when it fails while a block is being read', () =>
    run(async () => {
      await open()
      const block = blockId(1, 1)
      await put(block)
      const store = stores[0]
      if (store === undefined) throw new Error('no store')
      const get = store.get.bind(store)
      store.get = async (...args) => ({
        ...(await get(...args)),
        units: (async function* () {
          yield* []
          throw new CairnError('DriveFailed', 'EIO')
        })(),
      })
      const { body } = await peer.call(getBlock, { drive: driveId(0), block, offset: 0, length: 1 }, call)
      expect(await codeOf(body[Symbol.asyncIterator]().next())).to.equal('DriveFailed')
      expect(server.status().drives[0]?.condition).to.equal('suspect')
    }))

  it('passes the errors of a block on: full, corrupt and conflicting, without blaming the drive', () =>
    run(async () => {
      await open()
      const block = blockId(1, 1)
      await put(block)
      const other = { ...call, body: unitsOf(block, Buffer.alloc(10, 1)) }
      expect(await codeOf(peer.call(putBlock, request(block), other))).to.equal('BlockConflict')
      const rotten = { ...call, body: unitsOf(blockId(1, 3), Buffer.alloc(10, 1)) }
      expect(await codeOf(peer.call(putBlock, request(blockId(1, 2)), rotten))).to.equal('BlockCorrupt')
      disks[0]?.setCapacity(0)
      expect(await codeOf(put(blockId(1, 4), 2))).to.equal('DriveFull')
      expect(server.status().drives[0]?.condition).to.equal('up')
    }))

  it('registers itself and its drives, then reports them', () =>
    run(async () => {
      await open()
      const { member, drives } = metadata.registrations[0] ?? { member: undefined, drives: [] }
      const place = { zone: 'z', rack: 'r', host: 'h' }
      expect(member).to.deep.include({ id: 'chunk-1', address: 'local:chunk', featureLevel: 1, ...place })
      expect(drives.map((entry) => entry.path)).to.deep.equal(['drive 0', 'drive 1'])
      await put(blockId(1, 1))
      await waitFor(() => metadata.heartbeats.some((beat) => beat.reports[0]?.blockCount === 1))
      const report = metadata.heartbeats.at(-1)?.reports[0]
      expect(report).to.include({ drive: driveId(0), healthy: true, liveBytes: 100_000 })
      expect(server.status().registered).to.equal(true)
    }))

  it('tries until the metadata service answers, and registers anew when it has been forgotten', () =>
    run(async () => {
      metadata.refusing = true
      const opening = open()
      await waitFor(() => metadata.registrations.length === 4)
      metadata.refusing = false
      await opening
      metadata.forget()
      const before = metadata.registrations.length
      await waitFor(() => metadata.registrations.length > before)
      const beats = metadata.heartbeats.length
      await waitFor(() => metadata.heartbeats.length > beats)
      expect(server.status().registered).to.equal(true)
    }))

  it('gives up if the cluster demands a higher feature level', () =>
    run(async () => {
      metadata.refusal = () => new CairnError('FormatTooNew', 'the cluster has feature level 2')
      expect(await codeOf(open())).to.equal('FormatTooNew')
    }))

  it('takes the place of its earlier run although its clock was set back', () =>
    run(async () => {
      const earlier = clock.wallMicros() + 5_000_000
      metadata.refusal = ({ member: { runStart = 0 } }) =>
        runStart > earlier
          ? undefined
          : new CairnError('PeerRejected', 'a later run', { details: { runStart: String(earlier) } })
      await open()
      expect(metadata.registrations.at(-1)?.member.runStart).to.equal(earlier + 1)
    }))

  it('leaves its place to a later run', () =>
    run(async () => {
      await open()
      const own = metadata.registrations[0]?.member.runStart
      const details = { runStart: String(Number(own) + 9) }
      metadata.refusal = () => new CairnError('PeerRejected', 'a later run', { details })
      metadata.forget()
      await waitFor(() => metadata.registrations.length === 4)
      expect(metadata.registrations.at(-1)?.member.runStart).to.equal(own)
      expect(server.status().registered).to.equal(false)
    }))

  it('closes at once although the metadata service never answered', () =>
    run(async () => {
      network.broken = true
      server = await createOther([drive(0)])
      await server.start()
      const registered = server.registered()
      await server.close()
      expect(await codeOf(registered)).to.equal('ShuttingDown')
      expect(metadata.registrations).to.deep.equal([])
    }))

  it('registers anew after the connection was lost', () =>
    run(async () => {
      await open()
      network.broken = true
      await waitFor(() => !server.status().registered)
      network.broken = false
      await waitFor(() => server.status().registered)
      expect(metadata.registrations.length).to.equal(2)
    }))

  it('notices at a heartbeat that the folder of a drive has gone, and takes no more writes there', () =>
    run(async () => {
      await open()
      const drive = driveId(0)
      disks[0]?.poke('drive.json', undefined)
      await waitFor(() => metadata.heartbeats.at(-1)?.reports[0]?.healthy === false)
      expect(metadata.heartbeats.at(-1)?.reports.map(({ gone }) => gone)).to.deep.equal([true, undefined])
      expect(server.status().drives[0]?.reason).to.equal(`drive ${drive}: its drive.json has gone`)
      expect(await codeOf(put(blockId(1, 1)))).to.equal('DriveFailed')
      await put(blockId(1, 1), 1, 1)
    }))

  it('uses only one of two folders that are copies of each other', () =>
    run(async () => {
      await open()
      await server.close()
      const copied = disks[0]?.peek('drive.json')
      disks[1]?.poke('drive.json', copied && Buffer.from(copied))
      await open()
      expect(server.status().drives.map((entry) => entry.condition)).to.deep.equal(['up', 'suspect'])
      expect(metadata.registrations.at(-1)?.drives.length).to.equal(1)
    }))

  it('refuses to start when another process or a newer version owns a drive, and frees the others', () =>
    run(async () => {
      await open()
      let released = 0
      const free = drive(1)
      const counted: DriveSource = {
        name: free.name,
        open: async () => ({ ...(await free.open()), release: () => void released++ }),
      }
      const used: DriveSource = {
        name: 'used',
        open: () => Promise.reject(new CairnError('DataFolderInUse', 'used')),
      }
      expect(await codeOf(createOther([counted, used]))).to.equal('DataFolderInUse')
      disks[0]?.poke('drive.json', Buffer.from('{"format":2}'))
      expect(await codeOf(createOther([counted, drive(0)]))).to.equal('FormatTooNew')
      expect(released).to.equal(2)
    }))

  it('asks the metadata service for the cluster id when it knows none', () =>
    run(async () => {
      await open()
      await server.close()
      server = await createOther([drive(0)], '')
      expect(server.status().drives[0]?.condition).to.equal('up')
    }))

  function createOther(drives: DriveSource[], clusterId = 'c1'): Promise<ChunkServer> {
    return createChunkServer({
      id: 'chunk-2',
      drives,
      address: 'local:other',
      metadata: 'local:metadata',
      network,
      identity: { ...identity, clusterId },
      clock,
      random,
      durability: 'fsync',
    })
  }

  /** Lets simulated time pass, a tenth of a second at a time, until it is so. */
  async function waitFor(isSo: () => boolean): Promise<void> {
    for (let turn = 0; !isSo(); turn++) {
      if (turn > 1000) throw new Error('it never came to be so')
      await new Promise<void>((resolve) => clock.setTimer(100, resolve))
    }
  }
})
