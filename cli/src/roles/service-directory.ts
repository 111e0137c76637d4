/** Where the metadata services are: as configured, or as their rows in etcd say. */
import { readServiceAddresses } from '@cairn/metadata-service'
import { ServiceDirectory } from '@cairn/protocol'
import { ConfigError } from '../config.js'
import type { RoleEnvironment } from './environment.js'
import { EtcdError } from './etcd-error.js'
import { openEtcdStore } from './etcd-store.js'

/**
 * The directory, with at least one address. Without `CAIRN_METADATA`, `EtcdError` if etcd does not answer and
 * `ConnectionLost` if no service stands in it.
 */
export async function openServiceDirectory(environment: RoleEnvironment): Promise<ServiceDirectory> {
  const { metadata: given = [], etcd } = environment.config
  if (etcd === undefined) return new ServiceDirectory({ given })
  const directory = new ServiceDirectory({ given, discover: () => discover(environment, etcd) })
  if (directory.addresses.length === 0) await directory.refresh().catch(rethrowPlainly)
  return directory
}

/** As etcd told it: who waits for a service need not wait for what waiting does not mend. */
function rethrowPlainly(error: Error): never {
  const { cause } = error
  throw cause instanceof EtcdError || cause instanceof ConfigError ? cause : error
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
