/** Why a command waits no longer for what the cluster can only do with a metadata store that works. */
import type { ClusterStatus } from '@cairn/protocol'
import { MetadataError } from '../roles/metadata-error.js'

/** What is wrong, as a line; `undefined` if the store takes writes. */
export function describeStoreTrouble({ storeTrouble }: ClusterStatus): string | undefined {
  return storeTrouble === undefined ? undefined : `the metadata takes no writes: ${storeTrouble}`
}

/** `MetadataError` if the store takes no more writes: it has to be started again before anything goes on. */
export function assertStoreWrites(status: ClusterStatus): void {
  const trouble = describeStoreTrouble(status)
  if (trouble !== undefined)
    throw new MetadataError(`${trouble}; look at its disk, then start the server again`)
}
