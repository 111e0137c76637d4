import { createRequire } from 'node:module'
import type Database from 'better-sqlite3'

/** From this major version of Node on better-sqlite3 13 runs. */
const NODE_WITH_13 = 22

/**
 * SQLite for this version of Node: better-sqlite3 13, or 12 on Node 20, where 13 does not load. On Node 24.19 and later
 * 12 is no choice: V8 may end the process whenever it frees a statement or a database
 * (https://github.com/WiseLibs/better-sqlite3/issues/1515).
 */
export const Sqlite: typeof Database = load()

function load(): typeof Database {
  const name =
    Number.parseInt(process.versions.node, 10) < NODE_WITH_13 ? 'better-sqlite3' : 'better-sqlite3-13'
  try {
    return createRequire(import.meta.url)(name) as typeof Database
  } catch (error) {
    // Each is optional for npm, since only one of the two is of use.
    throw new Error(
      `${name} was not installed for Node ${process.versions.node}: run npm ci again and read why`,
      {
        cause: error,
      },
    )
  }
}
