import { expect } from 'chai'
import { planWish } from '../../../src/core/cluster/drive-wishes.js'
import { SafeMode } from '../../../src/core/upkeep/safe-mode.js'
import { idOf, RepairWorld } from '../../repair-world.js'

describe('SafeMode', () => {
  let world: RepairWorld
  let safeMode: SafeMode
  beforeEach(async () => {
    world = await RepairWorld.open()
    await world.clock.advance(1_000)
    safeMode = new SafeMode({
      clock: world.clock,
      cluster: world.cluster,
      states: world.states,
      delaySeconds: 30,
    })
  })

  /** Drives that are up are reported each 3 s. */
  async function pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 3) {
      await world.clock.advance(3_000)
      await world.run(world.beat())
      safeMode.isOver()
    }
  }

  it('ends some time after two drives of each group have been reported', async () => {
    world.drive(3).isUp = false
    await pass(30)
    expect(safeMode.isOver()).to.equal(false)
    await pass(6)
    expect(safeMode.isOver()).to.equal(true)
  })

  it('counts no drive that its server does not report', async () => {
    for (const at of [2, 3]) world.drive(at).isUp = false
    await pass(3)
    for (const server of ['c2', 'c3']) await world.run(world.cluster.report({ server, reports: [] }))
    await pass(60)
    expect(safeMode.isOver()).to.equal(false)
    world.drive(2).isUp = true
    await pass(36)
    expect(safeMode.isOver()).to.equal(true)
  })

  it('counts nobody who was heard before it began anew', async () => {
    await pass(36)
    expect(safeMode.isOver()).to.equal(true)
    await world.clock.advance(700_000)
    safeMode.restart()
    expect(safeMode.isOver()).to.equal(false)
    await world.clock.advance(60_000)
    expect(safeMode.isOver()).to.equal(false)
    await pass(36)
    expect(safeMode.isOver()).to.equal(true)
  })

  const LOST = [2, 3].map(idOf)

  async function drainByForce(): Promise<void> {
    const request = { action: 'drain', drives: LOST, servers: [], force: true } as const
    await world.run(world.cluster.change((state) => planWish(state, request, (id) => world.states.of(id))))
  }

  /** Of five drives two fall silent until they count as dead. */
  async function loseTwo(look: () => Promise<void>): Promise<void> {
    for (const at of [4, 5]) await world.run(world.register(at, idOf(at)))
    for (const at of [2, 3]) world.drive(at).isUp = false
    for (let second = 0; second < 620; second += 2) {
      await world.clock.advance(2_000)
      await world.run(look())
    }
    safeMode.restart()
    await pass(60)
    expect(safeMode.isOver()).to.equal(false)
  }

  it('does not wait for dead drives that were drained by force', async () => {
    await loseTwo(() => world.look())
    await drainByForce()
    await pass(36)
    expect(safeMode.isOver()).to.equal(true)
  })

  it('does not wait for such drives though the map could not learn of their death before', async () => {
    await loseTwo(() => world.beat())
    const states = world.cluster.known.drives.map(({ state }) => state)
    expect(states).to.not.include('dead')
    expect(safeMode.findObstacle()).to.match(new RegExp(`drain by force, ${LOST.join()}$`))
    await drainByForce()
    await pass(60)
    expect(safeMode.isOver()).to.equal(true)
    expect(safeMode.findObstacle()).to.equal(undefined)
  })

  it('names no drive whose silence is short', async () => {
    for (const at of [2, 3]) world.drive(at).isUp = false
    await pass(60)
    expect(safeMode.isOver()).to.equal(false)
    expect(safeMode.findObstacle()).to.equal(undefined)
  })
})
