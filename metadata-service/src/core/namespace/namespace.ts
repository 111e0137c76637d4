/** The namespace: buckets, objects, versions and their listings, over one store. */
import type {
  Attempted,
  BucketInfo,
  BucketRequest,
  CairnError,
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
  OpId,
  PutObjectRequest,
  PutObjectResponse,
  Random,
  SetBucketConfigurationRequest,
  SetBucketVersioningRequest,
  SetObjectTagsRequest,
  SetObjectTagsResponse,
} from '@cairn/protocol'
import type { KeyValueStore } from '../../ports.js'
import { behindFence, fenceOf } from '../attempts/attempt-fence.js'
import type { CommitEvidence } from '../attempts/commit-evidence.js'
import { KeyLocks } from '../attempts/key-locks.js'
import { AppliedOperations } from '../attempts/objects-applied.js'
import type { ObjectWorld } from '../attempts/objects-attempts.js'
import { RefusedOperations } from '../attempts/objects-refused.js'
import { RepeatProofs } from '../attempts/repeat-proofs.js'
import type { WriterGuard } from '../attempts/writer-guard.js'
import { listObjects } from '../listing/listing.js'
import { listVersions } from '../listing/listing-versions.js'
import type { Sessions } from '../services/sessions.js'
import { Resolver } from '../versions/resolve.js'
import { getBucketConfiguration, setBucketConfiguration } from './bucket-configurations.js'
import { Buckets } from './buckets.js'
import { copyObject } from './objects-copy.js'
import { deleteObjects } from './objects-delete.js'
import { getObject, getObjectNow } from './objects-get.js'
import { putObject } from './objects-put.js'
import { putObjectNow } from './objects-put-now.js'
import { setObjectTags } from './objects-tags.js'

export interface NamespaceOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly random: Random
  /** Fences the commits of writers by session and pool. */
  readonly guard: WriterGuard
  readonly sessions: Sessions
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
  putObject(request: PutObjectRequest, evidence?: CommitEvidence): Promise<PutObjectResponse>
  /** The same with a callback, if it is a usual put; false, or a throw: nothing was begun. */
  putObjectNow(request: PutObjectRequest, settle: (outcome: PutObjectResponse | CairnError) => void): boolean
  getObject(request: GetObjectRequest): Promise<GetObjectResponse>
  /** The same if it is at hand, else `undefined`. Throws as `getObject` rejects. */
  getObjectNow(request: GetObjectRequest): GetObjectResponse | undefined
  deleteObjects(request: DeleteObjectsRequest): Promise<DeleteObjectsResponse>
  copyObject(request: CopyObjectRequest): Promise<CopyObjectResponse>
  setObjectTags(request: SetObjectTagsRequest): Promise<SetObjectTagsResponse>
  listObjects(request: ListObjectsRequest): Promise<ListObjectsResponse>
  listVersions(request: ListVersionsRequest): Promise<ListVersionsResponse>
  /** What other writers of keys share with it: the multipart uploads. */
  readonly world: ObjectWorld
  /**
   * The same for one request: behind the fence of its attempt, and with the evidence that it has to show. `ops` are the
   * operations it names.
   */
  worldOf(request: Attempted, ops: readonly OpId[], evidence?: CommitEvidence): ObjectWorld
}

export function createNamespace(options: NamespaceOptions): Namespace {
  const { store, clock, guard, sessions } = options
  const resolver = new Resolver(store)
  const applied = new AppliedOperations(options.random)
  const refused = new RefusedOperations()
  const proofs = new RepeatProofs(store)
  const world: ObjectWorld = {
    store,
    clock,
    guard,
    resolver,
    applied,
    refused,
    proofs,
    locks: new KeyLocks(),
  }
  const worldOf = (request: Attempted, ops: readonly OpId[], evidence?: CommitEvidence): ObjectWorld =>
    behindFence(evidence === undefined ? world : { ...world, evidence }, sessions, fenceOf(request, ops))
  const buckets = new Buckets({ ...world, random: options.random })
  const bucketsOf = (request: Attempted & { readonly op: OpId }): Buckets =>
    new Buckets({ ...worldOf(request, [request.op]), random: options.random })
  const put: Namespace['putObject'] = async (request, evidence) =>
    putObject(worldOf(request, [request.context.op], evidence), request)
  return {
    createBucket: async (request) => bucketsOf(request).create(request),
    getBucket: (request) => buckets.get(request),
    deleteBucket: async (request) => bucketsOf(request).delete(request),
    listBuckets: (request) => buckets.list(request),
    setBucketVersioning: async (request) => bucketsOf(request).setVersioning(request),
    getBucketConfiguration: (request) => getBucketConfiguration(world, request),
    setBucketConfiguration: async (request) =>
      setBucketConfiguration(worldOf(request, [request.op]), request),
    putObject: put,
    putObjectNow: (request, settle) => putObjectNow({ world, sessions, putObject: put }, request, settle),
    getObject: (request) => getObject(world, request),
    getObjectNow: (request) => getObjectNow(world, request),
    deleteObjects: async (request) => deleteObjects(worldOf(request, opsOf(request)), request),
    copyObject: async (request) => copyObject(worldOf(request, [request.context.op]), request),
    setObjectTags: async (request) => setObjectTags(worldOf(request, [request.op]), request),
    listObjects: (request) => listObjects(store, resolver, request),
    listVersions: (request) => listVersions(store, resolver, request),
    world,
    worldOf,
  }
}

function opsOf({ items }: DeleteObjectsRequest): OpId[] {
  return items.map(({ op }) => op)
}
