import { type BlockId, type DriveId, drivesOfGroup, GROUPS_PER_POOL, groupOf } from '@cairn/protocol'
import { expect } from 'chai'
import { planWish } from '../../src/core/cluster/drive-wishes.js'
import { planFilled } from '../../src/core/cluster/unfilled-drives.js'
import type { DriveRow } from '../../src/core/rows/cluster-state-rows.js'
import { idOf, RepairWorld } from '../repair-world.js'

const NEW = 'a3'.padStart(16, '0')
const OTHER = 'a1'.padStart(16, '0')
/** Two seconds each: until a silent drive counts as dead. */
const UNTIL_DEAD = 330

describe('a drive in the place of one whose folder is gone', function () {
  this.timeout(120_000)
  let world: RepairWorld
  let block: BlockId
  beforeEach(async () => {
    world = await RepairWorld.open()
    block = await world.run(world.put('k', [idOf(1), idOf(3)]))
    world.drive(3).isUp = false
    await world.run(world.register(3, NEW))
    await world.run(world.register(4, idOf(4)))
  })

  function members(): DriveId[] {
    const [pool] = world.cluster.known.pools
    return pool === undefined ? [] : drivesOfGroup(pool, groupOf(block)).filter((id) => id !== undefined)
  }

  function silence(...drives: DriveId[]): void {
    for (const id of drives) {
      const drive = world.mender.drives.get(id)
      if (drive !== undefined) drive.isUp = false
    }
  }

  function stateOf(drive: DriveId): string | undefined {
    return world.cluster.known.drives.find(({ id }) => id === drive)?.state
  }

  function isUnfilled(drive: DriveId): boolean {
    return world.cluster.drives.get(drive)?.unfilledSince !== undefined
  }

  it('knows nothing of what was acknowledged before, until it has been filled', async () => {
    world.drive(1).isUp = false
    await world.rounds(UNTIL_DEAD)
    expect(stateOf(idOf(1))).to.equal('dead')
    expect(members()).to.have.members([idOf(1), idOf(2), NEW])
    expect(await world.debts()).to.be.above(0)
    expect(world.membership.report.stuck).to.match(/on dead drives alone/)
    world.drive(1).isUp = true
    await world.rounds(60)
    expect(world.good(block)).to.include.members(members())
    expect(world.membership.report.stuck).to.equal(undefined)
  })

  it('waits for no dead drive that was drained by force', async () => {
    world.drive(1).isUp = false
    await world.rounds(UNTIL_DEAD)
    const request = { action: 'drain', drives: [idOf(1)], servers: [], force: true } as const
    await world.run(world.cluster.change((state) => planWish(state, request, (id) => world.states.of(id))))
    await world.rounds(160)
    expect(members()).to.have.members([idOf(2), NEW, idOf(4)])
    expect(world.membership.report.stuck).to.equal(undefined)
  })

  it('loses its mark with its groups when it dies before it was filled', async () => {
    silence(NEW)
    await world.rounds(UNTIL_DEAD)
    expect(members()).to.have.members([idOf(1), idOf(2), idOf(4)])
    expect(world.good(block)).to.include.members(members())
    expect(stateOf(NEW)).to.equal('out')
    expect(isUnfilled(NEW)).to.equal(false)
  })

  it('is filled by whatever is left when a second folder goes before it was', async () => {
    const other = await world.run(world.put('other', [idOf(1), idOf(2)]))
    world.drive(1).isUp = false
    await world.run(world.register(1, OTHER))
    await world.rounds(10)
    expect(world.good(other)).to.include.members([OTHER, idOf(2), NEW])
    expect([NEW, OTHER].map(isUnfilled)).to.deep.equal([false, false])
    expect(await world.debts()).to.equal(0)
  })

  it('may have with another such drive what the filled one lacks: both dead are waited for', async () => {
    world.drive(1).isUp = false
    await world.run(world.register(1, OTHER))
    const later = await world.run(world.put('later', [OTHER, NEW]))
    silence(NEW, OTHER)
    await world.run(world.register(5, idOf(5)))
    await world.rounds(UNTIL_DEAD)
    expect(members()).to.have.members([OTHER, idOf(2), NEW])
    expect(world.membership.report.stuck).to.match(/on dead drives alone/)
    expect(world.good(later)).to.have.members([OTHER, NEW])
  })

  it('keeps a mark that is younger than the comparison', () => {
    const { drives, known } = world.cluster
    const row = drives.get(NEW)
    if (row === undefined || known.pools[0] === undefined) throw new Error('nothing was replaced')
    const compared = { pool: known.pools[0], isWhole: () => true }
    const plan = (seen: DriveRow) =>
      planFilled({ map: known, drives }, { ...compared, drives: new Map([[NEW, seen]]) }).drives
    expect(plan({ ...row, unfilledSince: 1 })).to.deep.equal([])
    expect(plan(row).map(({ unfilledSince }) => unfilledSince)).to.deep.equal([undefined])
  })

  it('knows as much in each group that is whole, whatever is not whole elsewhere', async () => {
    const block = await world.run(world.put('lost', [idOf(2)]))
    world.damage(block, idOf(2))
    await world.rounds(10)
    world.drive(1).isUp = false
    await world.rounds(UNTIL_DEAD)
    const [pool] = world.cluster.known.pools
    for (let group = 0; pool !== undefined && group < GROUPS_PER_POOL; group++) {
      const has = drivesOfGroup(pool, group).includes(idOf(1))
      expect(has, `group ${group}`).to.equal(group === groupOf(block))
    }
  })

  it('knows as much as the others once it was filled', async () => {
    await world.rounds(10)
    expect(isUnfilled(NEW)).to.equal(false)
    world.drive(1).isUp = false
    await world.rounds(UNTIL_DEAD)
    expect(members()).to.have.members([idOf(2), NEW, idOf(4)])
    expect(world.good(block)).to.include.members(members())
  })
})
