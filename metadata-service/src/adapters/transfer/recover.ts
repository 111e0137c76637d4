/**
 * Makes the store of a stopped service anew from the copies on its drives, or from a backup. What was there is moved
 * aside into a folder of its own, never removed. A crash in between leaves the copies as they are: run it again.
 *
 * The new store begins a new life: another incarnation, no sessions, epochs and revisions above all that were, and
 * garbage held until somebody accepts (`cairn fsck --accept`): the rows may be older than the blocks.
 *
 * Nothing is made from the blocks alone. Their headers tell space, key and map id of each block, but not which
 * version is current, what was deleted, in which order blocks follow, nor sizes, checksums, metadata, bucket names:
 * a namespace guessed from them would bring deleted objects back and put wrong bytes together.
 */
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { CairnError, type Clock, type Random } from '@cairn/protocol'
import { Sqlite } from '@cairn/protocol/sqlite'
import type Database from 'better-sqlite3'
import type { CheckpointFacts } from '../journal/checkpoint-file.js'
import { makeFolder, syncFolder } from '../journal/journal-files.js'
import { buildStore, removeDatabase } from './recover-build.js'
import {
  type CopySources,
  type FrameRow,
  findCheckpoint,
  findFrames,
  findSources,
} from './recover-sources.js'

/** The database of the embedded store in its folder. */
export const STORE_FILE = 'store.sqlite'
const NEW_FILE = 'store.sqlite.new'

/** A step of the work and how far it is. */
export interface RecoverProgress {
  readonly step: 'reading checkpoints' | 'building the store'
  readonly done: number
}

export interface RecoverOptions {
  /** Folder of the store. The caller holds the locks: no service runs. */
  readonly folder: string
  /** Folders of the drives. */
  readonly drives: readonly string[]
  /** If known: copies of other clusters are passed over. */
  readonly clusterId?: string
  readonly clock: Clock
  readonly random: Random
  readonly onProgress?: (progress: RecoverProgress) => void
}

/** What recovery found and did. */
export interface RecoverReport {
  readonly checkpoint: CheckpointFacts
  /** Frames replayed behind the checkpoint. */
  readonly frames: number
  readonly rows: number
  /** Of these, rows that this version cannot decode. */
  readonly strangeRows: number
  /** Wall time of the last entry that is in the store, µs. */
  readonly wallMicros: number
  /** The store was closed in order after it: nothing is missing. */
  readonly isComplete: boolean
  /** The store went on after it without journals. */
  readonly isPast: boolean
  /** Frames found behind a gap, that cannot be used. */
  readonly strandedFrames: number
  readonly damagedFiles: readonly string[]
  readonly unreadable: readonly string[]
  readonly strangeBytes: number
  /** Where the former store lies now, if there was one. */
  readonly movedTo: string | undefined
  readonly incarnation: string
}

/** `DriveFailed` when no drive holds a whole checkpoint; then nothing was changed. */
export async function recoverStore(options: RecoverOptions): Promise<RecoverReport> {
  const { drives, clusterId, onProgress } = options
  const damagedFiles: string[] = []
  const sources = await findSources(drives)
  const checkpoint = await findCheckpoint(sources, {
    clusterId,
    onDamage: (path) => damagedFiles.push(path),
    onProgress: (done) => onProgress?.({ step: 'reading checkpoints', done }),
  })
  if (checkpoint === undefined) throw nothingFound(sources, damagedFiles, drives)
  const row = await findFrames(sources, checkpoint)
  const made = await replaceStore(options, { checkpoint, row })
  return {
    ...made,
    checkpoint,
    frames: row.frames.length,
    wallMicros: row.wallMicros,
    isComplete: row.isComplete,
    isPast: row.isPast,
    strandedFrames: row.strandedFrames,
    strangeBytes: row.strangeBytes,
    damagedFiles,
    unreadable: sources.unreadable,
  }
}

function nothingFound(
  sources: CopySources,
  damaged: readonly string[],
  drives: readonly string[],
): CairnError {
  if (sources.moved.length > 0) {
    return new CairnError(
      'DriveFailed',
      'the metadata of these drives was moved to etcd, and what they hold of it is the past: start with CAIRN_ETCD',
    )
  }
  const found =
    damaged.length > 0
      ? `damaged: ${damaged.join(', ')}`
      : `none in ${drives.join(', ') || 'no drive at all'}`
  const unreadable = sources.unreadable.length > 0 ? `; not readable: ${sources.unreadable.join('; ')}` : ''
  return new CairnError(
    'DriveFailed',
    `no drive holds a whole checkpoint of the metadata (${found}${unreadable}). The blocks alone do not tell which ` +
      'objects exist, which were deleted, and how blocks follow one another: restore a backup with ' +
      '"cairn metadata restore FILE"',
  )
}

/** Builds the new store, moves the old one aside, and puts the new one in its place. */
export async function replaceStore(
  options: Pick<RecoverOptions, 'folder' | 'clock' | 'random' | 'onProgress'>,
  source: { readonly checkpoint: CheckpointFacts; readonly row: Pick<FrameRow, 'frames' | 'highest'> },
): Promise<Pick<RecoverReport, 'rows' | 'strangeRows' | 'movedTo' | 'incarnation'>> {
  const { folder, clock, random, onProgress } = options
  await makeFolder(folder)
  const path = join(folder, NEW_FILE)
  const { rows, strangeRows, life } = await buildStore({
    path,
    checkpoint: source.checkpoint,
    frames: source.row.frames,
    life: {
      random,
      nowMs: Math.floor(clock.wallMicros() / 1000),
      highest: Math.max(source.row.highest, revisionOf(join(folder, STORE_FILE))),
    },
    onProgress: (done) => onProgress?.({ step: 'building the store', done: done.rows + done.frames }),
  })
  const movedTo = await moveAside(folder)
  await rename(path, join(folder, STORE_FILE))
  await removeDatabase(path)
  await syncFolder(folder)
  return { rows, strangeRows, movedTo, incarnation: life?.incarnation ?? '' }
}

/** The revision that a store on disk has reached; 0 if it cannot be told. Changes nothing. */
function revisionOf(path: string): number {
  let database: Database.Database | undefined
  try {
    database = new Sqlite(path, { readonly: true, fileMustExist: true })
    return Number(database.prepare('SELECT revision FROM counters').pluck().get() ?? 0)
  } catch {
    // Absent or damaged: that is why it is being replaced.
    return 0
  } finally {
    database?.close()
  }
}

/** Moves the files of the former store into `old-<n>`; its path, or `undefined` if there was none. */
async function moveAside(folder: string): Promise<string | undefined> {
  const names = await readdir(folder)
  const files = names.filter((name) => name.startsWith(STORE_FILE) && !name.startsWith(NEW_FILE))
  if (files.length === 0) return undefined
  let number = 1
  while (names.includes(`old-${number}`)) number++
  const aside = join(folder, `old-${number}`)
  await mkdir(aside, { mode: 0o700 })
  // The log last: a database without its log would pass for a store of an older state.
  for (const name of files.sort()) await rename(join(folder, name), join(aside, name))
  await syncFolder(aside)
  await syncFolder(folder)
  return aside
}
