/** What every `KeyValueStore` promises (`src/ports.ts`), whatever it stands on. */

import { hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import type { Commit, CommitResult, Read, StoreEvent, StoreRow } from '../../src/ports.js'
import { describeLeases, type LeaseTimes } from './key-value-leases.js'
import { describeRaces } from './key-value-races.js'
import { describeAgainstModel } from './model.js'
import {
  absent,
  atRevision,
  bytes,
  commit,
  commitAll,
  createdAt,
  empty,
  find,
  put,
  range,
  type Subject,
  scan,
  settle,
  text,
  write,
} from './subject.js'

const committed = (results: readonly CommitResult[]): boolean[] => results.map((result) => result.committed)

async function codeOf(action: Promise<unknown>): Promise<string> {
  try {
    await action
    return 'none'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

async function reopen(subject: Subject, how: 'after a clean close' | 'after a kill'): Promise<Subject> {
  const again = await subject.reopen?.(how)
  if (again === undefined) throw new Error('the store cannot be opened again')
  subject.discard?.()
  return again
}

export interface KeyValueStoreTraits {
  /** Random histories; 200 unless given. */
  readonly histories?: number
  /** `Subject.reopen` works. */
  readonly outlivesProcess: boolean
  readonly leases?: LeaseTimes
}

/**
 * Runs the suite; `open` gives a fresh, empty store in a world of its own. A proof in these tests is the first value
 * put, so no two commits of a test put the same one.
 */
export function describeKeyValueStore(
  name: string,
  open: (worldSeed?: number) => Promise<Subject>,
  { outlivesProcess, leases, histories = 200 }: KeyValueStoreTraits,
): void {
  describe(`${name} as a KeyValueStore`, () => {
    let subject: Subject

    beforeEach(async () => {
      subject = await open()
    })

    afterEach(async () => {
      await settle(subject, subject.store.close())
      subject.discard?.()
    })

    describe('compares', () => {
      it('commits when a row is at the revision compared, and not at another', async () => {
        const revision = await write(subject, put('a', '1'))
        const stale = { compares: [atRevision('a', revision - 1)], puts: [put('a', 'stale')] }
        expect((await commit(subject, stale)).committed).to.equal(false)
        const fresh = { compares: [atRevision('a', revision)], puts: [put('a', '2')] }
        expect((await commit(subject, fresh)).committed).to.equal(true)
        expect((await commit(subject, { ...fresh, puts: [put('a', '3')] })).committed).to.equal(false)
        expect(text((await find(subject, 'a'))?.value)).to.equal('2')
      })

      it('does not find an absent row at any revision', async () => {
        for (const revision of [0, 1]) {
          const one = { compares: [atRevision('a', revision)], puts: [put('a', '1')] }
          expect((await commit(subject, one)).committed).to.equal(false)
        }
      })

      it('commits on absence only while the row is absent', async () => {
        const one = { compares: [absent('a')], puts: [put('a', '1')] }
        expect((await commit(subject, one)).committed).to.equal(true)
        expect((await commit(subject, { ...one, puts: [put('a', '2')] })).committed).to.equal(false)
        await commit(subject, { compares: [], deletes: [bytes('a')] })
        expect((await commit(subject, { ...one, puts: [put('a', '3')] })).committed).to.equal(true)
      })

      it('takes a row that was changed, but not one made again, for the same creation', async () => {
        const created = await write(subject, put('a', '1'))
        await write(subject, put('a', '2'))
        expect((await find(subject, 'a'))?.created).to.equal(created)
        const one = { compares: [createdAt('a', created)], puts: [put('b', '1')] }
        expect((await commit(subject, one)).committed).to.equal(true)
        await commit(subject, { compares: [], deletes: [bytes('a')] })
        expect((await commit(subject, { ...one, puts: [put('b', '2')] })).committed).to.equal(false)
        await write(subject, put('a', '3'))
        expect((await commit(subject, { ...one, puts: [put('b', '3')] })).committed).to.equal(false)
      })

      it('sees a range as empty from its start up to, not including, its end', async () => {
        await write(subject, put('k/m', '1'))
        const verdicts = await commitAll(
          subject,
          { compares: [empty('k/a', 'k/m')], puts: [put('x1', '')] },
          { compares: [empty('k/m', 'k/n')], puts: [put('x2', '')] },
          { compares: [empty('k/m\0', 'k/n')], puts: [put('x3', '')] },
        )
        expect(committed(verdicts)).to.deep.equal([true, false, true])
      })

      it('commits only if all compares hold', async () => {
        const revision = await write(subject, put('a', '1'))
        const one = { compares: [atRevision('a', revision), absent('a')], puts: [put('b', '1')] }
        expect((await commit(subject, one)).committed).to.equal(false)
        expect(await find(subject, 'b')).to.equal(undefined)
      })

      it('returns the rows compared when it refuses, in order', async () => {
        const revision = await write(subject, put('k/a', '1'), put('k/c', '3'))
        const one = {
          compares: [
            absent('k/a'),
            absent('k/b'),
            createdAt('k/c', revision),
            empty('k/b', 'k/z'),
            empty('k/x', 'k/z'),
          ],
          puts: [put('k/d', '1')],
        }
        const result = await commit(subject, one)
        if (result.committed) throw new Error('committed')
        expect(result.rows.map((row) => text(row?.value))).to.deep.equal([
          '1',
          undefined,
          '3',
          '3',
          undefined,
        ])
        expect(result.rows[0]?.revision).to.equal(revision)
        expect(result.rows[0]?.created).to.equal(revision)
        expect(text(result.rows[3]?.key)).to.equal('k/c')
      })
    })

    describe('writes', () => {
      it('raises the revision with every commit and gives it to the rows', async () => {
        const first = await write(subject, put('a', '1'))
        const second = await write(subject, put('a', '2'), put('b', '1'))
        expect(second).to.be.greaterThan(first)
        const row = await find(subject, 'a')
        expect([row?.created, row?.revision]).to.deep.equal([first, second])
        expect((await find(subject, 'b'))?.created).to.equal(second)
      })

      it('deletes rows and whole ranges, and nothing beside them', async () => {
        await write(subject, ...['a', 'b', 'c', 'd', 'e'].map((key) => put(`k/${key}`, '')))
        await commit(subject, {
          compares: [],
          deletes: [bytes('k/a'), bytes('k/none')],
          deleteRanges: [range('k/b', 'k/d')],
        })
        expect(await scan(subject, ['k/', 'k0'])).to.deep.equal(['k/d=', 'k/e='])
      })

      it('keeps keys and values byte by byte, empty values too', async () => {
        const key = Buffer.from([0x6b, 0x00, 0xff, 0x80, 0x00])
        const value = Buffer.from(Array.from({ length: 256 }, (_, at) => at))
        await commit(subject, {
          compares: [],
          puts: [
            { key, value },
            { key: bytes('k-empty'), value: Buffer.alloc(0) },
          ],
        })
        const { results } = await settle(subject, subject.store.read([{ kind: 'get', key }]))
        expect(Buffer.compare(results[0]?.[0]?.value ?? Buffer.alloc(0), value)).to.equal(0)
        expect(Buffer.compare(results[0]?.[0]?.key ?? Buffer.alloc(0), key)).to.equal(0)
        expect((await find(subject, 'k-empty'))?.value.length).to.equal(0)
      })
    })

    describe('reads', () => {
      it('scans in byte order, forward and back, up to the limit', async () => {
        await write(subject, ...['s/b', 's/a', 's/a/b', 's/é', 's/a\0'].map((key) => put(key, '')))
        const all = ['s/a', 's/a\0', 's/a/b', 's/b', 's/é'].map((key) => `${key}=`)
        expect(await scan(subject, ['s/', 's0'])).to.deep.equal(all)
        expect(await scan(subject, ['s/', 's0'], { limit: 2 })).to.deep.equal(all.slice(0, 2))
        expect(await scan(subject, ['s/', 's0'], { reverse: true, limit: 2 })).to.deep.equal(
          all.slice(3).reverse(),
        )
        expect(await scan(subject, ['s/b', 's/a'])).to.deep.equal([])
      })

      it('gives the same rows in long scans as in short ones, byte by byte', async () => {
        const rows = Array.from({ length: 100 }, (_, at) => ({
          key: Buffer.concat([bytes('s/'), Buffer.from([at, 0, 255 - at]), Buffer.alloc(at, 0xff)]),
          value: Buffer.from(Array.from({ length: at * 3 }, (__, place) => (at + place) % 256)),
        }))
        await write(subject, ...rows.slice(0, 50))
        await write(subject, ...rows.slice(50))
        const single = rows.map(({ key }): Read => ({ kind: 'get', key }))
        const one = await settle(subject, subject.store.read(single))
        const within = range('s/', 's0')
        const long = await settle(subject, subject.store.read([{ kind: 'scan', range: within, limit: 1000 }]))
        expect(long.results[0]?.map(contentOf)).to.deep.equal(one.results.map(([row]) => contentOf(row)))
        const some = await settle(subject, subject.store.read([{ kind: 'scan', range: within, limit: 40 }]))
        expect(some.results[0]?.map(contentOf)).to.deep.equal(long.results[0]?.slice(0, 40).map(contentOf))
        const none = { kind: 'scan', range: range('t/', 't0'), limit: 1000 } as const
        expect((await settle(subject, subject.store.read([none]))).results[0]).to.deep.equal([])
      })

      it('gives the first row of every group, and every row that stands alone, when it may roll up', async () => {
        const groups = Array.from({ length: 40 }, (_, at) => String.fromCharCode(0x30 + at))
        const grouped = groups.flatMap((name) => [`s/${name}x/1`, `s/${name}x/2`, `s/${name}x/3`])
        const alone = groups.map((name) => `s/${name}y`)
        await write(subject, ...grouped.slice(0, 100).map((key) => put(key, '')))
        await write(subject, ...[...grouped.slice(100), ...alone].map((key) => put(key, '')))
        const rollUp = { from: 2, delimiter: bytes('/') }
        const needed = groups.flatMap((name) => [`s/${name}x/1=`, `s/${name}y=`])
        const found = await scan(subject, ['s/', 's0'], { rollUp })
        expect(found.filter((row) => !/[23]=$/.test(row))).to.deep.equal(needed)
        const some = await scan(subject, ['s/', 's0'], { rollUp, limit: 7 })
        expect(some).to.have.length(7)
        expect(found.slice(0, 7)).to.deep.equal(some)
        expect((await scan(subject, ['s/0x/2', 's/1'], { rollUp }))[0]).to.equal('s/0x/2=')
      })

      it('refuses scans without a sensible limit', async () => {
        for (const limit of [0, 10_001, 1.5]) {
          const read = subject.store.read([{ kind: 'scan', range: range('a', 'b'), limit }])
          expect(await codeOf(settle(subject, read))).to.equal('InvalidArgument')
        }
      })

      it('reads at one revision while writers run', async () => {
        await write(subject, put('x', '0'), put('y', '0'))
        const writers = Array.from({ length: 30 }, (_, at) => {
          const one: Commit = { compares: [], puts: [put('x', `${at}`), put('y', `${at}`)] }
          return subject.store.commit({ ...one, proof: { keys: [], carries: () => false } })
        })
        const reads = Array.from({ length: 30 }, () =>
          subject.store
            .read([
              { kind: 'get', key: bytes('x') },
              { kind: 'scan', range: range('y', 'z'), limit: 10 },
            ])
            .catch((error: unknown) => {
              if (!hasCode(error, 'ConnectionLost')) throw error
              return undefined
            }),
        )
        await settle(subject, Promise.all(writers))
        for (const result of await settle(subject, Promise.all(reads))) {
          if (result === undefined) continue
          expect(text(result.results[0]?.[0]?.value)).to.equal(text(result.results[1]?.[0]?.value))
          expect(result.results[0]?.[0]?.revision).to.be.at.most(result.revision)
        }
      })
    })

    describeRaces(() => subject)

    describe('watch', () => {
      async function take(events: AsyncIterable<StoreEvent>, count: number): Promise<string[]> {
        const seen: string[] = []
        for await (const { key, value, revision } of events) {
          expect(revision).to.be.greaterThan(0)
          seen.push(`${text(key)}=${text(value) ?? 'deleted'}`)
          if (seen.length === count) break
        }
        return seen
      }

      it('gives the events after a revision, then new ones, in order', async () => {
        const from = await write(subject, put('w/0', 'before'))
        await write(subject, put('w/1', '1'))
        await write(subject, put('other', '-'))
        const { signal } = new AbortController()
        const seen = take(subject.store.watch(range('w/', 'w0'), from, signal), 4)
        await write(subject, put('w/1', '2'))
        await commit(subject, { compares: [], deletes: [bytes('w/1')], puts: [put('w/2', '1')] })
        expect(await seen).to.deep.equal(['w/1=1', 'w/1=2', 'w/1=deleted', 'w/2=1'])
      })

      it('ends when its signal aborts', async () => {
        const from = await write(subject, put('w/0', 'before'))
        const abort = new AbortController()
        const seen = take(subject.store.watch(range('w/', 'w0'), from, abort.signal), 1)
        await subject.world.clock.advance(1)
        abort.abort()
        expect(await seen).to.deep.equal([])
      })
    })

    if (outlivesProcess) {
      describe('over restarts', () => {
        for (const how of ['after a clean close', 'after a kill'] as const) {
          it(`keeps every committed row ${how}`, async () => {
            const lease = await settle(subject, subject.store.grantLease(10_000))
            let last = 0
            for (let at = 0; at < 50; at++) last = await write(subject, put(`r/${at}`, `row ${at}`))
            last = await write(subject, put('s/1', 'session', lease))
            await subject.world.clock.advance(6_000)
            subject = await reopen(subject, how)
            expect(await scan(subject, ['r/', 'r0'])).to.have.length(50)
            expect((await find(subject, 's/1'))?.revision).to.equal(last)
            expect(await write(subject, put('r/new', ''))).to.be.greaterThan(last)
            await subject.world.clock.advance(9_000)
            expect(text((await find(subject, 's/1'))?.value)).to.equal('session')
            await subject.world.clock.advance(1_001)
            expect(await find(subject, 's/1')).to.equal(undefined)
          })

          it(`refuses to watch from before the restart ${how}`, async () => {
            const from = await write(subject, put('w/1', '1'))
            await write(subject, put('w/2', '1'))
            subject = await reopen(subject, how)
            const events = subject.store.watch(range('w/', 'w0'), from, new AbortController().signal)
            expect(await codeOf(events[Symbol.asyncIterator]().next())).to.equal('Busy')
          })
        }
      })
    }
  })

  describeLeases(name, open, leases)
  describeAgainstModel(name, open, histories)
}

function contentOf(row: StoreRow | undefined): unknown {
  const { key, value, revision, created } = row ?? { key: [], value: [] }
  return { key: [...key], value: [...value], revision, created }
}
