/**
 * Buckets. Every write of an object compares the revision of its bucket's row, so that a change of versioning, or
 * the bucket's end, is seen by all writes from then on. A bucket goes only while no version and no marker is in it.
 */
import {
  type BucketConfigurationKind,
  type BucketInfo,
  type BucketRequest,
  CairnError,
  type Clock,
  type CreateBucketRequest,
  type DeleteBucketRequest,
  type ListBucketsRequest,
  type ListBucketsResponse,
  type OpId,
  type Random,
  type SetBucketVersioningRequest,
  SPACE_ID_BYTES,
  type SpaceId,
  sameBytes,
} from '@cairn/protocol'
import type { Commit, KeyValueStore, RowStore, StoreRow } from '../../ports.js'
import type { KnownAttempt } from '../attempts/attempt-fence.js'
import type { AppliedOperations } from '../attempts/objects-applied.js'
import { outcomeUnknown, type RepeatProofs, requireProofs } from '../attempts/repeat-proofs.js'
import {
  bucketConfigurationKey,
  bucketKey,
  bucketOfKey,
  bucketRange,
  currentRange,
  garbageKey,
  olderRangeOfSpace,
  successorOfKey,
} from '../rows/keys.js'
import { APPLIED_MAX, BucketRow, isChangedBy } from '../rows/rows.js'
import { checkBucketName, type Resolver, requireBucket } from '../versions/resolve.js'
import { proofRow } from '../versions/version-write-extras.js'
import type { StoredBucket } from '../versions/version-write-state.js'

/** What goes with a bucket. */
const CONFIGURATIONS: readonly BucketConfigurationKind[] = ['cors', 'tagging']

/** Attempts of one change of a bucket. Its row changes seldom. */
export const BUCKET_ATTEMPTS_MAX = 16

/** Buckets in one page of their listing: S3's `MaxBuckets`, less one row that tells whether more follow. */
export const BUCKETS_PAGE_MAX = 9_999

export interface BucketsOptions {
  readonly store: RowStore
  readonly clock: Clock
  readonly random: Random
  readonly resolver: Resolver
  readonly applied: AppliedOperations
  readonly proofs: RepeatProofs
  readonly attempt?: KnownAttempt
}

/** Plain methods that take the request messages. */
export class Buckets {
  private readonly options: BucketsOptions

  constructor(options: BucketsOptions) {
    this.options = options
  }

  /**
   * `BucketAlreadyExists` (details.owner, details.region) unless this very operation made it; `NoSuchBucket` if that
   * is so, and the bucket has been deleted since.
   */
  async create(request: CreateBucketRequest): Promise<BucketInfo> {
    const { op, bucket, owner, region } = request
    checkBucketName(bucket)
    const { applied, clock, random, resolver, store } = this.options
    if (applied.find(op) !== undefined) return infoOf(bucket, (await resolver.bucket(bucket)).row)
    const key = bucketKey(bucket)
    if ((await this.isForeign()) && (await store.read([{ kind: 'get', key }])).results[0]?.length === 0) {
      throw outcomeUnknown('the bucket may have been made and deleted')
    }
    const row: BucketRow = {
      op,
      space: random.bytes(SPACE_ID_BYTES) as SpaceId,
      createdMs: Math.floor(clock.wallMicros() / 1000),
      owner,
      region,
      versioning: 'unset',
      changedBy: [],
    }
    const result = await store.commit({
      compares: [{ kind: 'absent', key }],
      puts: [{ key, value: BucketRow.encode(row) }],
      proof: { keys: [key], carries: ([found]) => isMadeBy(found, op) },
    })
    if (result.committed) {
      this.remember(op)
      return infoOf(bucket, row)
    }
    const existing = requireBucket(bucket, result.rows[0]).row
    if (sameBytes(existing.op, op)) return infoOf(bucket, existing)
    throw new CairnError('BucketAlreadyExists', `bucket ${bucket} exists`, {
      details: { owner: existing.owner, region: existing.region },
    })
  }

  /** `NoSuchBucket`. */
  async get({ bucket }: BucketRequest): Promise<BucketInfo> {
    return infoOf(bucket, (await this.options.resolver.bucket(bucket)).row)
  }

  /** `NoSuchBucket`, `BucketNotEmpty`. Open uploads do not keep a bucket. */
  async delete({ op, bucket }: DeleteBucketRequest): Promise<void> {
    if (this.options.applied.find(op) !== undefined || (await this.hasDeleted(op))) return
    let stored = await this.options.resolver.bucket(bucket)
    for (let attempt = 0; attempt < BUCKET_ATTEMPTS_MAX; attempt++) {
      const nowMicros = this.options.clock.wallMicros()
      const result = await this.options.store.commit(deletion(stored, op, nowMicros))
      if (result.committed) return this.remember(op)
      const [row, current, older] = result.rows
      // Another attempt of it was faster.
      if (this.options.applied.find(op) !== undefined) return
      stored = requireBucket(bucket, row)
      if (current !== undefined || older !== undefined) {
        throw new CairnError('BucketNotEmpty', `bucket ${bucket} is not empty`)
      }
    }
    throw new CairnError('Busy', 'the bucket keeps changing')
  }

  /** By name in byte order. `limit` 0 to BUCKETS_PAGE_MAX. */
  async list({ prefix, after, limit }: ListBucketsRequest): Promise<ListBucketsResponse> {
    if (limit > BUCKETS_PAGE_MAX)
      throw new CairnError('InvalidArgument', `a page has at most ${BUCKETS_PAGE_MAX}`)
    if (limit === 0) return { buckets: [], truncated: false }
    const range = bucketRange(prefix)
    const start = successorOfKey(bucketKey(after))
    const from = after !== '' && Buffer.compare(start, range.from) > 0 ? start : range.from
    if (Buffer.compare(from, range.to) >= 0) return { buckets: [], truncated: false }
    const scan = { kind: 'scan', range: { from, to: range.to }, limit: limit + 1 } as const
    const rows = (await this.options.store.read([scan])).results[0] ?? []
    const buckets = rows
      .slice(0, limit)
      .map((row) => infoOf(bucketOfKey(row.key), BucketRow.decode(row.value)))
    return { buckets, truncated: rows.length > limit }
  }

  /** `NoSuchBucket`; `InvalidArgument` for `unset`, to which no bucket returns. */
  async setVersioning(request: SetBucketVersioningRequest): Promise<BucketInfo> {
    const { op, bucket, versioning } = request
    if (versioning === 'unset') throw new CairnError('InvalidArgument', 'versioning is enabled or suspended')
    let stored = await this.options.resolver.bucket(bucket)
    for (let attempt = 0; attempt < BUCKET_ATTEMPTS_MAX; attempt++) {
      const isDone = isChangedBy(stored.row, op) || this.options.applied.find(op) !== undefined
      if (isDone) return infoOf(bucket, stored.row)
      if (attempt === 0 && (await this.isForeign())) throw outcomeUnknown('the bucket does not name it')
      const changedBy = [...stored.row.changedBy, op].slice(-APPLIED_MAX)
      const changed: BucketRow = { ...stored.row, versioning, changedBy }
      const result = await this.options.store.commit(change(stored, changed, op))
      if (result.committed) {
        this.remember(op)
        return infoOf(bucket, changed)
      }
      stored = requireBucket(bucket, result.rows[0])
    }
    throw new CairnError('Busy', 'the bucket keeps changing')
  }

  /** Whatever comes after it, a late repeat at this service does nothing. */
  private remember(op: OpId): void {
    const seq = this.options.clock.wallMicros()
    this.options.applied.remember([{ seq, op, isNull: false, deleteMarker: false }])
  }

  /** An earlier attempt may have been made by another service. */
  private async isForeign(): Promise<boolean> {
    return (await this.options.attempt?.isForeign()) === true
  }

  /** Whether an earlier attempt on another route did it. */
  private async hasDeleted(op: OpId): Promise<boolean> {
    const { attempt, proofs } = this.options
    if (attempt === undefined || !(await attempt.isForeign())) return false
    const traces = await proofs.since(attempt.sinceMicros)
    if (traces.find(op) !== undefined) return true
    requireProofs(traces, attempt.sinceMicros)
    return false
  }
}

type ProvenCommit = Parameters<KeyValueStore['commit']>[0]

function change(stored: StoredBucket, row: BucketRow, op: OpId): ProvenCommit {
  const key = bucketKey(stored.name)
  const commit: Commit = {
    compares: [{ kind: 'revision', key, revision: stored.revision }],
    puts: [{ key, value: BucketRow.encode(row) }],
  }
  const carries = ([found]: readonly (StoreRow | undefined)[]): boolean =>
    found !== undefined && isChangedBy(BucketRow.decode(found.value), op)
  return { ...commit, proof: { keys: [key], carries } }
}

function deletion({ name, row, revision }: StoredBucket, op: OpId, nowMicros: number): ProvenCommit {
  const key = bucketKey(name)
  return {
    compares: [
      { kind: 'revision', key, revision },
      { kind: 'empty', range: currentRange(row.space) },
      { kind: 'empty', range: olderRangeOfSpace(row.space) },
    ],
    deletes: [key, ...CONFIGURATIONS.map((kind) => bucketConfigurationKey(row.space, kind))],
    puts: [proofRow({ op, nowMicros }, row.space)],
    proof: { keys: [garbageKey(nowMicros, op)], carries: ([found]) => found !== undefined },
  }
}

function isMadeBy(row: StoreRow | undefined, op: OpId): boolean {
  return row !== undefined && sameBytes(BucketRow.decode(row.value).op, op)
}

function infoOf(name: string, row: BucketRow): BucketInfo {
  const { space, createdMs, owner, region, versioning } = row
  return { name, space, createdMs, owner, region, versioning }
}
