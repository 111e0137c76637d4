/**
 * Moves the embedded store of a stopped service to etcd, and back again as long as nobody has written there.
 *
 * The order keeps two usable stores from ever being there at once:
 *
 * 1. The rows are copied and verified (`store-copy.ts`). Until here the old store is as it was.
 * 2. The old file is marked, then its copies on the drives: it opens no more.
 * 3. One entry completes the copy: from now on services may use it.
 *
 * A crash between 2 and 3 leaves none of them usable for that moment; the marks say that the same command with
 * `--resume` goes on, and `--undo` takes it back. `undoMigration` goes the same way in the other direction: it closes
 * etcd, which fails if anything was written there, then takes the marks back, then empties etcd.
 */
import { join } from 'node:path'
import { CairnError, type Clock, type Random } from '@cairn/protocol'
import { CLUSTER_KEY } from '../../core/rows/cluster-state-rows.js'
import { MOVED_KEY, type MoveRow } from '../../core/rows/store-move.js'
import type { EntryStore } from '../../ports.js'
import { openSqliteEntryStore } from '../sqlite/sqlite-entry-store.js'
import {
  countRows,
  type MovedMark,
  readMovedMark,
  removeMovedMark,
  writeMovedMark,
} from '../sqlite/sqlite-moved.js'
import { type MovableStore, MoveTarget, type TargetState } from './move-target.js'
import { markCopies, unmarkCopies } from './moved-copies.js'
import { STORE_FILE } from './recover.js'
import { type CopyStep, moveRow, readSource, type SourceFacts, StoreCopy } from './store-copy.js'
import type { RowsDigest } from './store-pages.js'

/** What has just been done durably; for tests that end here. */
export type MigratePlace =
  | 'begun'
  | 'verified'
  | 'file marked'
  | 'drives marked'
  | 'completed'
  | 'closed'
  | 'drives unmarked'
  | 'file unmarked'
  | 'emptied'

export interface MigrateOptions {
  /** Folder of the store. The caller holds the locks: no service runs. */
  readonly folder: string
  /** Folders of the drives. */
  readonly drives: readonly string[]
  readonly target: MovableStore
  /** How etcd was given: stands in the marks. */
  readonly endpoints: readonly string[]
  readonly prefix: string
  readonly clock: Clock
  readonly random: Random
  readonly onProgress?: (step: CopyStep, rows: number, total: number) => void
  readonly onPlace?: (place: MigratePlace) => void
}

export interface MigrateReport {
  readonly clusterId: string
  readonly rows: number
  readonly hash: string
  /** Absent when an earlier attempt had completed the move. */
  readonly incarnation: string | undefined
  /** Drives that could not be marked: their copies count as the past as long as another drive's mark is seen. */
  readonly unmarkedDrives: readonly string[]
}

/** `InvalidArgument` when etcd, or the source, is not what it must be; `MessageCorrupt` if the copy differs. */
export async function migrateStore(
  options: MigrateOptions & { readonly resume: boolean },
): Promise<MigrateReport> {
  const path = join(options.folder, STORE_FILE)
  const mark = readMovedMark(path)
  if (mark !== undefined) {
    const done = await findCompleted(options, mark)
    if (done !== undefined) return done
    if (!options.resume) throw new CairnError('InvalidArgument', describeMark(mark))
  }
  return new Migration(options, path).run()
}

/** What stands in etcd of a move that reached its end although its command did not. */
async function findCompleted(options: MigrateOptions, mark: MovedMark): Promise<MigrateReport | undefined> {
  const target = new MoveTarget({ ...options, store: options.target })
  const state = await target.state()
  assertSameTarget(mark, state, options)
  const { moved } = state
  if (moved === undefined || moved.id !== mark.id) return undefined
  const { rows, hash } = moved
  return { clusterId: '', rows, hash, incarnation: undefined, unmarkedDrives: await markAll(options, mark) }
}

/**
 * ● A marked store belongs to the etcd that its mark names. To fill another one, or to take a part back that an earlier
 * attempt has left there, would make a second usable store. `InvalidArgument` then.
 */
function assertSameTarget(
  mark: MovedMark,
  { move, moved }: TargetState,
  { endpoints, prefix }: MigrateOptions,
): void {
  if (move?.id === mark.id || moved?.id === mark.id) return
  if (mark.prefix === prefix && mark.endpoints.some((name) => endpoints.includes(name))) return
  throw new CairnError('InvalidArgument', `this is another etcd or prefix: ${describeMark(mark)}`)
}

/** What a marked store says to whoever wants to use it. */
export function describeMark({ endpoints, prefix, atMs }: MovedMark): string {
  return (
    `the metadata was moved to etcd (${endpoints.join(', ')}, below ${prefix}) at ${new Date(atMs).toISOString()}: ` +
    'start with CAIRN_ETCD; if the move did not end, "cairn metadata migrate --to-etcd --resume" goes on; ' +
    '"cairn metadata migrate --undo" goes back as long as nothing was written there'
  )
}

function markAll({ drives, endpoints }: MigrateOptions, mark: MovedMark): Promise<readonly string[]> {
  return markCopies(drives, { lineage: mark.lineage, to: endpoints.join(','), atMs: mark.atMs })
}

class Migration {
  private readonly options: MigrateOptions & { readonly resume: boolean }
  private readonly path: string

  constructor(options: MigrateOptions & { readonly resume: boolean }, path: string) {
    this.options = options
    this.path = path
  }

  async run(): Promise<MigrateReport> {
    const { copy, facts, digest } = await this.copyRows()
    const unmarkedDrives = await this.mark(copy.target.progress, facts)
    const { incarnation } = await copy.complete(digest)
    this.options.onPlace?.('completed')
    return { clusterId: facts.clusterId, ...digest, incarnation, unmarkedDrives }
  }

  private async copyRows(): Promise<{ copy: StoreCopy; facts: SourceFacts; digest: RowsDigest }> {
    const { clock, resume, onProgress, onPlace } = this.options
    const { path } = this
    const total = countRows(path)
    const source = openSource(path, clock)
    try {
      const facts = await readSource(source)
      const onRows = (step: CopyStep, rows: number): void => onProgress?.(step, rows, total)
      const copy = new StoreCopy({ ...this.options, source, kind: 'migrate', onProgress: onRows }, facts)
      await copy.begin({ resume })
      onPlace?.('begun')
      const digest = await copy.copy()
      onPlace?.('verified')
      return { copy, facts, digest }
    } finally {
      await source.close()
    }
  }

  private async mark({ id }: MoveRow, { lineage }: SourceFacts): Promise<readonly string[]> {
    const { endpoints, prefix, clock, onPlace } = this.options
    const atMs = Math.floor(clock.wallMicros() / 1000)
    const mark: MovedMark = { id, lineage, endpoints, prefix, atMs }
    writeMovedMark(this.path, mark)
    onPlace?.('file marked')
    const unmarked = await markAll(this.options, mark)
    onPlace?.('drives marked')
    return unmarked
  }
}

/** What `undoMigration` did. */
export interface UndoReport {
  /** The old store had been marked and can be used again; otherwise it never was. */
  readonly wasMarked: boolean
  /** Rows that were removed from etcd. */
  readonly removedRows: number
}

/** `InvalidArgument` if etcd holds nothing of this store, or has been written to since. */
export async function undoMigration(options: MigrateOptions): Promise<UndoReport> {
  const path = join(options.folder, STORE_FILE)
  const mark = readMovedMark(path)
  const facts = await readFile(path, options)
  const target = new MoveTarget({ ...options, store: options.target })
  await close(target, { options, facts, mark })
  options.onPlace?.('closed')
  await unmarkCopies(options.drives, facts.lineage)
  options.onPlace?.('drives unmarked')
  removeMovedMark(path)
  options.onPlace?.('file unmarked')
  let removedRows = 0
  await target.clear((rows) => {
    removedRows = rows
    options.onProgress?.('removing', rows, rows)
  })
  options.onPlace?.('emptied')
  await target.leave()
  return { wasMarked: mark !== undefined, removedRows }
}

/** The store that is moved; it may carry the mark of an earlier run. */
function openSource(path: string, clock: Clock): EntryStore {
  return openSqliteEntryStore({ path, clock, durability: 'fsync', mustExist: true, evenIfMoved: true })
}

async function readFile(path: string, { clock }: MigrateOptions): Promise<SourceFacts> {
  const source = openSource(path, clock)
  try {
    return await readSource(source)
  } finally {
    await source.close()
  }
}

/** ● From here on nobody uses what is in etcd. */
async function close(
  target: MoveTarget,
  { options, facts, mark }: { options: MigrateOptions; facts: SourceFacts; mark: MovedMark | undefined },
): Promise<void> {
  const state = await target.state()
  if (mark !== undefined) assertSameTarget(mark, state, options)
  const { move, moved, isUntouched } = state
  const next: MoveRow = { ...moveRow({ kind: 'migrate', random: options.random }, facts), state: 'undoing' }
  if (move !== undefined) {
    if (move.source !== facts.lineage || move.kind !== 'migrate') throw nothingToUndo()
    return target.takeOver(move, { ...next, id: move.id })
  }
  if (moved === undefined || moved.id !== mark?.id) throw nothingToUndo()
  if (!isUntouched) throw alreadyUsed()
  await target.reclaim({ ...next, id: moved.id }, [MOVED_KEY, CLUSTER_KEY])
}

function nothingToUndo(): CairnError {
  return new CairnError('InvalidArgument', 'this etcd holds nothing that was moved from this store')
}

function alreadyUsed(): CairnError {
  return new CairnError(
    'InvalidArgument',
    'a service has used the store in etcd since it was moved there: the old one is out of date. ' +
      'To go back, make a backup of etcd and restore it into a data folder without metadata',
  )
}
