import { expect } from 'chai'
import { acceptRestore, isGarbageHeld, RESTORED_KEY } from '../../../src/core/upkeep/restore-hold.js'
import { RepairWorld } from '../../repair-world.js'

describe('the hold after a restore', () => {
  it('stands until the restore is accepted, which may be repeated', async () => {
    const world = await RepairWorld.open()
    const { store } = world
    expect(await world.run(isGarbageHeld(store))).to.equal(false)
    const puts = [{ key: RESTORED_KEY, value: Buffer.from('backup') }]
    await world.run(store.commit({ compares: [], puts, proof: { keys: [], carries: () => false } }))
    expect(await world.run(isGarbageHeld(store))).to.equal(true)
    await world.run(acceptRestore(store))
    expect(await world.run(isGarbageHeld(store))).to.equal(false)
    await world.run(acceptRestore(store))
  })
})
