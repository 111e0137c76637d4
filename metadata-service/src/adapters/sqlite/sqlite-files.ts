/** The files of a database: SQLite keeps some beside it. */
import { rmSync } from 'node:fs'

/** What their names end with; the database itself first. */
export const DATABASE_SUFFIXES: readonly string[] = ['', '-wal', '-shm', '-journal']

/** Removes what is there of a database that nobody has open. */
export function removeDatabaseFiles(path: string): void {
  for (const suffix of DATABASE_SUFFIXES) rmSync(path + suffix, { force: true })
}
