/** What is known of a version besides its bytes; shared by rows and by the messages of the metadata service. */
import { BlockMap } from '../block-map.js'
import type { OpId, SpaceId } from '../ids.js'
import {
  boolean,
  bytes,
  type FieldCodec,
  integer,
  list,
  type Message,
  message,
  oneOf,
  optional,
  required,
  text,
  textMap,
} from '../message.js'

/** A tag of an object or bucket. */
export interface Tag {
  readonly key: string
  readonly value: string
}
export const Tag: Message<Tag> = message<Tag>('Tag', 1, { key: required(1, text), value: required(2, text) })

/** A set of tags in the order given, as one field. */
const tagSet: FieldCodec<readonly Tag[]> = {
  ...bytes(),
  write(writer, tags) {
    const mark = writer.beginDelimited()
    for (const tag of tags) Tag.write(writer, tag)
    writer.endDelimited(mark)
  },
  read(reader) {
    const outer = reader.enter()
    const tags: Tag[] = []
    while (!reader.done) tags.push(Tag.read(reader))
    reader.leave(outer)
    return tags
  },
}

/** Headers that S3 keeps with an object and gives back as they came, and its tags. */
export interface ObjectAttributes {
  readonly contentType?: string
  readonly cacheControl?: string
  readonly contentDisposition?: string
  readonly contentEncoding?: string
  readonly contentLanguage?: string
  /** As given; never parsed. */
  readonly expires?: string
  readonly websiteRedirectLocation?: string
  /** `STANDARD` when absent. */
  readonly storageClass?: string
  /** Names in lower case, without `x-amz-meta-`. Values as latin1 text, byte for byte as sent. */
  readonly userMetadata?: Record<string, string>
  /** In the order given; the only attribute that can change on a version that exists. */
  readonly tags?: readonly Tag[]
}
export const ObjectAttributes: Message<ObjectAttributes> = message<ObjectAttributes>('ObjectAttributes', 1, {
  contentType: optional(1, text),
  cacheControl: optional(2, text),
  contentDisposition: optional(3, text),
  contentEncoding: optional(4, text),
  contentLanguage: optional(5, text),
  expires: optional(6, text),
  websiteRedirectLocation: optional(7, text),
  storageClass: optional(8, text),
  userMetadata: optional(9, textMap),
  tags: optional(10, tagSet),
})

/** Order is the wire format: new algorithms are appended. */
export const CHECKSUM_ALGORITHMS = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'SHA1',
  'SHA256',
  'SHA512',
  'MD5',
  'XXHASH64',
  'XXHASH3',
  'XXHASH128',
] as const
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number]
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE'

/** How a checksum algorithm stands in rows and messages. */
export const checksumAlgorithm: FieldCodec<ChecksumAlgorithm> = oneOf<ChecksumAlgorithm>(
  ...CHECKSUM_ALGORITHMS,
)
/** How a checksum's type stands in rows and messages. */
export const checksumType: FieldCodec<ChecksumType> = oneOf<ChecksumType>('FULL_OBJECT', 'COMPOSITE')

/** A checksum as S3 shows it: base64, with `-N` appended when composite. */
export interface ObjectChecksum {
  readonly algorithm: ChecksumAlgorithm
  readonly type: ChecksumType
  readonly value: string
}
export const ObjectChecksum: Message<ObjectChecksum> = message<ObjectChecksum>('ObjectChecksum', 1, {
  algorithm: required(1, checksumAlgorithm),
  type: required(2, checksumType),
  value: required(3, text),
})

/** `count` parts of equal size, numbered from `firstNumber` on: how a completed upload remembers its parts. */
export interface PartRun {
  readonly firstNumber: number
  readonly count: number
  readonly sizeBytes: number
}
export const PartRun: Message<PartRun> = message<PartRun>('PartRun', 1, {
  firstNumber: required(1, integer),
  count: required(2, integer),
  sizeBytes: required(3, integer),
})

/** One version or delete marker of a key, as a reader sees it. */
export interface ObjectVersion {
  readonly key: string
  /** What S3 calls the version id; `null` for a version written while versioning was off or suspended. */
  readonly versionId: string
  readonly isLatest: boolean
  readonly deleteMarker: boolean
  readonly modifiedMs: number
  readonly sizeBytes: number
  /** Without quotes. Empty for a delete marker. */
  readonly etag: string
  /** Canonical id of the account that owns it. */
  readonly owner: string
  readonly attributes: ObjectAttributes
  readonly checksum?: ObjectChecksum
  readonly parts: readonly PartRun[]
  /** Absent for delete markers and in listings. */
  readonly map?: BlockMap
  /** Owner id of the map's blocks (they may have been written for another key: see `r/` rows). */
  readonly mapId?: OpId
  readonly space?: SpaceId
  /** Digests of the parts in order, raw and without gaps, by the algorithm of `checksum`; absent in listings. */
  readonly partChecksums?: Uint8Array
}
export const ObjectVersion: Message<ObjectVersion> = message<ObjectVersion>('ObjectVersion', 1, {
  key: required(1, text),
  versionId: required(2, text),
  isLatest: required(3, boolean),
  deleteMarker: required(4, boolean),
  modifiedMs: required(5, integer),
  sizeBytes: required(6, integer),
  etag: required(7, text),
  owner: required(8, text),
  attributes: required(9, ObjectAttributes),
  checksum: optional(10, ObjectChecksum),
  parts: list(11, PartRun),
  map: optional(12, BlockMap),
  mapId: optional(13, bytes<OpId>()),
  space: optional(14, bytes<SpaceId>()),
  partChecksums: optional(15, bytes()),
})

/**
 * Preconditions of a write, evaluated in the commit against the current version; a delete marker counts as
 * absent. ETags without quotes; `*` means any. Empty lists mean no condition.
 */
export interface WritePreconditions {
  readonly ifMatch: readonly string[]
  readonly ifNoneMatch: readonly string[]
  /** Deletes only: the size must be this. */
  readonly ifSizeBytes?: number
  /** Deletes only: the time of the last change, in whole seconds since 1970, must be this. */
  readonly ifModifiedSeconds?: number
  /**
   * Deletes only: a missing key fails no condition and a marker is `PreconditionFailed`, as in Ceph's suite; else
   * `NoSuchKey`.
   */
  readonly missingIsFine?: boolean
}
export const WritePreconditions: Message<WritePreconditions> = message<WritePreconditions>(
  'WritePreconditions',
  1,
  {
    ifMatch: list(1, text),
    ifNoneMatch: list(2, text),
    ifSizeBytes: optional(3, integer),
    ifModifiedSeconds: optional(4, integer),
    missingIsFine: optional(5, boolean),
  },
)

export type VersioningState = 'unset' | 'enabled' | 'suspended'

export interface BucketInfo {
  readonly name: string
  readonly space: SpaceId
  readonly createdMs: number
  readonly owner: string
  readonly region: string
  readonly versioning: VersioningState
}
export const BucketInfo: Message<BucketInfo> = message<BucketInfo>('BucketInfo', 1, {
  name: required(1, text),
  space: required(2, bytes<SpaceId>()),
  createdMs: required(3, integer),
  owner: required(4, text),
  region: required(5, text),
  versioning: required(6, oneOf<VersioningState>('unset', 'enabled', 'suspended')),
})
