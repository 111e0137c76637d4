/**
 * Keeps two processes out of one folder. The lock is SQLite's exclusive lock on `lock.sqlite`, that is a POSIX lock
 * of the kernel: it ends with its process however that dies, and holds between containers that share the folder.
 * A file with the owner's pid would do neither: pids differ per container and are used again. SQLite also refuses
 * a second lock from within one process, where POSIX locks alone would be silently shared.
 */
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { Sqlite } from '@cairn/protocol/sqlite'
import type Database from 'better-sqlite3'

/** Name of the file that carries the lock. It stays empty, and stays when the lock goes. */
export const LOCK_FILE = 'lock.sqlite'

/** A held lock. */
export interface FolderLock {
  /** Gives the folder free; again, nothing happens. */
  release(): void
}

/**
 * Locks an existing folder at once, or throws `DataFolderInUse`; `DriveFailed` if the folder cannot be written. Under
 * another name it keeps out only those who lock by that name.
 */
export function lockFolder(folder: string, name: string = LOCK_FILE): FolderLock {
  try {
    return lockFile(folder, name)
  } catch (error) {
    if (!isDamage(error)) throw error
    // Nobody holds it: of a held lock SQLite says so before it looks at the content. The file stays the same one.
    truncateSync(join(folder, name), 0)
    return lockFile(folder, name)
  }
}

function lockFile(folder: string, name: string): FolderLock {
  let database: Database.Database | undefined
  try {
    database = new Sqlite(join(folder, name), { timeout: 0 })
    database.pragma('journal_mode = MEMORY')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    throw lockError(folder, name, error)
  }
  const held = database
  return { release: () => held.close() }
}

/** The file, which is to be empty, has bytes that are no database. */
function isDamage(error: unknown): boolean {
  const code = ((error as CairnError).cause as { code?: unknown } | undefined)?.code
  return code === 'SQLITE_NOTADB' || code === 'SQLITE_CORRUPT'
}

function lockError(folder: string, name: string, error: unknown): CairnError {
  const code = (error as { code?: unknown }).code
  if (typeof code === 'string' && code.startsWith('SQLITE_BUSY')) {
    return new CairnError('DataFolderInUse', `folder ${folder} is used by another process`, { cause: error })
  }
  const reason = error instanceof Error ? error.message : String(error)
  return new CairnError('DriveFailed', `cannot lock ${join(folder, name)}: ${reason}`, { cause: error })
}
