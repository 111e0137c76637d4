/**
 * Backups of a store in etcd, in the format of all others (`checkpoint-file.ts`), while it is used:
 *
 * 1. What changes from now on is followed, and written as frames.
 * 2. Beside it all rows are read, page by page, each as of its moment, with pauses, so that whoever uses the store does
 *    not notice.
 * 3. Once the changes have come as far as the newest page, the last frame says of which moment the whole is.
 *
 * So the store need not keep its history for as long as this takes. Only when it has dropped a change that did not come
 * yet, everything begins anew.
 */
import { CairnError, type Clock, formatId, hasCode } from '@cairn/protocol'
import { CLUSTER_KEY, ClusterRow } from '../../core/rows/cluster-state-rows.js'
import { MOVE_KEY } from '../../core/rows/store-move.js'
import type { CheckpointEncoder } from '../journal/checkpoint-file.js'
import { PAGE_ROWS_MAX, WRITE_BYTES_MAX } from '../journal/journal-limits.js'
import { lineageOf } from '../journal/journal-lineage.js'
import type { MirrorPlace } from '../mirror/mirror-file.js'
import { findPlace, presentPages } from '../mirror/mirror-fill.js'
import { type BackupResult, writeBackup } from './backup.js'
import { ChangeFrames } from './change-frames.js'
import type { MovableStore } from './move-target.js'
import { retry, staysBehind, wait } from './store-pages.js'

/** Between two pages, in times of what the page took. */
const PAUSE_FACTOR = 1

/** Attempts at a whole backup, when the store drops changes that did not come yet. */
const BACKUPS_MAX = 3

export interface ClusterBackupOptions {
  readonly store: MovableStore
  /** Must not exist. */
  readonly file: string
  readonly clock: Clock
  readonly onProgress?: (rows: number) => void
}

export interface ClusterBackupResult extends BackupResult {
  /** Rows read. */
  readonly rows: number
  /** Entries of the store that came meanwhile. */
  readonly changes: number
}

/** Backs up a store in use. `InvalidArgument` if it holds no cluster, or not yet a whole one. */
export async function backupCluster(options: ClusterBackupOptions): Promise<ClusterBackupResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await backupOnce(options)
    } catch (error) {
      if (!hasCode(error, 'Busy') || attempt >= BACKUPS_MAX) throw error
    }
  }
}

async function backupOnce(options: ClusterBackupOptions): Promise<ClusterBackupResult> {
  const { store, file, clock } = options
  const place = await findPlace(store)
  const cluster = await readCluster(store)
  let counts = { rows: 0, changes: 0 }
  const result = await writeBackup(file, async (encoder, write) => {
    const output = new Output(write)
    const lineage = lineageOf(cluster)
    const { clusterId, incarnation } = cluster
    const head = { lineage: formatId(lineage), clusterId, after: place.revision }
    await output.add(encoder.start({ ...head, wallMicros: clock.wallMicros() }))
    const changes = new ChangeFrames(
      { source: store, clock, lineage, incarnation, write: (frame) => output.add(encoder.frame(frame)) },
      place,
    )
    const { rows, wallMicros } = await copyRows(options, { place, changes, encoder, output })
    counts = { rows, changes: changes.frames }
    const { number } = changes
    await output.add(encoder.end(number, wallMicros))
    await output.flush()
    return { number, wallMicros }
  })
  return { ...result, ...counts }
}

async function readCluster(store: MovableStore): Promise<ClusterRow> {
  const { results } = await store.read([
    { kind: 'get', key: CLUSTER_KEY },
    { kind: 'get', key: MOVE_KEY },
  ])
  const [cluster, move] = results.map((rows) => rows[0])
  if (move !== undefined) throw new CairnError('InvalidArgument', 'the store is being filled')
  if (cluster !== undefined) return ClusterRow.decode(cluster.value)
  throw new CairnError('InvalidArgument', 'etcd holds no cluster below this prefix')
}

interface CopyParts {
  readonly place: MirrorPlace
  readonly changes: ChangeFrames
  readonly encoder: CheckpointEncoder
  readonly output: Output
}

/** Steps 1 to 3; what came of them, and the wall time of the moment that the whole is of. */
async function copyRows(
  { store, clock, onProgress }: ClusterBackupOptions,
  { place, changes, encoder, output }: CopyParts,
): Promise<{ readonly rows: number; readonly wallMicros: number }> {
  const over = new AbortController()
  const { signal } = over
  let rows = 0
  let wallMicros = 0

  async function copy(): Promise<void> {
    let askedMs = clock.monotonicMs()
    const ask = <T>(act: () => Promise<T>): Promise<T> => retry(clock, act)
    for await (const page of presentPages({ source: store, entries: place.head.version, ask })) {
      const tookMs = clock.monotonicMs() - askedMs
      const wanted = page.rows.filter(({ key }) => !staysBehind(key))
      for (let at = 0; at < wanted.length; at += PAGE_ROWS_MAX) {
        await output.add(encoder.page(wanted.slice(at, at + PAGE_ROWS_MAX)))
      }
      rows += wanted.length
      onProgress?.(rows)
      if (wanted.length > 0) await wait(clock, tookMs * PAUSE_FACTOR)
      if (signal.aborted) return
      askedMs = clock.monotonicMs()
    }
    wallMicros = clock.wallMicros()
    // Every page is older than this head: with it, all that pages were ahead of is written.
    await changes.reach(await retry(clock, () => store.head()), signal)
  }

  const works = [changes.follow(signal), copy()].map((work) => work.finally(() => over.abort()))
  const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
  return { rows, wallMicros }
}

/** Collects small pieces for large writes, one at a time. */
class Output {
  private readonly write: (bytes: Buffer) => Promise<void>
  private waiting: Buffer[] = []
  private waitingBytes = 0
  private writing: Promise<void> = Promise.resolve()

  constructor(write: (bytes: Buffer) => Promise<void>) {
    this.write = write
  }

  /** Pieces stand in the file in the order of the calls. Resolves when there is room for more. */
  async add(piece: Buffer): Promise<void> {
    this.waiting.push(piece)
    this.waitingBytes += piece.length
    if (this.waitingBytes >= WRITE_BYTES_MAX) await this.flush()
  }

  flush(): Promise<void> {
    this.writing = this.writing.then(async () => {
      const bytes = Buffer.concat(this.waiting)
      this.waiting = []
      this.waitingBytes = 0
      if (bytes.length > 0) await this.write(bytes)
    })
    return this.writing
  }
}
