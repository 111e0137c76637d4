import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sqlite } from '@cairn/protocol/sqlite'
import { expect } from 'chai'
import { BEHIND_LIMITS } from '../../../src/adapters/embedded/entry-store-limits.js'
import type { QuietStore } from '../../../src/adapters/sqlite/quiet-settling.js'
import {
  type EmbeddedEntryStore,
  openSqliteEntryStore,
  type SqliteEntryStoreOptions,
} from '../../../src/adapters/sqlite/sqlite-entry-store.js'
import type { EntryStore } from '../../../src/ports.js'
import { absent, bytes, createWorld, put, range, type World } from '../../conformance/subject.js'

const WRITER = new URL('./sqlite-writer.js', import.meta.url).pathname

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action()
    return 'none'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('SqliteEntryStore', () => {
  let folder: string
  let path: string
  let world: World
  const opened: EntryStore[] = []

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-rows-'))
    path = join(folder, 'metadata.db')
    world = createWorld()
  })

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
    rmSync(folder, { recursive: true, force: true })
  })

  function open(options: Partial<SqliteEntryStoreOptions> = {}): EmbeddedEntryStore {
    const store = openSqliteEntryStore({ path, clock: world.clock, durability: 'none', ...options })
    opened.push(store)
    return store
  }

  async function countRows(store: EntryStore): Promise<number> {
    const { results } = await store.read([{ kind: 'scan', range: range('row/', 'row0'), limit: 10_000 }])
    return results[0]?.length ?? 0
  }

  /** A disk of so many MiB; `undefined` where this process may not mount one. */
  function mountMemory(mebibytes: number): string | undefined {
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'none', disk])
    return mounted.status === 0 ? disk : undefined
  }

  /** Somebody else writes until nothing more goes in. */
  function takeAll(disk: string): void {
    const file = openSync(join(disk, 'others'), 'a')
    try {
      for (;;) writeSync(file, Buffer.alloc(64 * 1024))
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).to.equal('ENOSPC')
    } finally {
      closeSync(file)
    }
  }

  it('syncs each entry of a database that was opened again', async function () {
    const strace = spawnSync('strace', ['-V'])
    if (strace.error !== undefined) return this.skip()
    spawnSync(process.execPath, [WRITER, path, '3', '10'])
    const trace = join(folder, 'trace')
    const traced = [
      '-f',
      '-e',
      'trace=fsync,fdatasync',
      '-o',
      trace,
      process.execPath,
      WRITER,
      path,
      '20',
      '300',
    ]
    const { stdout } = spawnSync('strace', traced, { encoding: 'utf8' })
    expect(stdout.trim().split('\n')).to.have.length(20)
    const syncs = readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => /f(data)?sync\(/.test(line))
    expect(syncs.length).to.be.within(20, 30)
  })

  it('keeps every acknowledged entry of a process that was killed', async () => {
    const { stdout, signal } = spawnSync(process.execPath, [WRITER, path, '200', '300'], { encoding: 'utf8' })
    expect(signal).to.equal('SIGKILL')
    expect(stdout.trim().split('\n')).to.have.length(200)
    expect(await countRows(open())).to.equal(200)
  })

  it('keeps every entry of a process that was killed while it wrote the rows of earlier ones', async () => {
    const { rows } = BEHIND_LIMITS
    spawnSync(process.execPath, [WRITER, path, String(rows + 7), '30', 'none'])
    expect(await countRows(open())).to.equal(rows + 7)
  })

  it('refuses to start when a recent entry is damaged', async () => {
    spawnSync(process.execPath, [WRITER, path, '3', '0'])
    const database = new Sqlite(path)
    database.exec("UPDATE recent SET changes = CAST(changes || x'00' AS BLOB) WHERE revision = 2")
    database.close()
    expect(await codeOf(() => open())).to.equal('DriveFailed')
  })

  it('applies nothing more after an I/O error, and keeps what it acknowledged', async () => {
    const limited = ['-c', 'ulimit -f 256; exec "$0" "$@"', process.execPath, WRITER, path, '400', '3000']
    const { stdout } = spawnSync('bash', limited, { encoding: 'utf8' })
    const lines = stdout.trim().split('\n')
    const acknowledged = lines.filter((line) => /^\d+$/.test(line)).length
    expect(acknowledged).to.be.within(1, 399)
    const after = new Set(lines.slice(acknowledged + 1))
    expect([...after]).to.deep.equal(['DriveFailed'])
    expect(await countRows(open())).to.be.within(acknowledged, acknowledged + 1)
  })

  it('answers DriveFull when no space is left, stays whole, and takes deletes', async () => {
    const store = open({ pagesMax: 64 })
    const value = Buffer.alloc(3000)
    let stored = 0
    const fill = async (): Promise<void> => {
      for (; stored < 1000; stored++) {
        await store.apply({ commits: [], always: [{ key: bytes(`row/${stored}`), value }] })
      }
    }
    expect(await codeOf(fill)).to.equal('DriveFull')
    expect(await countRows(store)).to.equal(stored)
    expect((await store.read([])).revision).to.equal(stored)
    await store.apply({ commits: [{ compares: [], deleteRanges: [range('row/', 'row/2')] }], always: [] })
    await store.apply({ commits: [], always: [{ key: bytes('row/again'), value }] })
    expect((await store.read([])).revision).to.equal(stored + 2)
  })

  it('gives its reserve up when the disk is full, and takes it back later', async () => {
    const store = open({ pagesMax: 64, reserveBytes: 65_536 })
    const value = Buffer.alloc(3000)
    expect([store.isShort, existsSync(`${path}-reserve`)]).to.deep.equal([false, true])
    const fill = async (): Promise<void> => {
      for (let row = 0; row < 1000; row++) {
        await store.apply({ commits: [], always: [{ key: bytes(`row/${row}`), value }] })
      }
    }
    expect(await codeOf(fill)).to.equal('DriveFull')
    expect([store.isShort, existsSync(`${path}-reserve`)]).to.deep.equal([true, false])
    await world.clock.advance(10_000)
    expect([store.isShort, existsSync(`${path}-reserve`)]).to.deep.equal([false, true])
  })

  it('goes on with deletes on a full disk, though others take whatever it gives up', async function () {
    const disk = mountMemory(32)
    if (disk === undefined) return this.skip()
    try {
      const store = open({ path: join(disk, 'metadata.db'), reserveBytes: 8 * 1024 * 1024 })
      let rows = 0
      for (; !store.isShort; rows++) {
        await store.apply({ commits: [], always: [{ key: bytes(`row/${rows}`), value: Buffer.alloc(3000) }] })
        await world.clock.advance(0)
        if (rows >= 100) takeAll(disk)
      }
      for (let row = 0; row < rows; row++) {
        takeAll(disk)
        await store.apply({
          commits: [
            { compares: [], deletes: [bytes(`row/${row}`)], puts: [put(`garbage/${row}`, 'blocks')] },
          ],
          always: [],
        })
        await world.clock.advance(0)
      }
      expect(await countRows(store)).to.equal(0)
      await store.close()
    } finally {
      spawnSync('umount', ['--lazy', disk])
    }
  })

  it('refuses a database of a newer format', async () => {
    await open().close()
    const database = new Sqlite(path)
    database.pragma('user_version = 5')
    database.close()
    expect(await codeOf(() => open())).to.equal('FormatTooNew')
  })

  /** As formats up to 3 had them. */
  const OLD_ROWS = `
    CREATE TABLE old (
      key BLOB PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, created INTEGER NOT NULL, lease INTEGER
    ) STRICT, WITHOUT ROWID;
    INSERT INTO old SELECT key, value, revision, created, lease FROM rows;
    DROP TABLE rows;
    ALTER TABLE old RENAME TO rows;
    CREATE INDEX rows_by_lease ON rows (lease) WHERE lease IS NOT NULL;`
  const olderFormats = [
    {
      format: 1,
      lack: 'checks',
      undo: 'DROP TABLE recent; UPDATE rows SET value = substr(value, 1, length(value) - 4);',
    },
    { format: 2, lack: 'recent entries', undo: 'DROP TABLE recent;' },
    { format: 3, lack: 'index of keys', undo: '' },
  ]
  for (const { format, lack, undo } of olderFormats) {
    it(`takes over a database of format ${format}, which had no ${lack}`, async () => {
      const before = open()
      const lease = await before.grantLease(60_000)
      const leased = { key: bytes('row/2'), value: Buffer.alloc(0), lease }
      await before.apply({ commits: [], always: [put('row/1', 'one'), leased] })
      await before.close()
      const database = new Sqlite(path)
      database.exec(`${OLD_ROWS} ${undo} PRAGMA user_version = ${format}`)
      database.close()
      const store = open({ integrityCheck: true })
      const { results } = await store.read([{ kind: 'scan', range: range('row/', 'row0'), limit: 10 }])
      expect(results[0]?.map(({ value }) => String(value))).to.deep.equal(['one', ''])
      await store.revokeLease(lease)
      expect(await countRows(store)).to.equal(1)
    })
  }

  it('goes on with a store of format 3 that was being taken over when its process died', async () => {
    const before = open()
    const rows = Array.from({ length: 2_500 }, (_, at) => put(`row/${at}`, `${at}`))
    await before.apply({ commits: [], always: rows })
    await before.close()
    const database = new Sqlite(path)
    database.exec(`
      CREATE TABLE rows_of_format_3 (
        key BLOB PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, created INTEGER NOT NULL, lease INTEGER
      ) STRICT, WITHOUT ROWID;
      INSERT INTO rows_of_format_3 SELECT key, value, revision, created, lease FROM rows WHERE id > 1000;
      DELETE FROM rows WHERE id > 1000`)
    database.close()
    const store = open({ integrityCheck: true })
    expect(await countRows(store)).to.equal(2_500)
    await store.close()
    const taken = new Sqlite(path)
    expect(taken.prepare("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%3'").pluck().get()).to.equal(0)
    taken.close()
  })

  it('gives no row of another key where the index has come to lead to it', async () => {
    const before = open()
    await before.apply({
      commits: [],
      always: [put('row/1', 'one'), put('row/2', 'two'), put('row/3', 'six')],
    })
    await before.close()
    const content = readFileSync(path)
    // In the index a key stands before the number of its row.
    const at = content.indexOf('row/2\x02') + 'row/2'.length
    content[at] = 3
    writeFileSync(path, content)
    const store = open()
    expect(await codeOf(() => store.read([{ kind: 'get', key: bytes('row/2') }]))).to.equal('MessageCorrupt')
    for (const limit of [10, 1000]) {
      const scan = { kind: 'scan', range: range('row/', 'row0'), limit } as const
      expect(await codeOf(() => store.read([scan]))).to.equal('MessageCorrupt')
      expect(await codeOf(() => store.read([{ ...scan, reverse: true }]))).to.equal('MessageCorrupt')
    }
    await store.close()
    expect(await codeOf(() => open({ integrityCheck: true }))).to.equal('DriveFailed')
  })

  it('names a row whose bytes have changed on disk, and goes on with the others', async () => {
    const before = open()
    await before.apply({ commits: [], always: [put('row/1', 'one'), put('row/2', 'two')] })
    await before.close()
    const content = readFileSync(path)
    const at = content.indexOf('two')
    content[at] = (content[at] ?? 0) ^ 1
    writeFileSync(path, content)
    const store = open()
    expect(await codeOf(() => store.read([{ kind: 'get', key: bytes('row/2') }]))).to.equal('MessageCorrupt')
    for (const limit of [10, 1000]) {
      const scan = { kind: 'scan', range: range('row/', 'row0'), limit } as const
      expect(await codeOf(() => store.read([scan]))).to.equal('MessageCorrupt')
    }
    expect((await store.read([{ kind: 'get', key: bytes('row/1') }])).results[0]).to.have.length(1)
    await store.apply({ commits: [], always: [put('row/3', 'three')] })
  })

  it('refuses to begin an empty store where there must be one', async () => {
    expect(await codeOf(() => open({ mustExist: true }))).to.equal('DriveFailed')
    writeFileSync(path, '')
    expect(await codeOf(() => open({ mustExist: true }))).to.equal('DriveFailed')
  })

  it('finds damage of the tree at the start when it is told to look', async () => {
    const before = open()
    for (let at = 0; at < 2000; at++)
      await before.apply({ commits: [], always: [put(`row/${at}`, 'x'.repeat(90))] })
    await before.close()
    const content = readFileSync(path)
    for (let page = 4096; page < content.length; page += 4096) {
      if (content.subarray(page, page + 4096).includes('x'.repeat(90))) content.fill(0, page, page + 4096)
    }
    writeFileSync(path, content)
    expect(await codeOf(() => open({ integrityCheck: true }))).to.equal('DriveFailed')
  })

  it('refuses a database that is open already', async () => {
    open()
    expect(await codeOf(() => open())).to.equal('DataFolderInUse')
  })

  it('refuses a file that is no database', async () => {
    writeFileSync(path, Buffer.alloc(8192, 'no database'))
    expect(await codeOf(() => open())).to.equal('DriveFailed')
  })

  it('counts a sync for each entry and lease that is written, and three for each checkpoint', async () => {
    const store = open({ durability: 'fsync' })
    await store.apply({ commits: [], always: [put('row/1', 'a')] })
    await store.apply({ commits: [{ compares: [absent('row/1')], puts: [put('row/1', 'b')] }], always: [] })
    await store.grantLease(1_000)
    expect(store.syncs()).to.deep.equal({ entries: 2, checkpoints: 0 })
    await store.apply({ commits: [], always: [{ key: bytes('row/2'), value: Buffer.alloc(3_000_000) }] })
    await world.clock.advance(0)
    expect(store.syncs()).to.deep.equal({ entries: 3, checkpoints: 2 })
    for (const row of ['row/3', 'row/4']) await store.apply({ commits: [], always: [put(row, 'a')] })
    expect(store.syncs()).to.deep.equal({ entries: 5, checkpoints: 3 })
  })

  it('makes and counts one checkpoint where an entry and the rows that are written after it both want one', async () => {
    const store = open({ durability: 'fsync' })
    await store.apply({ commits: [], always: [put('row/1', 'a')] })
    await store.apply({ commits: [], always: [{ key: bytes('row/2'), value: Buffer.alloc(3_000_000) }] })
    ;(store as unknown as QuietStore).settleSome()
    await world.clock.advance(0)
    expect(store.syncs()).to.deep.equal({ entries: 3, checkpoints: 2 })
  })

  it('counts no syncs where it makes none', async () => {
    const store = open({ durability: 'none' })
    await store.apply({ commits: [], always: [{ key: bytes('row/1'), value: Buffer.alloc(3_000_000) }] })
    await world.clock.advance(0)
    expect(store.syncs()).to.deep.equal({ entries: 0, checkpoints: 0 })
  })

  it('keeps the WAL bounded under constant load', async () => {
    const store = open()
    const value = Buffer.alloc(300)
    for (let at = 0; at < 3_000; at++) {
      const key = bytes(`row/${(at * 7919) % 3_000}`)
      await store.apply({ commits: [], always: [{ key, value }, put('head', `${at}`)] })
      if (at % 200 === 0) await world.clock.advance(0)
    }
    expect(statSync(`${path}-wal`).size).to.be.below(8 * 1024 * 1024)
  })

  it('keeps the WAL bounded even if its clock never comes to a checkpoint', async () => {
    const store = open()
    const value = Buffer.alloc(3_000)
    for (let at = 0; at < 10_000; at++) {
      await store.apply({ commits: [], always: [{ key: bytes(`row/${(at * 7919) % 500}`), value }] })
    }
    expect(statSync(`${path}-wal`).size).to.be.below(18 * 1024 * 1024)
  })

  it('never gives a lease id again', async () => {
    const store = open()
    const first = await store.grantLease(1_000)
    await store.revokeLease(first)
    await store.close()
    expect(await open().grantLease(1_000)).not.to.equal(first)
  })
})
