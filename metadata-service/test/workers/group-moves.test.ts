import {
  type BlockId,
  changesOf,
  computeGroups,
  type DriveId,
  drivesOfGroup,
  formatId,
  GROUPS_PER_POOL,
  groupOf,
  joinersOfGroup,
  type Pool,
} from '@cairn/protocol'
import { expect } from 'chai'
import { planWish } from '../../src/core/cluster/drive-wishes.js'
import type { DriveRow } from '../../src/core/rows/cluster-state-rows.js'
import { idOf, RepairWorld } from '../repair-world.js'

const ROUNDS_MAX = 400

function poolOf(world: RepairWorld): Pool {
  const [pool] = world.cluster.known.pools
  if (pool === undefined) throw new Error('there is no pool')
  return pool
}

function stateOf(world: RepairWorld, at: number): string {
  return world.cluster.known.drives.find(({ id }) => id === idOf(at))?.state ?? 'none'
}

/** Wants drives to be emptied, or not any more. */
function setDrain(world: RepairWorld, ats: readonly number[], drain: boolean): Promise<boolean> {
  return world.run(
    world.cluster.change((state) => ({
      members: [],
      pools: [],
      indebted: [],
      drives: ats.flatMap((at): DriveRow[] => {
        const row = state.drives.get(idOf(at))
        if (row === undefined) return []
        const { drain: _, ...rest } = row
        const drive = { ...row.drive, state: drain ? ('draining' as const) : ('up' as const) }
        return [{ ...rest, drive, ...(drain ? { drain: 'asked' as const } : {}) }]
      }),
    })),
  )
}

/** Rounds until nothing moves any more; `between` runs after each. */
async function settle(world: RepairWorld, between: () => Promise<void> = async () => {}): Promise<void> {
  let quiet = 0
  for (let at = 0; at < ROUNDS_MAX && quiet < 20; at++) {
    await world.round()
    const { positionsLeft, rebalancing } = world.membership.report
    quiet = positionsLeft === 0 && !rebalancing ? quiet + 1 : 0
    await between()
  }
  expect(quiet, 'rounds at rest').to.be.at.least(20)
}

/** Every block is where the map says, and nowhere else. */
function expectInPlace(world: RepairWorld, blocks: readonly BlockId[]): void {
  for (const block of blocks) {
    const members = drivesOfGroup(poolOf(world), groupOf(block))
    expect(world.good(block).sort()).to.deep.equal([...members].sort())
  }
}

/** Every block has two copies, at least, on members: acknowledged bytes survive one more loss. */
function expectQuorums(world: RepairWorld, blocks: readonly BlockId[]): void {
  for (const block of blocks) {
    const members = drivesOfGroup(poolOf(world), groupOf(block))
    const good = world.good(block).filter((id) => members.includes(id))
    expect(good.length, `copies in group ${groupOf(block)}`).to.be.at.least(2)
  }
}

async function putMany(world: RepairWorld, count: number, name: string): Promise<BlockId[]> {
  const blocks: BlockId[] = []
  for (let at = 0; at < count; at++) blocks.push(await world.run(world.put(`${name}${at}`)))
  return blocks
}

function minimumTo(world: RepairWorld, ats: readonly number[]): number {
  const drives = ats.map((at) => ({ id: idOf(at), weight: 1e9, domain: `h${at}` }))
  return computeGroups({ drives, replicas: 3, current: poolOf(world) }).minimum
}

async function addDrives(world: RepairWorld, ats: readonly number[]): Promise<void> {
  for (const at of ats) await world.run(world.register(at, idOf(at)))
}

/** A fourth drive joins, and takes no copy yet: groups that have blocks stay on their way. */
async function holdHalfway(world: RepairWorld): Promise<BlockId[]> {
  const blocks = await putMany(world, 30, 'a')
  world.drive(4).refuses = 'DriveFull'
  await addDrives(world, [4])
  await world.rounds(20)
  expect(changesOf(poolOf(world)).length).to.be.above(0)
  return blocks
}

describe('groups on the move', function () {
  this.timeout(120_000)
  let world: RepairWorld
  beforeEach(async () => {
    world = await RepairWorld.open()
  })

  it('grow from three drives to four and six, and are drained back, with every block in its place', async () => {
    const blocks = await putMany(world, 60, 'a')
    let moved = 0
    let minimum = 0
    const go = async (ats: readonly number[], change: () => Promise<unknown>): Promise<void> => {
      minimum += minimumTo(world, ats)
      await change()
      await settle(world, async () => {
        expectQuorums(world, blocks)
        blocks.push(await world.run(world.put(`b${blocks.length}`)))
      })
      moved += world.membership.report.positionsMoved
      expectInPlace(world, blocks)
    }
    await go([1, 2, 3, 4], () => addDrives(world, [4]))
    await go([1, 2, 3, 4, 5, 6], () => addDrives(world, [5, 6]))
    await go([1, 2, 3, 4], () => setDrain(world, [5, 6], true))
    await go([2, 3, 4], () => setDrain(world, [1], true))
    expect(moved / minimum).to.be.at.most(1.05)
    for (const at of [1, 5, 6]) {
      expect(stateOf(world, at)).to.equal('out')
      expect(world.drive(at).blocks.size).to.equal(0)
    }
    expect(world.errors).to.deep.equal([])
  })

  it('get on with another coordinator after each single step', async () => {
    const blocks = await putMany(world, 20, 'a')
    await addDrives(world, [4])
    await settle(world, async () => {
      expectQuorums(world, blocks)
      world.startWorkers()
      // What has been up for long is still so for the next one.
      await world.run(world.membership.look())
    })
    await setDrain(world, [2], true)
    await settle(world, async () => world.startWorkers())
    // A coordinator that lasts frees what the others have left.
    await world.rounds(10)
    expectInPlace(world, blocks)
    expect(world.drive(2).blocks.size).to.equal(0)
  })

  it('keep what a slow writer stored by the placement before', async () => {
    const old = world.cluster.known
    const owner = { space: world.space, bucket: 'b', key: 'slow', map: world.op() }
    await holdHalfway(world)
    const block = world.storeBlock(owner, drivesOfGroup(old.pools[0] as Pool, 0) as DriveId[])
    world.drive(4).refuses = undefined
    await settle(world)
    // Nobody has named it: it is nobody's to delete, and its writer may still come.
    expect(world.good(block)).to.include.members([idOf(1), idOf(2), idOf(3)])
  })

  it('are not handed over while a copy cannot be made', async () => {
    const blocks = await putMany(world, 30, 'a')
    world.drive(4).refuses = 'DriveFull'
    await addDrives(world, [4])
    await world.rounds(40)
    for (const block of blocks) {
      expect(world.good(block).sort()).to.deep.equal([idOf(1), idOf(2), idOf(3)])
      const members = drivesOfGroup(poolOf(world), groupOf(block))
      expect(members.sort()).to.deep.equal([idOf(1), idOf(2), idOf(3)])
    }
    world.drive(4).refuses = undefined
    await settle(world)
    expectInPlace(world, blocks)
  })

  it('go back when the drive that joins dies', async () => {
    const blocks = await holdHalfway(world)
    world.drive(4).isUp = false
    await world.rounds(330)
    expect(stateOf(world, 4)).to.equal('out')
    for (let group = 0; group < GROUPS_PER_POOL; group++) {
      expect(joinersOfGroup(poolOf(world), group)).to.not.include(idOf(4))
      expect(drivesOfGroup(poolOf(world), group)).to.not.include(idOf(4))
    }
    for (const block of blocks) expect(world.good(block)).to.include.members([idOf(1), idOf(2), idOf(3)])
  })

  it('are freed on a drive that was to join them and is drained before it does', async () => {
    await addDrives(world, [4, 5])
    await settle(world)
    const blocks = await putMany(world, 60, 'a')
    world.drive(4).refuses = 'DriveFull'
    await setDrain(world, [5], true)
    await world.rounds(20)
    const filled = blocks.filter((block) => joinersOfGroup(poolOf(world), groupOf(block)).includes(idOf(4)))
    expect(filled.length).to.be.above(0)
    for (const block of filled) {
      const entry = world.drive(5).blocks.get(formatId(block))
      if (entry === undefined) throw new Error('the leaver has no copy')
      world.drive(4).blocks.set(formatId(block), entry)
    }
    await setDrain(world, [4], true)
    await settle(world)
    expect(world.drive(4).blocks.size).to.equal(0)
    expectInPlace(world, blocks)
  })

  it('of a dead drive are made whole on the others, and it returns as a spare', async () => {
    const blocks = await putMany(world, 30, 'a')
    await addDrives(world, [4, 5])
    await settle(world)
    world.drive(2).isUp = false
    await world.rounds(340)
    expect(stateOf(world, 2)).to.equal('out')
    for (const block of blocks) {
      const members = drivesOfGroup(poolOf(world), groupOf(block))
      expect(members).to.not.include(idOf(2))
      expect(world.good(block)).to.include.members(members)
    }
    world.drive(2).isUp = true
    await world.run(world.register(2, idOf(2)))
    await world.rounds(60)
    expect(stateOf(world, 2)).to.equal('out')
    expect(world.drive(2).blocks.size).to.equal(0)
    expectInPlace(world, blocks)
    world.drive(5).isUp = false
    await world.rounds(340)
    expect(stateOf(world, 2)).to.equal('up')
    expectInPlace(
      world,
      blocks.filter((block) => !world.good(block).includes(idOf(5))),
    )
  })

  /** Five drives, and a block that two of its members alone have; these fall silent until they count as dead. */
  async function loseTwo(): Promise<{ block: BlockId; lost: DriveId[] }> {
    await addDrives(world, [4, 5])
    await settle(world)
    const block = await world.run(world.put('x'))
    const [first = '', ...lost] = drivesOfGroup(poolOf(world), groupOf(block)) as DriveId[]
    world.mender.drives.get(first)?.blocks.delete(formatId(block))
    setUp(lost, false)
    await world.rounds(330)
    return { block, lost }
  }

  function setUp(drives: readonly DriveId[], isUp: boolean): void {
    for (const id of drives) {
      const drive = world.mender.drives.get(id)
      if (drive !== undefined) drive.isUp = isUp
    }
  }

  it('are not handed over while an acknowledged block may be on dead drives alone', async () => {
    const { block, lost } = await loseTwo()
    for (const id of lost) expect(stateOf(world, Number(id))).to.equal('dead')
    expect(drivesOfGroup(poolOf(world), groupOf(block))).to.include.members(lost)
    expect(world.membership.report.stuck).to.match(/on dead drives alone/)
    setUp(lost.slice(1), true)
    await world.rounds(60)
    const members = drivesOfGroup(poolOf(world), groupOf(block))
    expect(members).to.not.include(lost[0])
    expect(world.good(block)).to.include.members(members)
    expect(world.membership.report.stuck).to.equal(undefined)
  })

  it('go to a spare once it has what a dead drive had, and not while two of three are dead', async () => {
    world.drive(1).refuses = 'DriveFull'
    const owed = await world.run(world.put('owed', [2, 3].map(idOf)))
    const blocks = await putMany(world, 10, 'a')
    setUp([2, 3].map(idOf), false)
    await addDrives(world, [4, 5])
    await world.rounds(330)
    expect(drivesOfGroup(poolOf(world), groupOf(owed))).to.have.members([1, 2, 3].map(idOf))
    expect(world.membership.report.stuck).to.match(/on dead drives alone/)
    expect(await world.debts()).to.equal(1)
    for (const block of blocks)
      expect(world.good(block), 'filled meanwhile').to.include.members([4, 5].map(idOf))
    world.drive(1).refuses = undefined
    setUp([idOf(3)], true)
    await world.rounds(60)
    expect(stateOf(world, 2)).to.equal('out')
    for (const block of [owed, ...blocks]) {
      expect(world.good(block)).to.include.members(drivesOfGroup(poolOf(world), groupOf(block)))
    }
    expect(await world.debts()).to.equal(0)
  })

  it('go to one spare for each dead drive, and to another when that dies too', async () => {
    const blocks = await putMany(world, 10, 'a')
    world.drive(2).isUp = false
    await world.rounds(300)
    for (const at of [4, 5]) world.drive(at).refuses = 'DriveFull'
    await addDrives(world, [4, 5])
    await world.rounds(20)
    expect(poolOf(world).drives).to.have.members([1, 2, 3, 4].map(idOf))
    world.drive(4).isUp = false
    world.drive(5).refuses = undefined
    await world.rounds(330)
    expect(poolOf(world).drives).to.have.members([1, 3, 5].map(idOf))
    for (const block of blocks) expect(world.good(block)).to.include.members([1, 3, 5].map(idOf))
  })

  it('are handed over without what dead drives had alone once these are drained by force', async () => {
    const { block, lost } = await loseTwo()
    const request = { action: 'drain', drives: lost, servers: [], force: true } as const
    await world.run(world.cluster.change((state) => planWish(state, request, (id) => world.states.of(id))))
    await world.rounds(60)
    for (const id of lost) expect(stateOf(world, Number(id))).to.equal('out')
    expect(drivesOfGroup(poolOf(world), groupOf(block))).to.not.include.members(lost)
    expect(world.membership.report.stuck).to.equal(undefined)
  })

  it('are not drained below the copies that their pool wants', async () => {
    const blocks = await putMany(world, 5, 'a')
    await setDrain(world, [1], true)
    await world.rounds(20)
    expect(stateOf(world, 1)).to.equal('draining')
    expect(world.membership.report.stuck).to.match(/needs 3 drives/)
    expectInPlace(world, blocks)
    await addDrives(world, [4])
    await settle(world)
    expect(stateOf(world, 1)).to.equal('out')
    expectInPlace(world, blocks)
  })

  it('keep a stray copy while some member lacks the block', async () => {
    await addDrives(world, [4])
    await settle(world)
    const key = 'stray'
    const block = await world.run(world.put(key))
    const members = drivesOfGroup(poolOf(world), groupOf(block)) as DriveId[]
    const stray = [1, 2, 3, 4].map(idOf).find((id) => !members.includes(id)) ?? ''
    const [first = ''] = members
    const entry = world.mender.drives.get(first)?.blocks.get(Buffer.from(block).toString('hex'))
    if (entry === undefined) throw new Error('no copy')
    const name = Buffer.from(block).toString('hex')
    world.mender.drives.get(stray)?.blocks.set(name, entry)
    world.mender.drives.get(first)?.blocks.delete(name)
    world.strays.note(1, stray, [groupOf(block)])
    await world.run(world.strays.run(new AbortController().signal))
    expect(world.good(block)).to.include(stray)
    world.mender.drives.get(first)?.blocks.set(name, entry)
    world.strays.note(1, stray, [groupOf(block)])
    await world.run(world.strays.run(new AbortController().signal))
    expect(world.good(block)).to.not.include(stray)
  })

  it('get a copy that a slow writer counts though it was freed before its drive came back', async () => {
    await addDrives(world, [4])
    await settle(world)
    const op = world.op()
    const everywhere = [1, 2, 3, 4].map(idOf)
    const block = world.storeBlock({ space: world.space, bucket: 'b', key: 'slow', map: op }, everywhere)
    const [first = '', second = ''] = drivesOfGroup(poolOf(world), groupOf(block)) as DriveId[]
    await setDrain(world, [Number(first)], true)
    await settle(world)
    expect(world.good(block)).to.not.include(first)
    await setDrain(world, [Number(first)], false)
    await setDrain(world, [Number(second)], true)
    await settle(world)
    expect(drivesOfGroup(poolOf(world), groupOf(block))).to.include(first)
    expect(world.good(block)).to.not.include(first)
    await world.run(world.commit({ key: 'slow', op, block, isOwing: false }))
    await world.rounds(60)
    expect(world.good(block)).to.include.members(drivesOfGroup(poolOf(world), groupOf(block)))
  })

  it('free what a writer with the former map stores on a drive after it has left', async () => {
    await addDrives(world, [4])
    await settle(world)
    const block = await world.run(world.put('late'))
    const members = drivesOfGroup(poolOf(world), groupOf(block)) as DriveId[]
    const left = [1, 2, 3, 4].map(idOf).find((id) => !members.includes(id)) ?? ''
    const name = Buffer.from(block).toString('hex')
    const entry = world.mender.drives.get(members[0] ?? '')?.blocks.get(name)
    if (entry === undefined) throw new Error('no copy')
    world.strays.note(1, left, [groupOf(block)])
    await world.round()
    world.mender.drives.get(left)?.blocks.set(name, entry)
    expect(world.good(block)).to.include(left)
    await world.rounds(60)
    expect(world.good(block)).to.not.include(left)
  })
})
