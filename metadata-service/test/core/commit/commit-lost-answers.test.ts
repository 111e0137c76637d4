import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import type { Entry } from '../../../src/ports.js'
import type { EntryFault } from '../../../src/simulation/faulty-entry-store.js'
import { absent, atRevision, bytes, createWorld, put, text } from '../../conformance/subject.js'

import {
  type Bench,
  codeOf,
  create,
  createBench,
  failReads,
  rowsOf,
  run,
  start,
  storedText,
} from './commit-bench.js'

describe('Lost answers', () => {
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

  /** Another writer's entry right behind the next one. */
  function followUp({ line, memory }: Bench, other: Entry): void {
    const apply = line.apply.bind(line)
    line.apply = async (entry) => {
      line.apply = apply
      try {
        return await apply(entry)
      } finally {
        await memory.apply(other)
      }
    }
  }

  it('are settled by the rows when another run has moved the lane meanwhile', async () => {
    const bench = createBench()
    const other = createBench({ memory: bench.memory, world: bench.world })
    bench.line.inject('lost-after')
    bench.line.failReads(0)
    const first = start(bench, create('k', 'mine'))
    followUp(bench, { commits: [], always: [put('l/test', 'moved')] })
    expect(await bench.world.clock.runUntil(first)).to.deep.equal({ committed: true, revision: 1 })
    const [again] = await run(other, create('k', 'other'))
    expect(again?.committed).to.equal(false)
  })

  it('end as OutcomeUnknown when another run has moved the lane, and the rows prove nothing', async () => {
    const bench = createBench()
    bench.line.inject('lost-after')
    const first = codeOf(start(bench, create('k', 'mine')))
    followUp(bench, { commits: [{ compares: [], deletes: [bytes('k')] }], always: [put('l/test', 'moved')] })
    expect(await bench.world.clock.runUntil(first)).to.equal('OutcomeUnknown')
    expect(await storedText(bench, 'k')).to.equal(undefined)
  })

  it('are settled by what the entry left, not by what others have made of it', async () => {
    const bench = createBench()
    bench.line.inject('lost-after')
    const first = start(bench, create('k', 'mine'))
    followUp(bench, { commits: [{ compares: [], deletes: [bytes('k')] }], always: [] })
    expect(await bench.world.clock.runUntil(first)).to.deep.equal({ committed: true, revision: 1 })
    expect(await storedText(bench, 'k')).to.equal(undefined)
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

  it('end at once as OutcomeUnknown when the store will never say what became of them', async () => {
    for (const code of ['MessageCorrupt', 'DriveFailed', 'Internal'] as const) {
      const bench = createBench()
      await run(bench, create('k/0'))
      bench.line.inject('lost-before')
      const reads = failReads(bench, { code, of: 'l/test' })
      expect(await bench.world.clock.runUntil(codeOf(start(bench, create('k/1'))))).to.equal('OutcomeUnknown')
      expect(reads.failed, code).to.equal(1)
    }
  })

  it('end at once as OutcomeUnknown for a commit whose proof can never be read, and only for it', async () => {
    for (const code of ['MessageCorrupt', 'DriveFailed', 'Internal'] as const) {
      const bench = createBench()
      bench.line.inject('lost-after')
      const reads = failReads(bench, { code, of: 'a' })
      const unread = codeOf(start(bench, create('a')))
      const neighbour = start(bench, create('b'))
      expect(await bench.world.clock.runUntil(unread)).to.equal('OutcomeUnknown')
      expect((await neighbour).committed).to.equal(true)
      expect(reads.failed, code).to.equal(1)
    }
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
