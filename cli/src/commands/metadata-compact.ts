/** `cairn metadata compact`: gives space in etcd back, while the services run. */
import { hasCode } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import { openLog } from '../log.js'
import { createEnvironment } from '../roles/environment.js'
import { EtcdError } from '../roles/etcd-error.js'
import { openEtcdStore } from '../roles/etcd-store.js'
import { formatBytes } from './status.js'

/** Compacts and defragments every member of etcd. `EtcdError` if one of them does not answer. */
export async function compactEtcd(config: Config, say: (line: string) => void): Promise<void> {
  if (config.etcd === undefined) {
    throw new ConfigError([
      'cairn metadata compact needs CAIRN_ETCD, with every member: SQLite needs no hand',
    ])
  }
  const store = await openEtcdStore(createEnvironment(config, openLog(config.logLevel)), config.etcd)
  try {
    await store.defragment(({ member, beforeBytes, afterBytes }) =>
      say(`etcd ${member}: ${formatBytes(beforeBytes)} before, ${formatBytes(afterBytes)} now`),
    )
  } catch (error) {
    if (!hasCode(error, 'Busy', 'OutcomeUnknown', 'ConnectionLost')) throw error
    throw new EtcdError(`${error.message}; run it again once all members answer`, { cause: error })
  } finally {
    await store.close()
  }
}
