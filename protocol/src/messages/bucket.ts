/** Messages of buckets. */
import type { OpId } from '../ids.js'
import { boolean, bytes, integer, list, type Message, message, oneOf, required, text } from '../message.js'
import { BucketInfo, type VersioningState } from './object.js'

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
