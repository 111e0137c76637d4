/** The cached cluster map, and one peer for each member of it. */
import {
  type BlockId,
  CairnError,
  type CancelTimer,
  type Clock,
  type ClusterMap,
  type DriveId,
  type DriveState,
  drivesOfGroup,
  GROUPS_PER_POOL,
  getClusterMap,
  groupOf,
  type HandshakeIdentity,
  joinersOfGroup,
  type Network,
  type Pool,
  type RpcPeer,
  writeQuorum,
} from '@cairn/protocol'
import { MAP_REFRESH_MS } from '../limits.js'
import { BlockTokens } from './block-tokens.js'
import { LatencyWindow } from './latency.js'
import type { MetadataCaller } from './metadata-caller.js'

/** A chunk server as this client knows it. */
export class MemberPeer {
  readonly address: string
  readonly rpc: RpcPeer
  /** In this process or on this host. */
  readonly local: boolean
  readonly reads: LatencyWindow = new LatencyWindow()
  readonly writes: LatencyWindow = new LatencyWindow()
  /** Block calls under way. */
  inFlight = 0
  /** Block reads asked of it so far, good or bad. */
  readsBegun = 0
  /** Reads since its last answer that another replica has served in its place. */
  overtaken = 0
  /** When that last happened, by the monotonic clock. */
  overtakenAtMs = 0

  constructor(address: string, rpc: RpcPeer) {
    this.address = address
    this.rpc = rpc
    this.local = /^(local:|127\.|localhost:|\[::1\])/.test(address)
  }

  /** Judges it anew. */
  forget(): void {
    this.reads.clear()
    this.writes.clear()
    this.overtaken = 0
  }
}

/** One drive as the target of a block call. */
export interface Target {
  readonly drive: DriveId
  readonly state: DriveState
  readonly peer: MemberPeer
}

/** What the writers and readers of blocks see of a pool: positions without a known drive are `undefined`. */
export interface GroupView {
  readonly pool: Pool
  /** The members: who is read from first. */
  readonly targets: readonly (Target | undefined)[]
  /** Who is written to: members, and after them the drives that join the group. */
  readonly recipients: readonly (Target | undefined)[]
  /** Copies that a whole block has: one on each member, and on each drive that joins. */
  readonly copiesWanted: number
  /** Present while the group changes hands. */
  readonly change?: GroupHandover
}

/** Who joins a group, and who leaves it then: a quorum is needed of the members as they are, and as they will be. */
export interface GroupHandover {
  readonly joiners: ReadonlySet<DriveId>
  readonly leavers: ReadonlySet<DriveId>
}

/** How many of the drives count towards a quorum: the fewer of members now and members to be. */
export function countCopies({ change }: GroupView, drives: readonly DriveId[]): number {
  if (change === undefined) return drives.length
  let now = 0
  let then = 0
  for (const drive of drives) {
    if (!change.joiners.has(drive)) now++
    if (!change.leavers.has(drive)) then++
  }
  return Math.min(now, then)
}

export interface ClusterViewOptions {
  readonly metadata: MetadataCaller
  readonly network: Network
  readonly identity: HandshakeIdentity
  readonly clock: Clock
}

/** Refreshed on demand and every MAP_REFRESH_MS. Used only after the first `refresh`. */
export class ClusterView {
  private readonly options: ClusterViewOptions
  /** By which blocks are read. */
  readonly tokens: BlockTokens
  private readonly peers = new Map<string, MemberPeer>()
  private readonly groups = new Map<number, GroupView>()
  private targets = new Map<DriveId, Target>()
  private isAnySuspect = false
  private pools = new Map<number, Pool>()
  private map: ClusterMap | undefined
  private running: Promise<void> | undefined
  private queued: Promise<void> | undefined
  private cancelTimer: CancelTimer | undefined
  private closed = false

  constructor(options: ClusterViewOptions) {
    this.options = options
    const { metadata, clock, identity } = options
    this.tokens = new BlockTokens({ metadata, clock, role: identity.role })
  }

  /** Epoch of the map at hand; 0 before the first one. */
  get epoch(): number {
    return this.map?.epoch ?? 0
  }

  /** Asks for the map. Joins only a request that has not been sent yet, so that it sees what the caller knows of. */
  refresh(): Promise<void> {
    if (this.running === undefined) {
      this.running = this.fetch().finally(() => {
        this.running = undefined
      })
      return this.running
    }
    this.queued ??= this.running
      .catch(() => undefined)
      .then(() => {
        this.queued = undefined
        return this.refresh()
      })
    return this.queued
  }

  /** The pool for new blocks; asks again before it says that there is none. */
  defaultPool(): Pool | Promise<Pool> {
    const id = this.map?.defaultPool
    return id === undefined ? this.askDefaultPool() : this.pool(id)
  }

  private async askDefaultPool(): Promise<Pool> {
    await this.refresh()
    const id = this.map?.defaultPool
    if (id === undefined) throw new CairnError('InsufficientReplicas', 'the cluster has no pool yet')
    return this.pool(id)
  }

  /** Why blocks cannot be stored now, for people: no pool yet, or in most groups too few drives that are up. */
  findWriteTrouble(isUp: (drive: DriveId) => boolean): string | undefined {
    const id = this.map?.defaultPool
    if (id === undefined) return 'the cluster has no pool yet: too few drives have registered'
    const quorum = writeQuorum(this.pool(id).replicas)
    let short = 0
    for (let group = 0; group < GROUPS_PER_POOL; group++) {
      const up = this.group(id, group).targets.filter((target) => target !== undefined && isUp(target.drive))
      if (up.length < quorum) short++
    }
    // While some groups have enough, a failed write meets another group when it is repeated.
    if (short <= GROUPS_PER_POOL / 2) return undefined
    return `${short} of ${GROUPS_PER_POOL} groups have fewer than ${quorum} drives that are up`
  }

  pool(id: number): Pool {
    const pool = this.pools.get(id)
    if (pool === undefined) throw new CairnError('InvalidArgument', `the cluster map has no pool ${id}`)
    return pool
  }

  /** The drives that hold a group of a pool, in order. */
  group(poolId: number, group: number): GroupView {
    const name = poolId * GROUPS_PER_POOL + group
    let view = this.groups.get(name)
    if (view === undefined) {
      view = this.viewOf(this.pool(poolId), group)
      this.groups.set(name, view)
    }
    return view
  }

  private viewOf(pool: Pool, group: number): GroupView {
    const targetOf = (drive: DriveId | undefined): Target | undefined =>
      drive === undefined ? undefined : this.targets.get(drive)
    const members = drivesOfGroup(pool, group)
    const targets = members.map(targetOf)
    const plain = { pool, targets, recipients: targets, copiesWanted: pool.replicas }
    if (pool.next === undefined) return plain
    const next = joinersOfGroup(pool, group)
    // A member may take another position: that drive neither joins nor leaves.
    const membersToBe = members.map((drive, at) => next[at] ?? drive)
    const joiners = without(membersToBe, members)
    if (joiners.size === 0) return plain
    return {
      ...plain,
      recipients: [...targets, ...[...joiners].map(targetOf)],
      copiesWanted: pool.replicas + joiners.size,
      change: { joiners, leavers: without(members, membersToBe) },
    }
  }

  /** As `group`; `undefined` for a pool that is newer than the map at hand. */
  findGroup(poolId: number, group: number): GroupView | undefined {
    return this.pools.has(poolId) ? this.group(poolId, group) : undefined
  }

  /** Whether this block would have a copy on a drive that is suspect by the map. */
  isDoubtful(poolId: number, block: BlockId): boolean {
    if (!this.isAnySuspect) return false
    return this.group(poolId, groupOf(block)).recipients.some((target) => target?.state === 'suspect')
  }

  /** One peer for each member of the map, by member id. */
  get members(): ReadonlyMap<string, MemberPeer> {
    return this.peers
  }

  /** The target of a drive, whichever groups it holds. */
  find(drive: DriveId): Target | undefined {
    return this.targets.get(drive)
  }

  async close(): Promise<void> {
    this.closed = true
    this.cancelTimer?.()
    await Promise.all([...this.peers.values()].map((peer) => peer.rpc.close()))
  }

  private async fetch(): Promise<void> {
    this.cancelTimer?.()
    try {
      const known = this.map?.epoch
      const request = known === undefined ? {} : { knownEpoch: known }
      const answer = await this.options.metadata.read(getClusterMap, request)
      this.tokens.learn(answer.tokens)
      if (answer.map !== undefined && !this.closed) this.adopt(answer.map)
    } finally {
      this.schedule()
    }
  }

  private schedule(): void {
    if (this.closed) return
    this.cancelTimer = this.options.clock.setTimer(MAP_REFRESH_MS, () => {
      this.refresh().catch(() => undefined)
    })
  }

  /** An older map than the one at hand is ignored, unless the cluster began another life. */
  private adopt(map: ClusterMap): void {
    const known = this.map
    if (known !== undefined && known.incarnation === map.incarnation && map.epoch < known.epoch) return
    const members = new Map(map.members.map((member) => [member.id, this.peerOf(member.id, member.address)]))
    const before = this.targets
    this.targets = new Map()
    for (const { id, server, state } of map.drives) {
      const peer = members.get(server)
      if (peer === undefined) continue
      // What was measured of a drive that was asked last says nothing of it now.
      if (state === 'up' && before.get(id)?.state === 'suspect') peer.forget()
      this.targets.set(id, { drive: id, state, peer })
    }
    this.isAnySuspect = map.drives.some(({ state }) => state === 'suspect')
    this.pools = new Map(map.pools.map((pool) => [pool.id, withOwnTables(pool)]))
    this.groups.clear()
    this.map = map
    this.dropPeers(members)
  }

  private peerOf(id: string, address: string): MemberPeer {
    const known = this.peers.get(id)
    if (known?.address === address) return known
    known?.rpc.close().catch(() => undefined)
    const { network, identity } = this.options
    const peer = new MemberPeer(address, network.connect(address, identity, 'chunk'))
    this.peers.set(id, peer)
    return peer
  }

  private dropPeers(members: ReadonlyMap<string, MemberPeer>): void {
    for (const [id, peer] of this.peers) {
      if (members.has(id)) continue
      this.peers.delete(id)
      peer.rpc.close().catch(() => undefined)
    }
  }
}

/** The message that the map came in need not be kept. */
function withOwnTables(pool: Pool): Pool {
  const own = { ...pool, groups: Uint8Array.from(pool.groups) }
  return pool.next === undefined ? own : { ...own, next: Uint8Array.from(pool.next) }
}

function without(
  drives: readonly (DriveId | undefined)[],
  others: readonly (DriveId | undefined)[],
): Set<DriveId> {
  return new Set(drives.filter((drive): drive is DriveId => drive !== undefined && !others.includes(drive)))
}
