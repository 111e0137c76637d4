/** Messages of multipart uploads and their parts. */
import { BlockMap } from '../block-map.js'
import type { OpId, SpaceId } from '../ids.js'
import { boolean, bytes, integer, list, type Message, message, optional, required, text } from '../message.js'
import { ATTEMPT_FIELD, Attempt, type Attempted } from './attempt.js'
import {
  type ChecksumAlgorithm,
  type ChecksumType,
  checksumAlgorithm,
  checksumType,
  ObjectAttributes,
  ObjectChecksum,
} from './object.js'
import { ObjectSource, WriteContext } from './object-write.js'

export interface UploadInfo {
  /**
   * 48 hex digits: initiation in µs since 1970 ‖ op id of CreateUpload. The op id is the map id of the object to be.
   */
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
export interface CreateUploadRequest extends Attempted {
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
    attempt: optional(ATTEMPT_FIELD, Attempt),
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
export interface PutPartRequest extends Attempted {
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
  attempt: optional(ATTEMPT_FIELD, Attempt),
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
