/** Writers beside a backup, and the ledger that it is compared with. */
import { join } from 'node:path'
import { type Random, systemClock } from '@cairn/protocol'
import { openSqliteEntryStore } from '../../../src/adapters/sqlite/sqlite-entry-store.js'
import { readBackup } from '../../../src/adapters/transfer/backup.js'
import { buildStore, removeDatabase } from '../../../src/adapters/transfer/recover-build.js'
import { pagesOf } from '../../../src/adapters/transfer/store-pages.js'
import type { EntryStore, Put } from '../../../src/ports.js'
import { bytes, put } from '../../conformance/subject.js'
import { CLUSTER } from './move-world.js'

/** What one entry has done: absent values are deletes. */
interface Written {
  readonly revision: number
  readonly rows: ReadonlyMap<string, string | undefined>
}

export class Ledger {
  private readonly store: EntryStore
  private readonly random: Random
  private readonly written: Written[] = []
  private entries = 0

  constructor(store: EntryStore, random: Random) {
    this.store = store
    this.random = random
  }

  /** A cluster, and rows `i/…`. */
  async fill(rows: number, rowsPerEntry = 100): Promise<void> {
    await this.store.apply(this.entry([CLUSTER]))
    for (let from = 0; from < rows; from += rowsPerEntry) {
      const names = Array.from({ length: Math.min(rowsPerEntry, rows - from) }, (_, at) => nameOf(from + at))
      await this.write(names.map((name) => [name, 'first']))
    }
  }

  /** Puts or deletes some rows, there or not. */
  async change(rows: number): Promise<void> {
    const names = new Set([1, 2, 3].map(() => nameOf(Math.floor(this.random.fraction() * rows * 1.1))))
    await this.write(
      [...names].map((name) => [name, this.random.fraction() < 0.4 ? undefined : `entry ${this.entries}`]),
    )
  }

  /** What was there right after the entry of a revision. */
  at(revision: number): Map<string, string> {
    const rows = new Map<string, string>()
    for (const entry of this.written.toSorted((a, b) => a.revision - b.revision)) {
      if (entry.revision > revision) break
      for (const [name, value] of entry.rows) {
        if (value === undefined) rows.delete(name)
        else rows.set(name, value)
      }
    }
    return rows
  }

  private async write(rows: readonly (readonly [string, string | undefined])[]): Promise<void> {
    const puts = rows.flatMap(([name, value]) => (value === undefined ? [] : [put(name, value)]))
    const deletes = rows.flatMap(([name, value]) => (value === undefined ? [bytes(name)] : []))
    const [result] = await this.store.apply(this.entry(puts, deletes))
    this.written.push({ revision: result?.revision ?? 0, rows: new Map(rows) })
  }

  private entry(puts: readonly Put[], deletes: readonly Buffer[] = []): Parameters<EntryStore['apply']>[0] {
    const head = put('head', `entry ${++this.entries}`)
    return { commits: [{ compares: [], puts, deletes }], always: [head] }
  }
}

function nameOf(at: number): string {
  return `i/${String(at).padStart(7, '0')}`
}

/** The rows `i/…` that a backup brings back. */
export async function rowsOfBackup(file: string, folder: string): Promise<Map<string, string>> {
  const path = join(folder, 'restored.sqlite')
  await buildStore({ path, checkpoint: await readBackup(file), frames: [] })
  const store = openSqliteEntryStore({ path, clock: systemClock, durability: 'none', mustExist: true })
  const found = new Map<string, string>()
  for await (const page of pagesOf(store, { after: Buffer.alloc(0), limit: 1_000 })) {
    for (const { key, value } of page) if (key[0] === 0x69) found.set(String(key), String(value))
  }
  await store.close()
  await removeDatabase(path)
  return found
}
