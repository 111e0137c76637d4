/** A namespace over the memory store, with three or more drives in memory, and repair over them. */
import {
  type BlockEntry,
  type BlockId,
  type BlockMap,
  type BlockOwner,
  CairnError,
  type DriveId,
  formatId,
  groupOf,
  type OpId,
  type PlacedBy,
  type Random,
  type ServerSpeed,
  type SessionId,
  type SpaceId,
  sessionScopedId,
} from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { createMemoryEntryStore } from '../src/adapters/embedded/memory-entry-store.js'
import { createWriterGuard } from '../src/core/attempts/writer-guard.js'
import { ClusterState } from '../src/core/cluster/cluster-state.js'
import { DriveStates } from '../src/core/cluster/drive-states.js'
import { hasGroup } from '../src/core/cluster/group-bits.js'
import { holdersOf } from '../src/core/cluster/group-holders.js'
import { SlowServers } from '../src/core/cluster/slow-servers.js'
import { createKeyValueStore } from '../src/core/commit/batcher.js'
import { createNamespace, type Namespace } from '../src/core/namespace/namespace.js'
import { dirtyRange } from '../src/core/rows/keys.js'
import { Sessions } from '../src/core/services/sessions.js'
import type { KeyValueStore } from '../src/ports.js'
import type { CopyOrder, DriveMender, ListedBlocks, ListScope } from '../src/ports-blocks.js'
import { createFaultyEntryStore, type FaultyEntryStore } from '../src/simulation/faulty-entry-store.js'
import { MembershipWorker } from '../src/workers/membership-worker.js'
import { RepairCoordinator } from '../src/workers/repair-coordinator.js'
import { StrayWorker } from '../src/workers/stray-worker.js'

/** One drive: blocks by hex id. */
export interface MemoryDrive {
  readonly id: DriveId
  readonly blocks: Map<string, BlockEntry>
  isUp: boolean
  /** When it was last opened; raised by a test that takes blocks away while nobody looks. */
  openedMs: number
  /** Copies to it fail with this code. */
  refuses: 'DriveFull' | undefined
}

const PAGE = 3

/** Drives in memory behind the port of repair. */
export class MemoryMender implements DriveMender {
  readonly drives: Map<DriveId, MemoryDrive> = new Map()
  readonly copies: CopyOrder[] = []
  /** Pages of lists that were asked for. */
  pages = 0
  readonly deletions: { drive: DriveId; blocks: readonly BlockId[]; placedBy?: PlacedBy }[] = []
  /** Blocks whose bytes are wrong though no list says so: hex id and drive. */
  readonly rotten: Set<string> = new Set()
  private readonly clock: SimulatedClock

  constructor(clock: SimulatedClock) {
    this.clock = clock
  }

  add(id: DriveId): MemoryDrive {
    const drive: MemoryDrive = { id, blocks: new Map(), isUp: true, openedMs: 1, refuses: undefined }
    this.drives.set(id, drive)
    return drive
  }

  async list(id: DriveId, after: BlockId | undefined, scope: ListScope): Promise<ListedBlocks> {
    this.pages++
    const drive = await this.answer(id)
    const { groups, damagedOnly = false } = scope
    const isWanted = ({ block, damaged = false }: BlockEntry): boolean => {
      const group = groupOf(block)
      const inGroups = groups === undefined || hasGroup(groups, group)
      return inGroups && (damaged || !damagedOnly)
    }
    const sorted = [...drive.blocks.values()].sort((a, b) => Buffer.compare(a.block, b.block))
    const rest = sorted.filter(({ block }) => after === undefined || Buffer.compare(block, after) > 0)
    const page = rest.slice(0, PAGE)
    return { blocks: page.filter(isWanted), next: rest.length > PAGE ? page.at(-1)?.block : undefined }
  }

  async find(id: DriveId, blocks: readonly BlockId[]): Promise<readonly BlockEntry[]> {
    const drive = await this.answer(id)
    return blocks.flatMap((block) => drive.blocks.get(formatId(block)) ?? [])
  }

  async copy(order: CopyOrder): Promise<number> {
    const target = await this.answer(order.drive)
    const source = await this.answer(order.source)
    const name = formatId(order.block)
    const entry = source.blocks.get(name)
    if (entry === undefined) throw new CairnError('NoSuchBlock', 'the source has none')
    if (entry.damaged === true || this.rotten.has(`${name} ${source.id}`)) {
      throw new CairnError('BlockCorrupt', 'the source is damaged')
    }
    if (target.refuses !== undefined) throw new CairnError(target.refuses, 'no')
    this.copies.push(order)
    const { block, sizeBytes, hash, owner } = order
    target.blocks.set(name, { block, sizeBytes, hash, owner, storedAtMs: 0 })
    return sizeBytes
  }

  async verify(id: DriveId, blocks: readonly BlockId[]): Promise<readonly BlockId[]> {
    const drive = await this.answer(id)
    return blocks.filter((block) => {
      const name = formatId(block)
      return drive.blocks.get(name)?.damaged === true || this.rotten.has(`${name} ${id}`)
    })
  }

  async deleteOnDrive(id: DriveId, blocks: readonly BlockId[], placedBy?: PlacedBy): Promise<number> {
    const drive = await this.answer(id)
    this.deletions.push({ drive: id, blocks, ...(placedBy === undefined ? {} : { placedBy }) })
    for (const block of blocks) drive.blocks.delete(formatId(block))
    return blocks.length * 10
  }

  private async answer(id: DriveId): Promise<MemoryDrive> {
    await new Promise<void>((resolve) => this.clock.setTimer(1, resolve))
    const drive = this.drives.get(id)
    if (drive?.isUp !== true) throw new CairnError('DeadlineExceeded', 'down')
    return drive
  }
}

/** See the head of this file. */
export class RepairWorld {
  readonly random: Random
  readonly clock: SimulatedClock
  readonly line: FaultyEntryStore
  readonly store: KeyValueStore
  readonly sessions: Sessions
  readonly mender: MemoryMender
  readonly errors: string[] = []
  cluster!: ClusterState
  states!: DriveStates
  repair!: RepairCoordinator
  slow!: SlowServers
  membership!: MembershipWorker
  strays!: StrayWorker
  namespace!: Namespace
  space!: SpaceId
  session!: SessionId
  private counter = 0

  private constructor(seed: number) {
    this.random = createSeededRandom(seed)
    this.clock = createSimulatedClock(this.random)
    const { clock, random } = this
    this.line = createFaultyEntryStore({ store: createMemoryEntryStore({ clock }), random, rate: 0 })
    this.store = createKeyValueStore({ store: this.line, clock, random, service: 'm1' })
    this.sessions = new Sessions({ store: this.store, clock, random })
    this.mender = new MemoryMender(clock)
  }

  /** Three drives that answer, a bucket `b`, and a session. */
  static async open(seed = 71): Promise<RepairWorld> {
    const world = new RepairWorld(seed)
    await world.run(world.setUp())
    return world
  }

  private async setUp(): Promise<void> {
    const { store, clock, random, sessions } = this
    this.cluster = await ClusterState.open({ store, clock, random, replicas: 3, drivesExpected: 3 })
    const { heartbeats } = this.cluster
    this.states = new DriveStates({ clock, heartbeats, suspectSeconds: 30, deadSeconds: 600 })
    for (const at of [1, 2, 3]) await this.register(at, idOf(at))
    const guard = createWriterGuard(sessions, this.cluster)
    this.namespace = createNamespace({ store, clock, random, guard, sessions })
    this.startWorkers()
    this.session = await sessions.open({ role: 'gateway', name: 'g' })
    const request = { op: this.op(), bucket: 'b', owner: 'o', region: 'r' }
    this.space = (await this.namespace.createBucket(request)).space
  }

  /** The workers of a coordinator that has just begun: whatever another one knew is forgotten. */
  startWorkers(): void {
    const { store, clock, cluster, states, mender } = this
    const onError = (what: string): number => this.errors.push(what)
    const answers = (drive: DriveId): boolean => states.answers(drive)
    const strays = new StrayWorker({
      clock,
      cluster,
      drives: mender,
      answers,
      onLacking: (pool, block, copies) => this.repair.suspect({ pool, blocks: [block] }, copies),
      onError,
    })
    this.slow = new SlowServers({ clock })
    const membership = new MembershipWorker({
      clock,
      cluster,
      states,
      slow: this.slow,
      joinSeconds: 30,
      onLeave: (pool, drive, groups) => strays.note(pool, drive, groups),
    })
    this.strays = strays
    this.membership = membership
    this.repair = new RepairCoordinator({
      store,
      clock,
      cluster,
      states,
      drives: mender,
      scrubSeconds: 1000,
      onWhole: (whole) => membership.look(whole),
      onCompared: () => strays.noteAll(),
      onError,
    })
  }

  /** Registers a drive on server `at` at the place of that server's drive, and lets it report. */
  async register(
    at: number,
    id: DriveId,
    place: { parent?: string; host?: string; rack?: string } = {},
  ): Promise<void> {
    const { parent = '1', host = `h${at}`, rack = '' } = place
    if (!this.mender.drives.has(id)) this.mender.add(id)
    const member = { id: `c${at}`, address: `local:c${at}`, zone: '', rack, host }
    const drive = { id, capacityBytes: 1e9, path: '/d', device: '1', parent }
    await this.cluster.register({ member, drives: [drive] })
    await this.beat()
  }

  /** Every drive that is up reports itself healthy. */
  async beat(): Promise<void> {
    for (const { id, server } of this.cluster.known.drives) {
      const drive = this.mender.drives.get(id)
      if (drive?.isUp !== true) continue
      const blockCount = drive.blocks.size
      const damagedBlocks = [...drive.blocks.values()].filter(({ damaged }) => damaged === true).length
      const space = { capacityBytes: 1e9, freeBytes: 1e8, liveBytes: 0, deadBytes: 0 }
      const { openedMs } = drive
      const report = { drive: id, healthy: true, ...space, blockCount, damagedBlocks, openedMs }
      await this.cluster.report({ server, reports: [report] })
    }
    this.states.look(this.cluster.known)
  }

  /** The coordinator looks at the drives, after a gateway has said, if it has, that server `at` is slow. */
  async look(at?: number): Promise<void> {
    const micros = (server: number): number => (server === at ? 1_000_000 : 1_000)
    const speeds = [1, 2, 3].map((server): ServerSpeed => {
      const lowMicros = micros(server)
      return { server: `c${server}`, kind: 'write', calls: 10, lowMicros, highMicros: 2 * lowMicros }
    })
    if (at !== undefined) this.slow.note({ observer: 'g', speeds })
    await this.beat()
    this.slow.look(this.cluster.known, (drive) => this.states.answers(drive))
    await this.membership.look()
  }

  /** One look of every worker, two seconds after the last one. */
  async round(): Promise<void> {
    await this.clock.advance(2_000)
    await this.run(this.sessions.renew(this.session))
    await this.run(this.beat())
    await this.run(this.membership.look())
    await this.run(this.mend('due'))
    await this.run(this.strays.run(new AbortController().signal))
  }

  async rounds(count: number): Promise<void> {
    for (let at = 0; at < count; at++) await this.round()
  }

  /** Rows of debts, of single groups or of every one. */
  async debts(): Promise<number> {
    const { results } = await this.run(this.store.read([{ kind: 'scan', range: dirtyRange(), limit: 100 }]))
    return results[0]?.length ?? 0
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.runUntil(work)
  }

  op(): OpId {
    return sessionScopedId<OpId>(this.session, this.counter++)
  }

  drive(at: number): MemoryDrive {
    return this.mender.drives.get(idOf(at)) ?? this.mender.add(idOf(at))
  }

  /** Stores a block on these drives, of those of its group unless given. */
  storeBlock(owner: BlockOwner, drives?: readonly DriveId[]): BlockId {
    const block = sessionScopedId<BlockId>(this.session, this.counter++)
    const entry = { block, sizeBytes: 10, hash: new Uint8Array(32), storedAtMs: 0, owner }
    for (const id of drives ?? this.holders(block)) {
      this.mender.drives.get(id)?.blocks.set(formatId(block), { ...entry })
    }
    return block
  }

  holders(block: BlockId): DriveId[] {
    const [pool] = this.cluster.known.pools
    return pool === undefined ? [] : holdersOf(this.cluster.known, pool, block)
  }

  /** Puts an object of one block on these drives; names the dirty group as a writer would. */
  async put(key: string, drives?: readonly DriveId[]): Promise<BlockId> {
    const op = this.op()
    const block = this.storeBlock({ space: this.space, bucket: 'b', key, map: op }, drives)
    await this.commit({ key, op, block, isOwing: drives !== undefined && drives.length < 3 })
    return block
  }

  /** Commits an object of this block, which was stored under the same operation. */
  async commit(object: { key: string; op: OpId; block: BlockId; isOwing: boolean }): Promise<void> {
    const { key, op, block, isOwing } = object
    const slice = { block, offset: 0, length: 10, blockBytes: 10, hash: new Uint8Array(32) }
    const map: BlockMap = { pool: 1, slices: [slice], pages: [] }
    const dirtyGroups = isOwing ? [groupOf(block)] : []
    const poolEpoch = this.cluster.known.pools[0]?.epoch ?? 0
    await this.namespace.putObject({
      context: { session: this.session, op, poolEpoch, dirtyGroups },
      bucket: 'b',
      space: this.space,
      key,
      map,
      sizeBytes: 10,
      etag: 'e',
      owner: 'o',
      attributes: {},
    })
  }

  async delete(key: string): Promise<void> {
    const items = [{ op: this.op(), key }]
    await this.namespace.deleteObjects({ bucket: 'b', owner: 'o', items })
  }

  /** Drives with a copy that is not marked as damaged. */
  good(block: BlockId): DriveId[] {
    return [...this.mender.drives.values()]
      .filter(({ blocks }) => {
        const entry = blocks.get(formatId(block))
        return entry !== undefined && entry.damaged !== true
      })
      .map(({ id }) => id)
  }

  /** Marks the copy on a drive as damaged. */
  damage(block: BlockId, drive: DriveId): void {
    const blocks = this.mender.drives.get(drive)?.blocks
    const entry = blocks?.get(formatId(block))
    if (entry !== undefined) blocks?.set(formatId(block), { ...entry, damaged: true })
  }

  /** Compares everything, or only what is due, and repairs what is found. */
  async mend(what: 'all' | 'due' = 'all'): Promise<void> {
    const { signal } = new AbortController()
    let isOver = false
    const compare = what === 'all' ? this.repair.compareAll(signal) : this.repair.compareDue(signal)
    const compared = compare.finally(() => {
      isOver = true
    })
    while (!isOver) {
      await this.repair.repair(signal)
      await new Promise<void>((resolve) => this.clock.setTimer(1, resolve))
    }
    await compared
    await this.repair.repair(signal)
  }
}

/** The id of the first drive of server `at`. */
export function idOf(at: number): DriveId {
  return String(at).padStart(16, '0')
}
