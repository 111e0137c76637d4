/** `cairn metadata migrate [--to-etcd] [--resume] | --undo`: from the embedded store to etcd, and back. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  type EtcdEntryStore,
  type MigrateOptions,
  migrateStore,
  STORE_FILE,
  undoMigration,
} from '@cairn/metadata-service'
import { systemClock, systemRandom } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import { createProgress, type Progress } from '../progress.js'
import { driveFolders } from '../roles/drive-folders.js'
import { MetadataError } from '../roles/metadata-error.js'
import { metadataFolder } from '../roles/metadata-store.js'
import { withEtcd } from './metadata-etcd.js'
import { whileStopped } from './metadata-lock.js'

export interface MigrateCommand {
  readonly toEtcd: boolean
  readonly resume: boolean
  readonly undo: boolean
  readonly json: boolean
}

type Say = (line: string) => void

/** `DataFolderInUse` if the server runs. */
export async function migrate(config: Config, command: MigrateCommand, say: Say): Promise<void> {
  const { etcd } = config
  if (command.toEtcd && command.undo) {
    throw new ConfigError(['--to-etcd moves the metadata to etcd, --undo takes it back: say one of them'])
  }
  if (etcd === undefined)
    throw new ConfigError(['CAIRN_ETCD must name the etcd, also of one that was moved to'])
  const folder = metadataFolder(config.dataDir)
  await whileStopped(config, async () => {
    const path = join(folder, STORE_FILE)
    if (!existsSync(path)) throw new MetadataError(`there is no metadata store at ${path}`)
    const progress = createProgress(process.stderr)
    const act = command.undo ? undo : move
    await withEtcd(config, etcd, (target) =>
      act(optionsOf(config, { target, endpoints: etcd, progress }), command, say),
    )
    progress.end()
  })
}

function optionsOf(
  config: Config,
  {
    target,
    endpoints,
    progress,
  }: { target: EtcdEntryStore; endpoints: readonly string[]; progress: Progress },
): MigrateOptions {
  return {
    folder: metadataFolder(config.dataDir),
    drives: driveFolders(config),
    target,
    endpoints,
    prefix: config.etcdPrefix,
    clock: systemClock,
    random: systemRandom,
    onProgress: (step, rows, total) => progress.show(step, rows, total),
  }
}

async function move(options: MigrateOptions, { resume, json }: MigrateCommand, say: Say): Promise<void> {
  const done = await migrateStore({ ...options, resume })
  if (json) return say(JSON.stringify({ ...done, prefix: options.prefix, endpoints: options.endpoints }))
  say(
    `${done.rows} rows are in etcd below ${options.prefix}, and are what the old store holds: BLAKE3 ${done.hash}`,
  )
  say(
    done.incarnation === undefined
      ? 'they had been moved before'
      : `incarnation ${done.incarnation}; the old store is marked and starts no more`,
  )
  for (const drive of done.unmarkedDrives)
    say(`${drive} could not be marked: its copies of the metadata are the past`)
  say('start with CAIRN_ETCD; nothing is deleted from the drives until "cairn fsck --accept"')
}

async function undo(options: MigrateOptions, { json }: MigrateCommand, say: Say): Promise<void> {
  const done = await undoMigration(options)
  if (json) return say(JSON.stringify(done))
  say(`${done.removedRows} rows were removed from etcd; the old store can be started without CAIRN_ETCD`)
}
