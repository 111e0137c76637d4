/**
 * Marks the file of an embedded store whose content was moved to etcd: it keeps all rows, and no version opens it. The
 * mark lies in the database itself, so that it goes wherever the file is copied.
 */
import { existsSync } from 'node:fs'
import { Sqlite } from '@cairn/protocol/sqlite'
import type Database from 'better-sqlite3'
import { openDatabase } from './sqlite-open.js'
import { MOVED_FORMAT } from './sqlite-tables.js'

/** Where the content went. */
export interface MovedMark {
  /** Names the move, as the row `m/moved` in etcd does. */
  readonly id: string
  /** Lineage of this store. */
  readonly lineage: string
  readonly endpoints: readonly string[]
  readonly prefix: string
  readonly atMs: number
}

/** `undefined` if there is no such file, or it is not marked. Changes nothing. */
export function readMovedMark(path: string): MovedMark | undefined {
  if (!existsSync(path)) return undefined
  let database: Database.Database | undefined
  try {
    database = new Sqlite(path, { readonly: true, fileMustExist: true, timeout: 0 })
    if (Number(database.pragma('user_version', { simple: true })) <= MOVED_FORMAT) return undefined
    return JSON.parse(String(database.prepare('SELECT mark FROM moved').pluck().get())) as MovedMark
  } catch (error) {
    // Damaged or in use: whoever opens it says so.
    if (error instanceof Sqlite.SqliteError) return undefined
    throw error
  } finally {
    database?.close()
  }
}

/** Number of rows, before the store is opened. */
export function countRows(path: string): number {
  const database = openDatabase({ path, durability: 'fsync', mustExist: true, evenIfMoved: true })
  try {
    return Number(database.prepare('SELECT count(*) FROM rows').pluck().get())
  } finally {
    database.close()
  }
}

/** Durable once it returns. The store must not be open. Idempotent. */
export function writeMovedMark(path: string, mark: MovedMark): void {
  change(path, (database) => {
    database.exec('CREATE TABLE IF NOT EXISTS moved (mark TEXT NOT NULL) STRICT; DELETE FROM moved')
    database.prepare('INSERT INTO moved VALUES (?)').run(JSON.stringify(mark))
    return true
  })
}

/** The store can be opened again. Durable once it returns. Idempotent. */
export function removeMovedMark(path: string): void {
  change(path, (database) => {
    database.exec('DROP TABLE IF EXISTS moved')
    return false
  })
}

function change(path: string, act: (database: Database.Database) => boolean): void {
  const database = openDatabase({ path, durability: 'fsync', mustExist: true, evenIfMoved: true })
  try {
    database.transaction(() => {
      const isMoved = act(database)
      const version = Number(database.pragma('user_version', { simple: true }))
      const format = version > MOVED_FORMAT ? version - MOVED_FORMAT : version
      database.pragma(`user_version = ${isMoved ? MOVED_FORMAT + format : format}`)
    })()
  } finally {
    database.close()
  }
}
