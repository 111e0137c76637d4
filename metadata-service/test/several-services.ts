/** Several metadata services on one memory store, with their own clocks over one simulated network. */
import {
  createBucket,
  createNetwork,
  createRouter,
  getBucket,
  type HandshakeIdentity,
  type HeartbeatRequest,
  heartbeat,
  type Network,
  type OpId,
  openSession,
  type Random,
  type RegisterServerRequest,
  type RpcMethod,
  type RpcPeer,
  registerServer,
  type SessionId,
  type SpaceId,
  sessionScopedId,
} from '@cairn/protocol'
import {
  connectAsCaller,
  createSeededRandom,
  createSimulatedClock,
  type SimulatedClock,
} from '@cairn/protocol/simulation'
import {
  createMemoryEntryStore,
  createMetadataService,
  type EntryStore,
  type MetadataService,
  type MetadataServiceOptions,
} from '../src/index.js'
import type { StoreEvent } from '../src/ports.js'

const DEADLINE = { deadlineMs: 20_000 }

export function identityOf(role: string, name: string): HandshakeIdentity {
  return { role, name, clusterId: '', featureLevel: 1, clusterSecret: Buffer.alloc(32, 7) }
}

export function driveOf(at: number): string {
  return String(at).padStart(16, '0')
}

/** What server `at` with one drive says of itself, and reports. */
export function registrationOf(at: number, runStart = 0): RegisterServerRequest {
  const name = `c${at}`
  const member = { id: name, address: `local:${name}`, zone: '', rack: '', host: `h${at}`, runStart }
  const drive = { id: driveOf(at), capacityBytes: 1e9, path: '/d', device: '1', parent: '1' }
  return { member, drives: [drive] }
}

export function beatOf(at: number): HeartbeatRequest {
  const space = { capacityBytes: 1e9, freeBytes: 1e8, liveBytes: 0, deadBytes: 0 }
  const report = { drive: driveOf(at), healthy: true, ...space, blockCount: 0, damagedBlocks: 0 }
  return { server: `c${at}`, reports: [report] }
}

/** One service that can be paused, as by SIGSTOP: nothing that it asks for or is told comes through meanwhile. */
export interface PausableService {
  readonly service: MetadataService
  readonly peer: RpcPeer
  pause(): void
  /** The same, once so many calls of the store, or answers to them, have come through. */
  pauseAfter(calls: number): void
  wake(): void
  /** It is gone without a word. */
  kill(): void
}

export class SeveralServices {
  readonly random: Random = createSeededRandom(91)
  readonly clock: SimulatedClock = createSimulatedClock(this.random)
  readonly store: EntryStore = createMemoryEntryStore({ clock: this.clock })
  readonly network: Network
  session!: SessionId
  private counter = 0

  constructor() {
    const { clock, random } = this
    this.network = createNetwork({ clock, random, onError: () => undefined })
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.runUntil(work)
  }

  /** `between` puts something of the service's own between it and the store that all share. */
  async start(
    name: string,
    changes: Partial<MetadataServiceOptions> = {},
    between = async (store: EntryStore): Promise<EntryStore> => store,
  ): Promise<PausableService> {
    const { clock, random, network } = this
    const gate = createGate(this.store)
    const service = await createMetadataService({
      store: await between(gate.store),
      clock,
      random,
      network,
      identity: identityOf('metadata', name),
      address: `local:${name}`,
      gcGraceSeconds: 0,
      orphanGraceSeconds: 0,
      replicas: 1,
      drivesExpected: 1,
      isShared: true,
      ...changes,
    })
    const address = await service.start()
    const peer = connectAsCaller(network, address, identityOf('gateway', 'g1'), 'metadata')
    const { close, closeAfter, open } = gate
    return { service, peer, pause: close, pauseAfter: closeAfter, wake: open, kill: close }
  }

  /** The drive of server `at`, that all given services hear of. */
  async addDrive(services: readonly PausableService[], at = 1): Promise<void> {
    await this.network.listen(`local:c${at}`, createRouter(), identityOf('chunk', `c${at}`))
    await services[0]?.peer.call(registerServer, registrationOf(at), DEADLINE)
    await this.beat(services, at)
  }

  /** The drive reports itself healthy. */
  async beat(services: readonly PausableService[], at = 1): Promise<void> {
    for (const { peer } of services) await peer.call(heartbeat, beatOf(at), DEADLINE)
  }

  async open({ peer }: PausableService): Promise<SessionId> {
    const { response } = await peer.call(openSession, { role: 'gateway', name: 'g' }, DEADLINE)
    this.session = Uint8Array.from(response.session) as SessionId
    return this.session
  }

  op(session: SessionId = this.session): OpId {
    return sessionScopedId<OpId>(session, ++this.counter)
  }

  async call<Q, R>({ peer }: PausableService, method: RpcMethod<Q, R>, request: Q): Promise<R> {
    return (await peer.call(method, request, DEADLINE)).response
  }

  /** The space of bucket `b`. */
  async bucketSpace(service: PausableService): Promise<SpaceId> {
    const { space } = await this.call(service, getBucket, { bucket: 'b' })
    return Uint8Array.from(space) as SpaceId
  }

  /** A bucket, through this service. */
  async bucket(service: PausableService, bucket = 'b'): Promise<void> {
    await this.call(service, createBucket, { op: this.op(), bucket, owner: 'o', region: 'r' })
    await this.call(service, getBucket, { bucket })
  }
}

export interface TwoServices {
  readonly world: SeveralServices
  readonly a: PausableService
  readonly b: PausableService
}

/** Two services that hear of one drive, and a session at the first. */
export async function startTwo(between?: (store: EntryStore) => Promise<EntryStore>): Promise<TwoServices> {
  const world = new SeveralServices()
  const a = await world.run(world.start('a', {}, between))
  const b = await world.run(world.start('b', {}, between))
  await world.run(world.addDrive([a, b]))
  await world.run(world.open(a))
  return { world, a, b }
}

interface Gate {
  readonly store: EntryStore
  close(): void
  closeAfter(calls: number): void
  open(): void
}

/** A store that can be cut off: calls wait until it is opened again. */
function createGate(store: EntryStore): Gate {
  let waiting: (() => void)[] | undefined
  let left = Number.POSITIVE_INFINITY
  const pass = async (): Promise<void> => {
    if (left-- <= 0) waiting ??= []
    while (waiting !== undefined) await new Promise<void>((resolve) => waiting?.push(resolve))
  }
  const through = async <T>(call: () => Promise<T>): Promise<T> => {
    await pass()
    const answer = await call()
    await pass()
    return answer
  }
  async function* watch(...args: Parameters<EntryStore['watch']>): AsyncGenerator<StoreEvent> {
    for await (const event of store.watch(...args)) {
      await pass()
      yield event
    }
  }
  return {
    store: {
      apply: (entry) => through(() => store.apply(entry)),
      read: (reads) => through(() => store.read(reads)),
      rowsAt: (keys, revision) => through(() => store.rowsAt(keys, revision)),
      watch,
      grantLease: (ttlMs) => through(() => store.grantLease(ttlMs)),
      renewLease: (lease) => through(() => store.renewLease(lease)),
      revokeLease: (lease) => through(() => store.revokeLease(lease)),
      close: async () => undefined,
    },
    close: () => {
      waiting ??= []
    },
    closeAfter: (calls) => {
      left = calls
    },
    open: () => {
      const woken = waiting ?? []
      waiting = undefined
      left = Number.POSITIVE_INFINITY
      for (const resume of woken) resume()
    },
  }
}
