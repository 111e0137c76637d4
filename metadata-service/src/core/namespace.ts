/** The namespace: buckets, objects, versions and their listings, over one store. */
import type {
  BucketInfo,
  BucketRequest,
  Clock,
  CopyObjectRequest,
  CopyObjectResponse,
  CreateBucketRequest,
  DeleteBucketRequest,
  DeleteObjectsRequest,
  DeleteObjectsResponse,
  GetBucketConfigurationRequest,
  GetBucketConfigurationResponse,
  GetObjectRequest,
  GetObjectResponse,
  ListBucketsRequest,
  ListBucketsResponse,
  ListObjectsRequest,
  ListObjectsResponse,
  ListVersionsRequest,
  ListVersionsResponse,
  PutObjectRequest,
  PutObjectResponse,
  Random,
  SetBucketConfigurationRequest,
  SetBucketVersioningRequest,
  SetObjectTagsRequest,
  SetObjectTagsResponse,
} from '@cairn/protocol'
import type { KeyValueStore } from '../ports.js'
import { getBucketConfiguration, setBucketConfiguration } from './bucket-configurations.js'
import { Buckets } from './buckets.js'
import { KeyLocks } from './key-locks.js'
import { listObjects } from './listing.js'
import { listVersions } from './listing-versions.js'
import { AppliedOperations } from './objects-applied.js'
import type { ObjectWorld } from './objects-attempts.js'
import { copyObject } from './objects-copy.js'
import { deleteObjects } from './objects-delete.js'
import { getObject } from './objects-get.js'
import { putObject } from './objects-put.js'
import { RefusedOperations } from './objects-refused.js'
import { setObjectTags } from './objects-tags.js'
import { Resolver } from './resolve.js'
import type { WriterGuard } from './writer-guard.js'

export interface NamespaceOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly random: Random
  /** Fences the commits of writers by session and pool. */
  readonly guard: WriterGuard
}

/** Takes the request messages; rejects with the errors documented there. */
export interface Namespace {
  createBucket(request: CreateBucketRequest): Promise<BucketInfo>
  getBucket(request: BucketRequest): Promise<BucketInfo>
  deleteBucket(request: DeleteBucketRequest): Promise<void>
  listBuckets(request: ListBucketsRequest): Promise<ListBucketsResponse>
  setBucketVersioning(request: SetBucketVersioningRequest): Promise<BucketInfo>
  getBucketConfiguration(request: GetBucketConfigurationRequest): Promise<GetBucketConfigurationResponse>
  setBucketConfiguration(request: SetBucketConfigurationRequest): Promise<void>
  putObject(request: PutObjectRequest): Promise<PutObjectResponse>
  getObject(request: GetObjectRequest): Promise<GetObjectResponse>
  deleteObjects(request: DeleteObjectsRequest): Promise<DeleteObjectsResponse>
  copyObject(request: CopyObjectRequest): Promise<CopyObjectResponse>
  setObjectTags(request: SetObjectTagsRequest): Promise<SetObjectTagsResponse>
  listObjects(request: ListObjectsRequest): Promise<ListObjectsResponse>
  listVersions(request: ListVersionsRequest): Promise<ListVersionsResponse>
  /** What other writers of keys share with it: the multipart uploads. */
  readonly world: ObjectWorld
}

export function createNamespace(options: NamespaceOptions): Namespace {
  const { store, clock, guard } = options
  const resolver = new Resolver(store)
  const applied = new AppliedOperations()
  const refused = new RefusedOperations()
  const world: ObjectWorld = { store, clock, guard, resolver, applied, refused, locks: new KeyLocks() }
  const buckets = new Buckets({ ...options, resolver, applied })
  return {
    createBucket: (request) => buckets.create(request),
    getBucket: (request) => buckets.get(request),
    deleteBucket: (request) => buckets.delete(request),
    listBuckets: (request) => buckets.list(request),
    setBucketVersioning: (request) => buckets.setVersioning(request),
    getBucketConfiguration: (request) => getBucketConfiguration(world, request),
    setBucketConfiguration: (request) => setBucketConfiguration(world, request),
    putObject: (request) => putObject(world, request),
    getObject: (request) => getObject(world, request),
    deleteObjects: (request) => deleteObjects(world, request),
    copyObject: (request) => copyObject(world, request),
    setObjectTags: (request) => setObjectTags(world, request),
    listObjects: (request) => listObjects(store, resolver, request),
    listVersions: (request) => listVersions(store, resolver, request),
    world,
  }
}
