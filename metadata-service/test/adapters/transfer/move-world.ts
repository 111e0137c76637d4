/** An embedded store in a folder with drives, and an empty store to move it to. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Random, systemClock } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { openSqliteEntryStore } from '../../../src/adapters/sqlite/sqlite-entry-store.js'
import {
  type MigrateOptions,
  type MigratePlace,
  migrateStore,
  undoMigration,
} from '../../../src/adapters/transfer/migrate.js'
import type { MovableStore } from '../../../src/adapters/transfer/move-target.js'
import { STORE_FILE } from '../../../src/adapters/transfer/recover.js'
import { staysBehind } from '../../../src/adapters/transfer/store-pages.js'
import { CLUSTER_KEY, ClusterRow } from '../../../src/core/rows/cluster-state-rows.js'
import type { Commit, EntryStore, Put } from '../../../src/ports.js'
import { put, range, seed } from '../../conformance/subject.js'

export const CLUSTER_ID = 'c0ffee'

export const CLUSTER: Put = {
  key: CLUSTER_KEY,
  value: ClusterRow.encode({
    clusterId: CLUSTER_ID,
    incarnation: 'first',
    featureLevel: 1,
    epoch: 7,
    createdMs: 0,
    change: Buffer.alloc(16),
  }),
}

/** Ends a command where a kill would. */
export class Killed extends Error {}

export class MoveWorld {
  readonly folder: string
  readonly drives: readonly string[]
  readonly random: Random = createSeededRandom(seed)
  target: MovableStore
  private entries = 0

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'cairn-move-'))
    this.drives = [1, 2, 3].map((at) => join(this.folder, 'drives', String(at)))
    this.target = createTarget()
  }

  get path(): string {
    return join(this.folder, STORE_FILE)
  }

  open(): EntryStore {
    return openSqliteEntryStore({ path: this.path, clock: systemClock, durability: 'none' })
  }

  /** A cluster, a session under a lease, and some rows. */
  async fill(rows: number): Promise<void> {
    const store = this.open()
    const lease = await store.grantLease(60_000)
    const puts = [CLUSTER, put('s/session', 'writer', lease)]
    await this.write(store, { compares: [], puts })
    for (let at = 0; at < rows; at++) await this.put(store, at)
    await store.close()
  }

  /** One row of an object; large ones now and then. */
  async put(store: EntryStore, at: number): Promise<void> {
    const value = 'v'.repeat(at % 150 === 7 ? 150_000 : at)
    await this.write(store, { compares: [], puts: [put(`i/${String(at).padStart(5, '0')}`, value)] })
  }

  async write(store: EntryStore, ...commits: Commit[]): Promise<void> {
    const value = `entry ${++this.entries}`
    await store.apply({ commits, always: [put('head', value), put('l/metadata-1', value)] })
  }

  /** Rows of the old store that are to be carried over. */
  async oldRows(): Promise<Map<string, string>> {
    const store = this.open()
    try {
      return await rowsOf(store)
    } finally {
      await store.close()
    }
  }

  options(place?: MigratePlace): MigrateOptions {
    return {
      folder: this.folder,
      drives: this.drives,
      target: this.target,
      endpoints: ['etcd:2379'],
      prefix: '/cairn/',
      clock: systemClock,
      random: this.random,
      onPlace: (now) => {
        if (now === place) throw new Killed(place)
      },
    }
  }

  /** Moves, and ends where a kill would at `place`; whether it was reached. */
  migrateUntil(place: MigratePlace, resume = false): Promise<boolean> {
    return untilKilled(migrateStore({ ...this.options(place), resume }))
  }

  undoUntil(place: MigratePlace): Promise<boolean> {
    return untilKilled(undoMigration(this.options(place)))
  }

  discard(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Whether it was killed before its end. */
export async function untilKilled(work: Promise<unknown>): Promise<boolean> {
  try {
    await work
    return false
  } catch (error) {
    if (error instanceof Killed) return true
    throw error
  }
}

/** An empty store in memory; pages are of its present state, since nobody else writes. */
export function createTarget(): MovableStore {
  const store = createMemoryEntryStore({ clock: systemClock })
  let version = 0
  return {
    apply(entry) {
      version++
      return store.apply(entry)
    },
    read: (reads) => store.read(reads),
    rowsAt: (keys, revision) => store.rowsAt(keys, revision),
    watch: (within, from, signal) => store.watch(within, from, signal),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    renewLease: (lease) => store.renewLease(lease),
    revokeLease: (lease) => store.revokeLease(lease),
    close: () => store.close(),
    head: async () => ({ revision: (await store.read([])).revision, version }),
    follow: () => {
      throw new Error('nobody follows')
    },
    async page(within, limit) {
      const { revision, results } = await store.read([{ kind: 'scan', range: within, limit: limit + 1 }])
      const rows = results[0] ?? []
      return { revision, rows: rows.slice(0, limit), hasMore: rows.length > limit, count: rows.length }
    },
    count: async (within) =>
      (await store.read([{ kind: 'scan', range: within, limit: 10_000 }])).results[0]?.length ?? 0,
  }
}

/** Keys and values, without those that stay with their store. */
export async function rowsOf(store: Pick<EntryStore, 'read'>): Promise<Map<string, string>> {
  const { results } = await store.read([{ kind: 'scan', range: range('\0', '\x7f'), limit: 10_000 }])
  const rows = (results[0] ?? []).filter(({ key }) => !staysBehind(key))
  return new Map(
    rows.map(({ key, value }) => [key, value].map((part) => Buffer.from(part).toString('latin1'))) as [
      string,
      string,
    ][],
  )
}
