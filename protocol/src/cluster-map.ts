/**
 * The cluster map: members, drives, failure domains, pools and who holds which group. Every change raises its
 * epoch. Rows and messages name a pool and block ids, never drives; this map turns them into drives.
 */
import { GROUPS_PER_POOL } from './limits.js'
import { bytes, integer, list, type Message, message, oneOf, optional, required, text } from './message.js'

/** 8 random bytes, as hex: made once, kept in `drive.json`. */
export type DriveId = string

/** Whether a drive answers, and whether it has or will have groups. */
export type DriveState = 'up' | 'suspect' | 'dead' | 'draining' | 'out'

/** Which property of a drive must differ between the replicas of a block, from narrow to wide. */
export type FailureDomain = 'drive' | 'host' | 'rack' | 'zone'

/** One folder on one disk, as the cluster sees it. */
export interface Drive {
  readonly id: DriveId
  /** The chunk server that owns it. */
  readonly server: string
  readonly state: DriveState
  /** Bytes of the file system it lies on; the weight of its share. */
  readonly capacityBytes: number
}

export const Drive: Message<Drive> = message<Drive>('Drive', 1, {
  id: required(1, text),
  server: required(2, text),
  state: required(3, oneOf<DriveState>('up', 'suspect', 'dead', 'draining', 'out')),
  capacityBytes: required(4, integer),
})

/** One chunk server process. */
export interface Member {
  readonly id: string
  /** `host:port`, or `local:<name>` inside one process. */
  readonly address: string
  readonly zone: string
  readonly rack: string
  readonly host: string
  /** Highest feature level that its process supports; 1 if it does not say. */
  readonly featureLevel?: number
  /** When its process began, in µs of its own clock, or later: what an earlier run sends late is refused by it. */
  readonly runStart?: number
}

export const Member: Message<Member> = message<Member>('Member', 1, {
  id: required(1, text),
  address: required(2, text),
  zone: required(3, text),
  rack: required(4, text),
  host: required(5, text),
  featureLevel: optional(6, integer),
  runStart: optional(7, integer),
})

/**
 * A redundancy scheme and its groups. `replicas` copies of each block; erasure-coded pools will add `data` and
 * `parity`. `groups` holds GROUPS_PER_POOL × `replicas` indexes into `drives` (16 bits each, little endian);
 * 0xffff is an empty position.
 *
 * A group changes in two phases. First `next`, of the same shape, names the drive that joins at a position (0xffff
 * where nothing changes): writers send each block to members and joiners, and repair fills the joiners. Once these
 * are proved to have everything, one commit puts them into `groups`. Every binary of feature level 1 heeds `next`;
 * one that did not would acknowledge writes that joiners lack, so it must be refused by its level.
 */
export interface Pool {
  readonly id: number
  readonly name: string
  readonly epoch: number
  readonly replicas: number
  readonly failureDomain: FailureDomain
  readonly drives: readonly DriveId[]
  readonly groups: Uint8Array
  /** Absent while no group changes. */
  readonly next?: Uint8Array
}

export const Pool: Message<Pool> = message<Pool>('Pool', 1, {
  id: required(1, integer),
  name: required(2, text),
  epoch: required(3, integer),
  replicas: required(4, integer),
  failureDomain: required(5, oneOf<FailureDomain>('drive', 'host', 'rack', 'zone')),
  drives: list(6, text),
  groups: required(7, bytes()),
  next: optional(8, bytes()),
})

/** Members, drives and pools as of one epoch. */
export interface ClusterMap {
  readonly clusterId: string
  readonly incarnation: string
  readonly featureLevel: number
  readonly epoch: number
  readonly members: readonly Member[]
  readonly drives: readonly Drive[]
  readonly pools: readonly Pool[]
  /** Pool for new blocks of the storage class STANDARD. */
  readonly defaultPool?: number
  /** The cluster is about to be raised to this level: nobody of a lower one may join any more. */
  readonly featureLevelTarget?: number
}

export const ClusterMap: Message<ClusterMap> = message<ClusterMap>('ClusterMap', 1, {
  clusterId: required(1, text),
  incarnation: required(2, text),
  featureLevel: required(3, integer),
  epoch: required(4, integer),
  members: list(5, Member),
  drives: list(6, Drive),
  pools: list(7, Pool),
  defaultPool: optional(8, integer),
  featureLevelTarget: optional(9, integer),
})

/** The level that whoever joins must support. */
export function levelToJoin({
  featureLevel,
  featureLevelTarget = 0,
}: Pick<ClusterMap, 'featureLevel' | 'featureLevelTarget'>): number {
  return Math.max(featureLevel, featureLevelTarget)
}

/** No drive holds this position. */
export const NO_DRIVE = 0xffff

/** The drives of one group, in order; an empty position is `undefined`. */
export function drivesOfGroup(pool: Pool, group: number): (DriveId | undefined)[] {
  return namesAt(pool, pool.groups, group)
}

/** The drive that joins at each position of a group; `undefined` where nothing changes. */
export function joinersOfGroup(pool: Pool, group: number): (DriveId | undefined)[] {
  if (pool.next === undefined) return Array.from({ length: pool.replicas }, () => undefined)
  return namesAt(pool, pool.next, group)
}

/** One position that changes hands. */
export interface GroupChange {
  readonly group: number
  readonly position: number
  /** `undefined` if the position was empty. */
  readonly leaver: DriveId | undefined
  readonly joiner: DriveId
}

/** Every position that changes hands now, by group. */
export function changesOf(pool: Pool): GroupChange[] {
  const { next } = pool
  if (next === undefined) return []
  const changes: GroupChange[] = []
  for (let at = 0; at < GROUPS_PER_POOL * pool.replicas; at++) {
    const joiner = nameAt(pool, next, at)
    if (joiner === undefined) continue
    const group = Math.floor(at / pool.replicas)
    changes.push({ group, position: at % pool.replicas, leaver: nameAt(pool, pool.groups, at), joiner })
  }
  return changes
}

/** How many positions each drive of a pool holds. */
export function positionsOf(pool: Pool): Map<DriveId, number> {
  const counts = new Map<DriveId, number>()
  for (let at = 0; at < GROUPS_PER_POOL * pool.replicas; at++) {
    const drive = nameAt(pool, pool.groups, at)
    if (drive !== undefined) counts.set(drive, (counts.get(drive) ?? 0) + 1)
  }
  return counts
}

function namesAt(pool: Pool, table: Uint8Array, group: number): (DriveId | undefined)[] {
  if (group < 0 || group >= GROUPS_PER_POOL) throw new RangeError(`no group ${group}`)
  const drives: (DriveId | undefined)[] = []
  for (let position = 0; position < pool.replicas; position++) {
    drives.push(nameAt(pool, table, group * pool.replicas + position))
  }
  return drives
}

function nameAt(pool: Pool, table: Uint8Array, slot: number): DriveId | undefined {
  const index = (table[slot * 2] ?? 0xff) | ((table[slot * 2 + 1] ?? 0xff) << 8)
  return index === NO_DRIVE ? undefined : pool.drives[index]
}

/** Copies that must be durable before a commit: of 1: 1, of 2: 2, of 3: 2, above that a majority. */
export function writeQuorum(replicas: number): number {
  return replicas <= 2 ? replicas : Math.floor(replicas / 2) + 1
}
