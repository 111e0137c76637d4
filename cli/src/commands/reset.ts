/** `cairn reset --yes`: removes everything a stopped server keeps in its data folder. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type FolderLock, lockFolder } from '@cairn/chunk-server'
import { type Config, ConfigError } from '../config.js'
import { clusterOf, SERVER_LOCK_FILE } from '../data-folder.js'
import { driveFolders } from '../roles/drive-folders.js'
import { metadataFolder } from '../roles/metadata-store.js'
import { clusterIdOf } from './metadata-lock.js'

/** What a data folder holds; other files in it are not ours and stay. */
const OWN = [
  'root.json',
  'cluster.json',
  'server.json',
  SERVER_LOCK_FILE,
  'metadata',
  'drives',
  'run',
  'lock.sqlite',
  'lock.sqlite-journal',
]

/** What a drive holds, by the beginning of its name, in one whose `drive.json` is gone: a reset that did not end. */
const OF_DRIVE = ['drive.', 'epochs.', 'scrub.', 'segments', 'metadata', 'index', 'lock.sqlite', 'lost+found']

/**
 * Throws `DataFolderInUse` if a server or one of its services runs on it, and `ConfigError` if a folder of the list is
 * no drive, or one of another cluster: nothing is removed then. Returns the folders that were emptied.
 */
export function reset(config: Config): readonly string[] {
  const { dataDir } = config
  if (!existsSync(dataDir)) return []
  const drives = driveFolders(config).filter((folder) => existsSync(folder))
  const strange = drives.flatMap((folder) => whyNotOurs(folder, config) ?? [])
  if (strange.length > 0) throw new ConfigError(strange)
  const metadata = [metadataFolder(dataDir)].filter((folder) => existsSync(folder))
  whileLocked([dataDir, ...metadata, ...drives], () => {
    lockFolder(dataDir, SERVER_LOCK_FILE).release()
    for (const folder of drives) removeDrive(folder)
    for (const name of OWN) rmSync(join(dataDir, name), { recursive: true, force: true })
  })
  if (readdirSync(dataDir).length === 0) rmSync(dataDir, { recursive: true })
  return [...drives, dataDir]
}

/** Whatever a list of drives names by mistake is somebody's: only what is known as a drive of this cluster goes. */
function whyNotOurs(folder: string, config: Config): string | undefined {
  const own = clusterIdOf(config)
  const cluster = clusterOf([folder])
  if (cluster !== undefined && own !== undefined && cluster !== own) {
    return `${folder} is a drive of cluster ${cluster}, this is ${own}: nothing was removed`
  }
  if (existsSync(join(folder, 'drive.json'))) return undefined
  const other = readdirSync(folder).find((name) => !OF_DRIVE.some((start) => name.startsWith(start)))
  return other === undefined ? undefined : `${folder} is no drive, it holds ${other}: nothing was removed`
}

function whileLocked(folders: readonly string[], act: () => void): void {
  const locks: FolderLock[] = []
  try {
    for (const folder of folders) locks.push(lockFolder(folder))
    act()
  } finally {
    for (const lock of locks) lock.release()
  }
}

/** The root of a mounted disk is emptied, and stays. */
function removeDrive(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true })
  try {
    rmdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
  }
}

/** `ConfigError` without the word that means it. */
export function requireYes(
  confirmed: boolean,
  { etcd, etcdPrefix }: Pick<Config, 'etcd' | 'etcdPrefix'>,
): void {
  if (confirmed) return
  const what =
    etcd === undefined
      ? 'this removes all data'
      : `this removes all data of this host; what etcd holds below ${etcdPrefix} stays`
  throw new ConfigError([`${what}: say so with --yes`])
}
