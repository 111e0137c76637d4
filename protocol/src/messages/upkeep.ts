/** Messages of the upkeep: what is wrong with blocks, what is being done about it, and the check of everything. */
import { ClusterMap, Member } from '../cluster-map.js'
import type { BlockId } from '../ids.js'
import {
  boolean,
  bytes,
  integer,
  list,
  type Message,
  message,
  oneOf,
  optional,
  required,
  text,
  texts,
} from '../message.js'
import { DriveReport } from './chunk.js'

/** A reader met blocks with a missing or damaged copy: they are looked at soon. At most LIST_PAGE_MAX. */
export interface ReportBlocksRequest {
  readonly pool: number
  readonly blocks: readonly BlockId[]
  /** By another metadata service. */
  readonly passedOn?: boolean
}
export const ReportBlocksRequest: Message<ReportBlocksRequest> = message<ReportBlocksRequest>(
  'ReportBlocksRequest',
  1,
  { pool: required(1, integer), blocks: list(2, bytes<BlockId>()), passedOn: optional(20, boolean) },
)

/** What repair does and has done, since the service started. */
export interface RepairReport {
  /** Live blocks that are known to lack a good copy. */
  readonly underReplicated: number
  /** Of these, blocks with no good copy that answers. */
  readonly unavailable: number
  /** Groups that owe a copy of something. */
  readonly dirtyGroups: number
  readonly blocksRepaired: number
  readonly bytesRepaired: number
  /** Copies that failed and are tried again. */
  readonly failures: number
  /** A comparison of all drives is under way, and how far: blocks seen, and about how many there are. */
  readonly comparing: boolean
  readonly blocksCompared: number
  readonly blocksToCompare: number
}
export const RepairReport: Message<RepairReport> = message<RepairReport>('RepairReport', 1, {
  underReplicated: required(1, integer),
  unavailable: required(2, integer),
  dirtyGroups: required(3, integer),
  blocksRepaired: required(4, integer),
  bytesRepaired: required(5, integer),
  failures: required(6, integer),
  comparing: required(7, boolean),
  blocksCompared: required(8, integer),
  blocksToCompare: required(9, integer),
})

/** How far groups are on their way to other drives. A position is one copy of one group. */
export interface MoveReport {
  /** Groups are being spread evenly over all drives. */
  readonly rebalancing: boolean
  /** Positions under way, and all that still have to change hands, these included. */
  readonly positionsMoving: number
  readonly positionsLeft: number
  /** Positions that have changed hands since groups began to move, as far as this service knows. */
  readonly positionsMoved: number
  /** For how long, in ms. */
  readonly movingMs: number
  /** Copies freed on drives that need not have them, since the service started. */
  readonly straysDeleted: number
  /** Why nothing moves though it should; for people. */
  readonly stuck?: string
}
export const MoveReport: Message<MoveReport> = message<MoveReport>('MoveReport', 1, {
  rebalancing: required(1, boolean),
  positionsMoving: required(2, integer),
  positionsLeft: required(3, integer),
  positionsMoved: required(4, integer),
  movingMs: required(5, integer),
  straysDeleted: required(6, integer),
  stuck: optional(7, text),
})

/**
 * `drain`: give all groups away; `undrain`: use again; `replace`: the second drive takes the place of the first, or the
 * drives of the second node those of the first; `remove`: forget a drive that holds nothing and does not answer, or a
 * node with all its drives; `rebalance`: spread all groups evenly, over spares too; `add`: use now what holds nothing.
 */
export type DriveAction = 'drain' | 'undrain' | 'replace' | 'remove' | 'rebalance' | 'add'

/**
 * What an operator wants of drives and nodes. Idempotent, and `PreconditionFailed` instead of undoing what somebody
 * has wanted of the same drives since it was asked.
 */
export interface ChangeDrivesRequest {
  readonly action: DriveAction
  readonly drives: readonly string[]
  /** Names of chunk servers: all their drives are meant. */
  readonly servers: readonly string[]
  /** Also if copies then share a failure domain. */
  readonly force: boolean
  /** Epoch of the cluster map when it was asked; absent from those who cannot tell, who have no such protection. */
  readonly epoch?: number
}
export const ChangeDrivesRequest: Message<ChangeDrivesRequest> = message<ChangeDrivesRequest>(
  'ChangeDrivesRequest',
  1,
  {
    action: required(1, oneOf<DriveAction>('drain', 'undrain', 'replace', 'remove', 'rebalance', 'add')),
    drives: list(2, text),
    servers: list(3, text),
    force: required(4, boolean),
    epoch: optional(5, integer),
  },
)

/** A drive as people see it. */
export interface DriveSummary {
  readonly id: string
  readonly server: string
  readonly state: string
  readonly path: string
  /** Milliseconds since its server was last heard; absent if not since the start. */
  readonly silentMs?: number
  readonly report?: DriveReport
  /** Positions that it holds, and those of them that it gives away; positions that it is about to get. */
  readonly positions?: number
  readonly leaving?: number
  readonly joining?: number
  /** Somebody wants it emptied. */
  readonly drain?: boolean
}
export const DriveSummary: Message<DriveSummary> = message<DriveSummary>('DriveSummary', 1, {
  id: required(1, text),
  server: required(2, text),
  state: required(3, text),
  path: required(4, text),
  silentMs: optional(5, integer),
  report: optional(6, DriveReport),
  positions: optional(7, integer),
  leaving: optional(8, integer),
  joining: optional(9, integer),
  drain: optional(10, boolean),
})

export interface GetStatusRequest {
  /** The whole cluster map too. */
  readonly withMap: boolean
  /** By another metadata service. */
  readonly passedOn?: boolean
}
export const GetStatusRequest: Message<GetStatusRequest> = message<GetStatusRequest>('GetStatusRequest', 1, {
  withMap: required(1, boolean),
  passedOn: optional(20, boolean),
})
/** How full a part of the metadata's store is: a member of etcd. */
export interface StoreSpace {
  /** `host:port`. */
  readonly member: string
  /** Bytes in use, history included. */
  readonly bytes: number
  /** Bytes of its file, which shrinks only when it is defragmented. */
  readonly fileBytes: number
  /** Bytes of the file at which it takes no more writes. */
  readonly quotaBytes: number
  /** It has reached the quota: nothing can be written until somebody ends the alarm. */
  readonly isRefusing: boolean
}
export const StoreSpace: Message<StoreSpace> = message<StoreSpace>('StoreSpace', 1, {
  member: required(1, text),
  bytes: required(2, integer),
  fileBytes: required(3, integer),
  quotaBytes: required(4, integer),
  isRefusing: required(5, boolean),
})

export interface ClusterStatus {
  readonly clusterId: string
  readonly incarnation: string
  readonly epoch: number
  readonly drives: readonly DriveSummary[]
  readonly repair: RepairReport
  readonly safeMode: boolean
  /** Nothing is deleted until `cairn fsck --accept`: the metadata was restored from a backup. */
  readonly garbageHeld: boolean
  readonly garbageBytes: number
  readonly map?: ClusterMap
  readonly members: readonly Member[]
  readonly moves?: MoveReport
  /** Name of the metadata service that looks after drives and garbage; absent while none does. */
  readonly coordinator?: string
  /** Names of the metadata services that live. */
  readonly services?: readonly string[]
  /** How full the store of the metadata is, where it has a quota. */
  readonly space?: readonly StoreSpace[]
  /** Why the store of the metadata takes no more writes, for people. */
  readonly storeTrouble?: string
}
export const ClusterStatus: Message<ClusterStatus> = message<ClusterStatus>('ClusterStatus', 1, {
  clusterId: required(1, text),
  incarnation: required(2, text),
  epoch: required(3, integer),
  drives: list(4, DriveSummary),
  repair: required(5, RepairReport),
  safeMode: required(6, boolean),
  garbageHeld: required(7, boolean),
  garbageBytes: required(8, integer),
  map: optional(9, ClusterMap),
  members: list(20, Member),
  moves: optional(21, MoveReport),
  coordinator: optional(30, text),
  services: optional(31, texts),
  space: list(32, StoreSpace),
  storeTrouble: optional(33, text),
})

/** Starts a check of metadata against blocks, both ways; one at a time. `Busy` while another runs. */
export interface StartCheckRequest {
  /** Reads every block instead of trusting the drives' lists. */
  readonly deep: boolean
  /** By another metadata service. */
  readonly passedOn?: boolean
}
export const StartCheckRequest: Message<StartCheckRequest> = message<StartCheckRequest>(
  'StartCheckRequest',
  1,
  { deep: required(1, boolean), passedOn: optional(20, boolean) },
)
export interface StartCheckResponse {
  readonly check: string
}
export const StartCheckResponse: Message<StartCheckResponse> = message<StartCheckResponse>(
  'StartCheckResponse',
  1,
  { check: required(1, text) },
)

export type CheckState = 'running' | 'done' | 'failed' | 'cancelled'

/** One thing that is wrong, for people; at most CHECK_FINDINGS_MAX are kept. */
export interface CheckFinding {
  readonly kind: string
  readonly block?: string
  readonly drive?: string
  readonly bucket?: string
  readonly key?: string
  readonly message: string
}
export const CheckFinding: Message<CheckFinding> = message<CheckFinding>('CheckFinding', 1, {
  kind: required(1, text),
  block: optional(2, text),
  drive: optional(3, text),
  bucket: optional(4, text),
  key: optional(5, text),
  message: required(6, text),
})
export const CHECK_FINDINGS_MAX: number = 1000

export interface CheckReport {
  readonly check: string
  readonly state: CheckState
  /** What it is at, for people. */
  readonly phase: string
  /** Blocks and rows looked at, and about how many there are. */
  readonly done: number
  readonly total: number
  /** Blocks on the drives, each counted once. */
  readonly blocks: number
  /** Live blocks with fewer good copies than their pool wants, but at least one. */
  readonly underReplicated: number
  /** Copies whose bytes are wrong. */
  readonly corrupt: number
  /** Blocks that nothing names, past every grace. */
  readonly orphaned: number
  /** Slices of living versions and parts whose block has no good copy. */
  readonly dangling: number
  /** Blocks that wait for their grace, or for their writer: no fault. */
  readonly pending: number
  readonly findings: readonly CheckFinding[]
  readonly error?: string
}
export const CheckReport: Message<CheckReport> = message<CheckReport>('CheckReport', 1, {
  check: required(1, text),
  state: required(2, oneOf<CheckState>('running', 'done', 'failed', 'cancelled')),
  phase: required(3, text),
  done: required(4, integer),
  total: required(5, integer),
  blocks: required(6, integer),
  underReplicated: required(7, integer),
  corrupt: required(8, integer),
  orphaned: required(9, integer),
  dangling: required(10, integer),
  pending: required(11, integer),
  findings: list(12, CheckFinding),
  error: optional(13, text),
})
/** The check of this name, or the last one; `InvalidArgument` if it is not known (any more). */
export interface GetCheckRequest {
  readonly check?: string
  readonly cancel?: boolean
  /** By another metadata service. */
  readonly passedOn?: boolean
}
export const GetCheckRequest: Message<GetCheckRequest> = message<GetCheckRequest>('GetCheckRequest', 1, {
  check: optional(1, text),
  cancel: optional(2, boolean),
  passedOn: optional(20, boolean),
})
/** Lets garbage be collected again after a restore. Idempotent. */
export interface AcceptRestoreRequest {
  readonly incarnation: string
}
export const AcceptRestoreRequest: Message<AcceptRestoreRequest> = message<AcceptRestoreRequest>(
  'AcceptRestoreRequest',
  1,
  { incarnation: required(1, text) },
)
