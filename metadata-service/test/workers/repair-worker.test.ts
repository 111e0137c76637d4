import { getEventListeners } from 'node:events'
import { type BlockId, CairnError, formatId, groupOf } from '@cairn/protocol'
import { expect } from 'chai'
import { dirtyKey } from '../../src/core/rows/keys.js'
import { RepairBudget } from '../../src/core/upkeep/repair-budget.js'
import { RepairWorker } from '../../src/workers/repair-worker.js'
import { idOf, RepairWorld } from '../repair-world.js'

const TWO = [idOf(1), idOf(2)]

/** The next look at the rows of blocks ends with this error; those after it are answered. */
function failNextConfirmation(world: RepairWorld, error: Error): void {
  const { store } = world
  const readAuthority = store.readAuthority.bind(store)
  store.readAuthority = async () => {
    store.readAuthority = readAuthority
    throw error
  }
}

/** Queues these blocks in order, drains once, and lists what was told of each. */
async function settledOnce(world: RepairWorld, blocks: readonly BlockId[]): Promise<string[]> {
  const { store, clock, cluster, mender, states } = world
  const worker = new RepairWorker({
    store,
    clock,
    cluster,
    drives: mender,
    budget: new RepairBudget(clock),
    answers: (drive) => states.answers(drive),
    onError: () => undefined,
  })
  const told: string[] = []
  const settled = (block: BlockId, whole: boolean): number => told.push(`${formatId(block)} ${whole}`)
  for (const block of blocks) {
    worker.queue.add({ block, pool: 1, copies: 2, watchers: [{ settled }], attempts: 0 })
  }
  await world.run(worker.drain(new AbortController().signal).catch(() => undefined))
  return told
}

describe('RepairWorker', () => {
  let world: RepairWorld
  beforeEach(async () => {
    world = await RepairWorld.open()
  })

  for (const error of [new CairnError('MessageCorrupt', 'a damaged row'), new TypeError('a bug')]) {
    it(`settles each block of a batch once, though the look at its rows ends with a ${error.name}`, async () => {
      const whole = await world.run(world.put('whole'))
      const lacking = await world.run(world.put('lacking', TWO))
      failNextConfirmation(world, error)
      const told = await settledOnce(world, [whole, lacking])
      expect(told).to.have.members([`${formatId(whole)} true`, `${formatId(lacking)} false`])
    })
  }

  it('keeps the debt of a block whose only drive, outside the group, fails to answer once', async () => {
    await world.run(world.register(4, idOf(4)))
    const block = await world.run(world.put('k', [idOf(4)]))
    const { mender } = world
    const find = mender.find.bind(mender)
    mender.find = async (drive, blocks) => {
      if (drive !== idOf(4)) return find(drive, blocks)
      mender.find = find
      throw new CairnError('Busy', 'later')
    }
    await world.run(world.mend())
    const debt = () => world.run(world.store.read([{ kind: 'get', key: dirtyKey(1, groupOf(block)) }]))
    expect((await debt()).results[0]).to.have.length(1)
    await world.clock.advance(10_000)
    await world.run(world.beat())
    await world.run(world.mend())
    expect(world.good(block)).to.include.members([...TWO, idOf(3)])
    expect((await debt()).results[0]).to.have.length(0)
  })

  it('keeps the debt of a group that is still being repaired when another batch fails', async () => {
    const { signal } = new AbortController()
    const hidden = new Set<string>()
    for (let at = 0; at < 15; at++) hidden.add(formatId(await world.run(world.put(`whole${at}`))))
    await world.run(world.put('lacking', TWO))
    const owed = await world.run(world.put('owed', TWO))
    const { mender } = world
    const list = mender.list.bind(mender)
    mender.list = async (drive, ...rest) => {
      const page = await list(drive, ...rest)
      if (drive !== idOf(3)) return page
      return { ...page, blocks: page.blocks.filter(({ block }) => !hidden.has(formatId(block))) }
    }
    world.drive(3).refuses = 'DriveFull'
    const compared = world.repair.compareAll(signal)
    await world.clock.advance(1_000)
    failNextConfirmation(world, new CairnError('MessageCorrupt', 'a damaged row'))
    await world.run(Promise.all([world.repair.repair(signal), compared]))
    const debt = world.store.read([{ kind: 'get', key: dirtyKey(1, groupOf(owed)) }])
    expect((await world.run(debt)).results[0]).to.have.length(1)
  })

  it('leaves nothing behind on a signal that outlives its comparisons', async () => {
    const { signal } = new AbortController()
    await world.run(world.put('lacking', TWO))
    const compared = world.repair.compareAll(signal)
    await world.clock.advance(1_000)
    const waiting = getEventListeners(signal, 'abort').length
    await world.run(Promise.all([world.repair.repair(signal), compared]))
    expect([waiting, getEventListeners(signal, 'abort').length]).to.deep.equal([1, 0])
  })
})
