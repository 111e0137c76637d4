/**
 * The cluster map in the store and this service's copy of it.
 *
 * Every change compares and rewrites `m/cluster`, so changes of all services follow one another and each raises
 * the epoch. The copy is only a cache: before it is handed out, the one row `m/cluster` is read linearizably and
 * decides whether the copy still stands; writers compare the row of their pool in their own commit, so that a stale
 * copy can never let a write through. Nothing here changes on a missing answer: a drive stays what it is.
 */
import {
  CairnError,
  type Clock,
  type ClusterMap,
  type DriveReport,
  type HeartbeatRequest,
  hasCode,
  levelToJoin,
  Member,
  type OpId,
  Pool,
  type Random,
  type RegisterServerRequest,
} from '@cairn/protocol'
import type { Compare, KeyValueStore, Put } from '../../ports.js'
import {
  CLUSTER_KEY,
  ClusterRow,
  carriesChange,
  DriveRow,
  driveKey,
  memberKey,
  poolKey,
} from '../rows/cluster-state-rows.js'
import { dirtyKey, EVERY_GROUP } from '../rows/keys.js'
import { DirtyRow } from '../rows/rows.js'
import { holdGarbage } from '../upkeep/restore-hold.js'
import { type ClusterSnapshot, createCluster, readClusterSnapshot } from './cluster-snapshot.js'
import {
  type ClusterChange,
  type FirstPoolOptions,
  isEmptyChange,
  planRegistration,
  type RegisteredDrives,
} from './drive-registration.js'
import { requireLevel } from './feature-level-check.js'
import { Heartbeats } from './heartbeats.js'

/** What the state stands on, and what it makes a new cluster with. */
export interface ClusterStateOptions extends FirstPoolOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly random: Random
  /** Used when the cluster is made; a store that has another one is refused with `PeerRejected`. */
  readonly clusterId?: string
  /** Highest feature level that this service supports; 1 unless given. A new cluster is made with it. */
  readonly featureLevel?: number
}

/** Attempts of one change against others; then `Busy`. */
const CHANGE_ATTEMPTS_MAX = 16

/** A server that was not heard for so long, four beats, may have lost its drives to another; and a drive that is gone. */
const OWNER_SILENT_MS = 12_000

/** The map as this service knows it, and the only way to change it. */
export class ClusterState {
  readonly heartbeats: Heartbeats
  private readonly options: ClusterStateOptions
  private readonly openedAtMs: number
  private snapshot: ClusterSnapshot

  private constructor(options: ClusterStateOptions, snapshot: ClusterSnapshot) {
    this.options = options
    this.snapshot = snapshot
    this.heartbeats = new Heartbeats(options.clock)
    this.openedAtMs = options.clock.monotonicMs()
  }

  /** Reads the map, or makes the cluster if the store is empty. `FormatTooNew` if it demands a higher feature level. */
  static async open(options: ClusterStateOptions): Promise<ClusterState> {
    const snapshot =
      (await readClusterSnapshot(options.store)) ??
      (await createCluster({ ...options, featureLevel: supportedBy(options) }))
    if (options.clusterId !== undefined && options.clusterId !== snapshot.clusterRow.clusterId) {
      throw new CairnError('PeerRejected', `the store belongs to cluster ${snapshot.clusterRow.clusterId}`)
    }
    requireLevel(snapshot.map, supportedBy(options), 'this metadata service')
    return new ClusterState(options, snapshot)
  }

  /** The last map read; may be stale. */
  get known(): ClusterMap {
    return this.snapshot.map
  }

  /** The drives of the last map read, with their places. */
  get drives(): ReadonlyMap<string, DriveRow> {
    return this.snapshot.drives
  }

  /** Groups are being spread evenly, as of the last map read. */
  get isRebalancing(): boolean {
    return this.snapshot.rebalancing
  }

  /** Highest feature level that this service supports. */
  get supportedLevel(): number {
    return supportedBy(this.options)
  }

  /**
   * The map as of now: one row read when nothing has changed. `ShuttingDown` if the cluster has a feature level that
   * this service does not support: it lost its lease before that was raised, and others serve.
   */
  async current(): Promise<ClusterMap> {
    if (!(await this.isUpToDate())) await this.refresh()
    return this.snapshot.map
  }

  /**
   * What this service compares when it joins: the cluster is as it is now, of a feature level and with a target that
   * it supports, or `FormatTooNew`.
   */
  async joinCompare(): Promise<Compare> {
    if (!(await this.isUpToDate())) await this.reload()
    requireLevel(this.snapshot.map, this.supportedLevel, 'this metadata service')
    return this.compare
  }

  /**
   * What a commit compares by which this service takes on a writer of this level: so nobody of a lower level than
   * the cluster's target joins once that is announced. `FormatTooNew` if the writer's is too low, `ShuttingDown` if
   * this service's is.
   */
  async admit(level: number): Promise<Compare> {
    const map = await this.current()
    const needed = levelToJoin(map)
    if (this.supportedLevel < needed) throw leftBehind(this.supportedLevel, needed)
    requireLevel(map, level, 'the writer')
    return this.compare
  }

  /**
   * Registers a server and its drives; the epoch after it. Idempotent. `PeerRejected` if another server that is alive
   * has one of the drives, as its reports say: one of them holds a copy of the other's folder.
   */
  async register(request: RegisterServerRequest): Promise<number> {
    checkRegistration(request)
    await this.current()
    this.refuseTwins(request)
    await this.change((state) => {
      requireLevel(state.map, request.member.featureLevel ?? 1, `server ${request.member.id}`)
      return planRegistration(state, request, this.options)
    })
    return this.snapshot.map.epoch
  }

  /**
   * Plans a change against the map as of now, again if another came first; true if there was one to make. Through
   * `store`, which may fence it, unless its own is as good.
   */
  async change(
    plan: (state: RegisteredDrives) => ClusterChange,
    store: Pick<KeyValueStore, 'commit'> = this.options.store,
  ): Promise<boolean> {
    await this.current()
    for (let attempt = 0; attempt < CHANGE_ATTEMPTS_MAX; attempt++) {
      const change = plan(this.snapshot)
      if (isEmptyChange(change)) return false
      if (await this.apply(change, store)) return true
    }
    throw new CairnError('Busy', 'the cluster map keeps changing')
  }

  /**
   * Takes the reports of a server; `NoSuchDrive` tells it to register (again). What it says of a drive that is not its
   * own by the map, or not in it, counts only if the drive is healthy: one that is not cannot be registered, and must
   * not keep the others from being heard.
   */
  async report(request: HeartbeatRequest): Promise<number> {
    const { server, reports } = request
    const isOwn = ({ drive }: DriveReport): boolean =>
      this.snapshot.drives.get(drive)?.drive.server === server
    if (!this.knowsServer(server) || !reports.every(isOwn)) await this.current()
    if (!this.knowsServer(server) || reports.some((report) => report.healthy && !isOwn(report))) {
      throw new CairnError('NoSuchDrive', `server ${server} has not registered all its drives`)
    }
    this.heartbeats.record({ server, reports: reports.filter(isOwn) })
    return this.snapshot.map.epoch
  }

  /**
   * The compare that fences a write placed by this epoch of the pool. `StaleClusterMap` (details.epoch: the
   * pool's epoch now) if the pool has moved on or is not there.
   */
  async poolCompare(pool: number, epoch: number): Promise<Compare> {
    if (this.poolEpoch(pool) !== epoch) await this.current()
    const compare = this.knownPoolCompare(pool, epoch)
    if (compare === undefined) throw this.staleMap(pool)
    return compare
  }

  /** The same without a read; `undefined` if the pool is not known to be at this epoch. */
  knownPoolCompare(pool: number, epoch: number): Compare | undefined {
    return this.poolEpoch(pool) === epoch ? this.snapshot.poolCompares.get(pool) : undefined
  }

  /** `StaleClusterMap` unless the pool is at this epoch, as far as known. */
  staleEpoch(pool: number, epoch: number): CairnError | undefined {
    return this.poolEpoch(pool) === epoch ? undefined : this.staleMap(pool)
  }

  /** After a failed pool compare: reads the map again, so that the next attempt names the current epoch. */
  async refresh(): Promise<ClusterMap> {
    try {
      return await this.reload()
    } catch (error) {
      if (!hasCode(error, 'FormatTooNew')) throw error
      throw new CairnError('ShuttingDown', error.message, { cause: error })
    }
  }

  private get compare(): Compare {
    return { kind: 'revision', key: CLUSTER_KEY, revision: this.snapshot.revision }
  }

  private async isUpToDate(): Promise<boolean> {
    const { results } = await this.options.store.read([{ kind: 'get', key: CLUSTER_KEY }])
    return results[0]?.[0]?.revision === this.snapshot.revision
  }

  /** Of readings that overlap the newest counts. One that began later and is older was made of a store gone back. */
  private async reload(): Promise<ClusterMap> {
    const before = this.snapshot
    const snapshot = await this.readSnapshot(this.options.store)
    if (snapshot.revision >= this.snapshot.revision) this.snapshot = snapshot
    else if (this.snapshot === before) await this.goBack(before)
    return this.snapshot.map
  }

  /**
   * The store was restored from an older copy of itself, unless only our copy of it has missed a change. ● What it has
   * lost looks like garbage: before this service takes part again, garbage is held.
   */
  private async goBack(before: ClusterSnapshot): Promise<void> {
    const { store, clock } = this.options
    const snapshot = await this.readSnapshot({ read: (reads) => store.readAuthority(reads) })
    if (snapshot.revision < before.revision) {
      const { incarnation } = snapshot.clusterRow
      await holdGarbage(store, { incarnation, atMs: Math.floor(clock.wallMicros() / 1000) })
    }
    if (this.snapshot === before || snapshot.revision >= this.snapshot.revision) this.snapshot = snapshot
  }

  private async readSnapshot(store: Pick<KeyValueStore, 'read'>): Promise<ClusterSnapshot> {
    const snapshot = await readClusterSnapshot(store)
    if (snapshot === undefined) throw new CairnError('Internal', 'the store has lost its cluster row')
    // Not to be used: what stands in its rows may mean something else.
    const { featureLevel } = snapshot.clusterRow
    requireLevel({ featureLevel }, this.supportedLevel, 'this metadata service')
    return snapshot
  }

  private staleMap(pool: number): CairnError {
    const epoch = this.poolEpoch(pool)
    const details = epoch === undefined ? {} : { epoch: String(epoch) }
    return new CairnError('StaleClusterMap', `pool ${pool} is at epoch ${epoch ?? 'none'}`, { details })
  }

  private poolEpoch(pool: number): number | undefined {
    return this.snapshot.map.pools.find(({ id }) => id === pool)?.epoch
  }

  /** A drive moves to another server only once the one that had it has reported without it, or as gone, or is silent. */
  private refuseTwins({ member, drives }: RegisterServerRequest): void {
    for (const { id, path } of drives) {
      const owner = this.snapshot.drives.get(id)?.drive.server
      if (owner === undefined || owner === member.id) continue
      const place = this.snapshot.drives.get(id)?.path
      const silentMs = this.heartbeats.silentMs(owner)
      const isServed =
        silentMs === undefined
          ? this.options.clock.monotonicMs() - this.openedAtMs < OWNER_SILENT_MS
          : silentMs < OWNER_SILENT_MS && this.heartbeats.isHeld(owner, id, OWNER_SILENT_MS)
      if (!isServed) continue
      const message = `drive ${id} in ${path} of ${member.id} is served by ${owner} in ${place}: one is a copy of the other`
      throw new CairnError('PeerRejected', message, { details: { drive: id, server: owner } })
    }
  }

  private knowsServer(server: string): boolean {
    return this.snapshot.map.members.some(({ id }) => id === server)
  }

  /** Commits a change against the snapshot it was planned on; false if another change came first. */
  private async apply(change: ClusterChange, store: Pick<KeyValueStore, 'commit'>): Promise<boolean> {
    const { clusterRow, revision } = this.snapshot
    const next: ClusterRow = {
      ...clusterRow,
      epoch: clusterRow.epoch + 1,
      change: this.options.random.bytes(16),
      ...defaultPoolOf(clusterRow, change),
      ...(change.rebalancing === undefined ? {} : { rebalancing: change.rebalancing }),
      ...(change.balanceEpoch === undefined ? {} : { balanceEpoch: change.balanceEpoch }),
      ...levelOf(change),
    }
    const result = await store.commit({
      compares: [{ kind: 'revision', key: CLUSTER_KEY, revision }],
      puts: [
        { key: CLUSTER_KEY, value: ClusterRow.encode(next) },
        ...encodeChange(change),
        ...this.debtsOf(change, next.change as OpId),
      ],
      deletes: [...(change.removed ?? []).map(driveKey), ...(change.removedMembers ?? []).map(memberKey)],
      proof: { keys: [CLUSTER_KEY], carries: (rows) => carriesChange(rows[0], next.change) },
    })
    await this.refresh()
    return result.committed
  }

  /** Whoever takes over groups lacks their blocks: the debt is marked before anybody can count on it. */
  private debtsOf({ indebted }: ClusterChange, op: OpId): Put[] {
    const value = DirtyRow.encode({ op, sinceMicros: this.options.clock.wallMicros() })
    return indebted.map((pool) => ({ key: dirtyKey(pool, EVERY_GROUP), value }))
  }
}

function checkRegistration({ member, drives }: RegisterServerRequest): void {
  const ids = drives.map((drive) => drive.id)
  const isValid = member.id !== '' && member.address !== '' && ids.every((id) => /^[0-9a-f]{16}$/.test(id))
  if (!isValid || new Set(ids).size !== ids.length) {
    throw new CairnError('InvalidArgument', `server ${member.id} registers without proper ids`)
  }
}

function defaultPoolOf(row: ClusterRow, change: ClusterChange): { defaultPool?: number } {
  const first = change.pools[0]
  return row.defaultPool === undefined && first !== undefined ? { defaultPool: first.id } : {}
}

function encodeChange(change: ClusterChange): Put[] {
  return [
    ...change.members.map((member) => ({ key: memberKey(member.id), value: Member.encode(member) })),
    ...change.drives.map((row) => ({ key: driveKey(row.drive.id), value: DriveRow.encode(row) })),
    ...change.pools.map((pool) => ({ key: poolKey(pool.id), value: Pool.encode(pool) })),
  ]
}

function supportedBy({ featureLevel = 1 }: ClusterStateOptions): number {
  return featureLevel
}

function leftBehind(supported: number, needed: number): CairnError {
  return new CairnError('ShuttingDown', `this service supports feature level ${supported}, not ${needed}`)
}

/** A target of 0 is none. */
function levelOf({ feature }: ClusterChange): { featureLevel?: number; featureLevelTarget?: number } {
  return feature === undefined ? {} : { featureLevel: feature.level, featureLevelTarget: feature.target }
}
