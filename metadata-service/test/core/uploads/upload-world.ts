import {
  type BlockId,
  type BlockMap,
  type BlockOwner,
  type CompletedUpload,
  type CompleteUploadRequest,
  formatId,
  type ObjectVersion,
  type OpId,
  type PartInfo,
  type PartRun,
  type PutPartRequest,
  type Random,
  type SessionId,
  type SpaceId,
  sessionScopedId,
  type UploadInfo,
  type VersioningState,
} from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import type { ObjectWorld } from '../../../src/core/attempts/objects-attempts.js'
import { createWriterGuard } from '../../../src/core/attempts/writer-guard.js'
import { ClusterState } from '../../../src/core/cluster/cluster-state.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import { createNamespace, type Namespace } from '../../../src/core/namespace/namespace.js'
import { rangeOfPrefix } from '../../../src/core/rows/keys.js'
import { PartRow, UploadRow, VersionRow } from '../../../src/core/rows/rows.js'
import { Sessions } from '../../../src/core/services/sessions.js'
import { completeUpload } from '../../../src/core/uploads/complete-upload.js'
import { createUpload, freezeUpload } from '../../../src/core/uploads/uploads.js'
import { listParts } from '../../../src/core/uploads/uploads-listing.js'
import { putPart } from '../../../src/core/uploads/uploads-parts.js'
import type { KeyValueStore, StoreRow } from '../../../src/ports.js'
import { createFaultyEntryStore, type FaultyEntryStore } from '../../../src/simulation/faulty-entry-store.js'
import { GarbageWorker } from '../../../src/workers/garbage-worker.js'
import { OrphanWorker } from '../../../src/workers/orphan-worker.js'
import { MemoryDrives } from '../../memory-drives.js'

const PART_BYTES = 10

/** Namespace, uploads and both workers with zero grace, over the memory store and one drive in memory. */
export class UploadWorld {
  readonly random: Random
  readonly clock: SimulatedClock
  readonly line: FaultyEntryStore
  readonly store: KeyValueStore
  readonly sessions: Sessions
  readonly drives: MemoryDrives
  readonly garbage: GarbageWorker
  readonly orphans: OrphanWorker
  session: SessionId = new Uint8Array(8) as SessionId
  namespace!: Namespace
  cluster!: ClusterState
  private counter = 0

  private constructor(seed: number) {
    this.random = createSeededRandom(seed)
    this.clock = createSimulatedClock(this.random)
    const { clock, random } = this
    this.line = createFaultyEntryStore({ store: createMemoryEntryStore({ clock }), random, rate: 0 })
    this.store = createKeyValueStore({ store: this.line, clock, random, service: 'm1' })
    this.sessions = new Sessions({ store: this.store, clock, random })
    this.drives = new MemoryDrives(clock)
    const { store } = this
    this.garbage = new GarbageWorker({ store, clock, reclaimer: this.drives, graceSeconds: () => 0 })
    this.orphans = new OrphanWorker({ store, clock, inspector: this.drives, graceSeconds: 0 })
  }

  static async open(seed: number): Promise<UploadWorld> {
    const world = new UploadWorld(seed)
    await world.run(world.setUp())
    return world
  }

  private async setUp(): Promise<void> {
    const { store, clock, random, sessions } = this
    this.cluster = await ClusterState.open({ store, clock, random, replicas: 1, drivesExpected: 1 })
    const member = { id: 'c1', address: 'local:c1', zone: '', rack: '', host: 'h' }
    const drive = { id: '0'.repeat(16), capacityBytes: 1e9, path: '/d', device: '1', parent: '1' }
    await this.cluster.register({ member, drives: [drive] })
    this.namespace = createNamespace({
      store,
      clock,
      random,
      guard: createWriterGuard(sessions, this.cluster),
      sessions,
    })
    this.session = await sessions.open({ role: 'gateway', name: 'g' })
  }

  get world(): ObjectWorld {
    return this.namespace.world
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.runUntil(work)
  }

  op(session: SessionId = this.session): OpId {
    return sessionScopedId<OpId>(session, this.counter++)
  }

  async bucket(name = 'b', versioning: VersioningState = 'unset'): Promise<SpaceId> {
    const { space } = await this.namespace.createBucket({
      op: this.op(),
      bucket: name,
      owner: 'o',
      region: 'r',
    })
    if (versioning !== 'unset') {
      await this.namespace.setBucketVersioning({ op: this.op(), bucket: name, versioning })
    }
    return space
  }

  /** Stores one block and gives the map that names it. */
  blockMap(owner: BlockOwner, session: SessionId = this.session): BlockMap {
    const block = sessionScopedId<BlockId>(session, this.counter++)
    return { pool: 1, slices: [this.drives.store(block, owner, PART_BYTES)], pages: [] }
  }

  async put(
    space: SpaceId,
    key: string,
    options: { bucket?: string; session?: SessionId; etag?: string } = {},
  ): Promise<string> {
    const { bucket = 'b', session = this.session } = options
    const op = this.op(session)
    const { etag = formatId(op) } = options
    const map = this.blockMap({ space, bucket, key, map: op }, session)
    await this.namespace.putObject({
      context: { session, op, poolEpoch: 1, dirtyGroups: [] },
      bucket,
      space,
      key,
      map,
      sizeBytes: PART_BYTES,
      etag,
      owner: 'o',
      attributes: {},
    })
    return etag
  }

  async create(key: string, bucket = 'b'): Promise<UploadInfo> {
    return createUpload(this.world, { op: this.op(), bucket, key, owner: 'o', attributes: {} })
  }

  /** A PutPart whose block is stored already. */
  partRequest(
    upload: UploadInfo,
    space: SpaceId,
    partNumber: number,
    session: SessionId = this.session,
  ): PutPartRequest {
    const map = Buffer.from(upload.uploadId.slice(16), 'hex') as Uint8Array as OpId
    const op = this.op(session)
    return {
      context: { session, op, poolEpoch: 1, dirtyGroups: [] },
      bucket: 'b',
      key: upload.key,
      uploadId: upload.uploadId,
      partNumber,
      map: this.blockMap({ space, bucket: 'b', key: upload.key, map }, session),
      sizeBytes: PART_BYTES,
      etag: formatId(op),
    }
  }

  async part(upload: UploadInfo, space: SpaceId, partNumber: number): Promise<PartInfo> {
    return putPart(this.world, this.partRequest(upload, space, partNumber))
  }

  /** A part that is a copy of a whole object. */
  async copiedPart(upload: UploadInfo, source: ObjectVersion, partNumber: number): Promise<PartInfo> {
    return putPart(this.world, {
      context: { session: this.session, op: this.op(), poolEpoch: 1, dirtyGroups: [] },
      bucket: 'b',
      key: upload.key,
      uploadId: upload.uploadId,
      partNumber,
      map: source.map ?? { pool: 1, slices: [], pages: [] },
      sizeBytes: source.sizeBytes,
      etag: source.etag,
      source: {
        bucket: 'b',
        key: source.key,
        etag: source.etag,
        ...(source.mapId === undefined ? {} : { mapId: source.mapId }),
      },
    })
  }

  /** Freezes, reads the parts, and gives what completes the upload with those of `numbers` (all if absent). */
  async prepareComplete(upload: UploadInfo, numbers?: readonly number[]): Promise<CompleteUploadRequest> {
    const op = this.op()
    const name = { bucket: 'b', key: upload.key, uploadId: upload.uploadId }
    await freezeUpload(this.world, { ...name, op })
    const listing = await listParts(this.world, { ...name, afterPart: 0, limit: 1000, withMaps: true })
    const parts = listing.parts.filter(({ partNumber }) => numbers?.includes(partNumber) ?? true)
    const slices = parts.flatMap(({ map }) => map?.slices ?? [])
    return {
      ...name,
      context: { session: this.session, op, poolEpoch: 1, dirtyGroups: [] },
      map: { pool: 1, slices, pages: [] },
      sizeBytes: parts.length * PART_BYTES,
      etag: `${formatId(op)}-${parts.length}`,
      parts: parts.map(
        ({ partNumber }): PartRun => ({ firstNumber: partNumber, count: 1, sizeBytes: PART_BYTES }),
      ),
      listHash: parts.map(({ partNumber, etag }) => `${partNumber}:${etag}`).join(),
    }
  }

  async complete(upload: UploadInfo, numbers?: readonly number[]): Promise<CompletedUpload> {
    return completeUpload(this.world, await this.prepareComplete(upload, numbers))
  }

  async delete(key: string, bucket = 'b'): Promise<void> {
    await this.namespace.deleteObjects({ bucket, owner: 'o', items: [{ op: this.op(), key }] })
  }

  async rows(prefix: string): Promise<readonly StoreRow[]> {
    const range = rangeOfPrefix(Buffer.from(prefix))
    const { results } = await this.store.read([{ kind: 'scan', range, limit: 10_000 }])
    return results[0] ?? []
  }

  /** Blocks that visible rows name: of versions, and of parts of live uploads. */
  async namedBlocks(): Promise<Set<string>> {
    const versions = [...(await this.rows('o/')), ...(await this.rows('v/'))]
    const maps = versions.map(({ value }) => VersionRow.decode(value).map)
    const live = (await this.rows('u/')).map(({ value }) => UploadRow.decode(value))
    for (const upload of live.filter(({ state }) => state === 'open' || state === 'frozen')) {
      const parts = await this.rows('p/')
      const ofUpload = parts.filter(
        ({ key }) => key.length === 20 && Buffer.from(key).subarray(2, 18).equals(upload.op),
      )
      maps.push(
        ...ofUpload.filter(({ key }) => key[18] !== 0xff).map(({ value }) => PartRow.decode(value).map),
      )
    }
    return new Set(maps.flatMap((map) => map?.slices ?? []).map(({ block }) => formatId(block)))
  }

  /** Blocks that a visible row names and no drive has: must be none, ever. */
  async lostBlocks(): Promise<string[]> {
    return [...(await this.namedBlocks())].filter((block) => !this.drives.blocksById.has(block))
  }
}
