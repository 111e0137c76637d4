/** What operations on one key read before they write, and how they name what they wrote. */
import type { SpaceId } from '@cairn/protocol'
import type { ObjectWorld } from '../attempts/objects-attempts.js'
import { currentKey } from '../rows/keys.js'
import type { AppliedOperation, VersionRow } from '../rows/rows.js'
import { shownVersionId } from '../versions/preconditions.js'
import { resolve } from '../versions/resolve.js'
import { replacedOlderNull } from '../versions/version-write.js'
import { type KeyState, storedVersion } from '../versions/version-write-state.js'
import { findOlder } from '../versions/versions.js'

/** Bucket and current row of a key, at one revision. `space` spares a request when it is right. */
export async function readState(
  world: ObjectWorld,
  bucketName: string,
  key: string,
  space?: SpaceId,
): Promise<KeyState> {
  const { bucket, results } = await world.resolver.read(
    bucketName,
    (found) => [{ kind: 'get', key: currentKey(found, key) }],
    space,
  )
  return { bucket, key, current: storedVersion(results[0]?.[0]) }
}

/**
 * The null version in `v/` that a write replaces. If it has gone meanwhile, the key's row has changed too, and the
 * commit will be refused.
 */
export async function olderNullOf(world: ObjectWorld, state: KeyState): Promise<{ olderNull?: VersionRow }> {
  const older = replacedOlderNull(state)
  if (older === undefined) return {}
  const found = await findOlder(world.store, resolve(state.bucket, state.key), older)
  return found === undefined ? {} : { olderNull: found.version }
}

/** The version id to answer with: none in a bucket that was never versioned. */
export function writtenId(
  written: Pick<AppliedOperation, 'seq' | 'op' | 'isNull'>,
  { bucket }: KeyState,
): { versionId?: string } {
  return bucket.row.versioning === 'unset' ? {} : { versionId: shownVersionId(written) }
}

/** When an operation wrote: exact while its version is current, else by its sequence number. */
export function writtenAt(applied: AppliedOperation, { current }: KeyState): number {
  const version = current?.version
  return version !== undefined && version.seq === applied.seq
    ? version.modifiedMs
    : Math.floor(applied.seq / 1000)
}
