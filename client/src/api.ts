/**
 * The object API of the client library: what an application, the gateway and the background workers use.
 * All methods reject with `CairnError`. Nothing is buffered whole; every body flows with back-pressure.
 */
import type {
  BucketConfigurationKind,
  BucketInfo,
  ChecksumAlgorithm,
  ChecksumType,
  CompletedUpload,
  CopyObjectResponse,
  DeleteOutcome,
  ListBucketsResponse,
  ListObjectsResponse,
  ListUploadsResponse,
  ListVersionsResponse,
  ObjectAttributes,
  ObjectChecksum,
  ObjectVersion,
  PartInfo,
  SetObjectTagsResponse,
  Tag,
  UploadInfo,
  VersioningState,
  WritePreconditions,
} from '@cairn/protocol'

/** A body that wants its chunks back: it is told of each one whose bytes the library needs no more. */
export interface ReleasableBody extends AsyncIterable<Uint8Array> {
  release(chunk: Uint8Array): void
  /**
   * All bytes at once, of a body that is known to have so many: 1 to UNIT_BYTES. Instead of the iterator, and cheaper.
   * Rejects if the body cannot be had to its end, which includes that its sender gives up.
   */
  readonly whole?: (sizeBytes: number) => Promise<Uint8Array>
}

/**
 * Bytes to store: one buffer, an async iterable, a Node `Readable` or a web `ReadableStream`. Bytes that were
 * handed over must not be changed before the call has ended, or the chunk was released.
 */
export type ByteBody = Uint8Array | AsyncIterable<Uint8Array> | ReleasableBody | ReadableStream<Uint8Array>

/** Algorithms a body can be digested with while it flows. */
export type DigestAlgorithm = ChecksumAlgorithm

/** Digests of a whole body, raw bytes. */
export type Digests = Partial<Record<DigestAlgorithm, Uint8Array>>

/** What every call takes. */
export interface CallControl {
  /** Aborting it ends the call with `Cancelled`; of a write nothing has happened then, and nothing will. */
  readonly signal?: AbortSignal
}

/** What the writer adds when the body has ended; throwing refuses the write: nothing is committed. */
export interface WriteSeal {
  readonly checksum?: ObjectChecksum
}

/** How a body is stored. */
export interface WriteOptions extends CallControl {
  /** `LengthMismatch` unless the body has exactly so many bytes. */
  readonly sizeBytes?: number
  /** Computed while the body flows, besides MD5, which is always computed: it is the ETag. */
  readonly digests?: readonly DigestAlgorithm[]
  /** Called after the last byte is durable and before the commit: verify here. */
  readonly seal?: (digests: Digests, sizeBytes: number) => WriteSeal
}

/** How an object is put. */
export interface PutObjectOptions extends WriteOptions {
  /** What is kept with the object and told with it; none unless given. */
  readonly attributes?: ObjectAttributes
  /** `PreconditionFailed`, or `NoSuchKey` for an ETag of a missing key, unless the current version meets them. */
  readonly preconditions?: WritePreconditions
  /** Whoever owns the version, as its listings name him; nobody unless given. */
  readonly owner?: string
}

/** What was put. */
export interface PutObjectResult {
  /** Hex, without quotes. */
  readonly etag: string
  readonly sizeBytes: number
  /** Since 1970. */
  readonly modifiedMs: number
  /** Absent in a bucket that was never versioned. */
  readonly versionId?: string
  /** The one that the seal gave. */
  readonly checksum?: ObjectChecksum
}

/** `length` bytes from `offset` on; `InvalidArgument` if the version does not have them. */
export interface ReadRange {
  readonly offset: number
  readonly length: number
}

/** Which version is meant. */
export interface GetObjectOptions extends CallControl {
  /** The current one unless given. `NoSuchVersion` if there is none of it, `VersionIsDeleteMarker` if it is one. */
  readonly versionId?: string
}

/** A version that was looked up: what is kept with it, and its bytes to read. */
export interface OpenedObject {
  readonly object: ObjectVersion
  /** That of its bucket. */
  readonly versioning: VersioningState
  /**
   * The bytes of the range, or of all. Every byte was verified. Ends early only by rejecting. May be called
   * again for another range while the version's blocks are kept (at least the garbage grace).
   */
  read(range?: ReadRange, control?: CallControl): AsyncIterable<Uint8Array>
  /**
   * The same bytes in one piece, where that is cheaper: a range within one verification unit (64 KiB). The bytes
   * themselves if a replica in this process has them in memory. `undefined` for any other range; then `read` it.
   */
  readAtOnce?(range?: ReadRange, control?: CallControl): Uint8Array | Promise<Uint8Array> | undefined
}

/** One page of the keys of a bucket, in byte order. */
export interface ListObjectsOptions extends CallControl {
  readonly prefix?: string
  /** Keys that have it behind the prefix are rolled up to it: one common prefix for all of them. */
  readonly delimiter?: string
  /** Only what comes after this key or common prefix: `next` of the page before. */
  readonly after?: string
  /** Keys and common prefixes together: 0 to LIST_PAGE_MAX, which it is unless given. */
  readonly limit?: number
}

/** The same of versions and delete markers, newest first within a key. `afterVersionId` needs `afterKey`. */
export interface ListVersionsOptions extends CallControl {
  readonly prefix?: string
  readonly delimiter?: string
  readonly afterKey?: string
  readonly afterVersionId?: string
  readonly limit?: number
}

/** The same of uploads that are neither completed nor aborted. `afterUploadId` needs `afterKey`. */
export interface ListUploadsOptions extends CallControl {
  readonly prefix?: string
  readonly delimiter?: string
  readonly afterKey?: string
  readonly afterUploadId?: string
  readonly limit?: number
}

/** What is to be deleted. */
export interface DeleteTarget {
  readonly key: string
  /** Deletes this version for good; without it the key is deleted, which in a versioned bucket makes a marker. */
  readonly versionId?: string
  readonly preconditions?: WritePreconditions
}

/** A version to copy from: the current one unless one is named. */
export interface CopySource {
  readonly bucket: string
  readonly key: string
  readonly versionId?: string
  /** ETag the caller saw when it checked its conditions on the source. */
  readonly etag: string
}

/** How a copy is put. */
export interface CopyObjectOptions extends CallControl {
  /** In place of the source's. */
  readonly attributes?: ObjectAttributes
  /** MD5 of the bytes as hex: replaces the ETag of a multipart source, and the copy then has no parts. */
  readonly etag?: string
  /** In place of the source's. */
  readonly checksum?: ObjectChecksum
  readonly preconditions?: WritePreconditions
  readonly owner?: string
}

/** How the object of an upload will be put. */
export interface CreateUploadOptions extends CallControl {
  readonly attributes?: ObjectAttributes
  readonly owner?: string
  readonly checksumAlgorithm?: ChecksumAlgorithm
  readonly checksumType?: ChecksumType
}

/** Names an upload. */
export interface UploadRef {
  readonly bucket: string
  readonly key: string
  readonly uploadId: string
}

/** A part as the caller who completes an upload knows it. */
export interface RequestedPart {
  readonly partNumber: number
  readonly etag: string
  /** Base64, if the caller wants the part's stored checksum compared. */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value: string }
}

/** What must hold when an upload is completed. */
export interface CompleteUploadOptions extends CallControl {
  readonly preconditions?: WritePreconditions
  /** Smallest part but the last; 5 MiB as in S3 unless given. */
  readonly partBytesMin?: number
  /** The object's checksum as the caller expects it; `DigestMismatch` otherwise. */
  readonly checksum?: ObjectChecksum
  /** `LengthMismatch` unless the parts add up to it. */
  readonly sizeBytes?: number
}

/** One page of the parts of an upload, by number. */
export interface PartPage {
  readonly upload: UploadInfo
  readonly parts: readonly PartInfo[]
  readonly truncated: boolean
}

/** One writer's way to a cluster. Keys are compared byte by byte as UTF-8. */
export interface CairnClient {
  /** `BucketAlreadyExists` (details.owner, details.region), also if the owner is the same. */
  createBucket(
    bucket: string,
    options?: CallControl & { owner?: string; region?: string },
  ): Promise<BucketInfo>
  /** `NoSuchBucket`. */
  getBucket(bucket: string, control?: CallControl): Promise<BucketInfo>
  /** `NoSuchBucket`; `BucketNotEmpty` while it has any version. Open uploads do not keep a bucket. */
  deleteBucket(bucket: string, control?: CallControl): Promise<void>
  /** One page, by name in byte order; `after` is exclusive. */
  listBuckets(
    options?: CallControl & { prefix?: string; after?: string; limit?: number },
  ): Promise<ListBucketsResponse>
  /** `NoSuchBucket`; `InvalidArgument` for `unset`, to which there is no way back. */
  setBucketVersioning(bucket: string, versioning: VersioningState, control?: CallControl): Promise<BucketInfo>
  /** As it was set last; `undefined` if it is not set. `NoSuchBucket`. */
  getBucketConfiguration(
    bucket: string,
    kind: BucketConfigurationKind,
    control?: CallControl,
  ): Promise<Uint8Array | undefined>
  /** Replaces the document, or removes it. `NoSuchBucket`; `InvalidArgument` above BUCKET_CONFIGURATION_BYTES_MAX. */
  setBucketConfiguration(
    bucket: string,
    kind: BucketConfigurationKind,
    document: Uint8Array | undefined,
    control?: CallControl,
  ): Promise<void>

  /** Stores the body as the current version: durable when it resolves. `NoSuchBucket`, and see the options. */
  putObject(bucket: string, key: string, body: ByteBody, options?: PutObjectOptions): Promise<PutObjectResult>
  /** Looks the version up. `NoSuchBucket`, `NoSuchKey`; no block is read before `read` is iterated. */
  openObject(bucket: string, key: string, options?: GetObjectOptions): Promise<OpenedObject>
  /** What `openObject` would resolve with, if it is at hand; `undefined` in every other case, errors among them. */
  openObjectNow?(bucket: string, key: string): OpenedObject | undefined
  /** What is kept with a version. Errors as of `openObject`. */
  headObject(bucket: string, key: string, options?: GetObjectOptions): Promise<ObjectVersion>
  /** `NoSuchBucket`. */
  listObjects(bucket: string, options?: ListObjectsOptions): Promise<ListObjectsResponse>
  /** `NoSuchBucket`. */
  listVersions(bucket: string, options?: ListVersionsOptions): Promise<ListVersionsResponse>
  /** One outcome for each target, in order. `owner` will own the delete markers. */
  deleteObjects(
    bucket: string,
    targets: readonly DeleteTarget[],
    control?: CallControl & { readonly owner?: string },
  ): Promise<readonly DeleteOutcome[]>
  /** Deletes one; rejects where `deleteObjects` would report an error. */
  deleteObject(
    bucket: string,
    target: DeleteTarget,
    control?: CallControl & { readonly owner?: string },
  ): Promise<DeleteOutcome>
  /** Replaces the tags of a version that exists; none removes them. Errors as of `headObject`. */
  setObjectTags(
    bucket: string,
    key: string,
    tags: readonly Tag[],
    options?: GetObjectOptions,
  ): Promise<SetObjectTagsResponse>
  /** Moves no bytes, whatever the size. `MessageTooLarge` for a source that is made of 40 others: then put its bytes. */
  copyObject(
    source: CopySource,
    bucket: string,
    key: string,
    options?: CopyObjectOptions,
  ): Promise<CopyObjectResponse>

  /** Opens a multipart upload. `NoSuchBucket`. */
  createUpload(bucket: string, key: string, options?: CreateUploadOptions): Promise<UploadInfo>
  /** `NoSuchUpload` once it is completed or aborted. */
  getUpload(upload: UploadRef, control?: CallControl): Promise<UploadInfo>
  /** Stores a part, 1 to PART_NUMBER_MAX, in place of one of the same number. `NoSuchUpload`. */
  uploadPart(upload: UploadRef, partNumber: number, body: ByteBody, options?: WriteOptions): Promise<PartInfo>
  /**
   * Refers to the source's bytes; reads them once for the part's ETag, and writes none, unless the source is made of 40
   * others.
   */
  copyPart(
    upload: UploadRef,
    partNumber: number,
    source: CopySource,
    range: ReadRange | undefined,
    control?: CallControl,
  ): Promise<PartInfo & { readonly sourceVersionId?: string }>
  /** One page, from the part after `afterPart` on. `NoSuchUpload`. */
  listParts(
    upload: UploadRef,
    options?: CallControl & { afterPart?: number; limit?: number },
  ): Promise<PartPage>
  /** `NoSuchBucket`. */
  listUploads(bucket: string, options?: ListUploadsOptions): Promise<ListUploadsResponse>
  /**
   * Makes the object of the listed parts, in order. `InvalidPartOrder`, `InvalidPart`, `PartTooSmall` for the list,
   * `NoSuchUpload` for an upload that was aborted, or completed with another list.
   */
  completeUpload(
    upload: UploadRef,
    parts: readonly RequestedPart[],
    options?: CompleteUploadOptions,
  ): Promise<CompletedUpload & { readonly sizeBytes: number }>
  /** Its parts are removed in the background. `NoSuchUpload`. */
  abortUpload(upload: UploadRef, control?: CallControl): Promise<void>

  /** Ends the session cleanly; running calls are cancelled. */
  close(): Promise<void>
}
