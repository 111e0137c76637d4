/** Messages that complete and abort multipart uploads. */
import { BlockMap } from '../block-map.js'
import type { OpId, SpaceId } from '../ids.js'
import { bytes, integer, list, type Message, message, optional, required, text } from '../message.js'
import { ATTEMPT_FIELD, Attempt, type Attempted } from './attempt.js'
import { ObjectChecksum, PartRun, WritePreconditions } from './object.js'
import { WriteContext } from './object-write.js'
import { UploadInfo, type UploadRequest } from './upload.js'

/**
 * First step of Complete: parts can no longer change. Idempotent for one `op`; a new attempt with another op
 * takes the freeze over, and the attempt before can then no longer commit. If the upload is complete already,
 * `completed` holds its result.
 */
export interface FreezeUploadRequest extends UploadRequest, Attempted {
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
    attempt: optional(ATTEMPT_FIELD, Attempt),
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
export interface CompleteUploadRequest extends Attempted {
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
  /** See `ObjectVersion`. */
  readonly partChecksums?: Uint8Array
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
    partChecksums: optional(12, bytes()),
    attempt: optional(ATTEMPT_FIELD, Attempt),
  },
)
export interface AbortUploadRequest extends UploadRequest, Attempted {
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
    attempt: optional(ATTEMPT_FIELD, Attempt),
  },
)
