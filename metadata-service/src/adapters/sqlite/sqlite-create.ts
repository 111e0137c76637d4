/**
 * Begins the database of a store: an empty one with a WAL, whole under its name or not there at all.
 *
 * Under its name SQLite would begin it in a transaction with a rollback journal, and if a sync of that failed, sync the
 * same file once more to undo it. What a failed sync has lost a second one does not bring back (Rebello et al., "Can
 * Applications Recover from fsync Failures?", ATC 2020): none is tried.
 */
import { closeSync, existsSync, fsyncSync, linkSync, openSync } from 'node:fs'
import { CairnError } from '@cairn/protocol'
import { Sqlite } from '@cairn/protocol/sqlite'
import { DATABASE_SUFFIXES, removeDatabaseFiles } from './sqlite-files.js'

/** What file systems without hard links answer: link(2). */
const NO_LINKS = ['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS']

/**
 * Does nothing if there is a file, or what is left of one: SQLite knows what to do with it. The new name is durable once
 * its folder is synced. `DriveFailed` or `DriveFull` if it cannot be written, and errors of SQLite.
 */
export function createDatabase(path: string): void {
  const draft = `${path}.draft`
  removeDatabaseFiles(draft)
  if (DATABASE_SUFFIXES.some((suffix) => existsSync(path + suffix))) return
  try {
    writeEmpty(draft)
    syncPath(draft)
    publish(draft, path)
  } finally {
    removeDatabaseFiles(draft)
  }
}

function writeEmpty(path: string): void {
  const database = new Sqlite(path)
  try {
    database.pragma('synchronous = OFF')
    database.pragma('locking_mode = EXCLUSIVE')
    database.pragma('journal_mode = WAL')
  } finally {
    database.close()
  }
}

/** Makes a file, or the names in a folder, durable; `DriveFailed`. */
export function syncPath(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } catch (cause) {
    throw new CairnError('DriveFailed', `${path} cannot be synced`, { cause })
  } finally {
    closeSync(descriptor)
  }
}

/**
 * A link takes nobody's place: who is faster has begun it, and locks it. Where there are no links SQLite begins it under
 * its name.
 */
function publish(draft: string, path: string): void {
  try {
    linkSync(draft, path)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EEXIST' || NO_LINKS.includes(code ?? '')) return
    const kind = code === 'ENOSPC' || code === 'EDQUOT' ? 'DriveFull' : 'DriveFailed'
    throw new CairnError(kind, `${path} cannot be made`, { cause })
  }
}
