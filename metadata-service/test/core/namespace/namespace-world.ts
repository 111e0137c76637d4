/** A namespace over the memory store in a simulated world, with one open session and one pool. */
import {
  type BlockId,
  type BlockMap,
  CairnError,
  type CopyObjectRequest,
  type DeleteItem,
  type DeleteOutcome,
  type OpId,
  type PutObjectRequest,
  type PutObjectResponse,
  type Random,
  type SessionId,
  type SpaceId,
  sessionScopedId,
  type VersioningState,
  type WriteContext,
} from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { createWriterGuard } from '../../../src/core/attempts/writer-guard.js'
import { ClusterState } from '../../../src/core/cluster/cluster-state.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import { createNamespace, type Namespace } from '../../../src/core/namespace/namespace.js'
import { Sessions } from '../../../src/core/services/sessions.js'
import type { KeyValueStore } from '../../../src/ports.js'
import { createFaultyEntryStore, type FaultyEntryStore } from '../../../src/simulation/faulty-entry-store.js'

/** The seed of every random test here; set CAIRN_TEST_SEED to repeat a run. */
export const seed: number = Number(process.env.CAIRN_TEST_SEED ?? 1)

export const OWNER = 'owner-1'

export class NamespaceWorld {
  readonly clock: SimulatedClock
  readonly random: Random
  readonly store: KeyValueStore
  readonly line: FaultyEntryStore
  readonly sessions: Sessions
  readonly cluster: ClusterState
  readonly namespace: Namespace
  readonly session: SessionId
  readonly poolEpoch: number
  private counter = 0

  private constructor(parts: Omit<NamespaceWorld, 'counter'>) {
    this.clock = parts.clock
    this.random = parts.random
    this.store = parts.store
    this.line = parts.line
    this.sessions = parts.sessions
    this.cluster = parts.cluster
    this.namespace = parts.namespace
    this.session = parts.session
    this.poolEpoch = parts.poolEpoch
  }

  static async open(ownSeed: number): Promise<NamespaceWorld> {
    const random = createSeededRandom(ownSeed)
    const clock = createSimulatedClock(random)
    const line = createFaultyEntryStore({ store: createMemoryEntryStore({ clock }), random, rate: 0 })
    const store = createKeyValueStore({ store: line, clock, random, service: 'm1' })
    const sessions = new Sessions({ store, clock, random })
    const { cluster, session } = await clock.runUntil(setUp(store, clock, random, sessions))
    const guard = createWriterGuard(sessions, cluster)
    const namespace = createNamespace({ store, clock, random, guard, sessions })
    const poolEpoch = cluster.known.pools[0]?.epoch ?? 0
    const parts = { clock, random, store, line, sessions, cluster, namespace, session, poolEpoch }
    return new NamespaceWorld(parts as unknown as NamespaceWorld)
  }

  /** A second service over the same store: shares nothing else. */
  secondService(): Namespace {
    const { store, clock, random } = this
    const sessions = new Sessions({ store, clock, random })
    return createNamespace({
      store,
      clock,
      random,
      guard: createWriterGuard(sessions, this.cluster),
      sessions,
    })
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.runUntil(work)
  }

  op(): OpId {
    return sessionScopedId<OpId>(this.session, this.counter++)
  }

  context(op: OpId = this.op()): WriteContext {
    return { session: this.session, op, poolEpoch: this.poolEpoch, dirtyGroups: [] }
  }

  map(sizeBytes: number): BlockMap {
    if (sizeBytes === 0) return { pool: 1, slices: [], pages: [] }
    const block = sessionScopedId<BlockId>(this.session, this.counter++)
    const slice = { block, offset: 0, length: sizeBytes, blockBytes: sizeBytes, hash: new Uint8Array(32) }
    return { pool: 1, slices: [slice], pages: [] }
  }

  async bucket(name: string, versioning: VersioningState = 'unset'): Promise<SpaceId> {
    const made = await this.run(
      this.namespace.createBucket({ op: this.op(), bucket: name, owner: OWNER, region: 'r' }),
    )
    if (versioning !== 'unset') {
      await this.run(this.namespace.setBucketVersioning({ op: this.op(), bucket: name, versioning }))
    }
    return made.space
  }

  putRequest(
    bucket: string,
    space: SpaceId,
    key: string,
    changes: Partial<PutObjectRequest> = {},
  ): PutObjectRequest {
    const sizeBytes = changes.sizeBytes ?? 5
    return {
      context: this.context(),
      bucket,
      space,
      key,
      map: this.map(sizeBytes),
      sizeBytes,
      etag: `etag-${this.counter}`,
      owner: OWNER,
      attributes: {},
      ...changes,
    }
  }

  /** As a writer in the same process puts: in the turn if that can be, else in the ordinary way. */
  async putSoon(request: PutObjectRequest): Promise<PutObjectResponse> {
    const outcome = await (this.putNow(request) ?? this.namespace.putObject(request))
    if (outcome instanceof CairnError) throw outcome
    return outcome
  }

  /** The outcome of a put that is planned in this turn; `undefined` if it was not taken. */
  putNow(request: PutObjectRequest): Promise<PutObjectResponse | CairnError> | undefined {
    let isTaken = false
    const outcome = new Promise<PutObjectResponse | CairnError>((resolve) => {
      isTaken = this.takes(request, resolve)
    })
    return isTaken ? outcome : undefined
  }

  private takes(
    request: PutObjectRequest,
    settle: (outcome: PutObjectResponse | CairnError) => void,
  ): boolean {
    try {
      return this.namespace.putObjectNow(request, settle)
    } catch {
      return false
    }
  }

  /** Puts and returns the version id that a reader would use. */
  async put(
    bucket: string,
    space: SpaceId,
    key: string,
    changes: Partial<PutObjectRequest> = {},
  ): Promise<string> {
    const answer = await this.run(this.namespace.putObject(this.putRequest(bucket, space, key, changes)))
    return answer.versionId ?? 'null'
  }

  async remove(bucket: string, key: string, item: Partial<DeleteItem> = {}): Promise<DeleteOutcome> {
    const items = [{ op: this.op(), key, ...item }]
    const { outcomes } = await this.run(this.namespace.deleteObjects({ bucket, owner: OWNER, items }))
    return outcomes[0] as DeleteOutcome
  }

  copyRequest(
    source: CopyObjectRequest['source'],
    bucket: string,
    key: string,
    changes: Partial<CopyObjectRequest> = {},
  ): CopyObjectRequest {
    return { context: this.context(), source, bucket, key, owner: OWNER, ...changes }
  }
}

async function setUp(
  store: KeyValueStore,
  clock: SimulatedClock,
  random: Random,
  sessions: Sessions,
): Promise<{ cluster: ClusterState; session: SessionId }> {
  const cluster = await ClusterState.open({ store, clock, random, replicas: 1, drivesExpected: 1 })
  await cluster.register({
    member: { id: 'c1', address: 'local:c1', zone: '', rack: '', host: 'h1' },
    drives: [{ id: '0'.repeat(16), capacityBytes: 1e12, path: '/drives/1', device: '8:1', parent: '8:1/2' }],
  })
  return { cluster, session: await sessions.open({ role: 'gateway', name: 'g1' }) }
}
