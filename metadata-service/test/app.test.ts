import {
  type BlockEntry,
  type BlockId,
  type BlockOwner,
  CairnError,
  createBucket,
  createNetwork,
  createRouter,
  deleteBlocks,
  deleteObjects,
  formatId,
  getBlock,
  getClusterMap,
  getObject,
  type HandshakeIdentity,
  hashBlock,
  heartbeat,
  listBlocks,
  listWriters,
  MapPageContent,
  type Network,
  type OpId,
  openSession,
  putObject,
  type RpcMethod,
  type RpcPeer,
  registerServer,
  type SessionId,
  sessionOf,
  sessionScopedId,
  unitCheck,
} from '@cairn/protocol'
import { connectAsCaller, createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { ClusterState } from '../src/core/cluster/cluster-state.js'
import { createKeyValueStore } from '../src/core/commit/batcher.js'
import { createMemoryEntryStore, createMetadataService, type MetadataService } from '../src/index.js'
import type { EntryStore } from '../src/ports.js'
import { createDriveCaller } from '../src/workers/drive-caller.js'
import { rejection } from './rejection.js'

const random = createSeededRandom(51)
const clock = createSimulatedClock(random)
const run = <T>(work: Promise<T>): Promise<T> => clock.runUntil(work)
const deadline = { deadlineMs: 20_000 }

function identityOf(role: string, name: string, clusterId = ''): HandshakeIdentity {
  return { role, name, clusterId, featureLevel: 1, clusterSecret: Buffer.alloc(32, 7) }
}

/** A chunk server of one drive, in memory, that speaks the real protocol. */
class SmallServer {
  readonly drive: string
  readonly blocks = new Map<string, { entry: BlockEntry; bytes: Uint8Array }>()
  private readonly name: string

  constructor(at: number) {
    this.name = `chunk-${at}`
    this.drive = String(at).padStart(16, '0')
  }

  async start(network: Network, metadata: RpcPeer, clusterId: string): Promise<void> {
    const router = createRouter()
    router.handle(deleteBlocks, async ({ blocks }) => {
      const deleted = blocks.filter((block) => this.blocks.delete(formatId(block))).length
      return { response: { deleted, freedBytes: deleted * 10 } }
    })
    router.handle(listWriters, async () => {
      const sessions = [...this.blocks.values()].map(({ entry }) => formatId(sessionOf(entry.block)))
      const items = [...new Set(sessions)]
        .sort()
        .map((id) => Buffer.from(id, 'hex') as Uint8Array as SessionId)
      return { response: { sessions: items, complete: true } }
    })
    router.handle(listBlocks, async () => {
      return { response: { blocks: [...this.blocks.values()].map(({ entry }) => entry), complete: true } }
    })
    router.handle(getBlock, async ({ block }) => {
      const found = this.blocks.get(formatId(block))
      if (found === undefined) throw new CairnError('NoSuchBlock', 'absent')
      const unit = { bytes: found.bytes, check: unitCheck(block, 0, found.bytes) }
      const response = { blockBytes: found.bytes.length, hash: hashBlock(found.bytes), firstUnit: 0 }
      return { response, body: [unit] }
    })
    await network.listen(`local:${this.name}`, router, identityOf('chunk', this.name, clusterId))
    const member = { id: this.name, address: `local:${this.name}`, zone: '', rack: '', host: this.name }
    const drive = { id: this.drive, capacityBytes: 1e9, path: '/d', device: '1', parent: '1' }
    await metadata.call(registerServer, { member, drives: [drive] }, deadline)
  }

  store(block: BlockId, owner: BlockOwner, bytes: Uint8Array): void {
    const entry = { block, sizeBytes: bytes.length, hash: hashBlock(bytes), storedAtMs: 0, owner }
    this.blocks.set(formatId(block), { entry, bytes })
  }
}

interface Running {
  readonly service: MetadataService
  readonly network: Network
  readonly servers: readonly SmallServer[]
  call<Q, R>(method: RpcMethod<Q, R>, request: Q): Promise<R>
}

async function start(graceSeconds = 0, store = createMemoryEntryStore({ clock })): Promise<Running> {
  const network = createNetwork({ clock, random, onError: () => undefined })
  const service = await createMetadataService({
    store,
    clock,
    random,
    network,
    identity: identityOf('metadata', 'm1'),
    address: 'local:metadata',
    gcGraceSeconds: graceSeconds,
    orphanGraceSeconds: graceSeconds,
    replicas: 3,
    drivesExpected: 3,
  })
  const address = await service.start()
  const { clusterId } = service.status().map
  const peer = connectAsCaller(network, address, identityOf('gateway', 'g1', clusterId), 'metadata')
  const servers = [1, 2, 3].map((at) => new SmallServer(at))
  for (const server of servers) await server.start(network, peer, clusterId)
  const call = async <Q, R>(method: RpcMethod<Q, R>, request: Q): Promise<R> =>
    (await peer.call(method, request, deadline)).response
  return { service, network, servers, call }
}

/** Puts one object, its block on all three servers. */
async function putOne({ call, servers }: Running, session: SessionId): Promise<void> {
  const { space } = await call(createBucket, { op: opOf(session, 1), bucket: 'b', owner: 'o', region: 'r' })
  const op = opOf(session, 2)
  const block = sessionScopedId<BlockId>(session, 3)
  const bytes = Buffer.from('0123456789')
  for (const server of servers) server.store(block, { space, bucket: 'b', key: 'k', map: op }, bytes)
  const slice = { block, offset: 0, length: 10, blockBytes: 10, hash: hashBlock(bytes) }
  await call(putObject, {
    context: { session, op, poolEpoch: 1, dirtyGroups: [] },
    bucket: 'b',
    space,
    key: 'k',
    map: { pool: 1, slices: [slice], pages: [] },
    sizeBytes: 10,
    etag: 'e',
    owner: 'o',
    attributes: {},
  })
}

function opOf(session: SessionId, counter: number): OpId {
  return sessionScopedId<OpId>(session, counter)
}

describe('createMetadataService', () => {
  it('serves sessions, the cluster map, buckets and objects over RPC, and frees what was deleted on all drives', async () => {
    const running = await run(start())
    const { service, call, servers } = running
    const { session, leaseMs } = await run(call(openSession, { role: 'gateway', name: 'g1' }))
    expect(leaseMs).to.equal(10_000)
    await run(putOne(running, session))
    await run(service.runUpkeep())
    expect(servers.map(({ blocks }) => blocks.size)).to.deep.equal([1, 1, 1])
    await run(call(deleteObjects, { bucket: 'b', owner: 'o', items: [{ op: opOf(session, 4), key: 'k' }] }))
    const { garbage } = await run(service.runUpkeep())
    expect(garbage).to.include({ freedRows: 1, freedBytes: 30 })
    expect(servers.map(({ blocks }) => blocks.size)).to.deep.equal([0, 0, 0])
    expect(service.status().commits).to.be.at.least(service.status().entries)
    await run(service.close())
  })

  it('frees what was deleted after a minute instead of the grace while a drive is nearly full', async () => {
    const running = await run(start(600))
    const { service, call, servers } = running
    const { session } = await run(call(openSession, { role: 'gateway', name: 'g1' }))
    await run(putOne(running, session))
    await run(call(deleteObjects, { bucket: 'b', owner: 'o', items: [{ op: opOf(session, 4), key: 'k' }] }))
    const beat = (freeBytes: number) => {
      const space = { capacityBytes: 1e9, freeBytes, liveBytes: 10, deadBytes: 0 }
      const report = {
        drive: servers[0]?.drive ?? '',
        healthy: true,
        blockCount: 1,
        damagedBlocks: 0,
        ...space,
      }
      return run(call(heartbeat, { server: 'chunk-1', reports: [report] }))
    }
    await clock.advance(61_000)
    await beat(6e7)
    expect((await run(service.runUpkeep())).garbage.freedRows).to.equal(0)
    // Nor for one that has told so and then fallen silent.
    await beat(4e7)
    await clock.advance(60_000)
    expect((await run(service.runUpkeep())).garbage.freedRows).to.equal(0)
    await beat(4e7)
    expect((await run(service.runUpkeep())).garbage.freedRows).to.equal(1)
    await run(service.close())
  })

  it('answers a known epoch without a map, and lets unknown servers register', async () => {
    const { service, call } = await run(start())
    const { map } = await run(call(getClusterMap, {}))
    expect(map?.pools[0]).to.include({ id: 1, replicas: 3, failureDomain: 'host' })
    const { tokens, ...rest } = await run(call(getClusterMap, { knownEpoch: map?.epoch ?? 0 }))
    expect(rest).to.deep.equal({})
    expect(tokens?.keys).to.have.length(1)
    const unknown = await rejection(run(call(heartbeat, { server: 'chunk-9', reports: [] })))
    expect(unknown.code).to.equal('NoSuchDrive')
    await run(service.close())
  })

  it('deletes nothing before every group has been heard of', async () => {
    const running = await run(start())
    const { service, call, servers } = running
    const orphan = sessionScopedId<BlockId>(Buffer.alloc(8, 9) as Uint8Array as SessionId, 1)
    const { space } = await run(
      call(createBucket, { op: orphan as Uint8Array as OpId, bucket: 'b', owner: 'o', region: 'r' }),
    )
    const owner = { space, bucket: 'b', key: 'k', map: orphan as Uint8Array as OpId }
    servers[0]?.store(orphan, owner, Buffer.from('x'))
    const bytes = { capacityBytes: 1e9, freeBytes: 1e8, liveBytes: 0, deadBytes: 0 }
    const reportOf = (at: number) => {
      const drive = servers[at - 1]?.drive ?? ''
      const report = { drive, healthy: true, ...bytes, blockCount: 0, damagedBlocks: 0 }
      return { server: `chunk-${at}`, reports: [report] }
    }
    await run(call(heartbeat, reportOf(1)))
    await run(call(heartbeat, { server: 'chunk-2', reports: [] }))
    await clock.advance(5_000)
    expect(service.status().safeMode).to.equal(true)
    expect(servers[0]?.blocks.size).to.equal(1)
    await run(call(heartbeat, reportOf(2)))
    expect(service.status().safeMode).to.equal(false)
    await clock.advance(5_000)
    expect(servers[0]?.blocks.size).to.equal(0)
    await run(service.close())
  })

  it('knows after a restart what it has done, so that a repeated put undoes no delete', async () => {
    const store: EntryStore = Object.create(createMemoryEntryStore({ clock }))
    store.close = async () => undefined
    const first = await run(start(0, store))
    const { session } = await run(first.call(openSession, { role: 'gateway', name: 'g1' }))
    await run(putOne(first, session))
    const items = [{ op: opOf(session, 4), key: 'k' }]
    await run(first.call(deleteObjects, { bucket: 'b', owner: 'o', items }))
    await run(first.service.close())
    const second = await run(start(0, store))
    await run(putOne(second, session))
    const found = await rejection(run(second.call(getObject, { bucket: 'b', key: 'k' })))
    expect(found.code).to.equal('NoSuchKey')
    await run(second.service.close())
  })

  it('refuses calls once closed, and closes twice without harm', async () => {
    const { service, call } = await run(start())
    await run(service.close())
    await run(service.close())
    expect(['ConnectionLost', 'ShuttingDown']).to.include(
      (await rejection(run(call(getClusterMap, {})))).code,
    )
  })
})

describe('drive caller', () => {
  it('reads a page from any replica that has the right bytes, and calls it absent only if all say so', async () => {
    const { service, network, servers } = await run(start())
    const { map } = service.status()
    const store = createKeyValueStore({
      store: createMemoryEntryStore({ clock }),
      clock,
      random,
      service: 'x',
    })
    const cluster = await run(ClusterState.open({ store, clock, random, replicas: 3, drivesExpected: 3 }))
    for (const member of map.members) {
      const drives = map.drives
        .filter(({ server }) => server === member.id)
        .map(({ id, capacityBytes }) => ({ id, capacityBytes, path: '/d', device: '1', parent: '1' }))
      await run(cluster.register({ member, drives }))
    }
    const caller = createDriveCaller({
      cluster,
      network,
      identity: identityOf('metadata', 'x', map.clusterId),
    })
    const session = Buffer.alloc(8, 1) as Uint8Array as SessionId
    const block = sessionScopedId<BlockId>(session, 1)
    const content = MapPageContent.encode({ slices: [] })
    const page = {
      block,
      offset: 0,
      length: content.length,
      blockBytes: content.length,
      hash: hashBlock(content),
    }
    const owner = {
      space: session as Uint8Array as BlockOwner['space'],
      bucket: 'b',
      key: 'k',
      map: block as Uint8Array as OpId,
    }
    expect(await run(caller.readPage(1, page))).to.equal(undefined)
    servers[0]?.store(block, owner, Buffer.alloc(content.length, 0xff))
    expect((await rejection(run(caller.readPage(1, page)))).code).to.equal('BlockUnavailable')
    servers[2]?.store(block, owner, content)
    expect(await run(caller.readPage(1, page))).to.deep.equal([])
    expect((await rejection(run(caller.readPage(9, page)))).code).to.equal('BlockUnavailable')
    expect((await run(caller.deleteBlocks(9, [block]))).unfinished.size).to.equal(1)
    expect((await run(caller.deleteBlocks(1, [block]))).unfinished.size).to.equal(0)
    expect(servers.map(({ blocks }) => blocks.size)).to.deep.equal([0, 0, 0])
    await run(caller.close())
    await run(service.close())
  })
})
