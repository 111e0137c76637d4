import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sqlite } from '@cairn/protocol/sqlite'
import { expect } from 'chai'
import {
  type EmbeddedEntryStore,
  openSqliteEntryStore,
} from '../../../src/adapters/sqlite/sqlite-entry-store.js'
import { createWorld, put, range, type World } from '../../conformance/subject.js'

const ROWS = 1_000

describe('QuietSettling', () => {
  let folder: string
  let path: string
  let world: World
  let store: EmbeddedEntryStore

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-quiet-'))
    path = join(folder, 'metadata.db')
    world = createWorld()
    store = openSqliteEntryStore({ path, clock: world.clock, durability: 'fsync' })
  })

  afterEach(async () => {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function write(): Promise<void> {
    for (let at = 0; at < ROWS; at++) await store.apply({ commits: [], always: [put(`row/${at}`, `${at}`)] })
  }

  /** Syncs of the next second: those of entries, and of rows that are written without one. */
  async function syncsOfSecond(entries: number): Promise<number> {
    const before = store.syncs().entries
    for (let at = 0; at < entries; at++) await store.apply({ commits: [], always: [put('head', `${at}`)] })
    await world.clock.advance(1_000)
    return store.syncs().entries - before
  }

  it('writes what waits once the store is quiet, some rows at a time', async () => {
    await write()
    expect(await syncsOfSecond(0)).to.equal(0)
    expect(await syncsOfSecond(0)).to.equal(Math.ceil(ROWS / 128))
    expect(await syncsOfSecond(0)).to.equal(0)
    const { results } = await store.read([{ kind: 'scan', range: range('row/', 'row0'), limit: 10_000 }])
    expect(results[0]).to.have.length(ROWS)
  })

  it('lets rows wait while there are many entries', async () => {
    await write()
    for (let second = 0; second < 5; second++) expect(await syncsOfSecond(200)).to.equal(200)
  })

  it('forgets the entries whose rows are written', async () => {
    await write()
    expect(entriesLeft()).to.equal(ROWS)
    await world.clock.advance(2_000)
    expect(entriesLeft()).to.equal(0)
  })

  /** What a process that is killed now would leave behind. */
  function entriesLeft(): unknown {
    const copy = join(folder, 'copy.db')
    for (const part of ['', '-wal']) copyFileSync(path + part, copy + part)
    const database = new Sqlite(copy)
    const count = database.prepare('SELECT count(*) FROM recent').pluck().get()
    database.close()
    return count
  }

  it('goes on with rows that came while it wrote others', async () => {
    await write()
    await world.clock.advance(1_000)
    await write()
    await world.clock.advance(3_000)
    expect(await syncsOfSecond(0)).to.equal(0)
  })
})
