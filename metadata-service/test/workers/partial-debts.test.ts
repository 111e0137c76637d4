import type { BlockId } from '@cairn/protocol'
import { expect } from 'chai'
import { dirtyKey, EVERY_GROUP } from '../../src/core/rows/keys.js'
import { DirtyRow } from '../../src/core/rows/rows.js'
import { idOf, RepairWorld } from '../repair-world.js'

const TWO = [idOf(1), idOf(2)]

describe('a debt of every group while some drive is silent', function () {
  this.timeout(60_000)
  let world: RepairWorld
  beforeEach(async () => {
    world = await RepairWorld.open()
    await world.rounds(2)
  })

  /** As a commit that owes copies in more groups than it can name. */
  async function oweEverything(): Promise<void> {
    const value = DirtyRow.encode({ op: world.op(), sinceMicros: 1 })
    const puts = [{ key: dirtyKey(1, EVERY_GROUP), value }]
    await world.run(world.store.commit({ compares: [], puts, proof: { keys: [], carries: () => false } }))
  }

  /** Drive 3 missed a block, and drive 1 falls silent before anybody compared them. */
  async function oweInSilence(): Promise<BlockId> {
    const op = world.op()
    const block = world.storeBlock({ space: world.space, bucket: 'b', key: 'k', map: op }, TWO)
    await world.run(world.commit({ key: 'k', op, block, isOwing: false }))
    world.drive(1).isUp = false
    await world.rounds(20)
    await oweEverything()
    return block
  }

  it('is paid among the others, and stays until all were listed', async () => {
    const block = await oweInSilence()
    await world.rounds(1)
    expect(world.good(block)).to.include(idOf(3))
    expect(await world.debts()).to.equal(1)
    world.drive(1).isUp = true
    await world.rounds(3)
    expect(await world.debts()).to.equal(0)
  })

  it('is looked at again after a pause, and only until nothing of it is left', async () => {
    await oweInSilence()
    await world.rounds(100)
    const { pages } = world.mender
    await world.rounds(100)
    expect(world.mender.pages).to.equal(pages)
    await oweEverything()
    await world.rounds(1)
    await oweEverything()
    await world.rounds(1)
    expect(world.mender.pages).to.equal(pages + TWO.length)
  })

  it('is looked at again while a copy of some group could not be made', async () => {
    world.drive(3).refuses = 'DriveFull'
    const block = await oweInSilence()
    await world.rounds(10)
    world.drive(3).refuses = undefined
    await world.rounds(160)
    expect(world.good(block)).to.include(idOf(3))
  })
})
