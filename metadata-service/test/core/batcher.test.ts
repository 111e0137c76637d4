import { CairnError, type ErrorCode } from '@cairn/protocol'
import { expect } from 'chai'
import { createMemoryEntryStore } from '../../src/adapters/memory-entry-store.js'
import { createKeyValueStore } from '../../src/core/batcher.js'
import { ChangeRecord } from '../../src/core/commit-change-record.js'
import { COMMIT_OPERATIONS_MAX, COMMITS_WAITING_MAX, ENTRY_BYTES_MAX } from '../../src/core/commit-limits.js'
import type { Commit, CommitResult, Entry, EntryStore, KeyValueStore, ReadResult } from '../../src/ports.js'
import {
  createFaultyEntryStore,
  type EntryFault,
  type FaultyEntryStore,
} from '../../src/simulation/faulty-entry-store.js'
import {
  absent,
  atRevision,
  bytes,
  createWorld,
  empty,
  proofOf,
  put,
  range,
  text,
  type World,
  withIsolationCheck,
} from '../conformance/subject.js'

interface Bench {
  readonly world: World
  readonly memory: EntryStore
  readonly line: FaultyEntryStore
  readonly store: KeyValueStore
  readonly entries: Entry[]
}

/** A batcher over a recorded, checked, faulty memory store. */
function createBench(
  options: { entriesInFlight?: number; memory?: EntryStore; world?: World; service?: string } = {},
): Bench {
  const world = options.world ?? createWorld()
  const memory = options.memory ?? createMemoryEntryStore({ clock: world.clock })
  const line = createFaultyEntryStore({ store: withIsolationCheck(memory), random: world.random })
  const entries: Entry[] = []
  const recorded: EntryStore = {
    ...bound(line),
    apply(entry) {
      entries.push(entry)
      return line.apply(entry)
    },
  }
  const { entriesInFlight = 1, service = 'test' } = options
  const store = createKeyValueStore({ store: recorded, ...world, service, entriesInFlight })
  return { world, memory, line, store, entries }
}

function bound(store: EntryStore): EntryStore {
  return {
    apply: (entry) => store.apply(entry),
    read: (reads) => store.read(reads),
    watch: (within, from, signal) => store.watch(within, from, signal),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    renewLease: (lease) => store.renewLease(lease),
    revokeLease: (lease) => store.revokeLease(lease),
    close: () => store.close(),
  }
}

function start({ store }: Bench, one: Commit): Promise<CommitResult> {
  return store.commit({ ...one, proof: proofOf(one) })
}

function run(bench: Bench, ...commits: Commit[]): Promise<CommitResult[]> {
  return bench.world.clock.runUntil(Promise.all(commits.map((one) => start(bench, one))))
}

async function storedText({ memory }: Bench, key: string): Promise<string | undefined> {
  return text((await memory.read([{ kind: 'get', key: bytes(key) }])).results[0]?.[0]?.value)
}

async function rowsOf({ memory }: Bench, from: string, to: string): Promise<string[]> {
  const { results } = await memory.read([{ kind: 'scan', range: range(from, to), limit: 10_000 }])
  return (results[0] ?? []).map(({ key }) => Buffer.from(key).toString('latin1'))
}

function codeOf(action: Promise<unknown>): Promise<ErrorCode | 'none'> {
  return action.then(
    () => 'none' as const,
    (error: unknown) => {
      if (error instanceof CairnError) return error.code
      throw error
    },
  )
}

const create = (key: string, value = key): Commit => ({ compares: [absent(key)], puts: [put(key, value)] })

describe('Batcher', () => {
  describe('sharing', () => {
    it('sends the commits of one turn in one entry', async () => {
      const bench = createBench()
      await run(bench, ...Array.from({ length: 64 }, (_, at) => create(`k/${at}`)))
      expect(bench.entries.map(({ commits }) => commits.length)).to.deep.equal([64])
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

  describe('lost answers', () => {
    const faults: (EntryFault | undefined)[] = [undefined, 'lost-before', 'lost-after', 'late']
    const sequences = faults.flatMap((a) => faults.flatMap((b) => faults.map((c) => [a, b, c])))

    for (const [index, sequence] of sequences.entries()) {
      it(`never give a false result or a doubled effect: ${sequence.map((one) => one ?? 'none').join(', ')}`, async () => {
        const bench = createBench({ world: createWorld(index) })
        bench.line.failReads(index % 3)
        bench.line.inject(...sequence)
        const counted = await countUp(bench, 12)
        await bench.line.calm()
        expect(await storedText(bench, 'counter')).to.equal(`12 ${counted}`)
        const races = await run(bench, create('k', 'a'), create('k', 'b'), create('k', 'c'))
        expect(races.filter(({ committed }) => committed)).to.have.length(1)
        expect(await rowsOf(bench, 'op/', 'op0')).to.have.length(12)
      })
    }

    /** Raises a counter by compare and swap, four writers at once, until each has succeeded often enough. */
    async function countUp(bench: Bench, total: number): Promise<number> {
      const state = { done: 0, attempts: 0, lastOp: 0 }
      const writer = async (): Promise<void> => {
        for (let mine = 0; mine < total / 4; ) mine += (await raiseCounter(bench, state)) ? 1 : 0
      }
      await bench.world.clock.runUntil(Promise.all([writer(), writer(), writer(), writer()]))
      return state.lastOp
    }

    interface Count {
      done: number
      attempts: number
      lastOp: number
    }

    async function raiseCounter(bench: Bench, state: Count): Promise<boolean> {
      const { results } = await bench.memory.read([{ kind: 'get', key: bytes('counter') }])
      const row = results[0]?.[0]
      const next = 1 + Number(text(row?.value ?? bytes('0'))?.split(' ')[0])
      const op = ++state.attempts
      const compare = row === undefined ? absent('counter') : atRevision('counter', row.revision)
      const puts = [put('counter', `${next} ${op}`), put(`op/${op}`, '')]
      const { committed } = await start(bench, { compares: [compare], puts })
      if (!committed) return false
      state.lastOp = op
      expect(next, 'each success raises the counter by one').to.equal(++state.done)
      return true
    }

    it('give the revision at which the commit happened', async () => {
      const bench = createBench()
      bench.line.inject('lost-after')
      const [result] = await run(bench, create('k'))
      const { results } = await bench.memory.read([{ kind: 'get', key: bytes('k') }])
      expect(result).to.deep.equal({ committed: true, revision: results[0]?.[0]?.revision })
    })

    it('are settled by the rows when another run has moved the lane meanwhile', async () => {
      const bench = createBench()
      const other = createBench({ memory: bench.memory, world: bench.world })
      bench.line.inject('lost-after')
      bench.line.failReads(0)
      const first = start(bench, create('k', 'mine'))
      const apply = bench.line.apply.bind(bench.line)
      bench.line.apply = async (entry) => {
        bench.line.apply = apply
        try {
          return await apply(entry)
        } finally {
          await bench.memory.apply({ commits: [], always: [put('l/test', 'moved')] })
        }
      }
      expect(await bench.world.clock.runUntil(first)).to.deep.equal({ committed: true, revision: 1 })
      const [again] = await run(other, create('k', 'other'))
      expect(again?.committed).to.equal(false)
    })

    it('end as OutcomeUnknown for a commit whose proof cannot be judged, and only for it', async () => {
      const bench = createBench()
      bench.line.inject('lost-after')
      const carries = (): boolean => {
        throw new CairnError('FormatTooNew', 'a newer row')
      }
      const unjudged = codeOf(bench.store.commit({ ...create('a'), proof: { keys: [bytes('a')], carries } }))
      const neighbour = start(bench, create('b'))
      expect(await bench.world.clock.runUntil(unjudged)).to.equal('OutcomeUnknown')
      expect((await neighbour).committed).to.equal(true)
    })

    it('end as OutcomeUnknown when the store stays silent, and what waits as Busy', async () => {
      const bench = createBench()
      await run(bench, create('k/0'))
      const startedMs = bench.world.clock.monotonicMs()
      bench.line.inject(...Array.from({ length: 1000 }, () => 'lost-before' as const))
      const lost = codeOf(start(bench, create('k/1')))
      await bench.world.clock.advance(50)
      const waiting = codeOf(start(bench, create('k/2')))
      bench.line.failReads(1_000)
      expect(await bench.world.clock.runUntil(lost)).to.equal('OutcomeUnknown')
      expect(bench.world.clock.monotonicMs() - startedMs).to.be.within(10_000, 12_000)
      expect(await bench.world.clock.runUntil(waiting)).to.equal('Busy')
      expect(await rowsOf(bench, 'k/', 'k0')).to.deep.equal(['k/0'])
    })

    it('do not hinder two runs that share a lane by mistake', async () => {
      const bench = createBench()
      const other = createBench({ memory: bench.memory, world: bench.world })
      const commits = Array.from({ length: 10 }, (_, at) => create(`k/${at}`, `${at}`))
      for (const one of commits) {
        const both = await bench.world.clock.runUntil(Promise.all([start(bench, one), start(other, one)]))
        expect(both.filter(({ committed }) => committed)).to.have.length(1)
      }
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

    it('do not suffer for a wrong one in the same request', async () => {
      const bench = createBench()
      const read = (limit: number): Promise<string> =>
        codeOf(bench.store.read([{ kind: 'scan', range: range('a', 'b'), limit }]))
      const codes = await Promise.all([1, 1, 1, 1, 1, 0, 1].map(read))
      expect(codes).to.deep.equal(['none', 'none', 'none', 'none', 'none', 'InvalidArgument', 'none'])
    })
  })
})
