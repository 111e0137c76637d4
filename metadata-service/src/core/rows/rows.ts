/**
 * What rows hold. Every value goes through the message codec: a format number, and fields that an older version
 * does not know are kept when it rewrites the row. No row holds a store revision.
 */
import {
  BlockMap,
  boolean,
  bytes,
  type ChecksumAlgorithm,
  type ChecksumType,
  CompletedUpload,
  checksumAlgorithm,
  checksumType,
  integer,
  list,
  type Message,
  message,
  ObjectAttributes,
  ObjectChecksum,
  type OpId,
  oneOf,
  optional,
  PartRun,
  required,
  type SpaceId,
  sameBytes,
  text,
  type VersioningState,
} from '@cairn/protocol'

/** `b/`: only what changes the meaning of a write. */
export interface BucketRow {
  /** The operation that made it. */
  readonly op: OpId
  readonly space: SpaceId
  readonly createdMs: number
  readonly owner: string
  readonly region: string
  readonly versioning: VersioningState
  /** The last operations that changed it, oldest first, at most APPLIED_MAX: a repeat changes nothing. */
  readonly changedBy: readonly OpId[]
}
export const BucketRow: Message<BucketRow> = message<BucketRow>('BucketRow', 1, {
  op: required(1, bytes<OpId>()),
  space: required(2, bytes<SpaceId>()),
  createdMs: required(3, integer),
  owner: required(4, text),
  region: required(5, text),
  versioning: required(6, oneOf<VersioningState>('unset', 'enabled', 'suspended')),
  changedBy: list(7, bytes<OpId>()),
})

/** `bc/`: one configuration of a bucket. It stays without a document once that was removed, until the bucket goes. */
export interface BucketConfigurationRow {
  /** The last operations that changed it, oldest first, at most APPLIED_MAX: a repeat changes nothing. */
  readonly changedBy: readonly OpId[]
  readonly document?: Uint8Array
}
export const BucketConfigurationRow: Message<BucketConfigurationRow> = message<BucketConfigurationRow>(
  'BucketConfigurationRow',
  1,
  {
    changedBy: list(1, bytes<OpId>()),
    document: optional(2, bytes()),
  },
)

/** Whether the row was changed by the operation, as far as it remembers. */
export function isChangedBy({ changedBy }: Pick<BucketRow, 'changedBy'>, op: OpId): boolean {
  return changedBy.some((changed) => sameBytes(changed, op))
}

/** One `r/` row that a version, part or garbage row holds, with the birthplace of the map it keeps alive. */
export interface MapReference {
  readonly map: OpId
  /** Version id of 24 bytes, or the op id of an upload. */
  readonly referrer: Uint8Array
  readonly space: SpaceId
  readonly key: string
}
export const MapReference: Message<MapReference> = message<MapReference>('MapReference', 1, {
  map: required(1, bytes<OpId>()),
  referrer: required(2, bytes()),
  space: required(3, bytes<SpaceId>()),
  key: required(4, text),
})

/** `r/`: who refers, for those who check. */
export interface ReferenceRow {
  readonly space: SpaceId
  readonly key: string
}
export const ReferenceRow: Message<ReferenceRow> = message<ReferenceRow>('ReferenceRow', 1, {
  space: required(1, bytes<SpaceId>()),
  key: required(2, text),
})

/** An operation on a key whose own row is no longer current; its repeat gets the first result. */
export interface AppliedOperation {
  readonly seq: number
  readonly op: OpId
  /** It wrote a null version. */
  readonly isNull: boolean
  /** It wrote a delete marker, or removed one. */
  readonly deleteMarker: boolean
}
export const AppliedOperation: Message<AppliedOperation> = message<AppliedOperation>('AppliedOperation', 1, {
  seq: required(1, integer),
  op: required(2, bytes<OpId>()),
  isNull: required(3, boolean),
  deleteMarker: required(4, boolean),
})

/** Applied operations that a row remembers: more than a client has under way for one key. */
export const APPLIED_MAX = 4

/** `o/` and `v/`: one version or delete marker, whole. */
export interface VersionRow {
  readonly seq: number
  readonly op: OpId
  /** S3 calls it `null`; at most one of a key. */
  readonly isNull: boolean
  readonly deleteMarker: boolean
  readonly modifiedMs: number
  readonly sizeBytes: number
  readonly etag: string
  readonly owner: string
  readonly attributes: ObjectAttributes
  readonly checksum?: ObjectChecksum
  readonly parts: readonly PartRun[]
  /** Absent for delete markers. */
  readonly map?: BlockMap
  /** The map's id: the op id of the write that made it, or the upload's. Absent when there are no blocks. */
  readonly mapId?: OpId
  /**
   * The `r/` rows that this version holds. It needs one for each map it uses, unless the map was born at this
   * very key and this row is the current one.
   */
  readonly references: readonly MapReference[]
  /** `o/` only: the last operations on this key, oldest first, at most APPLIED_MAX. */
  readonly applied: readonly AppliedOperation[]
  /** `o/` only: where in `v/` the null version is, if it is there. */
  readonly olderNull?: OlderPlace
  /** See `ObjectVersion`; at most PART_CHECKSUMS_BYTES_MAX. */
  readonly partChecksums?: Uint8Array
}

/** The part of a `v/` key that tells versions of one key apart. */
export interface OlderPlace {
  readonly seq: number
  readonly op: OpId
}
export const OlderPlace: Message<OlderPlace> = message<OlderPlace>('OlderPlace', 1, {
  seq: required(1, integer),
  op: required(2, bytes<OpId>()),
})

/** Field numbers of `VersionRow`, also used by the listings, which decode only what they show. */
export const VERSION_FIELDS = {
  seq: 1,
  op: 2,
  isNull: 3,
  deleteMarker: 4,
  modifiedMs: 5,
  sizeBytes: 6,
  etag: 7,
  owner: 8,
  attributes: 9,
  checksum: 10,
} as const

export const VersionRow: Message<VersionRow> = message<VersionRow>('VersionRow', 1, {
  seq: required(VERSION_FIELDS.seq, integer),
  op: required(VERSION_FIELDS.op, bytes<OpId>()),
  isNull: required(VERSION_FIELDS.isNull, boolean),
  deleteMarker: required(VERSION_FIELDS.deleteMarker, boolean),
  modifiedMs: required(VERSION_FIELDS.modifiedMs, integer),
  sizeBytes: required(VERSION_FIELDS.sizeBytes, integer),
  etag: required(VERSION_FIELDS.etag, text),
  owner: required(VERSION_FIELDS.owner, text),
  attributes: required(VERSION_FIELDS.attributes, ObjectAttributes),
  checksum: optional(VERSION_FIELDS.checksum, ObjectChecksum),
  parts: list(11, PartRun),
  map: optional(12, BlockMap),
  mapId: optional(13, bytes<OpId>()),
  references: list(14, MapReference),
  applied: list(15, AppliedOperation),
  olderNull: optional(16, OlderPlace),
  partChecksums: optional(17, bytes()),
})

/** What a garbage row is about: a dropped version, what an upload left, or only the proof that an operation ran. */
export type GarbageKind = 'version' | 'parts' | 'nothing'

/** `g/`: what one operation dropped; kept for the grace, and at least 10 minutes as proof for a repeat. */
export interface GarbageRow {
  readonly kind: GarbageKind
  /** The operation that dropped it. */
  readonly op: OpId
  readonly droppedMicros: number
  readonly space: SpaceId
  /** Empty for a bucket. */
  readonly key: string
  /** The version that was dropped. */
  readonly dropped?: AppliedOperation
  /** The map's id and birthplace: check it first, `references` after it. */
  readonly mapId?: OpId
  readonly birthSpace?: SpaceId
  readonly birthKey?: string
  /** The blocks that may be free now. They belong to `mapId` or to a map of `references`. */
  readonly map?: BlockMap
  /** Maps to check besides `mapId`. */
  readonly references: readonly MapReference[]
  /** `r/` rows of `references` still stand, because one commit could not delete them all: delete them first. */
  readonly hasReferences: boolean
  /** The blocks are freed; the row stays as proof. */
  readonly freed: boolean
  /** `parts` only: numbers that the completed object uses; parts of other numbers are free. */
  readonly listedParts: readonly PartRun[]
}
export const GarbageRow: Message<GarbageRow> = message<GarbageRow>('GarbageRow', 1, {
  kind: required(1, oneOf<GarbageKind>('version', 'parts', 'nothing')),
  op: required(2, bytes<OpId>()),
  droppedMicros: required(3, integer),
  space: required(4, bytes<SpaceId>()),
  key: required(5, text),
  dropped: optional(6, AppliedOperation),
  mapId: optional(7, bytes<OpId>()),
  birthSpace: optional(8, bytes<SpaceId>()),
  birthKey: optional(9, text),
  map: optional(10, BlockMap),
  references: list(11, MapReference),
  hasReferences: required(12, boolean),
  freed: required(13, boolean),
  listedParts: list(14, PartRun),
})

export type UploadState = 'open' | 'frozen' | 'completed' | 'aborted'

/** `u/`: a multipart upload. Freezing, completing and aborting rewrite it; `PutPart` compares it. */
export interface UploadRow {
  readonly op: OpId
  readonly bucket: string
  readonly initiatedMs: number
  readonly owner: string
  readonly attributes: ObjectAttributes
  readonly checksumAlgorithm?: ChecksumAlgorithm
  readonly checksumType?: ChecksumType
  readonly state: UploadState
  /** The operation that froze, completed or aborted it. */
  readonly stateOp?: OpId
  readonly completed?: CompletedUpload
  readonly endedMicros?: number
  /** The last operations whose freeze was thawed or taken over, oldest first, at most FORMER_FREEZES_MAX. */
  readonly formerFreezes: readonly OpId[]
}
/** More than there are Completes of one upload under way at once. */
export const FORMER_FREEZES_MAX = 16
export const UploadRow: Message<UploadRow> = message<UploadRow>('UploadRow', 1, {
  op: required(1, bytes<OpId>()),
  bucket: required(2, text),
  initiatedMs: required(3, integer),
  owner: required(4, text),
  attributes: required(5, ObjectAttributes),
  checksumAlgorithm: optional(6, checksumAlgorithm),
  checksumType: optional(7, checksumType),
  state: required(8, oneOf<UploadState>('open', 'frozen', 'completed', 'aborted')),
  stateOp: optional(9, bytes<OpId>()),
  completed: optional(10, CompletedUpload),
  endedMicros: optional(11, integer),
  formerFreezes: list(12, bytes<OpId>()),
})

/** `p/`: one part of an upload. */
export interface PartRow {
  readonly op: OpId
  readonly modifiedMs: number
  readonly sizeBytes: number
  readonly etag: string
  readonly checksum?: ObjectChecksum
  readonly map: BlockMap
  /** `r/` rows held for a part copy, with the upload's op id as referrer. */
  readonly references: readonly MapReference[]
}
export const PartRow: Message<PartRow> = message<PartRow>('PartRow', 1, {
  op: required(1, bytes<OpId>()),
  modifiedMs: required(2, integer),
  sizeBytes: required(3, integer),
  etag: required(4, text),
  checksum: optional(5, ObjectChecksum),
  map: required(6, BlockMap),
  references: list(7, MapReference),
})

/** `dirty/`: a group owes a copy of something that was written. */
export interface DirtyRow {
  /** The last commit that said so. */
  readonly op: OpId
  readonly sinceMicros: number
}
export const DirtyRow: Message<DirtyRow> = message<DirtyRow>('DirtyRow', 1, {
  op: required(1, bytes<OpId>()),
  sinceMicros: required(2, integer),
})

export type ObjectChangeKind = 'put' | 'copy' | 'complete' | 'delete' | 'marker' | 'tags'

/** One change of one key, as followers of `c/` see it. */
export interface ObjectChange {
  readonly kind: ObjectChangeKind
  readonly bucket: string
  readonly space: SpaceId
  readonly key: string
  readonly seq: number
  readonly op: OpId
  /** Size and count of what was added and of what was dropped: feeds usage. */
  readonly addedBytes: number
  readonly droppedBytes: number
  readonly addedVersions: number
  readonly droppedVersions: number
}
export const ObjectChange: Message<ObjectChange> = message<ObjectChange>('ObjectChange', 1, {
  kind: required(1, oneOf<ObjectChangeKind>('put', 'copy', 'complete', 'delete', 'marker', 'tags')),
  bucket: required(2, text),
  space: required(3, bytes<SpaceId>()),
  key: required(4, text),
  seq: required(5, integer),
  op: required(6, bytes<OpId>()),
  addedBytes: required(7, integer),
  droppedBytes: required(8, integer),
  addedVersions: required(9, integer),
  droppedVersions: required(10, integer),
})
