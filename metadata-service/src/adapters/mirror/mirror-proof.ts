/**
 * Whether a mirror that was left at some revision is of this store, and whether the store still keeps that revision:
 * `head` and `m/cluster` as of then are read in the store and must be the mirror's. `head` holds random bytes of the
 * service that wrote it last, so that another store, or this one after a restore, cannot agree by chance.
 */
import { hasCode } from '@cairn/protocol'
import { HEAD_KEY } from '../../core/commit/commit-rows.js'
import { CLUSTER_KEY } from '../../core/rows/cluster-state-rows.js'
import { successorOfKey } from '../../core/rows/keys.js'
import type { MirrorSource } from '../../ports-mirror.js'
import { sameRow } from './mirror-audit.js'
import type { MirrorFile } from './mirror-file.js'

/** False: the mirror is to be thrown away. Rejects if the store does not answer. */
export async function provesItself(source: MirrorSource, file: MirrorFile): Promise<boolean> {
  const { head } = file.place
  const now = await source.head()
  if (now.revision < head.revision || now.version < head.version) return false
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      return (await isAsThen(source, file, HEAD_KEY)) && (await isAsThen(source, file, CLUSTER_KEY))
    } catch (error) {
      if (!hasCode(error, 'Busy')) throw error
      // Compacted, or only out of reach: then this rejects.
      await source.head()
    }
  }
  return false
}

/** A store that answers, but not this so often, does not keep the revision. */
const ATTEMPTS = 2

async function isAsThen(source: MirrorSource, file: MirrorFile, key: Uint8Array): Promise<boolean> {
  const ours = file.find(key)
  const { rows } = await source.page({ from: key, to: successorOfKey(key) }, 1, file.place.revision)
  const [theirs] = rows
  return ours === undefined || theirs === undefined ? ours === theirs : sameRow(ours, theirs)
}
