/**
 * The tables of the embedded store, and how those of older formats become them.
 *
 * Rows lie in the order of their coming, and an index has their keys: many keys fit a page of it, so that a listing which
 * skips from group to group reads few, and rows with new keys go behind the last one instead of each into a page of its
 * own. Format 1 had no checks of rows (`sqlite-row-check.ts`), format 2 no recent entries (`recent-entries.ts`), format
 * 3 kept the rows themselves in the order of their keys.
 */
import { CairnError } from '@cairn/protocol'
import type { Database } from 'better-sqlite3'
import { RECENT_TABLE } from './recent-entries.js'
import { sealValue } from './sqlite-row-check.js'

/** Version of the tables, kept in `user_version`. */
const FORMAT = 4

/**
 * Added to the format of a store whose content was moved elsewhere (`sqlite-moved.ts`): no version takes it for its
 * own.
 */
export const MOVED_FORMAT: number = 0x10000

const ROWS_TABLE = `
CREATE TABLE rows (
  id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, revision INTEGER NOT NULL, created INTEGER NOT NULL,
  lease INTEGER
) STRICT;
CREATE UNIQUE INDEX rows_by_key ON rows (key);
CREATE INDEX rows_by_lease ON rows (lease) WHERE lease IS NOT NULL;
`

const TABLES = `
${ROWS_TABLE}
CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl_ms REAL NOT NULL) STRICT;
CREATE TABLE counters (revision INTEGER NOT NULL) STRICT;
INSERT INTO counters VALUES (0);
${RECENT_TABLE}
`

/** The rows of format 3 that have not been moved yet. */
const OLD_ROWS = 'rows_of_format_3'

/** Rows that one transaction moves: some 400 KB of the WAL. */
const MOVED_ROWS = 1_000

export interface TablesOptions {
  readonly mustExist?: boolean
  readonly evenIfMoved?: boolean
}

/**
 * Creates the tables, or brings them to the current format; a process that is killed meanwhile leaves what the next one
 * goes on with. Takes the exclusive lock for good. `FormatTooNew`; `DriveFailed` if there must be a store and is none.
 */
export function prepareTables(database: Database, options: TablesOptions): void {
  const version = Number(database.pragma('user_version', { simple: true }))
  const format = options.evenIfMoved === true && version > MOVED_FORMAT ? version - MOVED_FORMAT : version
  if (format > FORMAT) {
    throw new CairnError(
      'FormatTooNew',
      `the metadata store has format ${format}; this version knows ${FORMAT}`,
    )
  }
  if (format === 0 && options.mustExist === true) {
    throw new CairnError('DriveFailed', 'the metadata store is empty')
  }
  // The write takes the lock even when there is nothing to create.
  database.exec('BEGIN IMMEDIATE')
  if (format === 0) database.exec(TABLES)
  else if (format < FORMAT) upgrade(database, format)
  if (format < FORMAT) database.pragma(`user_version = ${version - format + FORMAT}`)
  database.exec('COMMIT')
  moveOldRows(database)
}

function upgrade(database: Database, format: number): void {
  if (format === 1) addRowChecks(database)
  if (format <= 2) database.exec(RECENT_TABLE)
  database.exec(`DROP INDEX rows_by_lease; ALTER TABLE rows RENAME TO ${OLD_ROWS}; ${ROWS_TABLE}`)
}

function addRowChecks(database: Database): void {
  database.function('seal_value', { deterministic: true }, (key, value) =>
    sealValue(key as Buffer, value as Buffer),
  )
  database.exec(`UPDATE rows SET value = seal_value(key, value)`)
}

/** In many transactions: the WAL stays small, and new rows take the space of old ones. */
function moveOldRows(database: Database): void {
  const find = database.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?')
  if (find.get(OLD_ROWS) === undefined) return
  const columns = 'key, value, revision, created, lease'
  const first = `FROM ${OLD_ROWS} ORDER BY key LIMIT ${MOVED_ROWS}`
  const copy = database.prepare(`INSERT INTO rows (${columns}) SELECT ${columns} ${first}`)
  const drop = database.prepare(`DELETE FROM ${OLD_ROWS} WHERE key IN (SELECT key ${first})`)
  const moveSome = database.transaction(() => {
    copy.run()
    return drop.run().changes > 0
  })
  while (moveSome());
  database.exec(`DROP TABLE ${OLD_ROWS}`)
}
