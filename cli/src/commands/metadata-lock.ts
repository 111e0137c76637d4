/** What commands on the metadata of a stopped server share: its locks, its cluster, and errors that are no faults. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FolderLock, lockFolder } from '@cairn/chunk-server'
import { CairnError, hasCode } from '@cairn/protocol'
import type { Config } from '../config.js'
import { clusterOf, makeFolder } from '../data-folder.js'
import { assertOwner } from '../owners.js'
import { driveFolders } from '../roles/drive-folders.js'
import { EtcdError } from '../roles/etcd-error.js'
import { MetadataError } from '../roles/metadata-error.js'
import { metadataFolder } from '../roles/metadata-store.js'

/** Holds the locks of the server while `work` runs. `ConfigError` for root over the files of another user. */
export async function whileStopped<T>(config: Config, work: () => Promise<T>): Promise<T> {
  assertOwner(config)
  const unlock = tryLock(config)
  if (unlock === undefined)
    throw new CairnError('DataFolderInUse', `stop the server on ${config.dataDir} first`)
  try {
    return await work()
  } finally {
    unlock()
  }
}

/** The data folder is locked by all roles in one process, the folder of the store by a metadata service alone. */
export function tryLock(config: Config): (() => void) | undefined {
  const locks: FolderLock[] = []
  const unlock = (): void => {
    for (const lock of locks) lock.release()
  }
  try {
    for (const folder of [config.dataDir, metadataFolder(config.dataDir)]) {
      makeFolder(folder)
      locks.push(lockFolder(folder))
    }
    return unlock
  } catch (error) {
    unlock()
    if (hasCode(error, 'DataFolderInUse')) return undefined
    throw error
  }
}

/** The cluster of an all-in-one folder, or of most of the drives: one of another cluster may be among them. */
export function clusterIdOf(config: Config): string | undefined {
  try {
    const content: unknown = JSON.parse(readFileSync(join(config.dataDir, 'cluster.json'), 'utf8'))
    const { clusterId } = content as { clusterId?: unknown }
    if (typeof clusterId === 'string') return clusterId
  } catch {
    // Not there or damaged: the drives know it.
  }
  return clusterOf(driveFolders(config))
}

/** What stands against it is told as a message, not as a fault of the program. */
export async function mended<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (hasCode(error, 'Busy', 'ConnectionLost', 'OutcomeUnknown')) {
      throw new EtcdError(error.message, { cause: error })
    }
    if (!hasCode(error, 'DriveFailed', 'DriveFull', 'MessageCorrupt', 'InvalidArgument')) throw error
    throw new MetadataError(error.message, { cause: error })
  }
}
