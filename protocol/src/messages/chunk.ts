/** Methods of a chunk server. Bodies are units of UNIT_BYTES (the last one shorter) with `unitCheck` words. */
import { BlockEntry, BlockOwner } from '../block-map.js'
import type { DriveId } from '../cluster-map.js'
import type { BlockId, SessionId } from '../ids.js'
import { boolean, bytes, integer, list, type Message, message, optional, required, text } from '../message.js'
import type { RpcMethod } from '../rpc/types.js'
import { callersOf } from './callers.js'

/** Stores one block; the body carries its units. A second PutBlock with the same content is a no-op. */
export interface PutBlockRequest {
  readonly drive: DriveId
  readonly block: BlockId
  readonly pool: number
  /** Epoch of the pool that the writer placed by; a server that has seen a higher one answers `StaleClusterMap`. */
  readonly epoch: number
  readonly owner: BlockOwner
}
export const PutBlockRequest: Message<PutBlockRequest> = message<PutBlockRequest>('PutBlockRequest', 1, {
  drive: required(1, text),
  block: required(2, bytes<BlockId>()),
  pool: required(3, integer),
  epoch: required(4, integer),
  owner: required(5, BlockOwner),
})

/** Sent once the block is durable on the drive. */
export interface PutBlockResponse {
  readonly sizeBytes: number
  readonly hash: Uint8Array
  /** See `block-receipt.ts`; for gateways, and as long as the drive has no key, there is none. */
  readonly receipt?: Uint8Array
}
export const PutBlockResponse: Message<PutBlockResponse> = message<PutBlockResponse>('PutBlockResponse', 1, {
  sizeBytes: required(1, integer),
  hash: required(2, bytes()),
  receipt: optional(20, bytes()),
})

/** Reads whole units that cover [offset, offset + length); the reader checks and trims them. */
export interface GetBlockRequest {
  readonly drive: DriveId
  readonly block: BlockId
  readonly offset: number
  readonly length: number
  /** See `block-token.ts`. */
  readonly token?: Uint8Array
}
export const GetBlockRequest: Message<GetBlockRequest> = message<GetBlockRequest>('GetBlockRequest', 1, {
  drive: required(1, text),
  block: required(2, bytes<BlockId>()),
  offset: required(3, integer),
  length: required(4, integer),
  token: optional(20, bytes()),
})

/** The same request with its token; without one where the cluster wants none. */
export function withToken(request: GetBlockRequest, token: Uint8Array | undefined): GetBlockRequest {
  return token === undefined ? request : { ...request, token }
}

export interface GetBlockResponse {
  readonly blockBytes: number
  readonly hash: Uint8Array
  /** Index of the first unit in the body. */
  readonly firstUnit: number
}
export const GetBlockResponse: Message<GetBlockResponse> = message<GetBlockResponse>('GetBlockResponse', 1, {
  blockBytes: required(1, integer),
  hash: required(2, bytes()),
  firstUnit: required(3, integer),
})

/**
 * The placement by which somebody acts: `StaleClusterMap` once the server has seen a higher epoch of the pool. What is
 * admitted raises the epoch that the drive has seen, so that whatever is late by an older one is refused.
 */
export interface PlacedBy {
  readonly pool: number
  readonly epoch: number
}
export const PlacedBy: Message<PlacedBy> = message<PlacedBy>('PlacedBy', 1, {
  pool: required(1, integer),
  epoch: required(2, integer),
})

/** Tombstones blocks; absent ones count as deleted. Durable when answered. */
export interface DeleteBlocksRequest {
  readonly drive: DriveId
  readonly blocks: readonly BlockId[]
  /** For blocks that are deleted because the drive need not have them. */
  readonly placedBy?: PlacedBy
}
export const DeleteBlocksRequest: Message<DeleteBlocksRequest> = message<DeleteBlocksRequest>(
  'DeleteBlocksRequest',
  1,
  { drive: required(1, text), blocks: list(2, bytes<BlockId>()), placedBy: optional(3, PlacedBy) },
)
export interface DeleteBlocksResponse {
  readonly deleted: number
  readonly freedBytes: number
}
export const DeleteBlocksResponse: Message<DeleteBlocksResponse> = message<DeleteBlocksResponse>(
  'DeleteBlocksResponse',
  1,
  { deleted: required(1, integer), freedBytes: required(2, integer) },
)

/**
 * Live blocks of a drive in id order after `after`, at most LIST_PAGE_MAX. `groups` keeps only blocks of the groups
 * whose bit is set: GROUPS_PER_POOL / 8 bytes, group g is bit g % 8 of byte g / 8. A page may then be short, or
 * empty, and yet not be the last: the next one starts after `next`.
 */
export interface ListBlocksRequest {
  readonly drive: DriveId
  readonly after?: BlockId
  readonly limit: number
  readonly withOwner: boolean
  readonly groups?: Uint8Array
  readonly damagedOnly?: boolean
  /** For lists by which groups change hands. */
  readonly placedBy?: PlacedBy
}
export const ListBlocksRequest: Message<ListBlocksRequest> = message<ListBlocksRequest>(
  'ListBlocksRequest',
  1,
  {
    drive: required(1, text),
    after: optional(2, bytes<BlockId>()),
    limit: required(3, integer),
    withOwner: required(4, boolean),
    groups: optional(5, bytes()),
    damagedOnly: optional(6, boolean),
    placedBy: optional(7, PlacedBy),
  },
)
export interface ListBlocksResponse {
  readonly blocks: readonly BlockEntry[]
  readonly complete: boolean
  /** Where the next page starts, if it is not after the last block of this one. */
  readonly next?: BlockId
}
export const ListBlocksResponse: Message<ListBlocksResponse> = message<ListBlocksResponse>(
  'ListBlocksResponse',
  1,
  {
    blocks: list(1, BlockEntry),
    complete: required(2, boolean),
    next: optional(3, bytes<BlockId>()),
  },
)

/** Looks single blocks up, at most LIST_PAGE_MAX: those that the drive has, in the order asked, with their owners. */
export interface FindBlocksRequest {
  readonly drive: DriveId
  readonly blocks: readonly BlockId[]
}
export const FindBlocksRequest: Message<FindBlocksRequest> = message<FindBlocksRequest>(
  'FindBlocksRequest',
  1,
  { drive: required(1, text), blocks: list(2, bytes<BlockId>()) },
)
export interface FindBlocksResponse {
  readonly blocks: readonly BlockEntry[]
}
export const FindBlocksResponse: Message<FindBlocksResponse> = message<FindBlocksResponse>(
  'FindBlocksResponse',
  1,
  { blocks: list(1, BlockEntry) },
)

/**
 * Tells a chunk server to fetch a block from another drive and to store it on `drive`, in place of a damaged copy
 * if it has one. The bytes are verified against `hash`; a source that gives others is `BlockCorrupt`.
 */
export interface CopyBlockRequest {
  readonly drive: DriveId
  readonly block: BlockId
  readonly pool: number
  /** As in PutBlock. */
  readonly epoch: number
  readonly owner: BlockOwner
  readonly sizeBytes: number
  readonly hash: Uint8Array
  readonly sourceDrive: DriveId
  /** Where the source's server listens. */
  readonly sourceAddress: string
}
export const CopyBlockRequest: Message<CopyBlockRequest> = message<CopyBlockRequest>('CopyBlockRequest', 1, {
  drive: required(1, text),
  block: required(2, bytes<BlockId>()),
  pool: required(3, integer),
  epoch: required(4, integer),
  owner: required(5, BlockOwner),
  sizeBytes: required(6, integer),
  hash: required(7, bytes()),
  sourceDrive: required(8, text),
  sourceAddress: required(9, text),
})
/** Sent once the copy is durable. `written` is 0 if a good copy was there. */
export interface CopyBlockResponse {
  readonly writtenBytes: number
}
export const CopyBlockResponse: Message<CopyBlockResponse> = message<CopyBlockResponse>(
  'CopyBlockResponse',
  1,
  { writtenBytes: required(1, integer) },
)

/** Reads blocks whole and compares every check, at most LIST_PAGE_MAX; absent ones are not reported. */
export interface VerifyBlocksRequest {
  readonly drive: DriveId
  readonly blocks: readonly BlockId[]
}
export const VerifyBlocksRequest: Message<VerifyBlocksRequest> = message<VerifyBlocksRequest>(
  'VerifyBlocksRequest',
  1,
  { drive: required(1, text), blocks: list(2, bytes<BlockId>()) },
)
export interface VerifyBlocksResponse {
  readonly damaged: readonly BlockId[]
  readonly readBytes: number
}
export const VerifyBlocksResponse: Message<VerifyBlocksResponse> = message<VerifyBlocksResponse>(
  'VerifyBlocksResponse',
  1,
  { damaged: list(1, bytes<BlockId>()), readBytes: required(2, integer) },
)

/** Sessions that have live blocks on a drive, in id order, at most LIST_PAGE_MAX. */
export interface ListWritersRequest {
  readonly drive: DriveId
  readonly after?: SessionId
  readonly limit: number
}
export const ListWritersRequest: Message<ListWritersRequest> = message<ListWritersRequest>(
  'ListWritersRequest',
  1,
  {
    drive: required(1, text),
    after: optional(2, bytes<SessionId>()),
    limit: required(3, integer),
  },
)
export interface ListWritersResponse {
  readonly sessions: readonly SessionId[]
  readonly complete: boolean
}
export const ListWritersResponse: Message<ListWritersResponse> = message<ListWritersResponse>(
  'ListWritersResponse',
  1,
  { sessions: list(1, bytes<SessionId>()), complete: required(2, boolean) },
)

/** The drive's walk over all its blocks. Sums since the server started, and the pass under way. */
export interface ScrubReport {
  readonly blocksScrubbed: number
  readonly bytesScrubbed: number
  readonly damageFound: number
  readonly passesDone: number
  /** Bytes of the pass under way, and about how many it will have in all. */
  readonly passDoneBytes: number
  readonly passTotalBytes: number
  /** Wall clock, ms since 1970; 0 if no pass was ever finished. */
  readonly lastPassEndedMs: number
}
export const ScrubReport: Message<ScrubReport> = message<ScrubReport>('ScrubReport', 1, {
  blocksScrubbed: required(1, integer),
  bytesScrubbed: required(2, integer),
  damageFound: required(3, integer),
  passesDone: required(4, integer),
  passDoneBytes: required(5, integer),
  passTotalBytes: required(6, integer),
  lastPassEndedMs: required(7, integer),
})

export interface DriveReport {
  readonly drive: DriveId
  readonly healthy: boolean
  readonly capacityBytes: number
  readonly freeBytes: number
  readonly liveBytes: number
  readonly deadBytes: number
  readonly blockCount: number
  /** Blocks whose copy on this drive is known to be damaged. */
  readonly damagedBlocks?: number
  readonly scrub?: ScrubReport
  /** Why it is not healthy. */
  readonly reason?: string
  /** When its blocks were read in, ms since 1970: a later time means that it may hold less than it did. */
  readonly openedMs?: number
  /** Its folder is not there any more, or is another drive's. */
  readonly gone?: boolean
}
export const DriveReport: Message<DriveReport> = message<DriveReport>('DriveReport', 1, {
  drive: required(1, text),
  healthy: required(2, boolean),
  capacityBytes: required(3, integer),
  freeBytes: required(4, integer),
  liveBytes: required(5, integer),
  deadBytes: required(6, integer),
  blockCount: required(7, integer),
  damagedBlocks: optional(8, integer),
  scrub: optional(9, ScrubReport),
  reason: optional(10, text),
  openedMs: optional(11, integer),
  gone: optional(12, boolean),
})

export interface ReportDrivesRequest {
  readonly epoch: number
}
export const ReportDrivesRequest: Message<ReportDrivesRequest> = message<ReportDrivesRequest>(
  'ReportDrivesRequest',
  1,
  { epoch: required(1, integer) },
)
export interface ReportDrivesResponse {
  readonly drives: readonly DriveReport[]
}
export const ReportDrivesResponse: Message<ReportDrivesResponse> = message<ReportDrivesResponse>(
  'ReportDrivesResponse',
  1,
  { drives: list(1, DriveReport) },
)

export const putBlock: RpcMethod<PutBlockRequest, PutBlockResponse> = {
  number: 200,
  name: 'PutBlock',
  request: PutBlockRequest,
  response: PutBlockResponse,
  callers: callersOf('PutBlock'),
}
export const getBlock: RpcMethod<GetBlockRequest, GetBlockResponse> = {
  number: 201,
  name: 'GetBlock',
  request: GetBlockRequest,
  response: GetBlockResponse,
  callers: callersOf('GetBlock'),
}
export const deleteBlocks: RpcMethod<DeleteBlocksRequest, DeleteBlocksResponse> = {
  number: 202,
  name: 'DeleteBlocks',
  request: DeleteBlocksRequest,
  response: DeleteBlocksResponse,
  callers: callersOf('DeleteBlocks'),
}
export const listBlocks: RpcMethod<ListBlocksRequest, ListBlocksResponse> = {
  number: 203,
  name: 'ListBlocks',
  request: ListBlocksRequest,
  response: ListBlocksResponse,
  callers: callersOf('ListBlocks'),
}
export const listWriters: RpcMethod<ListWritersRequest, ListWritersResponse> = {
  number: 204,
  name: 'ListWriters',
  request: ListWritersRequest,
  response: ListWritersResponse,
  callers: callersOf('ListWriters'),
}
export const reportDrives: RpcMethod<ReportDrivesRequest, ReportDrivesResponse> = {
  number: 205,
  name: 'ReportDrives',
  request: ReportDrivesRequest,
  response: ReportDrivesResponse,
  callers: callersOf('ReportDrives'),
}
export const findBlocks: RpcMethod<FindBlocksRequest, FindBlocksResponse> = {
  number: 206,
  name: 'FindBlocks',
  request: FindBlocksRequest,
  response: FindBlocksResponse,
  callers: callersOf('FindBlocks'),
}
export const copyBlock: RpcMethod<CopyBlockRequest, CopyBlockResponse> = {
  number: 207,
  name: 'CopyBlock',
  request: CopyBlockRequest,
  response: CopyBlockResponse,
  callers: callersOf('CopyBlock'),
}
export const verifyBlocks: RpcMethod<VerifyBlocksRequest, VerifyBlocksResponse> = {
  number: 208,
  name: 'VerifyBlocks',
  request: VerifyBlocksRequest,
  response: VerifyBlocksResponse,
  callers: callersOf('VerifyBlocks'),
}
