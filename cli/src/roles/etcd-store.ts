/** Opens the metadata store of a cluster: etcd. */
import { type EtcdEntryStore, type EtcdEntryStoreOptions, openEtcdEntryStore } from '@cairn/metadata-service'
import { hasCode } from '@cairn/protocol'
import { ConfigError } from '../config.js'
import type { RoleEnvironment } from './environment.js'
import { EtcdError } from './etcd-error.js'
import { changedEtcdFiles, readEtcdFiles } from './etcd-files.js'

/** How long to wait for etcd at the start. */
const OPEN_MS = 30_000

/** `EtcdError` if nobody answers, `ConfigError` if etcd and we refuse one another. */
export async function openEtcdStore(
  environment: RoleEnvironment,
  endpoints: readonly string[],
  options: Pick<EtcdEntryStoreOptions, 'compacts'> = {},
): Promise<EtcdEntryStore> {
  const { config, clock, random, log } = environment
  const { etcdPrefix: prefix, etcdUser: user, etcdPassword: password, etcdQuotaBytes: quotaBytes } = config
  const tls = readEtcdFiles(environment)
  // The timers of the clock do not keep the process alive, and there may be no connection that does.
  const waiting = setInterval(() => undefined, OPEN_MS)
  try {
    return await openEtcdEntryStore({
      ...options,
      endpoints,
      prefix,
      clock,
      random,
      log,
      openMs: OPEN_MS,
      quotaBytes,
      ...(tls === undefined ? {} : { tls, changedTls: changedEtcdFiles(environment) }),
      ...(user === undefined || password === undefined ? {} : { user, password }),
    })
  } catch (error) {
    if (hasCode(error, 'PeerRejected')) throw new ConfigError([`CAIRN_ETCD: ${error.message}`])
    if (!hasCode(error, 'Busy')) throw error
    const who = endpoints.join(', ')
    throw new EtcdError(`CAIRN_ETCD: no answer from ${who} for ${OPEN_MS / 1000} s`, { cause: error })
  } finally {
    clearInterval(waiting)
  }
}
