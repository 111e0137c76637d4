/** Where the metadata services are: as configured, or as their rows in etcd say. */
import { readServiceAddresses } from '@cairn/metadata-service'
import { ServiceDirectory } from '@cairn/protocol'
import { ConfigError } from '../config.js'
import type { RoleEnvironment } from './environment.js'
import { EtcdError } from './etcd-error.js'
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
    const failure = await tryRefresh(directory)
    if (failure !== undefined && look >= LOOKS_MAX) throw failure
    if (failure !== undefined)
      await new Promise<void>((resolve) => environment.clock.setTimer(WAIT_MS, resolve))
  }
  return directory
}

/** Why no service is known yet, if that may change; throws what waiting does not mend. */
async function tryRefresh(directory: ServiceDirectory): Promise<unknown> {
  try {
    await directory.refresh()
    return undefined
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    if (cause instanceof EtcdError || cause instanceof ConfigError) throw cause
    return error
  }
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
