/** `cairn metadata backup|restore FILE` with CAIRN_ETCD: of the store in etcd, whatever runs on it. */
import { existsSync } from 'node:fs'
import { backupCluster, type EtcdEntryStore, readBackup, restoreCluster } from '@cairn/metadata-service'
import { systemClock, systemRandom } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import { makeFolder } from '../data-folder.js'
import { openLog } from '../log.js'
import { assertOwner } from '../owners.js'
import { createProgress } from '../progress.js'
import { createEnvironment } from '../roles/environment.js'
import { openEtcdStore } from '../roles/etcd-store.js'
import { MetadataError } from '../roles/metadata-error.js'
import { metadataFolder } from '../roles/metadata-store.js'
import { clusterIdOf, mended } from './metadata-lock.js'

type Say = (line: string) => void

const ALIVE_MS = 60_000

/** Runs `act` with the configured store open. */
export async function withEtcd<T>(
  config: Config,
  endpoints: readonly string[],
  act: (store: EtcdEntryStore) => Promise<T>,
): Promise<T> {
  const environment = createEnvironment(config, openLog(config.logLevel))
  // The timers of the clock do not keep the process alive, and a pause has no connection under way.
  const alive = setInterval(() => undefined, ALIVE_MS)
  try {
    const store = await openEtcdStore(environment, endpoints)
    try {
      return await mended(act(store))
    } finally {
      await store.close()
    }
  } finally {
    clearInterval(alive)
  }
}

export async function backupEtcd(
  config: Config,
  endpoints: readonly string[],
  file: string,
  say: Say,
): Promise<void> {
  if (existsSync(file)) throw new ConfigError([`${file} exists already`])
  const progress = createProgress(process.stderr)
  const done = await withEtcd(config, endpoints, (store) =>
    backupCluster({ store, file, clock: systemClock, onProgress: (rows) => progress.show('rows', rows) }),
  )
  progress.end()
  const at = new Date(done.wallMicros / 1000).toISOString()
  say(
    `${done.file}: ${done.bytes} bytes, ${done.rows} rows, ${done.changes} entries of meanwhile, as of ${at}`,
  )
}

export async function restoreEtcd(
  config: Config,
  endpoints: readonly string[],
  file: string,
  say: Say,
): Promise<void> {
  assertOwner(config)
  const backup = await mended(readBackup(file))
  const clusterId = clusterIdOf(config)
  if (clusterId !== undefined && clusterId !== backup.clusterId) {
    throw new MetadataError(`${file} is of cluster ${backup.clusterId}, this is ${clusterId}`)
  }
  const folder = metadataFolder(config.dataDir)
  makeFolder(folder)
  const progress = createProgress(process.stderr)
  const done = await withEtcd(config, endpoints, (target) =>
    restoreCluster({
      backup,
      target,
      folder,
      clock: systemClock,
      random: systemRandom,
      onProgress: (step, rows) => progress.show(step, rows),
    }),
  )
  progress.end()
  say(`backup of ${new Date(backup.wallMicros / 1000).toISOString()}; what was written later is lost`)
  say(`${done.rows} rows are in etcd below ${config.etcdPrefix}, incarnation ${done.incarnation}`)
  say('nothing is deleted from the drives until "cairn fsck --accept"')
}
