import { drivesOfGroup, GROUPS_PER_POOL, joinersOfGroup } from '@cairn/protocol'
import { expect } from 'chai'
import { planMembership } from '../../../src/core/cluster/membership.js'
import { idOf, RepairWorld } from '../../repair-world.js'

/** Looks at the drives each 2 s, as the service does, while those that are up report each 3 s. */
async function pass(world: RepairWorld, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 2) {
    await world.clock.advance(2_000)
    await world.run(world.beat())
    await world.run(
      world.cluster.change((state) => planMembership(state, (id) => world.states.of(id)).change),
    )
  }
}

/** All groups that are on their way have been proved to be whole. */
async function complete(world: RepairWorld): Promise<void> {
  const groups = new Set(Array.from({ length: GROUPS_PER_POOL }, (_, group) => group))
  const whole = { pool: 1, epoch: world.cluster.known.pools[0]?.epoch ?? 0, groups }
  await world.run(
    world.cluster.change((state) => planMembership(state, (id) => world.states.of(id), { whole }).change),
  )
}

function stateOf(world: RepairWorld, at: number): string {
  return world.cluster.known.drives.find(({ id }) => id === idOf(at))?.state ?? 'none'
}

describe('membership', () => {
  let world: RepairWorld
  beforeEach(async () => {
    world = await RepairWorld.open()
  })

  it('counts a drive as suspect, then dead, and writes only what matters', async () => {
    const { epoch } = world.cluster.known
    world.drive(2).isUp = false
    await pass(world, 40)
    expect(world.states.of(idOf(2))).to.equal('suspect')
    expect(world.states.answers(idOf(2))).to.equal(false)
    expect(world.cluster.known.epoch).to.equal(epoch)
    await pass(world, 570)
    expect(stateOf(world, 2)).to.equal('dead')
    expect(world.cluster.known.epoch).to.equal(epoch + 1)
  })

  it('leaves the groups of a dead drive to it while no other can take them, and takes it back', async () => {
    world.drive(2).isUp = false
    await pass(world, 620)
    expect(world.cluster.known.pools[0]?.epoch).to.equal(1)
    world.drive(2).isUp = true
    await pass(world, 4)
    expect(stateOf(world, 2)).to.equal('up')
    expect(world.cluster.known.pools[0]?.epoch).to.equal(1)
  })

  it('gives the groups of a dead drive to an unused one once this was proved to have everything', async () => {
    await world.run(world.register(4, idOf(4)))
    world.drive(2).isUp = false
    await pass(world, 620)
    expect(stateOf(world, 2)).to.equal('dead')
    for (let group = 0; group < GROUPS_PER_POOL; group++) {
      const [pool] = world.cluster.known.pools
      expect(pool && drivesOfGroup(pool, group)).to.have.members([1, 2, 3].map(idOf))
      expect(pool && joinersOfGroup(pool, group)).to.include(idOf(4))
    }
    await complete(world)
    expect(stateOf(world, 2)).to.equal('out')
    expect(world.cluster.known.pools[0]?.drives).to.have.members([1, 3, 4].map(idOf))
  })

  it('gives a drive that returns no groups back', async () => {
    await world.run(world.register(4, idOf(4)))
    world.drive(2).isUp = false
    await pass(world, 620)
    await complete(world)
    world.drive(2).isUp = true
    await world.run(world.register(2, idOf(2)))
    await pass(world, 20)
    expect(stateOf(world, 2)).to.equal('out')
    for (let group = 0; group < GROUPS_PER_POOL; group++) {
      const [pool] = world.cluster.known.pools
      expect(pool === undefined ? [] : drivesOfGroup(pool, group)).to.not.include(idOf(2))
    }
  })

  it('takes copies further apart once there are racks enough, and only when drives join by themselves', async () => {
    const plan = (joins?: () => boolean): ReturnType<typeof planMembership> =>
      planMembership(
        { map: world.cluster.known, drives: world.cluster.drives },
        (id) => world.states.of(id),
        joins === undefined ? {} : { joins },
      )
    for (const [index, rack] of ['a', 'a', 'b', 'b', 'c', 'c'].entries()) {
      await world.run(world.register(index + 1, idOf(index + 1), { rack }))
    }
    await pass(world, 4)
    expect(world.cluster.known.pools[0]?.failureDomain).to.equal('host')
    expect(plan().change.pools).to.deep.equal([])
    const { change, positionsLeft } = plan(() => true)
    expect(change.pools[0]).to.deep.include({ failureDomain: 'rack', id: 1 })
    expect(change.pools[0]?.epoch).to.be.greaterThan(1)
    expect(positionsLeft).to.be.greaterThan(0)
  })

  it('never puts two copies into one failure domain', async () => {
    await world.run(world.register(4, idOf(4), { host: 'h1' }))
    world.drive(2).isUp = false
    await pass(world, 620)
    expect(stateOf(world, 2)).to.equal('dead')
    expect(world.cluster.known.pools[0]?.drives).to.include(idOf(2))
  })

  it('writes that a drive is doubtful, and moves no group for it, until it is well again', async () => {
    await pass(world, 4)
    const look = (isDoubtful: boolean): Promise<boolean> =>
      world.run(
        world.cluster.change((state) => {
          const options = { isDoubtful: (id: string) => isDoubtful && id === idOf(2) }
          return planMembership(state, (id) => world.states.of(id), options).change
        }),
      )
    const before = world.cluster.known
    expect(await look(true)).to.equal(true)
    expect(await look(true)).to.equal(false)
    expect([1, 2, 3].map((at) => stateOf(world, at))).to.deep.equal(['up', 'suspect', 'up'])
    expect(world.cluster.known.pools).to.deep.equal(before.pools)
    expect(await look(false)).to.equal(true)
    expect(stateOf(world, 2)).to.equal('up')
  })

  it('does not take the others for dead when it stood still itself', async () => {
    await world.clock.advance(3_600_000)
    world.states.look(world.cluster.known)
    await world.run(
      world.cluster.change((state) => planMembership(state, (id) => world.states.of(id)).change),
    )
    for (const at of [1, 2, 3]) expect(stateOf(world, at)).to.equal('up')
  })
})
