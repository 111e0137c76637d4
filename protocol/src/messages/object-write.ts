/** Messages that read, write, delete and copy one version. */
import { BlockMap } from '../block-map.js'
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
import { type KeptMessage, kept } from '../repeated-message.js'
import { ATTEMPT_FIELD, Attempt, type Attempted } from './attempt.js'
import { ShownReceipts } from './block-receipts.js'
import {
  ObjectAttributes,
  ObjectChecksum,
  ObjectVersion,
  Tag,
  type VersioningState,
  WritePreconditions,
} from './object.js'

/** Who writes, under which session, placed by which epoch of the pool, and which groups lack a copy. */
export interface WriteContext {
  readonly session: SessionId
  readonly op: OpId
  /** Epoch of the map's pool by which the blocks were placed; `StaleClusterMap` if it has changed. */
  readonly poolEpoch: number
  /** Groups of which a block of this write is stored on fewer drives than the pool wants. */
  readonly dirtyGroups: readonly number[]
  /** Proves that the blocks are stored; whoever is no gateway needs it from feature level 3 on. */
  readonly receipts?: ShownReceipts
}
export const WriteContext: Message<WriteContext> = message<WriteContext>('WriteContext', 1, {
  session: required(1, bytes<SessionId>()),
  op: required(2, bytes<OpId>()),
  poolEpoch: required(3, integer),
  dirtyGroups: list(4, integer),
  receipts: optional(20, ShownReceipts),
})

export interface PutObjectRequest extends Attempted {
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
  attempt: optional(ATTEMPT_FIELD, Attempt),
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
export const GetObjectResponse: KeptMessage<GetObjectResponse> = kept(
  message<GetObjectResponse>('GetObjectResponse', 1, {
    object: required(1, ObjectVersion),
    versioning: required(2, oneOf<VersioningState>('unset', 'enabled', 'suspended')),
  }),
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
export interface DeleteObjectsRequest extends Attempted {
  readonly bucket: string
  readonly owner: string
  readonly items: readonly DeleteItem[]
}
export const DeleteObjectsRequest: Message<DeleteObjectsRequest> = message<DeleteObjectsRequest>(
  'DeleteObjectsRequest',
  1,
  {
    bucket: required(1, text),
    owner: required(2, text),
    items: list(3, DeleteItem),
    attempt: optional(ATTEMPT_FIELD, Attempt),
  },
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
  /** No service will ever know whether this item was deleted. */
  readonly neverSettled?: boolean
}
export const DeleteOutcome: Message<DeleteOutcome> = message<DeleteOutcome>('DeleteOutcome', 1, {
  deleteMarker: required(1, boolean),
  versionId: optional(2, text),
  errorCode: optional(3, text),
  errorMessage: optional(4, text),
  neverSettled: optional(5, boolean),
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
export interface CopyObjectRequest extends Attempted {
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
  /** MD5 of the bytes, in place of the source's ETag: the copy then has no parts. Absent keeps both. */
  readonly etag?: string
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
    etag: optional(9, text),
    attempt: optional(ATTEMPT_FIELD, Attempt),
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

/** Replaces the tags of a version that exists; changes neither its id nor its time. Empty removes them. */
export interface SetObjectTagsRequest extends Attempted {
  readonly op: OpId
  readonly bucket: string
  readonly key: string
  /** The current version when absent. A delete marker is refused as by GetObject. */
  readonly versionId?: string
  readonly tags: readonly Tag[]
}
export const SetObjectTagsRequest: Message<SetObjectTagsRequest> = message<SetObjectTagsRequest>(
  'SetObjectTagsRequest',
  1,
  {
    op: required(1, bytes<OpId>()),
    bucket: required(2, text),
    key: required(3, text),
    versionId: optional(4, text),
    tags: list(5, Tag),
    attempt: optional(ATTEMPT_FIELD, Attempt),
  },
)
/** `versionId` is absent in a bucket that was never versioned. */
export interface SetObjectTagsResponse {
  readonly versionId?: string
}
export const SetObjectTagsResponse: Message<SetObjectTagsResponse> = message<SetObjectTagsResponse>(
  'SetObjectTagsResponse',
  1,
  { versionId: optional(1, text) },
)
