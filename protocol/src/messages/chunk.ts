/** Methods of a chunk server. Bodies are units of UNIT_BYTES (the last one shorter) with `unitCheck` words. */
import { BlockEntry, BlockOwner } from '../block-map.js'
import type { DriveId } from '../cluster-map.js'
import type { BlockId, SessionId } from '../ids.js'
import { boolean, bytes, integer, list, type Message, message, optional, required, text } from '../message.js'
import type { RpcMethod } from '../rpc/types.js'

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
}
export const PutBlockResponse: Message<PutBlockResponse> = message<PutBlockResponse>('PutBlockResponse', 1, {
  sizeBytes: required(1, integer),
  hash: required(2, bytes()),
})

/** Reads whole units that cover [offset, offset + length); the reader checks and trims them. */
export interface GetBlockRequest {
  readonly drive: DriveId
  readonly block: BlockId
  readonly offset: number
  readonly length: number
}
export const GetBlockRequest: Message<GetBlockRequest> = message<GetBlockRequest>('GetBlockRequest', 1, {
  drive: required(1, text),
  block: required(2, bytes<BlockId>()),
  offset: required(3, integer),
  length: required(4, integer),
})

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

/** Tombstones blocks; absent ones count as deleted. Durable when answered. */
export interface DeleteBlocksRequest {
  readonly drive: DriveId
  readonly blocks: readonly BlockId[]
}
export const DeleteBlocksRequest: Message<DeleteBlocksRequest> = message<DeleteBlocksRequest>(
  'DeleteBlocksRequest',
  1,
  { drive: required(1, text), blocks: list(2, bytes<BlockId>()) },
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

/** Live blocks of a drive in id order after `after`, at most LIST_PAGE_MAX. */
export interface ListBlocksRequest {
  readonly drive: DriveId
  readonly after?: BlockId
  readonly limit: number
  readonly withOwner: boolean
}
export const ListBlocksRequest: Message<ListBlocksRequest> = message<ListBlocksRequest>(
  'ListBlocksRequest',
  1,
  {
    drive: required(1, text),
    after: optional(2, bytes<BlockId>()),
    limit: required(3, integer),
    withOwner: required(4, boolean),
  },
)
export interface ListBlocksResponse {
  readonly blocks: readonly BlockEntry[]
  readonly complete: boolean
}
export const ListBlocksResponse: Message<ListBlocksResponse> = message<ListBlocksResponse>(
  'ListBlocksResponse',
  1,
  {
    blocks: list(1, BlockEntry),
    complete: required(2, boolean),
  },
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

export interface DriveReport {
  readonly drive: DriveId
  readonly healthy: boolean
  readonly capacityBytes: number
  readonly freeBytes: number
  readonly liveBytes: number
  readonly deadBytes: number
  readonly blockCount: number
}
export const DriveReport: Message<DriveReport> = message<DriveReport>('DriveReport', 1, {
  drive: required(1, text),
  healthy: required(2, boolean),
  capacityBytes: required(3, integer),
  freeBytes: required(4, integer),
  liveBytes: required(5, integer),
  deadBytes: required(6, integer),
  blockCount: required(7, integer),
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
}
export const getBlock: RpcMethod<GetBlockRequest, GetBlockResponse> = {
  number: 201,
  name: 'GetBlock',
  request: GetBlockRequest,
  response: GetBlockResponse,
}
export const deleteBlocks: RpcMethod<DeleteBlocksRequest, DeleteBlocksResponse> = {
  number: 202,
  name: 'DeleteBlocks',
  request: DeleteBlocksRequest,
  response: DeleteBlocksResponse,
}
export const listBlocks: RpcMethod<ListBlocksRequest, ListBlocksResponse> = {
  number: 203,
  name: 'ListBlocks',
  request: ListBlocksRequest,
  response: ListBlocksResponse,
}
export const listWriters: RpcMethod<ListWritersRequest, ListWritersResponse> = {
  number: 204,
  name: 'ListWriters',
  request: ListWritersRequest,
  response: ListWritersResponse,
}
export const reportDrives: RpcMethod<ReportDrivesRequest, ReportDrivesResponse> = {
  number: 205,
  name: 'ReportDrives',
  request: ReportDrivesRequest,
  response: ReportDrivesResponse,
}
