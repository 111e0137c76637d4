/** `cairn metadata recover|backup FILE|restore FILE`: copies of the metadata, and back from them. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type FolderLock, lockFolder } from '@cairn/chunk-server'
import {
  type BackupResult,
  backupRunning,
  backupStopped,
  type RecoverOptions,
  type RecoverReport,
  readBackup,
  recoverStore,
  restoreBackup,
  STORE_FILE,
} from '@cairn/metadata-service'
import { CairnError, hasCode, systemClock, systemRandom } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import { clusterOf, makeFolder } from '../data-folder.js'
import { driveFolders } from '../roles/drive-folders.js'
import { MetadataError } from '../roles/metadata-error.js'
import { metadataFolder } from '../roles/metadata-store.js'
import { createProgress, type Progress } from './metadata-progress.js'

/** A journal is at most a second behind: so long after the command began, it holds all that was acknowledged then. */
const JOURNAL_LAG_MS = 1_100

export interface MetadataCommand {
  readonly action: string
  readonly file: string | undefined
  readonly yes: boolean
}

type Say = (line: string) => void

/** Runs one of the commands. `DataFolderInUse` if the server must be stopped first. */
export async function metadata(config: Config, command: MetadataCommand, say: Say): Promise<void> {
  const { action, file, yes } = command
  if (action === 'recover') return recover(config, say)
  if (action !== 'backup' && action !== 'restore') {
    throw new ConfigError([`unknown command "metadata ${action}"; see cairn help`])
  }
  if (file === undefined) throw new ConfigError([`cairn metadata ${action} needs a file`])
  if (action === 'backup') return backup(config, resolve(file), say)
  return restore(config, { file: resolve(file), yes }, say)
}

async function recover(config: Config, say: Say): Promise<void> {
  await whileStopped(config, async () => {
    const progress = createProgress(process.stderr)
    const report = await mended(recoverStore(optionsOf(config, progress)))
    progress.end()
    for (const line of describeRecovery(report)) say(line)
  })
}

/** What was done, and up to which moment. */
function describeRecovery(report: RecoverReport): string[] {
  const { checkpoint, frames, rows, strandedFrames, movedTo } = report
  const until = new Date(report.wallMicros / 1000).toISOString()
  return [
    `checkpoint ${checkpoint.path}: ${checkpoint.rows} rows of ${new Date(checkpoint.wallMicros / 1000).toISOString()}`,
    `journal: ${frames} entries after it, the last of ${until}`,
    ...report.damagedFiles.map((path) => `damaged, not used: ${path}`),
    ...report.unreadable.map((reason) => `not readable: ${reason}`),
    ...(report.strangeBytes > 0 ? [`${report.strangeBytes} bytes of journals are damaged or cut off`] : []),
    strandedFrames > 0
      ? `${strandedFrames} later entries were found behind a gap of at least one and cannot be used`
      : 'no entry is known to be missing',
    report.isComplete
      ? 'the server was stopped in order after the last entry: everything is back'
      : `changes after ${until} are lost: at most the last second before the server ended, with CAIRN_JOURNAL=sync none`,
    ...(movedTo === undefined ? [] : [`the former store lies in ${movedTo}`]),
    ...(report.strangeRows > 0
      ? [`${report.strangeRows} rows cannot be decoded and are kept as they are`]
      : []),
    ...newLifeLines(rows, report.incarnation),
  ]
}

function newLifeLines(rows: number, incarnation: string): string[] {
  return [
    `${rows} rows are in place, incarnation ${incarnation}; start the server now`,
    'nothing is deleted from the drives until "cairn fsck --accept"',
  ]
}

async function backup(config: Config, file: string, say: Say): Promise<void> {
  if (existsSync(file)) throw new ConfigError([`${file} exists already`])
  const lock = tryLock(config)
  const done = await (lock === undefined
    ? backupOfRunning(config, file)
    : backupOfStopped(config, file, lock))
  say(`${done.file}: ${done.bytes} bytes, as of ${new Date(done.wallMicros / 1000).toISOString()}`)
}

async function backupOfStopped(config: Config, file: string, lock: () => void): Promise<BackupResult> {
  try {
    const path = join(metadataFolder(config.dataDir), STORE_FILE)
    if (!existsSync(path)) throw new MetadataError(`there is no metadata store at ${path}`)
    return await mended(backupStopped({ path, file, clock: systemClock }))
  } finally {
    lock()
  }
}

/** The server holds its store alone: what the drives have of it is as good, once it has caught up. */
async function backupOfRunning(config: Config, file: string): Promise<BackupResult> {
  await new Promise((done) => setTimeout(done, JOURNAL_LAG_MS))
  return mended(backupRunning({ drives: driveFolders(config), clusterId: clusterIdOf(config), file }))
}

async function restore(config: Config, from: { file: string; yes: boolean }, say: Say): Promise<void> {
  await whileStopped(config, async () => {
    const progress = createProgress(process.stderr)
    const options = optionsOf(config, progress)
    const found = await mended(readBackup(from.file))
    if (options.clusterId !== undefined && options.clusterId !== found.clusterId) {
      throw new MetadataError(`${from.file} is of cluster ${found.clusterId}, this is ${options.clusterId}`)
    }
    if (existsSync(join(options.folder, STORE_FILE)) && !from.yes) {
      throw new ConfigError([`${options.folder} holds metadata: say --yes to put the backup in its place`])
    }
    const done = await mended(restoreBackup({ ...options, backup: found }))
    progress.end()
    say(`backup of ${new Date(found.wallMicros / 1000).toISOString()}; what was written later is lost`)
    if (done.movedTo !== undefined) say(`the former store lies in ${done.movedTo}`)
    for (const line of newLifeLines(done.rows, done.incarnation)) say(line)
  })
}

function optionsOf(config: Config, progress: Progress): RecoverOptions {
  const clusterId = clusterIdOf(config)
  return {
    folder: metadataFolder(config.dataDir),
    drives: driveFolders(config),
    clock: systemClock,
    random: systemRandom,
    onProgress: ({ step, done }) => progress.show(step, done),
    ...(clusterId === undefined ? {} : { clusterId }),
  }
}

/** Holds the locks of the server while `work` runs. */
async function whileStopped(config: Config, work: () => Promise<void>): Promise<void> {
  const unlock = tryLock(config)
  if (unlock === undefined)
    throw new CairnError('DataFolderInUse', `stop the server on ${config.dataDir} first`)
  try {
    await work()
  } finally {
    unlock()
  }
}

/** The data folder is locked by all roles in one process, the folder of the store by a metadata service alone. */
function tryLock(config: Config): (() => void) | undefined {
  const locks: FolderLock[] = []
  const unlock = (): void => {
    for (const lock of locks) lock.release()
  }
  try {
    for (const folder of [config.dataDir, metadataFolder(config.dataDir)]) {
      makeFolder(folder)
      locks.push(lockFolder(folder))
    }
    return unlock
  } catch (error) {
    unlock()
    if (hasCode(error, 'DataFolderInUse')) return undefined
    throw error
  }
}

/** The cluster of an all-in-one folder, or of most of the drives: one of another cluster may be among them. */
function clusterIdOf(config: Config): string | undefined {
  try {
    const content: unknown = JSON.parse(readFileSync(join(config.dataDir, 'cluster.json'), 'utf8'))
    const { clusterId } = content as { clusterId?: unknown }
    if (typeof clusterId === 'string') return clusterId
  } catch {
    // Not there or damaged: the drives know it.
  }
  return clusterOf(driveFolders(config))
}

/** What stands against it is told as a message, not as a fault of the program. */
async function mended<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!hasCode(error, 'DriveFailed', 'MessageCorrupt', 'InvalidArgument')) throw error
    throw new MetadataError(error.message, { cause: error })
  }
}
