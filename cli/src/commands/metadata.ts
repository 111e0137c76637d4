/** `cairn metadata recover|backup FILE|restore FILE|migrate|compact`: copies of the metadata, and back from them. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  type BackupResult,
  backupRunning,
  backupStopped,
  describeMark,
  type RecoverOptions,
  type RecoverReport,
  readBackup,
  readMovedMark,
  recoverStore,
  restoreBackup,
  STORE_FILE,
} from '@cairn/metadata-service'
import { systemClock, systemRandom } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import { createProgress, type Progress } from '../progress.js'
import { driveFolders } from '../roles/drive-folders.js'
import { MetadataError } from '../roles/metadata-error.js'
import { metadataFolder } from '../roles/metadata-store.js'
import { isMarkedUnfollowed } from '../roles/unfollowed-mark.js'
import { compactEtcd } from './metadata-compact.js'
import { backupEtcd, restoreEtcd } from './metadata-etcd.js'
import { clusterIdOf, mended, tryLock, whileStopped } from './metadata-lock.js'
import { type MigrateCommand, migrate } from './metadata-migrate.js'

/** A journal is at most a second behind: so long after the command began, it holds all that was acknowledged then. */
const JOURNAL_LAG_MS = 1_100

export interface MetadataCommand extends MigrateCommand {
  readonly action: string
  readonly file: string | undefined
  readonly yes: boolean
}

type Say = (line: string) => void

/** Runs one of the commands. `DataFolderInUse` if the server must be stopped first. */
export async function metadata(config: Config, command: MetadataCommand, say: Say): Promise<void> {
  const { action, file, yes } = command
  if (action === 'recover') return recover(config, say)
  if (action === 'migrate') return migrate(config, command, say)
  if (action === 'compact') return compactEtcd(config, say)
  if (action !== 'backup' && action !== 'restore') {
    throw new ConfigError([`unknown command "metadata ${action}"; see cairn help`])
  }
  if (file === undefined) throw new ConfigError([`cairn metadata ${action} needs a file`])
  const { etcd } = config
  if (action === 'backup') {
    return etcd === undefined
      ? backup(config, resolve(file), say)
      : backupEtcd(config, etcd, resolve(file), say)
  }
  if (etcd !== undefined) return restoreEtcd(config, etcd, resolve(file), say)
  return restore(config, { file: resolve(file), yes }, say)
}

async function recover(config: Config, say: Say): Promise<void> {
  await whileStopped(config, async () => {
    assertNotMoved(config)
    const progress = createProgress(process.stderr)
    const report = await mended(recoverStore(optionsOf(config, progress)))
    progress.end()
    for (const line of describeRecovery(report)) say(line)
  })
}

/** What was moved to etcd goes on there: the past is not to be made anew beside it. */
function assertNotMoved({ dataDir }: Config): void {
  const mark = readMovedMark(join(metadataFolder(dataDir), STORE_FILE))
  if (mark !== undefined) throw new MetadataError(describeMark(mark))
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
    describeLoss(report, until),
    ...(movedTo === undefined ? [] : [`the former store lies in ${movedTo}`]),
    ...(report.strangeRows > 0
      ? [`${report.strangeRows} rows cannot be decoded and are kept as they are`]
      : []),
    ...newLifeLines(rows, report.incarnation),
  ]
}

function describeLoss({ isComplete, isPast }: RecoverReport, until: string): string {
  if (isComplete) return 'the server was stopped in order after the last entry: everything is back'
  const lost = `changes after ${until} are lost`
  return isPast
    ? `${lost}: all of them, since the server went on without journals (CAIRN_JOURNAL=off or CAIRN_DURABILITY=none)`
    : `${lost}: while a journal followed (cairn_journal_failed 0 for a drive), at most the last second before the ` +
        'server ended, with CAIRN_JOURNAL=sync none'
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
  if (isMarkedUnfollowed(metadataFolder(config.dataDir))) {
    throw new MetadataError(
      'no journal follows the running server (cairn_journal_failed), so its drives hold the past: stop it first',
    )
  }
  return mended(backupRunning({ drives: driveFolders(config), clusterId: clusterIdOf(config), file }))
}

async function restore(config: Config, from: { file: string; yes: boolean }, say: Say): Promise<void> {
  await whileStopped(config, async () => {
    assertNotMoved(config)
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
