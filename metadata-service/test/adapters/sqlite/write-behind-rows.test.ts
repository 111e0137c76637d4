import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Random } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import type { Database } from 'better-sqlite3'
import { expect } from 'chai'
import { createOrderedRows } from '../../../src/adapters/embedded/ordered-rows.js'
import type { RowTable } from '../../../src/adapters/embedded/row-table.js'
import { RecentEntries } from '../../../src/adapters/sqlite/recent-entries.js'
import { openDatabase } from '../../../src/adapters/sqlite/sqlite-open.js'
import { SqliteRows } from '../../../src/adapters/sqlite/sqlite-rows.js'
import { WriteBehindRows } from '../../../src/adapters/sqlite/write-behind-rows.js'
import type { StoreRow } from '../../../src/ports.js'
import { range, seed } from '../../conformance/subject.js'

const LIMITS = { rows: 24, bytes: 1_000, sliceRows: 5 }
const ALL = range('', '~')
const DELIMITER = Buffer.from('/')

type Step = (table: RowTable, revision: number) => unknown

/** What a caller may rely on. */
function facts(rows: readonly (StoreRow | undefined)[]): unknown {
  return rows.map((row) => row && [String(row.key), String(row.value), row.revision, row.created])
}

function textOf(row: StoreRow): string {
  return String(row.key)
}

/** Keys in a few groups, so that neighbours meet. */
function someKey(random: Random): Buffer {
  const letter = (count: number): string => String.fromCharCode(97 + Math.floor(random.fraction() * count))
  return Buffer.from(`${letter(5)}/${letter(8)}${letter(2)}`)
}

/** A step that the dice choose. */
function someStep(random: Random): Step {
  const [key, to, dice] = [someKey(random), someKey(random), random.fraction()]
  const lease = random.fraction() < 0.1 ? '7' : undefined
  if (dice < 0.6) return (table, revision) => table.put(key, Buffer.from(`${revision}`), revision, lease)
  if (dice < 0.95) return (table) => table.delete(key)
  if (dice < 0.98) return (table) => table.deleteRange({ from: key, to }).map(String)
  return (table) => table.deleteLeased('7').map(String)
}

describe('WriteBehindRows', () => {
  let folder: string
  let database: Database
  let rows: WriteBehindRows
  let revision: number

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-behind-'))
    database = openDatabase({ path: join(folder, 'rows.db'), durability: 'none' })
    rows = open()
    revision = 0
  })

  afterEach(() => {
    database.close()
    rmSync(folder, { recursive: true, force: true })
  })

  function open(): WriteBehindRows {
    return new WriteBehindRows(new SqliteRows(database), new RecentEntries(database), LIMITS)
  }

  /** One transaction, and what its steps found. */
  function transact(steps: readonly Step[], how: 'write' | 'write now' | 'undo' = 'write'): unknown[] {
    database.exec('BEGIN')
    const found = steps.map((step) => step(rows, revision + 1))
    if (how === 'write now') rows.writeEntryNow(revision + 1)
    else rows.writeEntry(revision + 1)
    database.exec(how === 'undo' ? 'ROLLBACK' : 'COMMIT')
    if (how === 'undo') {
      rows.undone()
    } else {
      rows.committed()
      revision++
    }
    return found
  }

  function settle(runs: number = Number.POSITIVE_INFINITY): void {
    let left = runs
    rows.settle((write) => {
      if (left-- === 0) throw new Error('no room')
      return database.transaction(write)()
    })
  }

  /** What a process that is killed now leaves behind. */
  function restart(): void {
    const [recent, table] = [new RecentEntries(database), new SqliteRows(database)]
    while (recent.replay(table, 3));
    rows = open()
  }

  /** Whatever may happen between two transactions. */
  function disturb(dice: number): void {
    if (dice < 0.02) settle()
    else if (dice < 0.06) expect(() => settle(0)).to.throw('no room')
    else if (dice < 0.1) tryToSettle()
    else if (dice < 0.12) restart()
    else if (dice < 0.2) writeWaiting(dice < 0.14)
  }

  function writeWaiting(isUndone: boolean): void {
    database.exec('BEGIN')
    rows.writeWaiting(revision)
    database.exec(isUndone ? 'ROLLBACK' : 'COMMIT')
    if (isUndone) rows.undone()
    else rows.committed()
  }

  /** Ends early unless one transaction is enough. */
  function tryToSettle(): void {
    try {
      settle(2)
    } catch (error) {
      expect((error as Error).message).to.equal('no room')
    }
  }

  function expectSame(model: RowTable, random: Random): void {
    const [from, to] = [someKey(random), someKey(random)]
    expect(facts([rows.find(from)])).to.deep.equal(facts([model.find(from)]))
    for (const limit of [1, 3, 100]) {
      for (const reverse of [false, true]) {
        const read = { kind: 'scan', range: { from, to }, limit, reverse } as const
        expect(facts(rows.scan(read))).to.deep.equal(facts(model.scan(read)))
      }
    }
    expectGroups(
      model.scan({ kind: 'scan', range: ALL, limit: 1_000 }),
      1 + Math.floor(random.fraction() * 8),
    )
  }

  /** Rolled up, pages have the first row of every group, and no row that is not there. */
  function expectGroups(all: readonly StoreRow[], limit: number): void {
    const seen: string[] = []
    let { from } = ALL
    for (;;) {
      const rollUp = { from: 0, delimiter: DELIMITER }
      const page = rows.scan({ kind: 'scan', range: { from, to: ALL.to }, limit, rollUp })
      seen.push(...page.map(textOf))
      const last = page[limit - 1]
      if (last === undefined) break
      from = Buffer.concat([last.key, Buffer.alloc(1)])
    }
    const keys = all.map(textOf)
    const firsts = keys.filter((key, at) => key.split('/')[0] !== keys[at - 1]?.split('/')[0])
    expect(seen).to.include.members(firsts)
    expect(keys).to.include.members(seen)
    expect(seen).to.deep.equal([...new Set(seen)].sort())
  }

  it(`answers as a plain table, whatever happens to transactions and processes (seed ${seed})`, () => {
    const random = createSeededRandom(seed)
    const model = createOrderedRows()
    for (let round = 0; round < 1_000; round++) {
      const steps = Array.from({ length: 1 + Math.floor(random.fraction() * 6) }, () => someStep(random))
      const dice = random.fraction()
      const how = dice < 0.05 ? 'undo' : dice < 0.1 ? 'write now' : 'write'
      const found = transact(steps, how)
      if (how !== 'undo') expect(found).to.deep.equal(steps.map((step) => step(model, revision)))
      disturb(random.fraction())
      expectSame(model, random)
    }
  })

  it('writes no earlier change over a later one that was settled before there was no room', () => {
    const put = (key: string, value: string): unknown =>
      transact([(table, now) => table.put(Buffer.from(key), Buffer.from(value), now, undefined)])
    put('k', 'before')
    for (let at = 1; at < LIMITS.rows; at++) put(`f${at}`, '')
    put('k', 'after')
    expect(() => settle(Math.ceil((LIMITS.rows + 1) / LIMITS.sliceRows))).to.throw('no room')
    for (let at = 0; at < LIMITS.rows; at++) put('z', '')
    restart()
    expect(String(rows.find(Buffer.from('k'))?.value)).to.equal('after')
  })

  it('finds one row behind thousands that wait to be deleted in a few reads of the table', () => {
    const table = new SqliteRows(database)
    let reads = 0
    const counted = new Proxy(table, {
      get(target, name) {
        if (name === 'scan') reads++
        const member: unknown = Reflect.get(target, name)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    rows = new WriteBehindRows(counted, new RecentEntries(database))
    const keys = Array.from({ length: 3_000 }, (_, at) => Buffer.from(`k/${String(at).padStart(4, '0')}`))
    transact(keys.map((key) => (target, now) => target.put(key, Buffer.alloc(0), now, undefined)))
    settle()
    transact(keys.slice(1, -1).map((key) => (target) => target.delete(key)))
    const behind = range('k/0001', '~')
    expect(rows.findFirst(behind)?.key).to.deep.equal(keys[2_999])
    const before = range('k/0001', 'k/2999')
    const rollUp = { from: 0, delimiter: DELIMITER }
    for (const reverse of [false, true]) {
      expect(rows.scan({ kind: 'scan', range: before, limit: 1, reverse })).to.deep.equal([])
    }
    expect(rows.scan({ kind: 'scan', range: behind, limit: 1, rollUp }).map(textOf)).to.deep.equal(['k/2999'])
    expect(reads).to.be.below(100)
  })

  it('writes a row that changes all the time once for many entries, and forgets these', () => {
    const head = Buffer.from('head')
    for (let at = 0; at < 400; at++) {
      transact([(table, now) => table.put(head, Buffer.from(`${at}`), now, undefined)])
    }
    const count = (table: string): unknown => database.prepare(`SELECT count(*) FROM ${table}`).pluck().get()
    expect(count('rows')).to.equal(1)
    expect(count('recent')).to.be.within(1, 100)
    restart()
    expect(String(rows.find(head)?.value)).to.equal('399')
    expect(count('recent')).to.equal(0)
  })
})
