import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createOrderedRows } from '../../../src/adapters/embedded/ordered-rows.js'
import type { RowTable } from '../../../src/adapters/embedded/row-table.js'
import { CachedRows } from '../../../src/adapters/sqlite/cached-rows.js'
import type { StoreRow } from '../../../src/ports.js'
import { seed } from '../../conformance/subject.js'

const KEY = Buffer.from('o/key')
const VALUE = Buffer.from('value')

/** A table that counts the rows looked up in it. */
function counting(): { table: RowTable; lookUps: () => number } {
  const table = createOrderedRows()
  const find = table.find.bind(table)
  let count = 0
  table.find = (key) => {
    count++
    return find(key)
  }
  return { table, lookUps: () => count }
}

/** What a caller may rely on. */
function facts(row: StoreRow | undefined): unknown {
  return row && [Buffer.from(row.value).toString(), row.revision, row.created]
}

/** One step that the dice choose, and what came of it. */
function step(
  table: RowTable,
  { dice, key, to, revision }: { dice: number; key: Buffer; to: Buffer; revision: number },
): unknown {
  if (dice < 0.3) return table.put(key, VALUE, revision, undefined)
  if (dice < 0.4) return table.delete(key)
  if (dice < 0.405) return table.deleteRange({ from: key, to }).length
  return facts(table.find(key))
}

describe('CachedRows', () => {
  it(`answers as its table does, whatever is written (seed ${seed})`, () => {
    const random = createSeededRandom(seed)
    const plain = createOrderedRows()
    const cached = new CachedRows(createOrderedRows())
    for (let revision = 1; revision <= 20_000; revision++) {
      const key = Buffer.from([random.fraction() * 64])
      const to = Buffer.from([64 + random.fraction() * 8])
      const dice = random.fraction()
      if (dice < 0.01) cached.forgetAll()
      expect(step(cached, { dice, key, to, revision }), `revision ${revision}`).to.deep.equal(
        step(plain, { dice, key, to, revision }),
      )
    }
  })

  it('looks a row, or its absence, up once', () => {
    const { table, lookUps } = counting()
    const cached = new CachedRows(table)
    expect(cached.find(KEY)).to.equal(undefined)
    expect(cached.findVersion(KEY)).to.equal(undefined)
    cached.put(KEY, VALUE, 7, undefined)
    expect(cached.find(KEY)).to.deep.include({ revision: 7, created: 7 })
    expect(lookUps()).to.equal(1)
  })

  it('looks again when changes may have been undone', () => {
    const { table, lookUps } = counting()
    const cached = new CachedRows(table)
    cached.find(KEY)
    cached.put(KEY, VALUE, 7, undefined)
    table.delete(KEY)
    cached.forgetAll()
    expect(cached.find(KEY)).to.equal(undefined)
    expect(lookUps()).to.equal(2)
  })

  it('knows when a row was made although it was rewritten unread', () => {
    const table = createOrderedRows()
    const cached = new CachedRows(table)
    table.put(KEY, VALUE, 3, undefined)
    cached.put(KEY, VALUE, 9, undefined)
    expect(cached.find(KEY)).to.deep.include({ revision: 9, created: 3 })
  })
})
