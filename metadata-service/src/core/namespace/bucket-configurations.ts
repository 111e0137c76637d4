/**
 * What can be set on a bucket besides what changes the meaning of a write: documents in rows of their own, named by
 * the bucket's space, so that no write of an object waits for them. A change compares the bucket's row, and the
 * bucket's end removes them: a document never outlives its bucket.
 */
import {
  BUCKET_CONFIGURATION_BYTES_MAX,
  CairnError,
  type GetBucketConfigurationRequest,
  type GetBucketConfigurationResponse,
  type SetBucketConfigurationRequest,
} from '@cairn/protocol'
import type { RowStore, StoreRow } from '../../ports.js'
import type { KnownAttempt } from '../attempts/attempt-fence.js'
import { outcomeUnknown } from '../attempts/repeat-proofs.js'
import { bucketConfigurationKey, bucketKey } from '../rows/keys.js'
import { APPLIED_MAX, BucketConfigurationRow, isChangedBy } from '../rows/rows.js'
import type { Resolver } from '../versions/resolve.js'
import { BUCKET_ATTEMPTS_MAX } from './buckets.js'

/** What configurations are read from and written to. */
export interface ConfigurationWorld {
  readonly store: RowStore
  readonly resolver: Resolver
  readonly attempt?: KnownAttempt
}

/** `NoSuchBucket`. No document if none is set. */
export async function getBucketConfiguration(
  { resolver }: Pick<ConfigurationWorld, 'resolver'>,
  { bucket, kind }: GetBucketConfigurationRequest,
): Promise<GetBucketConfigurationResponse> {
  const { results } = await resolver.read(bucket, (space) => [
    { kind: 'get', key: bucketConfigurationKey(space, kind) },
  ])
  const row = results[0]?.[0]
  const document = row === undefined ? undefined : BucketConfigurationRow.decode(row.value).document
  return document === undefined ? {} : { document }
}

/** Replaces or removes a document. `NoSuchBucket`; `InvalidArgument` for one that is too large. */
export async function setBucketConfiguration(
  world: ConfigurationWorld,
  request: SetBucketConfigurationRequest,
): Promise<void> {
  const { bucket, kind, document } = request
  if (document !== undefined && document.length > BUCKET_CONFIGURATION_BYTES_MAX) {
    throw new CairnError(
      'InvalidArgument',
      `a configuration has at most ${BUCKET_CONFIGURATION_BYTES_MAX} bytes`,
    )
  }
  for (let attempt = 0; attempt < BUCKET_ATTEMPTS_MAX; attempt++) {
    const read = await world.resolver.read(bucket, (space) => [
      { kind: 'get', key: bucketConfigurationKey(space, kind) },
    ])
    const key = bucketConfigurationKey(read.bucket.row.space, kind)
    if (await change(world, request, { key, found: read.results[0]?.[0], bucket: read.bucket })) return
  }
  throw new CairnError('Busy', 'the bucket keeps changing')
}

interface ConfigurationRead {
  readonly key: Uint8Array
  readonly found: StoreRow | undefined
  readonly bucket: { readonly name: string; readonly revision: number }
}

/** False if another commit came first. */
async function change(
  { store, attempt }: ConfigurationWorld,
  { op, document }: SetBucketConfigurationRequest,
  { key, found, bucket }: ConfigurationRead,
): Promise<boolean> {
  const before = found === undefined ? { changedBy: [] } : BucketConfigurationRow.decode(found.value)
  if (isChangedBy(before, op)) return true
  if (await attempt?.isForeign()) throw outcomeUnknown('the configuration does not name it')
  const { document: _replaced, ...kept } = before
  const row: BucketConfigurationRow = {
    ...kept,
    changedBy: [...before.changedBy, op].slice(-APPLIED_MAX),
    ...(document === undefined ? {} : { document }),
  }
  const result = await store.commit({
    compares: [
      { kind: 'revision', key: bucketKey(bucket.name), revision: bucket.revision },
      found === undefined ? { kind: 'absent', key } : { kind: 'revision', key, revision: found.revision },
    ],
    puts: [{ key, value: BucketConfigurationRow.encode(row) }],
    proof: {
      keys: [key],
      carries: ([stored]) =>
        stored !== undefined && isChangedBy(BucketConfigurationRow.decode(stored.value), op),
    },
  })
  return result.committed
}
