/** Bucket methods. */
import {
  type BucketInfo,
  createBucket,
  deleteBucket,
  getBucket,
  getBucketConfiguration,
  LIST_PAGE_MAX,
  type ListBucketsResponse,
  listBuckets,
  type SpaceId,
  setBucketConfiguration,
  setBucketVersioning,
} from '@cairn/protocol'
import type { CairnClient } from '../api.js'
import type { ClientParts } from '../parts.js'
import { throwIfCancelled } from '../waiting.js'
import { changeUnderSession } from './commit.js'
import type { FactCache } from './fact-cache.js'

type BucketMethods = Pick<
  CairnClient,
  | 'createBucket'
  | 'getBucket'
  | 'deleteBucket'
  | 'listBuckets'
  | 'setBucketVersioning'
  | 'getBucketConfiguration'
  | 'setBucketConfiguration'
>

/** Asks for a bucket and remembers it for small writes. The ids are copied: the message is not kept. */
export async function fetchBucket(
  parts: ClientParts,
  buckets: FactCache<BucketInfo>,
  bucket: string,
  signal?: AbortSignal,
): Promise<BucketInfo> {
  const info = await parts.metadata.read(getBucket, { bucket }, signal)
  const copy: BucketInfo = { ...info, space: Uint8Array.from(info.space) as SpaceId }
  buckets.remember(bucket, copy)
  return copy
}

export function createBucketMethods(parts: ClientParts, buckets: FactCache<BucketInfo>): BucketMethods {
  const { metadata } = parts
  return {
    async createBucket(bucket, options = {}): Promise<BucketInfo> {
      throwIfCancelled(options.signal)
      const { owner = '', region = 'us-east-1' } = options
      return changeUnderSession(parts, createBucket, (op, attempt) => ({
        op,
        bucket,
        owner,
        region,
        attempt,
      }))
    },
    getBucket: (bucket, control) => fetchBucket(parts, buckets, bucket, control?.signal),
    async deleteBucket(bucket, control): Promise<void> {
      throwIfCancelled(control?.signal)
      buckets.forget(bucket)
      await changeUnderSession(parts, deleteBucket, (op, attempt) => ({ op, bucket, attempt }))
    },
    async listBuckets(options = {}): Promise<ListBucketsResponse> {
      const { prefix = '', after = '', limit = LIST_PAGE_MAX } = options
      return metadata.read(listBuckets, { prefix, after, limit }, options.signal)
    },
    async setBucketVersioning(bucket, versioning, control): Promise<BucketInfo> {
      throwIfCancelled(control?.signal)
      buckets.forget(bucket)
      return changeUnderSession(parts, setBucketVersioning, (op, attempt) => ({
        op,
        bucket,
        versioning,
        attempt,
      }))
    },
    async getBucketConfiguration(bucket, kind, control): Promise<Uint8Array | undefined> {
      const { document } = await metadata.read(getBucketConfiguration, { bucket, kind }, control?.signal)
      return document
    },
    async setBucketConfiguration(bucket, kind, document, control): Promise<void> {
      throwIfCancelled(control?.signal)
      const request = { bucket, kind, ...(document === undefined ? {} : { document }) }
      await changeUnderSession(parts, setBucketConfiguration, (op, attempt) => ({ op, ...request, attempt }))
    },
  }
}
