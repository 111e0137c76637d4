/** The statements of the embedded store that are not of its rows: transactions, the revision, leases, the WAL. */
import type { Database, Statement } from 'better-sqlite3'

/** What an entry store says to its database beside its rows. */
export interface EntryStatements {
  readonly begin: Statement<[]>
  readonly commit: Statement<[]>
  readonly rollback: Statement<[]>
  readonly selectRevision: Statement<[], number>
  readonly setRevision: Statement<[number]>
  readonly selectLeases: Statement<[], { id: number; ttlMs: number }>
  readonly insertLease: Statement<[number]>
  readonly deleteLease: Statement<[number]>
  /** Looks how far the WAL and its last checkpoint go, in pages. */
  readonly walState: Statement<[], { log: number; checkpointed: number }>
}

export function prepareEntryStatements(database: Database): EntryStatements {
  return {
    begin: database.prepare('BEGIN'),
    commit: database.prepare('COMMIT'),
    rollback: database.prepare('ROLLBACK'),
    selectRevision: database.prepare<[], number>('SELECT revision FROM counters').pluck(),
    setRevision: database.prepare('UPDATE counters SET revision = ?'),
    selectLeases: database.prepare('SELECT id, ttl_ms AS ttlMs FROM leases'),
    insertLease: database.prepare('INSERT INTO leases (ttl_ms) VALUES (?)'),
    deleteLease: database.prepare('DELETE FROM leases WHERE id = ?'),
    walState: database.prepare('PRAGMA wal_checkpoint(NOOP)'),
  }
}
