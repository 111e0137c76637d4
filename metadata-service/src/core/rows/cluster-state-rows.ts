/** Rows under `m/`: the cluster map, one row for each member, drive and pool, so that a change rewrites little. */
import {
  boolean,
  bytes,
  Drive,
  type DriveId,
  integer,
  type Message,
  message,
  oneOf,
  optional,
  required,
  sameBytes,
  text,
} from '@cairn/protocol'
import type { StoreKey, StoreRange, StoreRow } from '../../ports.js'

/** Every change of the map rewrites this row, so changes of all services follow one another. */
export interface ClusterRow {
  readonly clusterId: string
  /** Random; changes when the metadata is restored or moved. */
  readonly incarnation: string
  readonly featureLevel: number
  /** Rises with every change of the map. */
  readonly epoch: number
  readonly createdMs: number
  /** Names the last change: settles a lost answer. */
  readonly change: Uint8Array
  readonly defaultPool?: number
  /** Groups are being spread evenly over all drives that are up; absent once they are. */
  readonly rebalancing?: boolean
  /** The level is about to be raised to this one; absent while it is not. */
  readonly featureLevelTarget?: number
  /** Epoch of the last change by which somebody wanted groups spread evenly. */
  readonly balanceEpoch?: number
}

export const ClusterRow: Message<ClusterRow> = message<ClusterRow>('ClusterRow', 1, {
  clusterId: required(1, text),
  incarnation: required(2, text),
  featureLevel: required(3, integer),
  epoch: required(4, integer),
  createdMs: required(5, integer),
  change: required(6, bytes()),
  defaultPool: optional(7, integer),
  rebalancing: optional(20, boolean),
  featureLevelTarget: optional(21, integer),
  balanceEpoch: optional(22, integer),
})

/** A drive and the place where its server found it: `st_dev` of its folder, device and inode of the parent. */
export interface DriveRow {
  readonly drive: Drive
  readonly path: string
  readonly device: string
  readonly parent: string
  /**
   * Somebody wants it emptied: it gives its groups away, and gets none. `forced`: also if copies then share a failure
   * domain. Its state says how far that is.
   */
  readonly drain?: 'asked' | 'forced'
  /** Epoch of the change that made the row, or of the last one by which somebody wanted something of the drive. */
  readonly wishEpoch?: number
  /**
   * Epoch of the change by which it took, empty, the place of a drive whose folder was removed, and a bitmap of groups in
   * which it may still lack what was acknowledged before; both absent once there are none.
   */
  readonly unfilledSince?: number
  readonly unfilledGroups?: Uint8Array
}

export const DriveRow: Message<DriveRow> = message<DriveRow>('DriveRow', 1, {
  drive: required(1, Drive),
  path: required(2, text),
  device: required(3, text),
  parent: required(4, text),
  drain: optional(20, oneOf<'asked' | 'forced'>('asked', 'forced')),
  wishEpoch: optional(21, integer),
  unfilledSince: optional(22, integer),
  unfilledGroups: optional(23, bytes()),
})

/** The row that every change of the map rewrites. */
export const CLUSTER_KEY: StoreKey = Buffer.from('m/cluster')

/** All rows of the cluster map. */
export const CLUSTER_RANGE: StoreRange = { from: Buffer.from('m/'), to: Buffer.from('m0') }

const MEMBER_PREFIX = 'm/member/'
const DRIVE_PREFIX = 'm/drive/'
const POOL_PREFIX = 'm/pool/'

/** `m/member/<id>`: a chunk server. */
export function memberKey(id: string): StoreKey {
  return Buffer.from(MEMBER_PREFIX + id)
}

/** `m/drive/<id>`: a drive and its place. */
export function driveKey(id: DriveId): StoreKey {
  return Buffer.from(DRIVE_PREFIX + id)
}

/** `m/pool/<id>`: a pool and its groups. */
export function poolKey(id: number): StoreKey {
  return Buffer.from(POOL_PREFIX + id)
}

/** What a key under `m/` names; `other` is for rows of later versions. */
export function clusterRowKind(key: StoreKey): 'cluster' | 'member' | 'drive' | 'pool' | 'other' {
  const name = Buffer.from(key).toString('utf8')
  if (name === 'm/cluster') return 'cluster'
  if (name.startsWith(MEMBER_PREFIX)) return 'member'
  if (name.startsWith(DRIVE_PREFIX)) return 'drive'
  return name.startsWith(POOL_PREFIX) ? 'pool' : 'other'
}

/** Whether the row, which is `m/cluster` if there is one, was written by the change of these random bytes. */
export function carriesChange(row: StoreRow | undefined, change: Uint8Array): boolean {
  return row !== undefined && sameBytes(ClusterRow.decode(row.value).change, change)
}
