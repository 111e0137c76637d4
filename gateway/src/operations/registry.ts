/** The operations that are built. One line each; everything else in the table answers 501. */
import { headBucket } from './head-bucket.js'
import { listBuckets } from './list-buckets.js'
import type { OperationName } from './table.js'
import type { Operation } from './types.js'

const built: readonly Operation[] = [headBucket, listBuckets]

/** Built operations by name. */
export const REGISTRY: ReadonlyMap<OperationName, Operation> = new Map(
  built.map((operation) => [operation.name, operation]),
)
