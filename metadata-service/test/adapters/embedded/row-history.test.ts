import { expect } from 'chai'
import { RowHistory } from '../../../src/adapters/embedded/row-history.js'

const key = (name: string): Uint8Array => Buffer.from(name)

describe('RowHistory', () => {
  const note = (history: RowHistory, name: string, revision: number, value?: string): void => {
    const row = { key: key(name), value: Buffer.from(value ?? ''), revision, created: revision }
    history.note({ key: key(name), revision }, value === undefined ? undefined : row)
  }
  const at = (history: RowHistory, name: string, revision: number): string | undefined => {
    const row = history.rowAt(key(name), revision)
    return row === undefined ? undefined : Buffer.from(row.value).toString()
  }

  it('knows what a row was before it was changed, and before it was there', () => {
    const history = new RowHistory()
    note(history, 'a', 2, 'first')
    note(history, 'a', 4, 'second')
    note(history, 'a', 6)
    const found = [1, 2, 3, 4, 5, 6, 7].map((revision) => at(history, 'a', revision))
    expect(found).to.deep.equal([undefined, 'first', 'first', 'second', 'second', undefined, undefined])
  })

  it('says so when it has forgotten a revision, and never forgets how rows are now', () => {
    const history = new RowHistory()
    note(history, 'old', 1, 'stays')
    note(history, 'gone', 2, 'goes')
    note(history, 'gone', 3)
    for (let revision = 4; revision < 30_000; revision++) note(history, 'busy', revision, String(revision))
    expect(() => at(history, 'old', 2)).to.throw(/no longer kept/)
    const now = ['old', 'gone', 'busy'].map((name) => at(history, name, 30_000))
    expect(now).to.deep.equal(['stays', undefined, '29999'])
  })
})
