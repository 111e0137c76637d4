import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sqlite } from '@cairn/protocol/sqlite'
import { expect } from 'chai'
import { createDatabase } from '../../../src/adapters/sqlite/sqlite-create.js'

describe('the beginning of a database', () => {
  let folder: string
  let path: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-create-'))
    path = join(folder, 'store.sqlite')
  })

  afterEach(() => rmSync(folder, { recursive: true }))

  it('leaves one file, an empty database with a WAL', () => {
    createDatabase(path)
    expect(readdirSync(folder)).to.deep.equal(['store.sqlite'])
    const database = new Sqlite(path)
    expect(database.pragma('journal_mode', { simple: true })).to.equal('wal')
    expect(database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()).to.equal(0)
    database.close()
  })

  it('touches neither a file that is there nor what is left of one, and clears away a beginning that was cut off', () => {
    for (const name of ['store.sqlite', 'store.sqlite-wal', 'store.sqlite-journal']) {
      writeFileSync(join(folder, name), 'old')
      writeFileSync(`${path}.draft`, 'half')
      createDatabase(path)
      expect(readdirSync(folder)).to.deep.equal([name])
      expect(readFileSync(join(folder, name), 'utf8')).to.equal('old')
      rmSync(join(folder, name))
    }
  })
})
