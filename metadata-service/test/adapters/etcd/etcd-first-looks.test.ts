import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { FirstLooks } from '../../../src/adapters/etcd/etcd-first-looks.js'
import { bytes } from '../../conformance/subject.js'
import { codeOf } from '../../core/commit/commit-bench.js'

/** A look that is under way until it is told how it ends. */
interface Look {
  readonly name: string
  answer(isCheap?: boolean): void
  fail(code: 'Busy' | 'Internal'): void
}

function createBench() {
  const looks = new FirstLooks()
  const known = new Set<string>()
  const started: Look[] = []
  function run(name: string, ...ends: string[]): Promise<{ name: string }> {
    const look = () =>
      new Promise<{ name: string; isCheap: boolean }>((resolve, reject) => {
        started.push({
          name,
          answer: (isCheap = true) => resolve({ name, isCheap }),
          fail: (code) => reject(new CairnError(code, name)),
        })
      })
    return looks.run(() => ends.filter((end) => !known.has(end)).map(bytes), look)
  }
  /** The looks that have begun since it was last asked. */
  async function begun(): Promise<Look[]> {
    await new Promise((resolve) => setImmediate(resolve))
    return started.splice(0)
  }
  return { run, known, begun }
}

const names = (looks: readonly Look[]): string[] => looks.map(({ name }) => name)

describe('FirstLooks', () => {
  it('lets one go alone, and all others when it has cost little', async () => {
    const { run, begun } = createBench()
    const all = ['first', 'second', 'third'].map((name) => run(name, 'end'))
    const [first, ...more] = await begun()
    expect([first?.name, more]).to.deep.equal(['first', []])
    first?.answer()
    const others = await begun()
    expect(names(others)).to.have.members(['second', 'third'])
    for (const look of others) look.answer()
    expect((await Promise.all(all)).map(({ name }) => name)).to.deep.equal(['first', 'second', 'third'])
  })

  it('lets all go when a costly one has told how to cut the range, and else one after the other', async () => {
    const { run, known, begun } = createBench()
    const all = ['a', 'b', 'c', 'd'].map((name) => run(name, 'end'))
    for (const name of ['a', 'b']) {
      const [one, ...more] = await begun()
      expect([one?.name, more]).to.deep.equal([name, []])
      if (name === 'b') known.add('end')
      one?.answer(false)
    }
    const others = await begun()
    expect(names(others)).to.have.members(['c', 'd'])
    for (const look of others) look.answer()
    await Promise.all(all)
  })

  it('fails who waits for one that nobody answered, and lets the next one try', async () => {
    const { run, begun } = createBench()
    const codes = ['first', 'second'].map((name) => codeOf(run(name, 'end')))
    const [first] = await begun()
    first?.fail('Busy')
    expect(await Promise.all(codes)).to.deep.equal(['Busy', 'Busy'])
    const later = run('later', 'end')
    const [look] = await begun()
    look?.answer()
    expect((await later).name).to.equal('later')
  })

  it('fails nobody for what went wrong with one alone', async () => {
    const { run, begun } = createBench()
    const first = codeOf(run('first', 'end'))
    const second = run('second', 'end')
    const [one] = await begun()
    one?.fail('Internal')
    expect(await first).to.equal('Internal')
    const [two] = await begun()
    two?.answer()
    expect((await second).name).to.equal('second')
  })

  it('holds nobody up at ends that are known, or others', async () => {
    const { run, known, begun } = createBench()
    known.add('known')
    const all = [run('a', 'known'), run('b', 'known'), run('c', 'x'), run('d', 'y'), run('e')]
    const looks = await begun()
    expect(names(looks)).to.deep.equal(['a', 'b', 'c', 'd', 'e'])
    for (const look of looks) look.answer()
    await Promise.all(all)
  })

  it('does not lock those that look at the same ends in another order', async () => {
    const { run, begun } = createBench()
    const all = [run('a', 'x', 'y'), run('b', 'y', 'x'), run('c', 'x'), run('d', 'y')]
    for (let round = 0; round < all.length; round++) for (const look of await begun()) look.answer(false)
    expect((await Promise.all(all)).map(({ name }) => name)).to.deep.equal(['a', 'b', 'c', 'd'])
  })
})
