/** A cluster of fakes in one process, on the real RPC and a simulated clock. */
import {
  type ClusterMap,
  createLocalNetwork,
  GROUPS_PER_POOL,
  type HandshakeIdentity,
  type Network,
  type Random,
  type Role,
} from '@cairn/protocol'
import {
  createSeededRandom,
  createSimulatedClock,
  createSimulatedNetwork,
  type SimulatedClock,
  type SimulatedNetwork,
} from '@cairn/protocol/simulation'
import { type BlockDamage, type ConnectedClient, connectCairn } from '../../src/index.js'
import { FakeChunkServer } from './fake-chunk-server.js'
import { FakeMetadata } from './fake-metadata.js'

export interface World {
  readonly clock: SimulatedClock
  readonly random: Random
  readonly network: SimulatedNetwork
  readonly metadata: FakeMetadata
  readonly servers: readonly FakeChunkServer[]
  readonly client: ConnectedClient
  readonly damages: BlockDamage[]
  /** Runs the simulation until the promise settles. */
  run<T>(promise: Promise<T>): Promise<T>
  /** Puts the groups on these servers and raises the epochs. */
  place(indexes: readonly number[]): void
  /** Lets these servers join all groups at these positions, and raises the epochs. */
  join(indexes: ReadonlyMap<number, number>): void
  /** A gateway's unless given. */
  identity(name: string, role?: Role): HandshakeIdentity
}

export interface WorldOptions {
  readonly servers?: number
  readonly replicas?: number
  readonly seed?: number
  /** Longest delay of the network; none unless given. */
  readonly delayMsMax?: number
  /** All speak in one process, without a wire. */
  readonly inProcess?: boolean
  /** See `ConnectOptions`. */
  readonly recentBytes?: number
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const { servers: count = 3, replicas = Math.min(3, count), seed = 1 } = options
  const random = createSeededRandom(seed)
  const clock = createSimulatedClock(random)
  const delay = { msMin: 0, msMax: options.delayMsMax ?? 0 }
  const network = createSimulatedNetwork({ clock, random, delay })
  const wire: Network = options.inProcess === true ? createLocalNetwork({ clock, random }) : network
  const servers = Array.from({ length: count }, (_, index) => new FakeChunkServer(`d${index}`, clock))
  const first = Array.from({ length: replicas }, (_, index) => index)
  const metadata = new FakeMetadata(clusterMap(servers, first, 1), clock, options.inProcess)
  const identity = (name: string, role: Role = 'gateway'): HandshakeIdentity => ({
    role,
    name,
    clusterId: '',
    featureLevel: 1,
    clusterSecret: Buffer.alloc(32, 7),
  })
  await wire.listen('local:metadata', metadata.router, identity('metadata', 'metadata'))
  for (const { drive, router } of servers) {
    await wire.listen(`local:${drive}`, router, identity(drive, 'chunk'))
  }
  const damages: BlockDamage[] = []
  const connecting = connectCairn({
    network: wire,
    metadata: ['local:metadata'],
    identity: identity('client'),
    clock,
    random,
    recentBytes: options.recentBytes ?? 0,
    onDamage: (damage) => damages.push(damage),
  })
  const client = await clock.runUntil(connecting)
  await clock.runUntil(client.createBucket('b'))
  return {
    clock,
    random,
    network,
    metadata,
    servers,
    client,
    damages,
    identity,
    run: (promise) => clock.runUntil(promise),
    place(indexes): void {
      metadata.map = clusterMap(servers, indexes, metadata.map.epoch + 1)
    },
    join(indexes): void {
      const { map } = metadata
      const epoch = map.epoch + 1
      const pools = map.pools.map((pool) => ({ ...pool, epoch, next: joining(indexes, pool.replicas) }))
      metadata.map = { ...map, epoch, pools }
    },
  }
}

function clusterMap(
  servers: readonly FakeChunkServer[],
  indexes: readonly number[],
  epoch: number,
): ClusterMap {
  const replicas = indexes.length
  const groups = Buffer.alloc(GROUPS_PER_POOL * replicas * 2)
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    for (const [position, index] of indexes.entries()) {
      groups.writeUInt16LE(index, (group * replicas + position) * 2)
    }
  }
  const members = servers.map(({ drive }) => {
    return { id: `m-${drive}`, address: `local:${drive}`, zone: '', rack: '', host: drive }
  })
  const drives = servers.map(({ drive }) => {
    return { id: drive, server: `m-${drive}`, state: 'up' as const, capacityBytes: 1e9 }
  })
  const names = servers.map(({ drive }) => drive)
  const rest = { failureDomain: 'drive' as const, drives: names, groups }
  const pool = { id: 1, name: 'default', epoch, replicas, ...rest }
  const facts = { clusterId: 'c', incarnation: 'i', featureLevel: 1, epoch, defaultPool: 1 }
  return { ...facts, members, drives, pools: [pool] }
}

function joining(indexes: ReadonlyMap<number, number>, replicas: number): Buffer {
  const next = Buffer.alloc(GROUPS_PER_POOL * replicas * 2, 0xff)
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    for (const [position, index] of indexes) next.writeUInt16LE(index, (group * replicas + position) * 2)
  }
  return next
}

/** Bytes that are the same for the same seed and size. */
export function patternBytes(sizeBytes: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes)
  let state = seed >>> 0 || 1
  for (let at = 0; at + 4 <= sizeBytes; at += 4) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes.writeInt32LE(state | 0, at)
  }
  for (let at = sizeBytes - (sizeBytes % 4); at < sizeBytes; at++) bytes[at] = at & 0xff
  return bytes
}

/** The bytes in chunks of random sizes. */
export async function* inChunks(
  bytes: Uint8Array,
  random: Random,
  bytesMax = 200_000,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const size = Math.min(bytes.length - at, Math.floor(random.fraction() * bytesMax))
    yield bytes.subarray(at, at + size)
    at += size
  }
}

/** The code that a promise rejects with; `none` if it resolves. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  )
}
