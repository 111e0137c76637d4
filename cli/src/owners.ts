/** Whose the files are: what root writes into the folder of a service, the service cannot open. */
import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Config, ConfigError } from './config.js'
import { MetadataError } from './roles/metadata-error.js'

/**
 * `ConfigError` for root where another user's server has made the files. The folder itself may be anybody's: a server
 * that runs as root reads all of them.
 */
export function assertOwner({ dataDir }: Config, uid: number | undefined = process.geteuid?.()): void {
  if (uid !== 0) return
  const made = ['metadata', 'lock.sqlite', '']
    .map((name) => join(dataDir, name))
    .find((path) => existsSync(path))
  const owner = made === undefined ? uid : statSync(made).uid
  if (owner === uid) return
  throw new ConfigError([
    `${made} belongs to user ${owner}, whose server could not open what root writes there: run this as its owner`,
  ])
}

/**
 * `MetadataError` if one of these files may not be read and written; one that is absent may. Called before SQLite has
 * them open: closing a file drops all locks of this process on it.
 */
export function assertAllowed(paths: readonly string[]): void {
  for (const path of paths) {
    try {
      closeSync(openSync(path, 'r+'))
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      if (code !== 'EACCES' && code !== 'EPERM') continue
      throw new MetadataError(
        `${path} may not be read and written by user ${process.geteuid?.()} (${code}): give it back to the user of ` +
          'the server (chown)',
        { cause },
      )
    }
  }
}
