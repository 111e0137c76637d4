/**
 * Back from a backup into etcd: any one, also of an embedded store, is first put together in a file of its own, then
 * copied into an empty prefix.
 */
import { join } from 'node:path'
import type { Clock, Random } from '@cairn/protocol'
import type { CheckpointFacts } from '../journal/checkpoint-file.js'
import { makeFolder } from '../journal/journal-files.js'
import { openSqliteEntryStore } from '../sqlite/sqlite-entry-store.js'
import type { MovableStore } from './move-target.js'
import { buildStore, removeDatabase } from './recover-build.js'
import { type CopyStep, StoreCopy } from './store-copy.js'

export interface ClusterRestoreOptions {
  readonly backup: CheckpointFacts
  readonly target: MovableStore
  /** For a file that is as large as the backup, and removed at the end. */
  readonly folder: string
  readonly clock: Clock
  readonly random: Random
  readonly onProgress?: (step: CopyStep | 'reading the backup', rows: number) => void
}

export interface ClusterRestoreReport {
  readonly rows: number
  readonly hash: string
  readonly incarnation: string
}

/** Into an empty prefix. `InvalidArgument` if it is not; an attempt that did not end is gone on with. */
export async function restoreCluster(options: ClusterRestoreOptions): Promise<ClusterRestoreReport> {
  const { backup, folder, clock, onProgress } = options
  await makeFolder(folder)
  const path = join(folder, 'restore.sqlite')
  try {
    const onRows = ({ rows, frames }: { rows: number; frames: number }): void =>
      onProgress?.('reading the backup', rows + frames)
    await buildStore({ path, checkpoint: backup, frames: [], onProgress: onRows })
    const source = openSqliteEntryStore({ path, clock, durability: 'none', mustExist: true })
    try {
      const { lineage, clusterId, number: head } = backup
      const copy = new StoreCopy({ ...options, source, kind: 'restore' }, { lineage, clusterId, head })
      await copy.begin({ resume: true })
      const digest = await copy.copy()
      const { incarnation } = await copy.complete(digest)
      return { ...digest, incarnation }
    } finally {
      await source.close()
    }
  } finally {
    await removeDatabase(path)
  }
}
