/** Messages of buckets. */
import type { OpId } from '../ids.js'
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
import { ATTEMPT_FIELD, Attempt, type Attempted } from './attempt.js'
import { BucketInfo, type VersioningState } from './object.js'

export interface CreateBucketRequest extends Attempted {
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
    attempt: optional(ATTEMPT_FIELD, Attempt),
  },
)
export interface BucketRequest {
  readonly bucket: string
}
export const BucketRequest: Message<BucketRequest> = message<BucketRequest>('BucketRequest', 1, {
  bucket: required(1, text),
})
export interface DeleteBucketRequest extends Attempted {
  readonly op: OpId
  readonly bucket: string
}
export const DeleteBucketRequest: Message<DeleteBucketRequest> = message<DeleteBucketRequest>(
  'DeleteBucketRequest',
  1,
  {
    op: required(1, bytes<OpId>()),
    bucket: required(2, text),
    attempt: optional(ATTEMPT_FIELD, Attempt),
  },
)
export interface SetBucketVersioningRequest extends Attempted {
  readonly op: OpId
  readonly bucket: string
  readonly versioning: VersioningState
}
export const SetBucketVersioningRequest: Message<SetBucketVersioningRequest> =
  message<SetBucketVersioningRequest>('SetBucketVersioningRequest', 1, {
    op: required(1, bytes<OpId>()),
    bucket: required(2, text),
    versioning: required(3, oneOf<VersioningState>('unset', 'enabled', 'suspended')),
    attempt: optional(ATTEMPT_FIELD, Attempt),
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

/** What can be set on a bucket besides what changes the meaning of a write: each is a row of its own. */
export type BucketConfigurationKind = 'cors' | 'tagging'
const bucketConfigurationKind = oneOf<BucketConfigurationKind>('cors', 'tagging')

/** Largest document of a bucket's configuration, in bytes as stored: S3's own limits lie below. */
export const BUCKET_CONFIGURATION_BYTES_MAX: number = 256 * 1024

export interface GetBucketConfigurationRequest {
  readonly bucket: string
  readonly kind: BucketConfigurationKind
}
export const GetBucketConfigurationRequest: Message<GetBucketConfigurationRequest> =
  message<GetBucketConfigurationRequest>('GetBucketConfigurationRequest', 1, {
    bucket: required(1, text),
    kind: required(2, bucketConfigurationKind),
  })
export interface GetBucketConfigurationResponse {
  /** Absent when it is not set. */
  readonly document?: Uint8Array
}
export const GetBucketConfigurationResponse: Message<GetBucketConfigurationResponse> =
  message<GetBucketConfigurationResponse>('GetBucketConfigurationResponse', 1, {
    document: optional(1, bytes()),
  })
/** Replaces a document, or removes it when none is given. It goes with the bucket. */
export interface SetBucketConfigurationRequest extends Attempted {
  readonly op: OpId
  readonly bucket: string
  readonly kind: BucketConfigurationKind
  readonly document?: Uint8Array
}
export const SetBucketConfigurationRequest: Message<SetBucketConfigurationRequest> =
  message<SetBucketConfigurationRequest>('SetBucketConfigurationRequest', 1, {
    op: required(1, bytes<OpId>()),
    bucket: required(2, text),
    kind: required(3, bucketConfigurationKind),
    document: optional(4, bytes()),
    attempt: optional(ATTEMPT_FIELD, Attempt),
  })
