/** SQLite's result codes (https://www.sqlite.org/rescode.html) as ours. */
import { CairnError } from '@cairn/protocol'
import { Sqlite } from '@cairn/protocol/sqlite'

/** Codes of a drive or file that can no longer be trusted. */
const FAILED = ['SQLITE_IOERR', 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_READONLY', 'SQLITE_CANTOPEN']

/**
 * `SQLITE_FULL` is `DriveFull`, and so is a WAL index that finds no room; I/O errors and corruption are
 * `DriveFailed`, a lock held by another process is `DataFolderInUse`. Our own errors pass; else it is `Internal`.
 */
export function fromSqlite(error: unknown): CairnError {
  if (error instanceof CairnError) return error
  if (!(error instanceof Sqlite.SqliteError)) {
    return new CairnError('Internal', 'the metadata store met an unexpected error', { cause: error })
  }
  const { code } = error
  // The index of the WAL could not be made larger: of all I/O errors the one that a full disk gives.
  if (code.startsWith('SQLITE_FULL') || code === 'SQLITE_IOERR_SHMSIZE') {
    return new CairnError('DriveFull', 'no space is left for metadata', { cause: error })
  }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new CairnError('DataFolderInUse', 'another process has the metadata store open', { cause: error })
  }
  if (FAILED.some((failed) => code.startsWith(failed))) {
    return new CairnError('DriveFailed', `the metadata store failed: ${code}`, { cause: error })
  }
  return new CairnError('Internal', `the metadata store answered ${code}`, { cause: error })
}
