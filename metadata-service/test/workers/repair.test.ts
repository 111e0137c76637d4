import { type BlockId, CairnError, type DriveId, formatId, groupOf, sessionOf } from '@cairn/protocol'
import { expect } from 'chai'
import { dirtyKey, EVERY_GROUP } from '../../src/core/rows/keys.js'
import { DirtyRow } from '../../src/core/rows/rows.js'
import { idOf, RepairWorld } from '../repair-world.js'

const ALL = [idOf(1), idOf(2), idOf(3)]
const NEW = 'a2'.padStart(16, '0')
const TWO = [idOf(1), idOf(2)]

describe('repair', () => {
  let world: RepairWorld
  beforeEach(async () => {
    world = await RepairWorld.open()
  })

  function stateOf(at: number): string | undefined {
    return world.cluster.known.drives.find(({ id }) => id === idOf(at))?.state
  }

  it('makes the copy that a write could not make, and pays the debt of its group', async () => {
    const block = await world.run(world.put('k', TWO))
    const whole = await world.run(world.put('whole'))
    expect(await world.debts()).to.equal(1)
    await world.run(world.mend())
    expect(world.good(block)).to.have.members(ALL)
    expect(world.good(whole)).to.have.members(ALL)
    expect(world.mender.copies).to.have.length(1)
    expect(await world.debts()).to.equal(0)
    expect(world.repair.report).to.include({ blocksRepaired: 1, underReplicated: 0, unavailable: 0 })
  })

  it('counts every byte it writes, however many copies are under way', async () => {
    for (let at = 0; at < 30; at++) await world.run(world.put(`k${at}`, TWO))
    await world.run(world.mend())
    expect(world.repair.report).to.include({ blocksRepaired: 30, bytesRepaired: 300 })
  })

  it('replaces a copy that its drive found damaged', async () => {
    const block = await world.run(world.put('k'))
    world.damage(block, idOf(2))
    await world.run(world.beat())
    await world.run(world.repair.repair(new AbortController().signal))
    expect(world.good(block)).to.have.members(ALL)
  })

  it('repairs what a reader has reported', async () => {
    const block = await world.run(world.put('k'))
    world.drive(3).blocks.clear()
    world.repair.suspect({ pool: 1, blocks: [block] })
    await world.run(world.repair.repair(new AbortController().signal))
    expect(world.good(block)).to.have.members(ALL)
  })

  it('never copies a block that no row names', async () => {
    const owner = { space: world.space, bucket: 'b', key: 'k', map: world.op() }
    const unnamed = world.storeBlock(owner, TWO)
    const dropped = await world.run(world.put('dropped', TWO))
    await world.run(world.delete('dropped'))
    const replaced = await world.run(world.put('replaced', TWO))
    await world.run(world.put('replaced'))
    await world.run(world.mend())
    expect(world.mender.copies).to.deep.equal([])
    for (const block of [unnamed, dropped, replaced]) expect(world.good(block)).to.have.members(TWO)
  })

  it('never copies a block that its living map leaves out', async () => {
    const { session, space } = world
    const kept = await world.run(world.put('k'))
    const [owner] = [...world.drive(1).blocks.values()].map((entry) => entry.owner)
    expect(owner).to.deep.include({ key: 'k', space })
    const left = owner === undefined ? kept : world.storeBlock(owner, TWO)
    expect(sessionOf(left)).to.deep.equal(session)
    await world.run(world.mend())
    expect(world.mender.copies).to.deep.equal([])
    expect(world.good(left)).to.have.members(TWO)
  })

  it('copies nothing while the store cannot say whether a row names it', async () => {
    const block = await world.run(world.put('k', TWO))
    world.repair.suspect({ pool: 1, blocks: [block] })
    world.line.failReads(1)
    await world.run(world.repair.repair(new AbortController().signal).catch(() => undefined))
    expect(world.mender.copies).to.deep.equal([])
  })

  it('does not take a drive that does not answer for one without the block', async () => {
    const block = await world.run(world.put('k'))
    world.drive(3).isUp = false
    await world.run(world.mend())
    world.repair.suspect({ pool: 1, blocks: [block] })
    await world.run(world.repair.repair(new AbortController().signal))
    expect(world.mender.copies).to.deep.equal([])
    expect(world.good(block)).to.have.length(3)
    expect(world.repair.report).to.include({ underReplicated: 0, failures: 0 })
  })

  it('keeps the debt of a group until all its drives have answered', async () => {
    const block = await world.run(world.put('k', TWO))
    world.drive(3).isUp = false
    await world.run(world.mend())
    expect(await world.debts()).to.equal(1)
    world.drive(3).isUp = true
    await world.run(world.mend())
    expect(world.good(block)).to.have.members(ALL)
    expect(await world.debts()).to.equal(0)
  })

  /** Everything was compared; then drive 1 is the only one with a block beside drive 2, and falls silent. */
  async function oweInSilence(): Promise<BlockId> {
    await world.run(world.mend('due'))
    const block = await world.run(world.put('k', TWO))
    world.drive(1).isUp = false
    await passSilently(40)
    return block
  }

  async function passSilently(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 2) {
      await world.clock.advance(2_000)
      await world.run(world.beat())
    }
  }

  it('pays what two drives owe each other while the third is silent, and keeps the debt', async () => {
    const block = await oweInSilence()
    await world.run(world.mend('due'))
    expect(world.good(block)).to.include(idOf(3))
    expect(await world.debts()).to.equal(1)
    world.drive(1).isUp = true
    await passSilently(4)
    await world.run(world.mend('due'))
    expect(await world.debts()).to.equal(0)
  })

  it('looks at such a debt again only while something of it can be paid', async () => {
    const block = await oweInSilence()
    world.drive(3).refuses = 'DriveFull'
    await world.run(world.mend('due'))
    await passSilently(100)
    world.drive(3).refuses = undefined
    await world.run(world.mend('due'))
    expect(world.good(block)).to.include(idOf(3))
    await passSilently(100)
    await world.run(world.mend('due'))
    const { pages } = world.mender
    await passSilently(100)
    await world.run(world.mend('due'))
    expect(world.mender.pages).to.equal(pages)
    expect(await world.debts()).to.equal(1)
  })

  it('keeps a debt that was written anew since the comparison began', async () => {
    const block = await world.run(world.put('k', TWO))
    const { mender } = world
    const copy = mender.copy.bind(mender)
    mender.copy = async (order) => {
      const value = DirtyRow.encode({ op: world.op(), sinceMicros: 1 })
      const key = dirtyKey(1, groupOf(block))
      await world.store.commit({
        compares: [],
        puts: [{ key, value }],
        proof: { keys: [], carries: () => false },
      })
      return copy(order)
    }
    await world.run(world.mend())
    expect(world.good(block)).to.have.members(ALL)
    expect(await world.debts()).to.equal(1)
  })

  it('takes another source when one turns out to be rotten', async () => {
    const block = await world.run(world.put('k', TWO))
    const [first = ''] = world.holders(block).filter((id) => TWO.includes(id))
    world.mender.rotten.add(`${formatId(block)} ${first}`)
    await world.run(world.mend())
    expect(world.good(block)).to.have.members(ALL)
    expect(world.repair.report.failures).to.equal(1)
  })

  /** Copies from the source that is asked first end with this error; that source. */
  async function spoilFirst(block: BlockId, error: CairnError): Promise<DriveId> {
    const [first = ''] = world.holders(block).filter((id) => TWO.includes(id))
    const { mender } = world
    const copy = mender.copy.bind(mender)
    mender.copy = async (order) => {
      if (order.source === first) throw error
      return copy(order)
    }
    return first
  }

  for (const code of ['ConnectionLost', 'DeadlineExceeded', 'NotAllowed', 'PeerRejected', 'Busy'] as const) {
    it(`takes another source when one ends with ${code}`, async () => {
      const block = await world.run(world.put('k', TWO))
      await spoilFirst(block, new CairnError(code, 'no', { details: { at: 'source' } }))
      await world.run(world.mend())
      expect(world.good(block)).to.have.members(ALL)
      expect(world.repair.report.failures).to.equal(1)
    })
  }

  it('begins with another source after a copy that ended by its deadline', async () => {
    const block = await world.run(world.put('k', TWO))
    await spoilFirst(block, new CairnError('DeadlineExceeded', 'late'))
    await world.run(world.mend())
    expect(world.good(block)).to.have.members(TWO)
    await world.clock.advance(10_000)
    await world.run(world.repair.repair(new AbortController().signal))
    expect(world.good(block)).to.have.members(ALL)
  })

  it('takes a doubtful drive as a source last', async () => {
    const block = await world.run(world.put('k', TWO))
    const [first = ''] = world.holders(block).filter((id) => TWO.includes(id))
    for (let looks = 0; looks < 2; looks++) await world.run(world.look(Number(first)))
    expect(stateOf(Number(first))).to.equal('suspect')
    await world.run(world.mend())
    expect(world.mender.copies.map(({ source }) => source)).to.deep.equal(TWO.filter((id) => id !== first))
  })

  it('tries again when a drive was full', async () => {
    const block = await world.run(world.put('k', TWO))
    world.drive(3).refuses = 'DriveFull'
    await world.run(world.mend())
    expect(world.repair.report).to.include({ underReplicated: 1, blocksRepaired: 0 })
    expect(await world.debts()).to.equal(1)
    world.drive(3).refuses = undefined
    await world.clock.advance(10_000)
    await world.run(world.repair.repair(new AbortController().signal))
    expect(world.good(block)).to.have.members(ALL)
    expect(world.repair.report.underReplicated).to.equal(0)
  })

  it('pays what a drive owes once it is well again, however long that was tried in vain', async () => {
    const block = await world.run(world.put('k', TWO))
    world.drive(3).refuses = 'DriveFull'
    await world.run(world.mend())
    for (const seconds of [4, 8, 16, 32, 64, 128]) {
      await world.clock.advance(seconds * 1_000)
      await world.run(world.beat())
      await world.run(world.mend('due'))
    }
    await world.run(world.look(3))
    await world.run(world.look(3))
    expect(stateOf(3)).to.equal('suspect')
    await world.run(world.mend('due'))
    world.drive(3).refuses = undefined
    await world.clock.advance(61_000)
    await world.run(world.look())
    expect(stateOf(3)).to.equal('up')
    await world.run(world.mend('due'))
    expect(world.good(block)).to.have.members(ALL)
    expect(await world.debts()).to.equal(0)
  })

  it('counts what has no good copy left, and takes it from a drive outside the group', async () => {
    const block = await world.run(world.put('k', [idOf(1)]))
    world.damage(block, idOf(1))
    await world.run(world.mend())
    expect(world.repair.report).to.include({ underReplicated: 1, unavailable: 1 })
    await world.run(world.register(4, idOf(4)))
    const entry = world.drive(1).blocks.get(formatId(block))
    if (entry !== undefined) world.drive(4).blocks.set(formatId(block), { ...entry, damaged: false })
    await world.run(world.mend())
    expect(world.good(block)).to.have.members([...ALL, idOf(4)])
    expect(world.repair.report).to.include({ underReplicated: 0, unavailable: 0 })
  })

  it('fills a drive that was made anew, because its registration marks every group', async () => {
    const blocks = []
    for (let at = 0; at < 20; at++) blocks.push(await world.run(world.put(`k${at}`)))
    world.drive(2).isUp = false
    await world.run(world.register(2, NEW))
    const { results } = await world.run(world.store.read([{ kind: 'get', key: dirtyKey(1, EVERY_GROUP) }]))
    expect(results[0]).to.have.length(1)
    await world.run(world.mend('due'))
    for (const block of blocks) {
      expect(world.good(block)).to.include.members([idOf(1), NEW, idOf(3)])
    }
    expect(await world.debts()).to.equal(0)
  })

  it('brings nothing back from a drive that was away for a month, and loses nothing', async () => {
    const kept = await world.run(world.put('kept'))
    const dropped = await world.run(world.put('dropped'))
    world.drive(2).isUp = false
    await world.run(world.register(2, NEW))
    await world.run(world.mend())
    await world.run(world.delete('dropped'))
    for (const at of [1, 3]) world.drive(at).blocks.delete(formatId(dropped))
    world.mender.drives.get(NEW)?.blocks.delete(formatId(dropped))
    world.drive(1).blocks.delete(formatId(kept))
    world.drive(3).blocks.delete(formatId(kept))
    world.mender.drives.get(NEW)?.blocks.delete(formatId(kept))
    world.clock.jumpWall(30 * 86_400_000)
    world.drive(2).isUp = true
    await world.run(world.register(2, idOf(2), { parent: '9' }))
    await world.run(world.mend())
    expect(world.good(kept)).to.include.members([idOf(1), idOf(3), NEW])
    expect(world.good(dropped)).to.deep.equal([idOf(2)])
    expect(world.holders(kept)).to.not.include(idOf(2))
  })

  it('compares everything after a drive was opened anew, however short it was away', async () => {
    await world.run(world.mend('due'))
    const block = await world.run(world.put('k'))
    world.drive(1).blocks.delete(formatId(block))
    world.drive(1).openedMs++
    await world.run(world.beat())
    await world.run(world.mend('due'))
    expect(world.good(block)).to.have.members(ALL)
  })

  it('compares a drive again whose list failed, after a pause', async () => {
    await world.run(world.mend('due'))
    const block = await world.run(world.put('k'))
    world.drive(1).blocks.delete(formatId(block))
    world.drive(1).openedMs++
    await world.run(world.beat())
    const { mender } = world
    const list = mender.list.bind(mender)
    let failures = 0
    mender.list = async (drive, ...rest) => {
      if (drive !== idOf(1)) return list(drive, ...rest)
      failures++
      throw new CairnError('StaleClusterMap', 'overtaken')
    }
    await world.run(world.mend('due'))
    await world.run(world.mend('due'))
    expect(failures).to.equal(1)
    mender.list = list
    await world.clock.advance(10_000)
    await world.run(world.beat())
    await world.run(world.mend('due'))
    expect(world.good(block)).to.have.members(ALL)
  })

  it('compares a drive again that was opened anew while it was being compared', async () => {
    await world.run(world.mend('due'))
    const block = await world.run(world.put('k'))
    world.drive(2).openedMs++
    await world.run(world.beat())
    const { mender } = world
    const list = mender.list.bind(mender)
    mender.list = async (drive, ...rest) => {
      const page = await list(drive, ...rest)
      if (drive !== idOf(1)) return page
      mender.list = list
      world.drive(1).blocks.delete(formatId(block))
      world.drive(1).openedMs++
      await world.beat()
      return page
    }
    await world.run(world.mend('due'))
    await world.run(world.mend('due'))
    expect(world.good(block)).to.have.members(ALL)
  })

  it('compares everything when half the scrub interval has passed, and no sooner', async () => {
    await world.run(world.mend('due'))
    const block = await world.run(world.put('k'))
    world.drive(1).blocks.delete(formatId(block))
    await world.run(world.mend('due'))
    expect(world.good(block)).to.have.length(2)
    await world.clock.advance(501_000)
    await world.run(world.mend('due'))
    expect(world.good(block)).to.have.length(3)
    expect(world.repair.report).to.include({ comparing: false, blocksCompared: 1, blocksToCompare: 1 })
  })
})
