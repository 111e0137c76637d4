/** The root account, until there are identities in the store. */
import { createHash } from 'node:crypto'
import type { Credential, CredentialStore } from '@cairn/gateway'
import type { Random } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import { findRootCredentials, loadRootCredentials, type RootCredentials } from '../data-folder.js'

/** The root keys of a server: as configured, else from the data folder, where they are made at the first start. */
export function rootCredentialsOf(config: Config, random: Random): RootCredentials {
  return configured(config) ?? loadRootCredentials(config.dataDir, random)
}

/** The root keys of a server that somebody else has started: none are made. `ConfigError` if they are not here. */
export function knownRootCredentials(config: Config): RootCredentials {
  const found = configured(config) ?? findRootCredentials(config.dataDir)
  if (found !== undefined) return found
  const ways =
    'name the folder of the server by --data-dir, or give CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY'
  throw new ConfigError([`${config.dataDir} holds no root.json: start the server first, ${ways}`])
}

function configured({ rootAccessKey, rootSecretKey }: Config): RootCredentials | undefined {
  if (rootAccessKey === undefined || rootSecretKey === undefined) return undefined
  return { accessKey: rootAccessKey, secretKey: rootSecretKey }
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
