/** `cairn reset --yes`: removes everything a stopped server keeps in its data folder. */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { lockFolder } from '@cairn/chunk-server'
import { CairnError } from '@cairn/protocol'
import type { Config } from '../config.js'
import { driveFolders } from '../roles/drive-folders.js'

/** What a data folder holds; other files in it are not ours and stay. */
const OWN = [
  'root.json',
  'cluster.json',
  'server.json',
  'metadata',
  'drives',
  'run',
  'lock.sqlite',
  'lock.sqlite-journal',
]

/** Throws `DataFolderInUse` if a server runs on it; returns the folders that were emptied. */
export function reset(config: Config): readonly string[] {
  if (!existsSync(config.dataDir)) return []
  const folders = [...driveFolders(config).filter((folder) => existsSync(folder)), config.dataDir]
  const locks = folders.map(lockFolder)
  for (const folder of driveFolders(config)) rmSync(folder, { recursive: true, force: true })
  for (const name of OWN) rmSync(join(config.dataDir, name), { recursive: true, force: true })
  for (const lock of locks) lock.release()
  if (readdirSync(config.dataDir).length === 0) rmSync(config.dataDir, { recursive: true })
  return folders
}

/** Refuses to go on without the word that means it. */
export function requireYes(confirmed: boolean): void {
  if (!confirmed) throw new CairnError('InvalidArgument', 'this removes all data: say so with --yes')
}
