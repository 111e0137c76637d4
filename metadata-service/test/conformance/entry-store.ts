/** What every `EntryStore` promises about entries of several commits. */
import { expect } from 'chai'
import type { EntryStore, Read, StoreRow } from '../../src/ports.js'
import { absent, atRevision, bytes, put, range, text, type World } from './subject.js'

export interface EntrySubject {
  readonly world: World
  readonly store: EntryStore
  /** Makes a store forget its events that would not do so by itself, however many there are. */
  forgetEvents?(beforeRevision: number): Promise<void>
  discard?(): void
}

/** Runs the suite; `open` gives a fresh, empty store. */
export function describeEntryStore(name: string, open: () => EntrySubject | Promise<EntrySubject>): void {
  describe(`${name} as an EntryStore`, () => {
    let subject: EntrySubject
    let store: EntryStore
    /** Of the empty store; others may have written beside it before. */
    let start: number

    beforeEach(async () => {
      subject = await open()
      store = subject.store
      start = (await store.read([])).revision
    })

    afterEach(async () => {
      await store.close()
      subject.discard?.()
    })

    async function find(key: string): Promise<StoreRow | undefined> {
      return (await store.read([{ kind: 'get', key: bytes(key) }])).results[0]?.[0]
    }

    async function codeOf(action: Promise<unknown>): Promise<string> {
      return action.then(
        () => 'none',
        (error: { code: string }) => error.code,
      )
    }

    it('judges each commit by the state before the entry and by its own compares', async () => {
      await store.apply({ commits: [], always: [put('a', '1')] })
      const results = await store.apply({
        commits: [
          { compares: [atRevision('a', start + 1)], puts: [put('b', '1')] },
          { compares: [absent('a')], puts: [put('c', '1')] },
          { compares: [absent('d')], puts: [put('d', '1')] },
        ],
        always: [put('lane', '1')],
      })
      expect(results.map(({ committed }) => committed)).to.deep.equal([true, false, true])
      expect(results.map(({ revision }) => revision - start)).to.deep.equal([2, 2, 2])
      expect((await find('b'))?.revision).to.equal(start + 2)
      expect(await find('c')).to.equal(undefined)
    })

    it('puts the rows of an entry even if all its commits are refused', async () => {
      const refused = { compares: [atRevision('a', start + 7)], puts: [put('b', '1')] }
      await store.apply({ commits: [refused], always: [put('lane', '1')] })
      expect(text((await find('lane'))?.value)).to.equal('1')
    })

    it('keeps the revision when nothing is written', async () => {
      await store.apply({ commits: [], always: [put('a', '1')] })
      await store.apply({ commits: [{ compares: [absent('a')], puts: [put('a', '2')] }], always: [] })
      await store.apply({ commits: [{ compares: [], deletes: [bytes('none')] }], always: [] })
      expect((await store.read([])).revision).to.equal(start + 1)
    })

    it('refuses a whole entry whose fence does not hold', async () => {
      const fenced = (value: string | undefined, next: string): Promise<unknown> =>
        store.apply({
          commits: [{ compares: [], puts: [put('a', next)] }],
          always: [put('lane', next)],
          fence: { key: bytes('lane'), value: value === undefined ? undefined : bytes(value) },
        })
      expect(await codeOf(fenced('0', '1'))).to.equal('PreconditionFailed')
      expect(await find('a')).to.equal(undefined)
      expect(await codeOf(fenced(undefined, '1'))).to.equal('none')
      expect(await codeOf(fenced(undefined, '2'))).to.equal('PreconditionFailed')
      expect(await codeOf(fenced('0', '2'))).to.equal('PreconditionFailed')
      expect(await codeOf(fenced('1', '2'))).to.equal('none')
      expect(text((await find('a'))?.value)).to.equal('2')
      expect((await store.read([])).revision).to.equal(start + 2)
    })

    it('writes nothing of an entry that puts a row under an ended lease', async () => {
      const entry = {
        commits: [
          { compares: [], puts: [put('a', '1')] },
          { compares: [], puts: [put('b', '1', '77')] },
        ],
        always: [put('lane', '1')],
      }
      expect(await codeOf(store.apply(entry))).to.equal('SessionExpired')
      expect(await find('a')).to.equal(undefined)
      expect(await find('lane')).to.equal(undefined)
    })

    it('does not mind an ended lease in a commit that is refused', async () => {
      const refused = { compares: [atRevision('a', 7)], puts: [put('b', '1', '77')] }
      const results = await store.apply({ commits: [refused], always: [] })
      expect(results[0]?.committed).to.equal(false)
    })

    it('gives the events of one entry one revision', async () => {
      await store.apply({ commits: [], always: [put('w/1', '1'), put('w/2', '1')] })
      await store.apply({
        commits: [{ compares: [], deleteRanges: [range('w/', 'w0')] }],
        always: [put('x', '')],
      })
      const events = store.watch(range('', '~'), start + 1, new AbortController().signal)
      const seen: string[] = []
      for await (const { key, revision } of events) {
        seen.push(`${text(key)}@${revision - start}`)
        if (seen.length === 3) break
      }
      expect(seen).to.deep.equal(['w/1@2', 'w/2@2', 'x@2'])
    })

    it('forgets old events and then refuses to watch from before them', async () => {
      const value = Buffer.alloc(1024 * 1024)
      for (let at = 0; at < 40; at++)
        await store.apply({ commits: [], always: [{ key: bytes('big'), value }] })
      await subject.forgetEvents?.(start + 39)
      const next = (from: number): Promise<unknown> =>
        store.watch(range('a', 'z'), from, new AbortController().signal)[Symbol.asyncIterator]().next()
      expect(await codeOf(next(start + 1))).to.equal('Busy')
      expect(await codeOf(next(start + 39))).to.equal('none')
    })

    it('reads in the turn, if it can, what it reads later', async () => {
      await store.apply({ commits: [], always: [put('a', '1'), put('b', '2')] })
      const reads: readonly Read[] = [
        { kind: 'get', key: bytes('a') },
        { kind: 'get', key: bytes('none') },
        { kind: 'scan', range: range('a', 'c'), limit: 10 },
      ]
      const later = await store.read(reads)
      expect(store.readNow?.(reads) ?? later).to.deep.equal(later)
    })

    it('gives rows as an entry left them until others write them', async () => {
      const [made] = await store.apply({
        commits: [{ compares: [absent('a')], puts: [put('a', '1')] }],
        always: [put('lane', '1')],
      })
      const [row, none] = await store.rowsAt([bytes('a'), bytes('b')], made?.revision ?? 0)
      expect([text(row?.value), row?.revision, none]).to.deep.equal(['1', made?.revision, undefined])
    })

    it('refuses everything once it is closed', async () => {
      await store.close()
      expect(await codeOf(store.apply({ commits: [], always: [] }))).to.equal('ShuttingDown')
      expect(await codeOf(store.read([]))).to.equal('ShuttingDown')
      const watch = store.watch(range('a', 'z'), 0, new AbortController().signal)
      expect(await codeOf(watch[Symbol.asyncIterator]().next())).to.equal('ShuttingDown')
    })
  })
}
