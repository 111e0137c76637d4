import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import { ChangeRecord } from '../../../src/core/commit/commit-change-record.js'
import {
  COMMIT_OPERATIONS_MAX,
  COMMITS_WAITING_MAX,
  ENTRY_BYTES_MAX,
} from '../../../src/core/commit/commit-limits.js'
import type { Commit, CommitResult, EntryStore, ReadResult } from '../../../src/ports.js'
import { absent, atRevision, bytes, createWorld, empty, put, range, text } from '../../conformance/subject.js'

import {
  type Bench,
  bound,
  codeOf,
  create,
  createBench,
  failReads,
  rowsOf,
  run,
  start,
  storedText,
} from './commit-bench.js'

/** A bench whose turns of the event loop are taken one by one. */
function benchInTurns(): Bench & { turn(): Promise<void>; commit(key: string): Promise<CommitResult> } {
  const world = createWorld()
  const due: (() => void)[] = []
  const clock = { ...world.clock, defer: (task: () => void) => void due.push(task) }
  const bench = createBench({ world: { ...world, clock }, memory: createMemoryEntryStore(world) })
  const turn = async (): Promise<void> => {
    for (const task of due.splice(0)) task()
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  return { ...bench, turn, commit: (key) => start(bench, create(key)) }
}

describe('Batcher', () => {
  describe('sharing', () => {
    it('sends the commits of one turn in one entry', async () => {
      const bench = createBench()
      await run(bench, ...Array.from({ length: 64 }, (_, at) => create(`k/${at}`)))
      expect(bench.entries.map(({ commits }) => commits.length)).to.deep.equal([64])
    })

    it('lets an entry grow while each turn brings more, and no longer', async () => {
      const { store, entries, turn, commit } = benchInTurns()
      const first = commit('k/0')
      await turn()
      await first
      const others = [commit('k/1')]
      for (let at = 2; at < 6; at++) {
        others.push(commit(`k/${at}`))
        await turn()
      }
      await turn()
      await Promise.all(others)
      expect(entries.map(({ commits }) => commits.length)).to.deep.equal([1, 5])
      await store.close()
    })

    it('sends an entry in the end, however many commits keep coming', async () => {
      const { entries, turn, commit } = benchInTurns()
      const all = [commit('k/0')]
      for (let at = 1; at < 100 && entries.length === 0; at++) {
        all.push(commit(`k/${at}`))
        await turn()
      }
      expect(all.length).to.be.below(20)
      expect(entries[0]?.commits).to.have.length(all.length)
    })

    it('keeps every entry within the operations of a path and the bytes of a request', async () => {
      const bench = createBench()
      const small = Array.from({ length: 500 }, (_, at) => create(`k/${at}`))
      const large = Array.from({ length: 40 }, (_, at) => create(`l${at}`, 'x'.repeat(100_000)))
      const wide = Array.from({ length: 10 }, (_, at) => ({
        compares: [],
        puts: Array.from({ length: 1 + at * 12 }, (_unused, n) => put(`w/${at}/${n}`, '')),
      }))
      await run(bench, ...small, ...large, ...wide)
      for (const { commits, always } of bench.entries) {
        const depth = Math.max(
          ...commits.map(({ compares, puts }) => Math.max(compares.length, puts?.length ?? 0)),
        )
        expect(commits.length + always.length + depth).to.be.at.most(126)
        const puts = [...always, ...commits.flatMap((one) => one.puts ?? [])]
        expect(puts.reduce((sum, { key, value }) => sum + key.length + value.length, 0)).to.be.below(
          ENTRY_BYTES_MAX,
        )
      }
      expect(bench.entries.length).to.be.below(20)
    })

    it('refuses a commit that would not fit an entry of its own', async () => {
      const bench = createBench()
      const wide = (count: number, key: string): Commit => ({
        compares: [],
        puts: Array.from({ length: count }, (_, at) => put(`${key}/${at}`, '')),
      })
      expect(await codeOf(run(bench, wide(COMMIT_OPERATIONS_MAX + 1, 'a')))).to.equal('MessageTooLarge')
      expect(await codeOf(run(bench, create('b', 'x'.repeat(ENTRY_BYTES_MAX))))).to.equal('MessageTooLarge')
      expect(await codeOf(run(bench, wide(COMMIT_OPERATIONS_MAX, 'w')))).to.equal('none')
    })

    it('splits an entry that the store refuses as too large', async () => {
      const bench = createBench()
      bench.line.inject('too-large', 'too-large')
      const results = await run(bench, ...Array.from({ length: 8 }, (_, at) => create(`k/${at}`)))
      expect(results.every(({ committed }) => committed)).to.equal(true)
      expect(bench.entries.map(({ commits }) => commits.length)).to.deep.equal([8, 4, 2, 2, 4])
    })

    it('lets what conflicts wait, and nothing overtake what waits', async () => {
      const bench = createBench()
      const writes = (value: string, ...keys: string[]): Commit => ({
        compares: [],
        puts: keys.map((key) => put(key, value)),
      })
      await run(
        bench,
        writes('1', 'a'),
        writes('2', 'a', 'b'),
        writes('3', 'b', 'c'),
        writes('4', 'c'),
        writes('5', 'd'),
      )
      const order = bench.entries.map(({ commits }) =>
        commits.map(({ puts }) => text(puts?.[0]?.value)).join(),
      )
      expect(order).to.deep.equal(['1,5', '2', '3', '4'])
    })

    it('does not starve the deletion of a bucket behind a stream of writes', async () => {
      const bench = createBench()
      await run(bench, create('b/1'))
      const early = Array.from({ length: 100 }, (_, at) => create(`o/1/${at}`))
      const remove: Commit = {
        compares: [empty('o/2/', 'o/20')],
        puts: [put('g/1', '')],
        deletes: [bytes('b/1')],
      }
      const late = Array.from({ length: 400 }, (_, at) => ({
        compares: [atRevision('b/1', 1)],
        puts: [put(`o/1/late ${at}`, '')],
      }))
      const results = await run(bench, ...early, remove, ...late)
      expect(results[100]?.committed).to.equal(true)
      expect(results.slice(101).some(({ committed }) => committed)).to.equal(false)
    })

    it('answers Busy when too many commits wait', async () => {
      const bench = createBench()
      const started = Array.from({ length: COMMITS_WAITING_MAX }, (_, at) => start(bench, create(`k/${at}`)))
      expect(await codeOf(start(bench, create('one more')))).to.equal('Busy')
      await bench.world.clock.runUntil(Promise.all(started))
    })
  })

  describe('rows of its own', () => {
    it('raises lane and head with every entry and writes one change record for all commits', async () => {
      const bench = createBench()
      const change = (at: number): Commit => ({ ...create(`k/${at}`), changes: [bytes(`change ${at}`)] })
      await run(bench, change(1), change(2), create('k/3'))
      const lane = await storedText(bench, 'l/test')
      await run(bench, create('k/4'))
      expect(await storedText(bench, 'l/test')).not.to.equal(lane)
      expect(await storedText(bench, 'head')).to.equal(await storedText(bench, 'l/test'))
      const { results } = await bench.memory.read([{ kind: 'scan', range: range('c/', 'c0'), limit: 10 }])
      expect(results[0]).to.have.length(1)
      const record = ChangeRecord.decode(results[0]?.[0]?.value ?? Buffer.alloc(0))
      expect(record.changes.map(text)).to.deep.equal(['change 1', 'change 2'])
    })

    it('writes change records in rising order though the wall clock falls back, over restarts too', async () => {
      let bench = createBench()
      for (let at = 0; at < 6; at++) {
        await run(bench, { ...create(`k/${at}`), changes: [bytes(`${at}`)] })
        bench.world.clock.jumpWall(-3_600_000)
        if (at % 2 === 1) bench = createBench({ memory: bench.memory, world: bench.world })
      }
      const { results } = await bench.memory.read([{ kind: 'scan', range: range('c/', 'c0'), limit: 10 }])
      const order = (results[0] ?? []).map(({ value }) => text(ChangeRecord.decode(value).changes[0]))
      expect(order).to.deep.equal(['0', '1', '2', '3', '4', '5'])
    })

    it('refuses commits that touch them, but lets old change records be deleted', async () => {
      const bench = createBench()
      await run(bench, { ...create('k'), changes: [bytes('old')] })
      const touching: Commit[] = [
        { compares: [], puts: [put('head', '')] },
        { compares: [absent('l/other')] },
        { compares: [], deleteRanges: [range('k', 'm')] },
        { compares: [], deleteRanges: [range('c/', 'c0')] },
      ]
      for (const one of touching) expect(await codeOf(run(bench, one))).to.equal('InvalidArgument')
      const [old] = await rowsOf(bench, 'c/', 'c0')
      const to = Buffer.from(`${old}\0`, 'latin1')
      await run(bench, { compares: [], deleteRanges: [{ from: bytes('c/'), to }] })
      expect(await rowsOf(bench, 'c/', 'c0')).to.deep.equal([])
    })

    it('refuses keys that are empty or too long', async () => {
      const bench = createBench()
      expect(await codeOf(run(bench, create('k'.repeat(1_400))))).to.equal('none')
      expect(await codeOf(run(bench, create('k'.repeat(1_401))))).to.equal('InvalidArgument')
      expect(await codeOf(run(bench, create('')))).to.equal('InvalidArgument')
    })

    it('refuses a commit that writes a key twice', async () => {
      const bench = createBench()
      const twice: Commit[] = [
        { compares: [], puts: [put('a', '1'), put('a', '2')] },
        { compares: [], puts: [put('a', '1')], deletes: [bytes('a')] },
        { compares: [], puts: [put('a', '1')], deleteRanges: [range('a', 'b')] },
      ]
      for (const one of twice) expect(await codeOf(run(bench, one))).to.equal('InvalidArgument')
    })
  })

  describe('errors', () => {
    it('reports an error of the store to all commits of the entry, and goes on', async () => {
      const world = createWorld()
      const memory = createMemoryEntryStore(world)
      let full = true
      const failing: EntryStore = {
        ...bound(memory),
        apply: (entry) => (full ? Promise.reject(new CairnError('DriveFull', 'full')) : memory.apply(entry)),
      }
      const bench = createBench({ world, memory: failing })
      const codes = await world.clock.runUntil(
        Promise.all([codeOf(start(bench, create('a'))), codeOf(start(bench, create('b')))]),
      )
      expect(codes).to.deep.equal(['DriveFull', 'DriveFull'])
      full = false
      expect((await run(bench, create('a')))[0]?.committed).to.equal(true)
    })

    for (const code of [
      'MessageCorrupt',
      'FormatTooNew',
      'PeerRejected',
      'Internal',
      'DriveFailed',
    ] as const) {
      it(`ends a commit at once when its lane cannot be read for ${code}, which stays so`, async () => {
        const bench = createBench()
        const reads = failReads(bench, { code, of: 'l/test' })
        expect(await bench.world.clock.runUntil(codeOf(start(bench, create('k'))))).to.equal(code)
        expect(reads.failed).to.equal(1)
      })
    }

    it('lets what waits finish when it closes, then refuses', async () => {
      const bench = createBench()
      const pending = start(bench, create('a'))
      const closed = bench.store.close()
      expect(await codeOf(start(bench, create('b')))).to.equal('ShuttingDown')
      await bench.world.clock.runUntil(closed)
      expect((await pending).committed).to.equal(true)
    })
  })

  describe('reads', () => {
    it('join only a request that has not been sent yet', async () => {
      const world = createWorld()
      const memory = createMemoryEntryStore(world)
      const requests: { size: number; answer: () => void }[] = []
      const slow: EntryStore = {
        ...bound(memory),
        read: (reads) =>
          new Promise<ReadResult>((resolve) => {
            const result = memory.read(reads)
            requests.push({ size: reads.length, answer: () => resolve(result) })
          }),
      }
      const store = createKeyValueStore({ store: slow, ...world, service: 'test' })
      const reads = Array.from({ length: 9 }, (_, at) => store.read([{ kind: 'get', key: bytes(`k/${at}`) }]))
      expect(requests.map(({ size }) => size)).to.deep.equal([1, 1, 1, 1])
      await memory.apply({ commits: [], always: [put('k/8', 'new')] })
      requests[0]?.answer()
      await reads[0]
      expect(requests.map(({ size }) => size)).to.deep.equal([1, 1, 1, 1, 5])
      requests[4]?.answer()
      const last = await reads[8]
      expect(text(last?.results[0]?.[0]?.value)).to.equal('new')
    })

    it('of rows by their keys do not wait for scans that take long, nor share a request with them', async () => {
      const world = createWorld()
      const memory = createMemoryEntryStore(world)
      const scans: (() => void)[] = []
      const slow: EntryStore = {
        ...bound(memory),
        read: async (reads) => {
          const kinds = new Set(reads.map(({ kind }) => kind))
          expect(kinds.size).to.equal(1)
          if (kinds.has('scan')) await new Promise<void>((resolve) => scans.push(resolve))
          return memory.read(reads)
        },
      }
      const store = createKeyValueStore({ store: slow, ...world, service: 'test' })
      const listings = Array.from({ length: 9 }, () =>
        store.read([{ kind: 'scan', range: range('a', 'b'), limit: 1 }]),
      )
      for (let at = 0; at < 9; at++) await store.read([{ kind: 'get', key: bytes(`k/${at}`) }])
      while (scans.length > 0) {
        scans.shift()?.()
        await new Promise((resolve) => setImmediate(resolve))
      }
      await Promise.all(listings)
    })

    it('do not suffer for a wrong one in the same request', async () => {
      const bench = createBench()
      const read = (limit: number): Promise<string> =>
        codeOf(bench.store.read([{ kind: 'scan', range: range('a', 'b'), limit }]))
      const codes = await Promise.all([1, 1, 1, 1, 1, 0, 1].map(read))
      expect(codes).to.deep.equal(['none', 'none', 'none', 'none', 'none', 'InvalidArgument', 'none'])
    })

    it('do not suffer for a damaged row in the same request', async () => {
      const bench = createBench()
      failReads(bench, { code: 'MessageCorrupt', of: 'bad' })
      const read = (key: string): Promise<string> =>
        codeOf(bench.store.read([{ kind: 'get', key: bytes(key) }]))
      const codes = await Promise.all(['1', '2', '3', '4', '5', 'bad', '6'].map(read))
      expect(codes).to.deep.equal(['none', 'none', 'none', 'none', 'none', 'MessageCorrupt', 'none'])
    })
  })
})
