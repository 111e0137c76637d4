/**
 * Methods of the metadata service. Every method that changes something carries an op id chosen by the caller
 * before the first attempt: a repeated call with the same op id returns the first result and changes nothing.
 */
import type { Message } from '../message.js'
import type { RpcMethod } from '../rpc/types.js'
import { GetBlockTokensRequest, GetBlockTokensResponse } from './block-tokens.js'
import {
  BucketRequest,
  CreateBucketRequest,
  DeleteBucketRequest,
  GetBucketConfigurationRequest,
  GetBucketConfigurationResponse,
  ListBucketsRequest,
  ListBucketsResponse,
  SetBucketConfigurationRequest,
  SetBucketVersioningRequest,
} from './bucket.js'
import { callersOf } from './callers.js'
import {
  GetClusterMapRequest,
  GetClusterMapResponse,
  HeartbeatRequest,
  RegisterServerRequest,
} from './cluster.js'
import { Done } from './done.js'
import { FeatureLevelReport, FeatureLevelRequest } from './feature-level.js'
import { BucketInfo } from './object.js'
import {
  ListObjectsRequest,
  ListObjectsResponse,
  ListVersionsRequest,
  ListVersionsResponse,
} from './object-listing.js'
import {
  CopyObjectRequest,
  CopyObjectResponse,
  DeleteObjectsRequest,
  DeleteObjectsResponse,
  GetObjectRequest,
  GetObjectResponse,
  PutObjectRequest,
  PutObjectResponse,
  SetObjectTagsRequest,
  SetObjectTagsResponse,
} from './object-write.js'
import {
  MoveSessionRequest,
  MoveSessionResponse,
  OpenSessionRequest,
  OpenSessionResponse,
  SessionRequest,
} from './session.js'
import { ReportSpeedsRequest, ReportSpeedsResponse } from './speeds.js'
import {
  AcceptRestoreRequest,
  ChangeDrivesRequest,
  CheckReport,
  ClusterStatus,
  GetCheckRequest,
  GetStatusRequest,
  ReportBlocksRequest,
  StartCheckRequest,
  StartCheckResponse,
} from './upkeep.js'
import {
  CreateUploadRequest,
  GetUploadResponse,
  ListPartsRequest,
  ListPartsResponse,
  ListUploadsRequest,
  ListUploadsResponse,
  PartInfo,
  PutPartRequest,
  UploadInfo,
  UploadRequest,
} from './upload.js'
import {
  AbortUploadRequest,
  CompletedUpload,
  CompleteUploadRequest,
  FreezeUploadRequest,
  FreezeUploadResponse,
} from './upload-completion.js'

function method<Q, R>(
  number: number,
  name: string,
  request: Message<Q>,
  response: Message<R>,
): RpcMethod<Q, R> {
  return { number, name, request, response, callers: callersOf(name) }
}

export const openSession: RpcMethod<OpenSessionRequest, OpenSessionResponse> = method(
  1,
  'OpenSession',
  OpenSessionRequest,
  OpenSessionResponse,
)
export const renewSession: RpcMethod<SessionRequest, Done> = method(2, 'RenewSession', SessionRequest, Done)
export const closeSession: RpcMethod<SessionRequest, Done> = method(3, 'CloseSession', SessionRequest, Done)
export const moveSession: RpcMethod<MoveSessionRequest, MoveSessionResponse> = method(
  4,
  'MoveSession',
  MoveSessionRequest,
  MoveSessionResponse,
)
export const getClusterMap: RpcMethod<GetClusterMapRequest, GetClusterMapResponse> = method(
  10,
  'GetClusterMap',
  GetClusterMapRequest,
  GetClusterMapResponse,
)
export const getBlockTokens: RpcMethod<GetBlockTokensRequest, GetBlockTokensResponse> = method(
  13,
  'GetBlockTokens',
  GetBlockTokensRequest,
  GetBlockTokensResponse,
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

export const getBucketConfiguration: RpcMethod<
  GetBucketConfigurationRequest,
  GetBucketConfigurationResponse
> = method(25, 'GetBucketConfiguration', GetBucketConfigurationRequest, GetBucketConfigurationResponse)
export const setBucketConfiguration: RpcMethod<SetBucketConfigurationRequest, Done> = method(
  26,
  'SetBucketConfiguration',
  SetBucketConfigurationRequest,
  Done,
)
export const setObjectTags: RpcMethod<SetObjectTagsRequest, SetObjectTagsResponse> = method(
  36,
  'SetObjectTags',
  SetObjectTagsRequest,
  SetObjectTagsResponse,
)
export const reportBlocks: RpcMethod<ReportBlocksRequest, Done> = method(
  50,
  'ReportBlocks',
  ReportBlocksRequest,
  Done,
)
export const getStatus: RpcMethod<GetStatusRequest, ClusterStatus> = method(
  51,
  'GetStatus',
  GetStatusRequest,
  ClusterStatus,
)
export const startCheck: RpcMethod<StartCheckRequest, StartCheckResponse> = method(
  52,
  'StartCheck',
  StartCheckRequest,
  StartCheckResponse,
)
export const getCheck: RpcMethod<GetCheckRequest, CheckReport> = method(
  53,
  'GetCheck',
  GetCheckRequest,
  CheckReport,
)
export const acceptRestore: RpcMethod<AcceptRestoreRequest, Done> = method(
  54,
  'AcceptRestore',
  AcceptRestoreRequest,
  Done,
)
export const reportSpeeds: RpcMethod<ReportSpeedsRequest, ReportSpeedsResponse> = method(
  55,
  'ReportSpeeds',
  ReportSpeedsRequest,
  ReportSpeedsResponse,
)
/** `InvalidArgument` for what is not known; `PreconditionFailed` for what would lose data, or can never be done. */
export const changeDrives: RpcMethod<ChangeDrivesRequest, Done> = method(
  60,
  'ChangeDrives',
  ChangeDrivesRequest,
  Done,
)
/** `PreconditionFailed` if members do not support the level that others do; the message names them. */
export const featureLevel: RpcMethod<FeatureLevelRequest, FeatureLevelReport> = method(
  61,
  'FeatureLevel',
  FeatureLevelRequest,
  FeatureLevelReport,
)
