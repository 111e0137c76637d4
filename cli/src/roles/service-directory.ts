/** Where the metadata services are: as configured, or as their rows in etcd say. */
import { readServiceAddresses } from '@cairn/metadata-service'
import { ServiceDirectory } from '@cairn/protocol'
import { ConfigError } from '../config.js'
import type { RoleEnvironment } from './environment.js'
import { openEtcdStore } from './etcd-store.js'

/** Pause between two looks when no service runs yet, and how often it is looked. */
const WAIT_MS = 500
const LOOKS_MAX = 60

/**
 * The directory, with at least one address. Without `CAIRN_METADATA` it waits half a minute for a service to appear;
 * `EtcdError` if etcd does not answer, `ConnectionLost` if no service does.
 */
export async function openServiceDirectory(environment: RoleEnvironment): Promise<ServiceDirectory> {
  const { metadata: given = [], etcd } = environment.config
  if (etcd === undefined) return new ServiceDirectory({ given })
  const directory = new ServiceDirectory({ given, discover: () => discover(environment, etcd) })
  for (let look = 1; directory.addresses.length === 0; look++) {
    try {
      await directory.refresh()
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      if (cause instanceof Error && (cause.name === 'EtcdError' || cause instanceof ConfigError)) throw cause
      if (look >= LOOKS_MAX) throw error
      await new Promise<void>((resolve) => environment.clock.setTimer(WAIT_MS, resolve))
    }
  }
  return directory
}

/** A connection for one look: it is needed when nobody else can tell. */
async function discover(
  environment: RoleEnvironment,
  endpoints: readonly string[],
): Promise<readonly string[]> {
  const store = await openEtcdStore(environment, endpoints)
  try {
    return await readServiceAddresses(store)
  } finally {
    await store.close()
  }
}
