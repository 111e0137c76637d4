/**
 * Methods of the metadata service. Every method that changes something carries an op id chosen by the caller
 * before the first attempt: a repeated call with the same op id returns the first result and changes nothing.
 */
import { BlockMap } from '../block-map.js'
import { ClusterMap, Member } from '../cluster-map.js'
import type { OpId, SessionId, SpaceId } from '../ids.js'
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
} from '../message.js'
import type { RpcMethod } from '../rpc/types.js'
import { DriveReport } from './chunk.js'
import {
  BucketInfo,
  type ChecksumAlgorithm,
  type ChecksumType,
  ObjectAttributes,
  ObjectChecksum,
  ObjectVersion,
  PartRun,
  type VersioningState,
  WritePreconditions,
} from './object.js'

const checksumAlgorithm = oneOf<ChecksumAlgorithm>('CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256')
const checksumType = oneOf<ChecksumType>('FULL_OBJECT', 'COMPOSITE')

/** The answer of methods that only succeed. */
export interface Done {
  readonly epoch?: number
}
export const Done: Message<Done> = message<Done>('Done', 1, { epoch: optional(1, integer) })

// Sessions.

export interface OpenSessionRequest {
  readonly role: string
  readonly name: string
}
export const OpenSessionRequest: Message<OpenSessionRequest> = message<OpenSessionRequest>(
  'OpenSessionRequest',
  1,
  {
    role: required(1, text),
    name: required(2, text),
  },
)
export interface OpenSessionResponse {
  readonly session: SessionId
  readonly leaseMs: number
}
export const OpenSessionResponse: Message<OpenSessionResponse> = message<OpenSessionResponse>(
  'OpenSessionResponse',
  1,
  { session: required(1, bytes<SessionId>()), leaseMs: required(2, integer) },
)
/** Renews or closes a session. `SessionExpired` once its row is gone. */
export interface SessionRequest {
  readonly session: SessionId
}
export const SessionRequest: Message<SessionRequest> = message<SessionRequest>('SessionRequest', 1, {
  session: required(1, bytes<SessionId>()),
})

// Cluster map.

export interface GetClusterMapRequest {
  /** Answered without a map when the epoch is still this one. */
  readonly knownEpoch?: number
}
export const GetClusterMapRequest: Message<GetClusterMapRequest> = message<GetClusterMapRequest>(
  'GetClusterMapRequest',
  1,
  { knownEpoch: optional(1, integer) },
)
export interface GetClusterMapResponse {
  readonly map?: ClusterMap
}
export const GetClusterMapResponse: Message<GetClusterMapResponse> = message<GetClusterMapResponse>(
  'GetClusterMapResponse',
  1,
  { map: optional(1, ClusterMap) },
)

/** A drive as its server found it. The place decides whether a new drive may take over an old one's groups. */
export interface DriveRegistration {
  readonly id: string
  readonly capacityBytes: number
  readonly path: string
  /** `st_dev` of the folder, and device and inode of its parent, as text. */
  readonly device: string
  readonly parent: string
}
export const DriveRegistration: Message<DriveRegistration> = message<DriveRegistration>(
  'DriveRegistration',
  1,
  {
    id: required(1, text),
    capacityBytes: required(2, integer),
    path: required(3, text),
    device: required(4, text),
    parent: required(5, text),
  },
)
/** A chunk server announces itself and all its drives; idempotent. */
export interface RegisterServerRequest {
  readonly member: Member
  readonly drives: readonly DriveRegistration[]
}
export const RegisterServerRequest: Message<RegisterServerRequest> = message<RegisterServerRequest>(
  'RegisterServerRequest',
  1,
  { member: required(1, Member), drives: list(2, DriveRegistration) },
)
export interface HeartbeatRequest {
  readonly server: string
  readonly reports: readonly DriveReport[]
}
export const HeartbeatRequest: Message<HeartbeatRequest> = message<HeartbeatRequest>('HeartbeatRequest', 1, {
  server: required(1, text),
  reports: list(2, DriveReport),
})

// Buckets.

export interface CreateBucketRequest {
  readonly op: OpId
  readonly bucket: string
  readonly owner: string
  readonly region: string
}
export const CreateBucketRequest: Message<CreateBucketRequest> = message<CreateBucketRequest>(
  'CreateBucketRequest',
  1,
  {
    op: required(1, bytes<OpId>()),
    bucket: required(2, text),
    owner: required(3, text),
    region: required(4, text),
  },
)
export interface BucketRequest {
  readonly bucket: string
}
export const BucketRequest: Message<BucketRequest> = message<BucketRequest>('BucketRequest', 1, {
  bucket: required(1, text),
})
export interface DeleteBucketRequest {
  readonly op: OpId
  readonly bucket: string
}
export const DeleteBucketRequest: Message<DeleteBucketRequest> = message<DeleteBucketRequest>(
  'DeleteBucketRequest',
  1,
  {
    op: required(1, bytes<OpId>()),
    bucket: required(2, text),
  },
)
export interface SetBucketVersioningRequest {
  readonly op: OpId
  readonly bucket: string
  readonly versioning: VersioningState
}
export const SetBucketVersioningRequest: Message<SetBucketVersioningRequest> =
  message<SetBucketVersioningRequest>('SetBucketVersioningRequest', 1, {
    op: required(1, bytes<OpId>()),
    bucket: required(2, text),
    versioning: required(3, oneOf<VersioningState>('unset', 'enabled', 'suspended')),
  })
export interface ListBucketsRequest {
  readonly prefix: string
  readonly after: string
  readonly limit: number
}
export const ListBucketsRequest: Message<ListBucketsRequest> = message<ListBucketsRequest>(
  'ListBucketsRequest',
  1,
  {
    prefix: required(1, text),
    after: required(2, text),
    limit: required(3, integer),
  },
)
export interface ListBucketsResponse {
  readonly buckets: readonly BucketInfo[]
  readonly truncated: boolean
}
export const ListBucketsResponse: Message<ListBucketsResponse> = message<ListBucketsResponse>(
  'ListBucketsResponse',
  1,
  {
    buckets: list(1, BucketInfo),
    truncated: required(2, boolean),
  },
)

// Objects.

/** Who writes, under which session, placed by which epoch of the pool, and which groups lack a copy. */
export interface WriteContext {
  readonly session: SessionId
  readonly op: OpId
  /** Epoch of the map's pool by which the blocks were placed; `StaleClusterMap` if it has changed. */
  readonly poolEpoch: number
  /** Groups of which a block of this write is stored on fewer drives than the pool wants. */
  readonly dirtyGroups: readonly number[]
}
export const WriteContext: Message<WriteContext> = message<WriteContext>('WriteContext', 1, {
  session: required(1, bytes<SessionId>()),
  op: required(2, bytes<OpId>()),
  poolEpoch: required(3, integer),
  dirtyGroups: list(4, integer),
})

export interface PutObjectRequest {
  readonly context: WriteContext
  readonly bucket: string
  /** The space the blocks were written for; a bucket made again meanwhile is `NoSuchBucket`. */
  readonly space: SpaceId
  readonly key: string
  readonly map: BlockMap
  readonly sizeBytes: number
  readonly etag: string
  readonly owner: string
  readonly attributes: ObjectAttributes
  readonly checksum?: ObjectChecksum
  readonly preconditions?: WritePreconditions
}
export const PutObjectRequest: Message<PutObjectRequest> = message<PutObjectRequest>('PutObjectRequest', 1, {
  context: required(1, WriteContext),
  bucket: required(2, text),
  space: required(3, bytes<SpaceId>()),
  key: required(4, text),
  map: required(5, BlockMap),
  sizeBytes: required(6, integer),
  etag: required(7, text),
  owner: required(8, text),
  attributes: required(9, ObjectAttributes),
  checksum: optional(10, ObjectChecksum),
  preconditions: optional(11, WritePreconditions),
})
/** `versionId` is absent in a bucket that was never versioned. */
export interface PutObjectResponse {
  readonly versionId?: string
  readonly modifiedMs: number
}
export const PutObjectResponse: Message<PutObjectResponse> = message<PutObjectResponse>(
  'PutObjectResponse',
  1,
  {
    versionId: optional(1, text),
    modifiedMs: required(2, integer),
  },
)

/** `NoSuchBucket`, `NoSuchKey` (details.versionId, details.deleteMarker if a marker is current), `NoSuchVersion`. */
export interface GetObjectRequest {
  readonly bucket: string
  readonly key: string
  readonly versionId?: string
}
export const GetObjectRequest: Message<GetObjectRequest> = message<GetObjectRequest>('GetObjectRequest', 1, {
  bucket: required(1, text),
  key: required(2, text),
  versionId: optional(3, text),
})
export interface GetObjectResponse {
  readonly object: ObjectVersion
  readonly versioning: VersioningState
}
export const GetObjectResponse: Message<GetObjectResponse> = message<GetObjectResponse>(
  'GetObjectResponse',
  1,
  {
    object: required(1, ObjectVersion),
    versioning: required(2, oneOf<VersioningState>('unset', 'enabled', 'suspended')),
  },
)

export interface DeleteItem {
  /** One op id for each key of a batch. */
  readonly op: OpId
  readonly key: string
  readonly versionId?: string
  readonly preconditions?: WritePreconditions
}
export const DeleteItem: Message<DeleteItem> = message<DeleteItem>('DeleteItem', 1, {
  op: required(1, bytes<OpId>()),
  key: required(2, text),
  versionId: optional(3, text),
  preconditions: optional(4, WritePreconditions),
})
/** At most LIST_PAGE_MAX items. */
export interface DeleteObjectsRequest {
  readonly bucket: string
  readonly owner: string
  readonly items: readonly DeleteItem[]
}
export const DeleteObjectsRequest: Message<DeleteObjectsRequest> = message<DeleteObjectsRequest>(
  'DeleteObjectsRequest',
  1,
  { bucket: required(1, text), owner: required(2, text), items: list(3, DeleteItem) },
)
/** One for each item, in order. A missing key or version is a success without a version id. */
export interface DeleteOutcome {
  /** True if a marker was written, or if the version that was removed is a marker. */
  readonly deleteMarker: boolean
  /** Of the marker written, or of the version removed. */
  readonly versionId?: string
  /** Name of an error code (see errors.ts) if this item failed. */
  readonly errorCode?: string
  readonly errorMessage?: string
}
export const DeleteOutcome: Message<DeleteOutcome> = message<DeleteOutcome>('DeleteOutcome', 1, {
  deleteMarker: required(1, boolean),
  versionId: optional(2, text),
  errorCode: optional(3, text),
  errorMessage: optional(4, text),
})
export interface DeleteObjectsResponse {
  readonly outcomes: readonly DeleteOutcome[]
}
export const DeleteObjectsResponse: Message<DeleteObjectsResponse> = message<DeleteObjectsResponse>(
  'DeleteObjectsResponse',
  1,
  { outcomes: list(1, DeleteOutcome) },
)

export interface ObjectSource {
  readonly bucket: string
  readonly key: string
  readonly versionId?: string
  /** The ETag that the caller saw; `PreconditionFailed` if the source has changed since. */
  readonly etag: string
  /**
   * Part copy: the id of the map whose slices the caller took. `PreconditionFailed` unless the source still has
   * it: an equal ETag is not enough, since the same bytes may have been written again as other blocks.
   */
  readonly mapId?: OpId
}
export const ObjectSource: Message<ObjectSource> = message<ObjectSource>('ObjectSource', 1, {
  bucket: required(1, text),
  key: required(2, text),
  versionId: optional(3, text),
  etag: required(4, text),
  mapId: optional(5, bytes<OpId>()),
})
/** Copies by reference: the new row names the same map, and an `r/` row keeps that map alive. */
export interface CopyObjectRequest {
  readonly context: WriteContext
  readonly source: ObjectSource
  readonly bucket: string
  readonly key: string
  readonly owner: string
  /** Replaces the source's attributes; absent keeps them. */
  readonly attributes?: ObjectAttributes
  /** Replaces the source's checksum; absent keeps it. */
  readonly checksum?: ObjectChecksum
  readonly preconditions?: WritePreconditions
}
export const CopyObjectRequest: Message<CopyObjectRequest> = message<CopyObjectRequest>(
  'CopyObjectRequest',
  1,
  {
    context: required(1, WriteContext),
    source: required(2, ObjectSource),
    bucket: required(3, text),
    key: required(4, text),
    owner: required(5, text),
    attributes: optional(6, ObjectAttributes),
    checksum: optional(7, ObjectChecksum),
    preconditions: optional(8, WritePreconditions),
  },
)
export interface CopyObjectResponse {
  readonly versionId?: string
  readonly sourceVersionId?: string
  readonly modifiedMs: number
  readonly etag: string
  readonly checksum?: ObjectChecksum
}
export const CopyObjectResponse: Message<CopyObjectResponse> = message<CopyObjectResponse>(
  'CopyObjectResponse',
  1,
  {
    versionId: optional(1, text),
    sourceVersionId: optional(2, text),
    modifiedMs: required(3, integer),
    etag: required(4, text),
    checksum: optional(5, ObjectChecksum),
  },
)

/**
 * A page of current versions in byte order. `after` is exclusive; if it ends in the delimiter and is a common
 * prefix of this listing, everything below it is skipped too.
 */
export interface ListObjectsRequest {
  readonly bucket: string
  readonly prefix: string
  /** Empty for none. */
  readonly delimiter: string
  readonly after: string
  /** 0 to LIST_PAGE_MAX; counts keys plus common prefixes. */
  readonly limit: number
}
export const ListObjectsRequest: Message<ListObjectsRequest> = message<ListObjectsRequest>(
  'ListObjectsRequest',
  1,
  {
    bucket: required(1, text),
    prefix: required(2, text),
    delimiter: required(3, text),
    after: required(4, text),
    limit: required(5, integer),
  },
)
export interface ListObjectsResponse {
  readonly objects: readonly ObjectVersion[]
  readonly commonPrefixes: readonly string[]
  readonly truncated: boolean
  /** Last key or common prefix of the page, where the next one starts. */
  readonly next: string
}
export const ListObjectsResponse: Message<ListObjectsResponse> = message<ListObjectsResponse>(
  'ListObjectsResponse',
  1,
  {
    objects: list(1, ObjectVersion),
    commonPrefixes: list(2, text),
    truncated: required(3, boolean),
    next: required(4, text),
  },
)
/** Versions and markers, newest first within a key. Markers are exclusive; `afterVersionId` needs `afterKey`. */
export interface ListVersionsRequest {
  readonly bucket: string
  readonly prefix: string
  readonly delimiter: string
  readonly afterKey: string
  readonly afterVersionId: string
  readonly limit: number
}
export const ListVersionsRequest: Message<ListVersionsRequest> = message<ListVersionsRequest>(
  'ListVersionsRequest',
  1,
  {
    bucket: required(1, text),
    prefix: required(2, text),
    delimiter: required(3, text),
    afterKey: required(4, text),
    afterVersionId: required(5, text),
    limit: required(6, integer),
  },
)
export interface ListVersionsResponse {
  readonly versions: readonly ObjectVersion[]
  readonly commonPrefixes: readonly string[]
  readonly truncated: boolean
  readonly nextKey: string
  readonly nextVersionId: string
}
export const ListVersionsResponse: Message<ListVersionsResponse> = message<ListVersionsResponse>(
  'ListVersionsResponse',
  1,
  {
    versions: list(1, ObjectVersion),
    commonPrefixes: list(2, text),
    truncated: required(3, boolean),
    nextKey: required(4, text),
    nextVersionId: required(5, text),
  },
)

// Multipart uploads.

export interface UploadInfo {
  /** 48 hex digits: initiation in µs since 1970 ‖ op id of CreateUpload. The op id is the map id of the object to be. */
  readonly uploadId: string
  readonly key: string
  readonly initiatedMs: number
  readonly owner: string
  readonly attributes: ObjectAttributes
  readonly checksumAlgorithm?: ChecksumAlgorithm
  readonly checksumType?: ChecksumType
}
export const UploadInfo: Message<UploadInfo> = message<UploadInfo>('UploadInfo', 1, {
  uploadId: required(1, text),
  key: required(2, text),
  initiatedMs: required(3, integer),
  owner: required(4, text),
  attributes: required(5, ObjectAttributes),
  checksumAlgorithm: optional(6, checksumAlgorithm),
  checksumType: optional(7, checksumType),
})
export interface CreateUploadRequest {
  readonly op: OpId
  readonly bucket: string
  readonly key: string
  readonly owner: string
  readonly attributes: ObjectAttributes
  readonly checksumAlgorithm?: ChecksumAlgorithm
  readonly checksumType?: ChecksumType
}
export const CreateUploadRequest: Message<CreateUploadRequest> = message<CreateUploadRequest>(
  'CreateUploadRequest',
  1,
  {
    op: required(1, bytes<OpId>()),
    bucket: required(2, text),
    key: required(3, text),
    owner: required(4, text),
    attributes: required(5, ObjectAttributes),
    checksumAlgorithm: optional(6, checksumAlgorithm),
    checksumType: optional(7, checksumType),
  },
)
/** Names an upload; `NoSuchUpload` unless bucket, key and id all fit and it is open. */
export interface UploadRequest {
  readonly bucket: string
  readonly key: string
  readonly uploadId: string
}
export const UploadRequest: Message<UploadRequest> = message<UploadRequest>('UploadRequest', 1, {
  bucket: required(1, text),
  key: required(2, text),
  uploadId: required(3, text),
})
export interface GetUploadResponse {
  readonly upload: UploadInfo
  readonly space: SpaceId
}
export const GetUploadResponse: Message<GetUploadResponse> = message<GetUploadResponse>(
  'GetUploadResponse',
  1,
  {
    upload: required(1, UploadInfo),
    space: required(2, bytes<SpaceId>()),
  },
)
/** Stores one part; the one that commits last wins its number. `NoSuchUpload` once the upload is frozen. */
export interface PutPartRequest {
  readonly context: WriteContext
  readonly bucket: string
  readonly key: string
  readonly uploadId: string
  readonly partNumber: number
  readonly map: BlockMap
  readonly sizeBytes: number
  readonly etag: string
  readonly checksum?: ObjectChecksum
  /** Part copy only: the source; its map must still be alive in the commit. */
  readonly source?: ObjectSource
}
export const PutPartRequest: Message<PutPartRequest> = message<PutPartRequest>('PutPartRequest', 1, {
  context: required(1, WriteContext),
  bucket: required(2, text),
  key: required(3, text),
  uploadId: required(4, text),
  partNumber: required(5, integer),
  map: required(6, BlockMap),
  sizeBytes: required(7, integer),
  etag: required(8, text),
  checksum: optional(9, ObjectChecksum),
  source: optional(10, ObjectSource),
})
export interface PartInfo {
  readonly partNumber: number
  readonly sizeBytes: number
  readonly etag: string
  readonly modifiedMs: number
  readonly checksum?: ObjectChecksum
  /** Only when asked for. */
  readonly map?: BlockMap
}
export const PartInfo: Message<PartInfo> = message<PartInfo>('PartInfo', 1, {
  partNumber: required(1, integer),
  sizeBytes: required(2, integer),
  etag: required(3, text),
  modifiedMs: required(4, integer),
  checksum: optional(5, ObjectChecksum),
  map: optional(6, BlockMap),
})
export interface ListPartsRequest extends UploadRequest {
  readonly afterPart: number
  readonly limit: number
  readonly withMaps: boolean
}
export const ListPartsRequest: Message<ListPartsRequest> = message<ListPartsRequest>('ListPartsRequest', 1, {
  bucket: required(1, text),
  key: required(2, text),
  uploadId: required(3, text),
  afterPart: required(4, integer),
  limit: required(5, integer),
  withMaps: required(6, boolean),
})
export interface ListPartsResponse {
  readonly upload: UploadInfo
  readonly parts: readonly PartInfo[]
  readonly truncated: boolean
}
export const ListPartsResponse: Message<ListPartsResponse> = message<ListPartsResponse>(
  'ListPartsResponse',
  1,
  {
    upload: required(1, UploadInfo),
    parts: list(2, PartInfo),
    truncated: required(3, boolean),
  },
)
/** Uploads by key, then by initiation. Markers are exclusive. */
export interface ListUploadsRequest {
  readonly bucket: string
  readonly prefix: string
  readonly delimiter: string
  readonly afterKey: string
  readonly afterUploadId: string
  readonly limit: number
}
export const ListUploadsRequest: Message<ListUploadsRequest> = message<ListUploadsRequest>(
  'ListUploadsRequest',
  1,
  {
    bucket: required(1, text),
    prefix: required(2, text),
    delimiter: required(3, text),
    afterKey: required(4, text),
    afterUploadId: required(5, text),
    limit: required(6, integer),
  },
)
export interface ListUploadsResponse {
  readonly uploads: readonly UploadInfo[]
  readonly commonPrefixes: readonly string[]
  readonly truncated: boolean
  readonly nextKey: string
  readonly nextUploadId: string
}
export const ListUploadsResponse: Message<ListUploadsResponse> = message<ListUploadsResponse>(
  'ListUploadsResponse',
  1,
  {
    uploads: list(1, UploadInfo),
    commonPrefixes: list(2, text),
    truncated: required(3, boolean),
    nextKey: required(4, text),
    nextUploadId: required(5, text),
  },
)
/**
 * First step of Complete: parts can no longer change. Idempotent for one `op`; a new attempt with another op
 * takes the freeze over, and the attempt before can then no longer commit. If the upload is complete already,
 * `completed` holds its result.
 */
export interface FreezeUploadRequest extends UploadRequest {
  readonly op: OpId
}
export const FreezeUploadRequest: Message<FreezeUploadRequest> = message<FreezeUploadRequest>(
  'FreezeUploadRequest',
  1,
  {
    bucket: required(1, text),
    key: required(2, text),
    uploadId: required(3, text),
    op: required(4, bytes<OpId>()),
  },
)
export interface CompletedUpload {
  readonly etag: string
  readonly versionId?: string
  readonly checksum?: ObjectChecksum
  /** Hex SHA-256 of the requested part list, so that a repeat can be told from another request. */
  readonly listHash: string
  readonly sizeBytes?: number
}
export const CompletedUpload: Message<CompletedUpload> = message<CompletedUpload>('CompletedUpload', 1, {
  etag: required(1, text),
  versionId: optional(2, text),
  checksum: optional(3, ObjectChecksum),
  listHash: required(4, text),
  sizeBytes: optional(5, integer),
})
export interface FreezeUploadResponse {
  readonly upload: UploadInfo
  readonly space: SpaceId
  readonly completed?: CompletedUpload
}
export const FreezeUploadResponse: Message<FreezeUploadResponse> = message<FreezeUploadResponse>(
  'FreezeUploadResponse',
  1,
  {
    upload: required(1, UploadInfo),
    space: required(2, bytes<SpaceId>()),
    completed: optional(3, CompletedUpload),
  },
)
/** Second step of Complete, by the same op as the freeze. O(1) whatever the number of parts. */
export interface CompleteUploadRequest {
  readonly context: WriteContext
  readonly bucket: string
  readonly key: string
  readonly uploadId: string
  readonly map: BlockMap
  readonly sizeBytes: number
  readonly etag: string
  readonly checksum?: ObjectChecksum
  readonly parts: readonly PartRun[]
  readonly listHash: string
  readonly preconditions?: WritePreconditions
}
export const CompleteUploadRequest: Message<CompleteUploadRequest> = message<CompleteUploadRequest>(
  'CompleteUploadRequest',
  1,
  {
    context: required(1, WriteContext),
    bucket: required(2, text),
    key: required(3, text),
    uploadId: required(4, text),
    map: required(5, BlockMap),
    sizeBytes: required(6, integer),
    etag: required(7, text),
    checksum: optional(8, ObjectChecksum),
    parts: list(9, PartRun),
    listHash: required(10, text),
    preconditions: optional(11, WritePreconditions),
  },
)
export interface AbortUploadRequest extends UploadRequest {
  readonly op: OpId
}
export const AbortUploadRequest: Message<AbortUploadRequest> = message<AbortUploadRequest>(
  'AbortUploadRequest',
  1,
  {
    bucket: required(1, text),
    key: required(2, text),
    uploadId: required(3, text),
    op: required(4, bytes<OpId>()),
  },
)

function method<Q, R>(
  number: number,
  name: string,
  request: Message<Q>,
  response: Message<R>,
): RpcMethod<Q, R> {
  return { number, name, request, response }
}

export const openSession: RpcMethod<OpenSessionRequest, OpenSessionResponse> = method(
  1,
  'OpenSession',
  OpenSessionRequest,
  OpenSessionResponse,
)
export const renewSession: RpcMethod<SessionRequest, Done> = method(2, 'RenewSession', SessionRequest, Done)
export const closeSession: RpcMethod<SessionRequest, Done> = method(3, 'CloseSession', SessionRequest, Done)
export const getClusterMap: RpcMethod<GetClusterMapRequest, GetClusterMapResponse> = method(
  10,
  'GetClusterMap',
  GetClusterMapRequest,
  GetClusterMapResponse,
)
export const registerServer: RpcMethod<RegisterServerRequest, Done> = method(
  11,
  'RegisterServer',
  RegisterServerRequest,
  Done,
)
export const heartbeat: RpcMethod<HeartbeatRequest, Done> = method(12, 'Heartbeat', HeartbeatRequest, Done)
export const createBucket: RpcMethod<CreateBucketRequest, BucketInfo> = method(
  20,
  'CreateBucket',
  CreateBucketRequest,
  BucketInfo,
)
export const getBucket: RpcMethod<BucketRequest, BucketInfo> = method(
  21,
  'GetBucket',
  BucketRequest,
  BucketInfo,
)
export const deleteBucket: RpcMethod<DeleteBucketRequest, Done> = method(
  22,
  'DeleteBucket',
  DeleteBucketRequest,
  Done,
)
export const listBuckets: RpcMethod<ListBucketsRequest, ListBucketsResponse> = method(
  23,
  'ListBuckets',
  ListBucketsRequest,
  ListBucketsResponse,
)
export const setBucketVersioning: RpcMethod<SetBucketVersioningRequest, BucketInfo> = method(
  24,
  'SetBucketVersioning',
  SetBucketVersioningRequest,
  BucketInfo,
)
export const putObject: RpcMethod<PutObjectRequest, PutObjectResponse> = method(
  30,
  'PutObject',
  PutObjectRequest,
  PutObjectResponse,
)
export const getObject: RpcMethod<GetObjectRequest, GetObjectResponse> = method(
  31,
  'GetObject',
  GetObjectRequest,
  GetObjectResponse,
)
export const deleteObjects: RpcMethod<DeleteObjectsRequest, DeleteObjectsResponse> = method(
  32,
  'DeleteObjects',
  DeleteObjectsRequest,
  DeleteObjectsResponse,
)
export const copyObject: RpcMethod<CopyObjectRequest, CopyObjectResponse> = method(
  33,
  'CopyObject',
  CopyObjectRequest,
  CopyObjectResponse,
)
export const listObjects: RpcMethod<ListObjectsRequest, ListObjectsResponse> = method(
  34,
  'ListObjects',
  ListObjectsRequest,
  ListObjectsResponse,
)
export const listVersions: RpcMethod<ListVersionsRequest, ListVersionsResponse> = method(
  35,
  'ListVersions',
  ListVersionsRequest,
  ListVersionsResponse,
)
export const createUpload: RpcMethod<CreateUploadRequest, UploadInfo> = method(
  40,
  'CreateUpload',
  CreateUploadRequest,
  UploadInfo,
)
export const getUpload: RpcMethod<UploadRequest, GetUploadResponse> = method(
  41,
  'GetUpload',
  UploadRequest,
  GetUploadResponse,
)
export const putPart: RpcMethod<PutPartRequest, PartInfo> = method(42, 'PutPart', PutPartRequest, PartInfo)
export const listParts: RpcMethod<ListPartsRequest, ListPartsResponse> = method(
  43,
  'ListParts',
  ListPartsRequest,
  ListPartsResponse,
)
export const listUploads: RpcMethod<ListUploadsRequest, ListUploadsResponse> = method(
  44,
  'ListUploads',
  ListUploadsRequest,
  ListUploadsResponse,
)
export const freezeUpload: RpcMethod<FreezeUploadRequest, FreezeUploadResponse> = method(
  45,
  'FreezeUpload',
  FreezeUploadRequest,
  FreezeUploadResponse,
)
export const completeUpload: RpcMethod<CompleteUploadRequest, CompletedUpload> = method(
  46,
  'CompleteUpload',
  CompleteUploadRequest,
  CompletedUpload,
)
export const abortUpload: RpcMethod<AbortUploadRequest, Done> = method(
  47,
  'AbortUpload',
  AbortUploadRequest,
  Done,
)
/** Gives a freeze up after the caller refused the list, so that parts can change again. By the op of the freeze. */
export const thawUpload: RpcMethod<FreezeUploadRequest, Done> = method(
  48,
  'ThawUpload',
  FreezeUploadRequest,
  Done,
)
