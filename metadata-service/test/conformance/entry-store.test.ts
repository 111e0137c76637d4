import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMemoryEntryStore } from '../../src/adapters/embedded/memory-entry-store.js'
import { openSqliteEntryStore } from '../../src/adapters/sqlite/sqlite-entry-store.js'
import { describeEntryStore } from './entry-store.js'
import { createWorld } from './subject.js'

describeEntryStore('MemoryEntryStore', () => {
  const world = createWorld()
  return { world, store: createMemoryEntryStore({ clock: world.clock }) }
})

describeEntryStore('SqliteEntryStore', () => {
  const world = createWorld()
  const folder = mkdtempSync(join(tmpdir(), 'cairn-rows-'))
  const path = join(folder, 'metadata.db')
  return {
    world,
    store: openSqliteEntryStore({ path, clock: world.clock, durability: 'none' }),
    discard: () => rmSync(folder, { recursive: true, force: true }),
  }
})
