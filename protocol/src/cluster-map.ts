/**
 * The cluster map: members, drives, failure domains, pools and who holds which group. Every change raises its
 * epoch. Rows and messages name a pool and block ids, never drives; this map turns them into drives.
 */
import { GROUPS_PER_POOL } from './limits.js'
import { bytes, integer, list, type Message, message, oneOf, optional, required, text } from './message.js'

/** 8 random bytes, as hex: made once, kept in `drive.json`. */
export type DriveId = string

export type DriveState = 'up' | 'suspect' | 'dead' | 'draining' | 'out'

/** Which property of a drive must differ between the replicas of a block, from narrow to wide. */
export type FailureDomain = 'drive' | 'host' | 'rack' | 'zone'

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
}

export const Member: Message<Member> = message<Member>('Member', 1, {
  id: required(1, text),
  address: required(2, text),
  zone: required(3, text),
  rack: required(4, text),
  host: required(5, text),
})

/**
 * A redundancy scheme and its groups. `replicas` copies of each block; erasure-coded pools will add `data` and
 * `parity`. `groups` holds GROUPS_PER_POOL × `replicas` indexes into `drives` (16 bits each, little endian);
 * 0xffff is an empty position.
 */
export interface Pool {
  readonly id: number
  readonly name: string
  readonly epoch: number
  readonly replicas: number
  readonly failureDomain: FailureDomain
  readonly drives: readonly DriveId[]
  readonly groups: Uint8Array
}

export const Pool: Message<Pool> = message<Pool>('Pool', 1, {
  id: required(1, integer),
  name: required(2, text),
  epoch: required(3, integer),
  replicas: required(4, integer),
  failureDomain: required(5, oneOf<FailureDomain>('drive', 'host', 'rack', 'zone')),
  drives: list(6, text),
  groups: required(7, bytes()),
})

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
})

/** No drive holds this position. */
export const NO_DRIVE = 0xffff

/** The drives of one group, in order; an empty position is `undefined`. */
export function drivesOfGroup(pool: Pool, group: number): (DriveId | undefined)[] {
  if (group < 0 || group >= GROUPS_PER_POOL) throw new RangeError(`no group ${group}`)
  const drives: (DriveId | undefined)[] = []
  for (let position = 0; position < pool.replicas; position++) {
    const at = (group * pool.replicas + position) * 2
    const index = (pool.groups[at] ?? 0xff) | ((pool.groups[at + 1] ?? 0xff) << 8)
    drives.push(index === NO_DRIVE ? undefined : pool.drives[index])
  }
  return drives
}

/** Copies that must be durable before a commit: of 1: 1, of 2: 2, of 3: 2, above that a majority. */
export function writeQuorum(replicas: number): number {
  return replicas <= 2 ? replicas : Math.floor(replicas / 2) + 1
}
