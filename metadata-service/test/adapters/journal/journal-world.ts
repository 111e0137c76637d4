/** A journaled store over SQLite in a temporary folder, with drives that are only folders. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import {
  type JournaledEntryStore,
  type JournaledEntryStoreOptions,
  openJournaledEntryStore,
} from '../../../src/adapters/journal/journal-entry-store.js'
import { openSqliteEntryStore } from '../../../src/adapters/sqlite/sqlite-entry-store.js'
import {
  type RecoverOptions,
  type RecoverReport,
  recoverStore,
  STORE_FILE,
} from '../../../src/adapters/transfer/recover.js'
import { CLUSTER_KEY, ClusterRow } from '../../../src/core/rows/cluster-state-rows.js'
import type { Commit, EntryStore } from '../../../src/ports.js'
import { bytes, put, seed } from '../../conformance/subject.js'

export const CLUSTER = 'c1'

export interface JournalWorld {
  readonly folder: string
  readonly drives: readonly string[]
  readonly random: ReturnType<typeof createSeededRandom>
  open(options?: Partial<JournaledEntryStoreOptions>): Promise<JournaledEntryStore>
  openBare(): EntryStore
  recover(): Promise<RecoverReport>
  readonly options: RecoverOptions
  /** Puts the rows of one entry, `head` among them, as the batcher does. */
  write(store: EntryStore, ...commits: Commit[]): Promise<void>
  /** Files of a drive's copies may be damaged here. */
  copies(drive: number): string
  discard(): void
}

export function createJournalWorld(driveCount = 3): JournalWorld {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-journal-'))
  const drives = Array.from({ length: driveCount }, (_, at) => join(folder, 'drives', String(at + 1)))
  for (const [at, drive] of drives.entries()) makeDrive(drive, at)
  const metadata = join(folder, 'metadata')
  mkdirSync(metadata)
  const random = createSeededRandom(seed)
  let entries = 0
  const openBare = (): EntryStore =>
    openSqliteEntryStore({ path: join(metadata, STORE_FILE), clock: systemClock, durability: 'none' })
  const options = { folder: metadata, drives, clock: systemClock, random }
  return {
    folder,
    drives,
    random,
    openBare,
    async open(options = {}) {
      const store = openBare()
      try {
        return await openJournaledEntryStore({ store, clock: systemClock, drives, mode: 'async', ...options })
      } catch (error) {
        await store.close()
        throw error
      }
    },
    options,
    recover: () => recoverStore(options),
    async write(store, ...commits) {
      const value = `${Date.now()}/${++entries}`
      await store.apply({ commits, always: [put('head', value)] })
    },
    copies: (drive) => join(drives[drive] ?? '', 'metadata'),
    discard: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** A drive's folder with its identity. */
export function makeDrive(folder: string, number: number): void {
  mkdirSync(folder, { recursive: true })
  const identity = { format: 1, clusterId: CLUSTER, driveId: `000000000000000${number}`, createdAt: '' }
  writeFileSync(join(folder, 'drive.json'), JSON.stringify(identity))
}

/** The commit that makes a cluster, as the first of every store. */
export const makeCluster: Commit = {
  compares: [],
  puts: [
    {
      key: CLUSTER_KEY,
      value: ClusterRow.encode({
        clusterId: CLUSTER,
        incarnation: 'i1',
        featureLevel: 1,
        epoch: 1,
        createdMs: 0,
        change: Buffer.alloc(16),
      }),
    },
  ],
}

/** All rows but those that a recovery changes, as text. */
export async function rowsOf(store: EntryStore): Promise<string[]> {
  const range = { from: bytes('x/'), to: bytes('x0') }
  const { results } = await store.read([{ kind: 'scan', range, limit: 10_000 }])
  return (results[0] ?? []).map(({ key, value }) => `${key}=${value}`)
}
