/** The root account, until there are identities in the store. */
import { createHash } from 'node:crypto'
import type { Credential, CredentialStore } from '@cairn/gateway'
import type { Random } from '@cairn/protocol'
import type { Config } from '../config.js'
import { loadRootCredentials, type RootCredentials } from '../data-folder.js'

/** The root keys: as configured, else from the data folder, where they are made at the first start. */
export function rootCredentialsOf(config: Config, random: Random): RootCredentials {
  const { rootAccessKey, rootSecretKey } = config
  if (rootAccessKey !== undefined && rootSecretKey !== undefined) {
    return { accessKey: rootAccessKey, secretKey: rootSecretKey }
  }
  return loadRootCredentials(config.dataDir, random)
}

/** A store that knows the root account only. Its canonical id stays when its keys change. */
export function rootCredentialStore(root: RootCredentials): CredentialStore {
  const credential: Credential = {
    ...root,
    account: {
      canonicalId: createHash('sha256').update('cairn root account').digest('hex'),
      displayName: 'root',
    },
  }
  return { find: (accessKey) => (accessKey === root.accessKey ? credential : undefined) }
}
