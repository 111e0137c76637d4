/**
 * Backups: one file in the format of a checkpoint. Of a stopped store it is taken from the store itself; of a
 * running one from the copies on the drives, without a word to the service: a checkpoint with the frames behind it.
 */
import { constants, type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CairnError, type Clock, formatId, hasCode } from '@cairn/protocol'
import type { StoreRow } from '../../ports.js'
import { CheckpointEncoder, type CheckpointFacts, readCheckpoint } from '../journal/checkpoint-file.js'
import { isSessionKey } from '../journal/checkpoint-run.js'
import { writeFully } from '../journal/journal-drive.js'
import { isAbsent, syncFolder } from '../journal/journal-files.js'
import { PAGE_ROWS_MAX } from '../journal/journal-limits.js'
import { lineageOf, readFacts } from '../journal/journal-lineage.js'
import { openSqliteEntryStore } from '../sqlite/sqlite-entry-store.js'
import { type RecoverOptions, type RecoverReport, replaceStore } from './recover.js'
import { findCheckpoint, findFrames, findSources, readFrames } from './recover-sources.js'

/** Attempts to read copies that the running service may replace meanwhile. */
const ATTEMPTS_MAX = 5

export interface BackupResult {
  readonly file: string
  readonly bytes: number
  readonly number: number
  /** Wall time of the last entry in it, or of the copy of a stopped store, µs. */
  readonly wallMicros: number
}

/** Backs up a stopped store; the caller holds its lock. The file must not exist yet. */
export async function backupStopped(options: {
  readonly path: string
  readonly file: string
  readonly clock: Clock
}): Promise<BackupResult> {
  const { path, file, clock } = options
  const store = openSqliteEntryStore({ path, clock, durability: 'fsync', mustExist: true })
  try {
    const { cluster } = await readFacts(store)
    if (cluster === undefined) throw new CairnError('InvalidArgument', `${path} holds no cluster yet`)
    const { revision } = await store.read([])
    const wallMicros = clock.wallMicros()
    const head = {
      lineage: formatId(lineageOf(cluster)),
      clusterId: cluster.clusterId,
      after: revision,
      wallMicros,
    }
    return await writeBackup(file, async (encoder, write) => {
      await write(encoder.start(head))
      let from: Uint8Array = Buffer.alloc(0)
      for (;;) {
        const range = { from, to: Buffer.from([0xff]) }
        const { results } = await store.read([{ kind: 'scan', range, limit: PAGE_ROWS_MAX }])
        const rows: readonly StoreRow[] = results[0] ?? []
        await write(encoder.page(rows.filter(({ key }) => !isSessionKey(key))))
        const last = rows.at(-1)
        if (last === undefined || rows.length < PAGE_ROWS_MAX) break
        from = Buffer.concat([last.key, Buffer.alloc(1)])
      }
      await write(encoder.end(revision, wallMicros))
      return { number: revision, wallMicros }
    })
  } finally {
    await store.close()
  }
}

/** Backs up what the drives hold of a running store. `DriveFailed` when no drive has a whole checkpoint, or only old ones. */
export async function backupRunning(options: {
  readonly drives: readonly string[]
  readonly clusterId: string | undefined
  readonly file: string
}): Promise<BackupResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await copyFromDrives(options)
    } catch (error) {
      // The service replaced a file between two looks at it.
      const isPassing = isAbsent(error) || hasCode(error, 'MessageCorrupt')
      if (!isPassing || attempt >= ATTEMPTS_MAX) throw error
    }
  }
}

async function copyFromDrives(options: {
  readonly drives: readonly string[]
  readonly clusterId: string | undefined
  readonly file: string
}): Promise<BackupResult> {
  const sources = await findSources(options.drives)
  const onDamage = (): void => undefined
  const checkpoint = await findCheckpoint(sources, { clusterId: options.clusterId, onDamage })
  if (checkpoint === undefined) {
    throw new CairnError(
      'DriveFailed',
      'no drive here holds a whole checkpoint of the metadata of the running server: stop it first',
    )
  }
  const { frames, number, wallMicros, isPast } = await findFrames(sources, checkpoint)
  if (isPast) {
    throw new CairnError(
      'DriveFailed',
      'the copies on the drives are of the past, since no journal follows the running server: stop it first',
    )
  }
  return writeBackup(options.file, async (encoder, write) => {
    const { lineage, clusterId, after } = checkpoint
    await write(encoder.start({ lineage, clusterId, after, wallMicros: checkpoint.wallMicros }))
    await copySections(checkpoint, encoder, write)
    for await (const frame of readFrames(frames)) await write(encoder.frame(frame))
    await write(encoder.end(number, wallMicros))
    return { number, wallMicros }
  })
}

async function copySections(
  checkpoint: CheckpointFacts,
  encoder: CheckpointEncoder,
  write: (bytes: Buffer) => Promise<void>,
): Promise<void> {
  let rows: Pick<StoreRow, 'key' | 'value'>[] = []
  let frames: Buffer[] = []
  const facts = await readCheckpoint(checkpoint.path, {
    row: (key, value) => void rows.push({ key, value }),
    frame: (frame) => void frames.push(frame),
    async progress() {
      const page = rows
      const tail = frames
      rows = []
      frames = []
      if (page.length > 0) await write(encoder.page(page))
      for (const frame of tail) await write(encoder.frame(frame))
    },
  })
  if (facts === undefined) throw new CairnError('MessageCorrupt', `${checkpoint.path} was replaced meanwhile`)
}

/** Writes a file so that a crash leaves it whole or not at all. `DriveFull` if there is no room for it. */
export async function writeBackup(
  file: string,
  fill: (
    encoder: CheckpointEncoder,
    write: (bytes: Buffer) => Promise<void>,
  ) => Promise<{ readonly number: number; readonly wallMicros: number }>,
): Promise<BackupResult> {
  const temporary = `${file}.new`
  const encoder = new CheckpointEncoder()
  await rm(temporary, { force: true })
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
  const handle: FileHandle = await open(temporary, flags, 0o600)
  try {
    const facts = await fill(encoder, (bytes) => writeFully(handle, [bytes]))
    await handle.sync()
    await handle.close()
    await rename(temporary, file)
    await syncFolder(dirname(file))
    return { file, bytes: encoder.bytes, ...facts }
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(temporary, { force: true })
    throw isFull(error)
      ? new CairnError('DriveFull', `there is no room for ${file}`, { cause: error })
      : error
  }
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** What a backup says of itself. `DriveFailed` if it is damaged, `FormatTooNew` if a newer version made it. */
export async function readBackup(file: string): Promise<CheckpointFacts> {
  const facts = await readCheckpoint(file)
  if (facts === undefined) throw new CairnError('DriveFailed', `${file} is no whole backup of metadata`)
  return facts
}

/** Makes the store anew from a backup; what was there is moved aside. The caller holds the locks. */
export async function restoreBackup(
  options: RecoverOptions & { readonly backup: CheckpointFacts },
): Promise<Pick<RecoverReport, 'rows' | 'strangeRows' | 'movedTo' | 'incarnation'>> {
  const { backup, drives } = options
  const { highest } = await findFrames(await findSources(drives), backup)
  return replaceStore(options, { checkpoint: backup, row: { frames: [], highest } })
}
