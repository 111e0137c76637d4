import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMemoryEntryStore } from '../../src/adapters/embedded/memory-entry-store.js'
import { openSqliteEntryStore } from '../../src/adapters/sqlite/sqlite-entry-store.js'
import { createKeyValueStore } from '../../src/core/commit/batcher.js'
import type { EntryStore, KeyValueStore } from '../../src/ports.js'
import { createFaultyEntryStore } from '../../src/simulation/faulty-entry-store.js'
import { openMemoryMirrorSubject } from '../support/mirror-subject.js'
import { describeKeyValueStore } from './key-value-store.js'
import {
  createWorld,
  type Subject,
  settle,
  type World,
  withIsolationCheck,
  withoutBatcher,
} from './subject.js'

type Wrap = (store: EntryStore, world: World) => KeyValueStore

const bare: Wrap = (store) => withoutBatcher(store)
const batched =
  (entriesInFlight: number): Wrap =>
  (store, { clock, random }) =>
    createKeyValueStore({
      store: withIsolationCheck(store),
      clock,
      random,
      service: 'test',
      entriesInFlight,
    })

/** Reads of the suite itself are not meant to fail: only the batcher's own are retried. */
const faulty: Wrap = (store, world) => {
  const line = createFaultyEntryStore({ store: withIsolationCheck(store), random: world.random, rate: 0.3 })
  const batcher = createKeyValueStore({ store: line, ...world, service: 'test' })
  return { ...batcherOf(batcher), read: (reads) => store.read(reads) }
}

function batcherOf(store: KeyValueStore): KeyValueStore {
  return {
    commit: (commit) => store.commit(commit),
    read: (reads) => store.read(reads),
    readAuthority: (reads) => store.readAuthority(reads),
    watch: (range, from, signal) => store.watch(range, from, signal),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    renewLease: (lease) => store.renewLease(lease),
    revokeLease: (lease) => store.revokeLease(lease),
    close: () => store.close(),
  }
}

async function openMemory(wrap: Wrap, worldSeed?: number): Promise<Subject> {
  const world = createWorld(worldSeed)
  return { world, store: wrap(createMemoryEntryStore({ clock: world.clock }), world) }
}

async function openSqlite(wrap: Wrap, worldSeed?: number): Promise<Subject> {
  return openFolder(mkdtempSync(join(tmpdir(), 'cairn-rows-')), wrap, worldSeed)
}

function openFolder(folder: string, wrap: Wrap, worldSeed?: number): Subject {
  const world = createWorld(worldSeed)
  const path = join(folder, 'metadata.db')
  const entries = openSqliteEntryStore({ path, clock: world.clock, durability: 'none' })
  const subject: Subject = {
    world,
    store: wrap(entries, world),
    async reopen(how) {
      const copy = mkdtempSync(join(tmpdir(), 'cairn-rows-'))
      if (how === 'after a kill') cpSync(folder, copy, { recursive: true })
      await settle(subject, subject.store.close())
      if (how === 'after a clean close') cpSync(folder, copy, { recursive: true })
      return openFolder(copy, wrap)
    },
    discard: () => rmSync(folder, { recursive: true, force: true }),
  }
  return subject
}

describeKeyValueStore('MemoryEntryStore', (from) => openMemory(bare, from), { outlivesProcess: false })
describeKeyValueStore('SqliteEntryStore', (from) => openSqlite(bare, from), { outlivesProcess: true })
describeKeyValueStore('Batcher over MemoryEntryStore', (from) => openMemory(batched(1), from), {
  outlivesProcess: false,
})
describeKeyValueStore(
  'Batcher with three lanes over MemoryEntryStore',
  (from) => openMemory(batched(3), from),
  {
    outlivesProcess: false,
  },
)
describeKeyValueStore('Batcher over SqliteEntryStore', (from) => openSqlite(batched(1), from), {
  outlivesProcess: true,
})
describeKeyValueStore('Batcher over a faulty MemoryEntryStore', (from) => openMemory(faulty, from), {
  outlivesProcess: false,
})
describeKeyValueStore('Batcher over a faulty SqliteEntryStore', (from) => openSqlite(faulty, from), {
  outlivesProcess: true,
})
describeKeyValueStore('Batcher over a MirroredEntryStore', openMemoryMirrorSubject, {
  outlivesProcess: false,
})
