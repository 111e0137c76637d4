/**
 * Backups of a store in etcd, in the format of all others (`checkpoint-file.ts`): all rows as of one revision, read in
 * tight ranges with pauses, so that whoever uses the store meanwhile does not notice. And back: any backup, also one of
 * an embedded store, is first put together in a file of its own, then copied into an empty prefix.
 */
import { join } from 'node:path'
import { CairnError, type Clock, formatId, type Random } from '@cairn/protocol'
import { CLUSTER_KEY, ClusterRow } from '../../core/rows/cluster-state-rows.js'
import { MOVE_KEY } from '../../core/rows/store-move.js'
import type { CheckpointFacts } from '../journal/checkpoint-file.js'
import { makeFolder } from '../journal/journal-files.js'
import { PAGE_ROWS_MAX } from '../journal/journal-limits.js'
import { lineageOf } from '../journal/journal-lineage.js'
import { openSqliteEntryStore } from '../sqlite/sqlite-entry-store.js'
import { type BackupResult, writeBackup } from './backup.js'
import type { MovableStore } from './move-target.js'
import { buildStore, removeDatabase } from './recover-build.js'
import { type CopyStep, StoreCopy } from './store-copy.js'
import { pagesAt } from './store-pages.js'

/** Between two pages, in times of what the page took. */
const PAUSE_FACTOR = 1

/**
 * Backs up a store in use. The file must not exist. `InvalidArgument` if it holds no cluster, or not yet a whole one.
 */
export async function backupCluster(options: {
  readonly store: MovableStore
  readonly file: string
  readonly clock: Clock
  readonly onProgress?: (rows: number) => void
}): Promise<BackupResult & { readonly rows: number }> {
  const { store, file, clock, onProgress } = options
  const wallMicros = clock.wallMicros()
  const { revision, results } = await store.read([
    { kind: 'get', key: CLUSTER_KEY },
    { kind: 'get', key: MOVE_KEY },
  ])
  const cluster = results[0]?.[0]
  if (results[1]?.[0] !== undefined) throw new CairnError('InvalidArgument', 'the store is being filled')
  if (cluster === undefined)
    throw new CairnError('InvalidArgument', 'etcd holds no cluster below this prefix')
  const { clusterId, incarnation } = ClusterRow.decode(cluster.value)
  const lineage = formatId(lineageOf({ clusterId, incarnation }))
  let rows = 0
  const result = await writeBackup(file, async (encoder, write) => {
    await write(encoder.start({ lineage, clusterId, after: revision, wallMicros }))
    for await (const page of pagesAt(store, { clock, revision, pauseFactor: PAUSE_FACTOR })) {
      for (let at = 0; at < page.length; at += PAGE_ROWS_MAX) {
        await write(encoder.page(page.slice(at, at + PAGE_ROWS_MAX)))
      }
      rows += page.length
      onProgress?.(rows)
    }
    await write(encoder.end(revision, wallMicros))
    return { number: revision, wallMicros }
  })
  return { ...result, rows }
}

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
