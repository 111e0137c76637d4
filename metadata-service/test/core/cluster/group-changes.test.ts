import {
  changesOf,
  computeGroups,
  type DriveId,
  drivesOfGroup,
  GROUPS_PER_POOL,
  joinersOfGroup,
  type PlacementDrive,
  Pool,
  type Random,
} from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { completeGroups, planStep } from '../../../src/core/cluster/group-changes.js'

const SEEDS = Number(process.env.CAIRN_TEST_SEEDS ?? 12)
const STEPS_MAX = 400

function below(random: Random, bound: number): number {
  return Math.floor(random.fraction() * bound)
}

function drive(name: string, domain = name, weight = 100): PlacementDrive {
  return { id: name, weight, domain }
}

function poolOf(drives: readonly PlacementDrive[], replicas = 3): Pool {
  const { drives: names, groups } = computeGroups({ drives, replicas })
  return { id: 1, name: 'p', epoch: 1, replicas, failureDomain: 'host', drives: names, groups }
}

function allGroups(): Set<number> {
  return new Set(Array.from({ length: GROUPS_PER_POOL }, (_, group) => group))
}

function heldBy(pool: Pool): Map<DriveId, number> {
  const held = new Map<DriveId, number>()
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    for (const id of drivesOfGroup(pool, group)) if (id !== undefined) held.set(id, (held.get(id) ?? 0) + 1)
  }
  return held
}

/** A way of a pool to its placement: whichever groups are whole first, with the joiners counted. */
function walk(pool: Pool, drives: readonly PlacementDrive[], gone: ReadonlySet<DriveId>, random: Random) {
  let now = pool
  let moved = 0
  let whole = new Set<number>()
  for (let at = 0; at < STEPS_MAX; at++) {
    const step = planStep({ pool: now, drives, isGone: (id) => gone.has(id), whole, groupsMax: 700 })
    for (const { group, position } of changesOf(now)) {
      if (!whole.has(group)) continue
      moved++
      expect(drivesOfGroup(step.pool, group)[position]).to.equal(joinersOfGroup(now, group)[position])
    }
    expectOnlyWholeChanged(now, step.pool, whole)
    if (step.positionsLeft === 0 && step.pool.next === undefined) return { pool: step.pool, moved }
    now = step.pool
    const active = [...new Set(changesOf(now).map(({ group }) => group))]
    whole = new Set(active.filter(() => random.fraction() < 0.8))
  }
  throw new Error('the pool never comes to rest')
}

function expectOnlyWholeChanged(before: Pool, after: Pool, whole: ReadonlySet<number>): void {
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    if (whole.has(group)) continue
    if (drivesOfGroup(before, group).join() !== drivesOfGroup(after, group).join()) {
      throw new Error(`group ${group} has changed before it was whole`)
    }
  }
}

function expectApart(pool: Pool, drives: readonly PlacementDrive[]): void {
  const domains = new Map(drives.map(({ id, domain }) => [id, domain]))
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    const names = drivesOfGroup(pool, group).map((id) => domains.get(id ?? '') ?? `nobody ${id}`)
    if (new Set(names).size < pool.replicas) throw new Error(`group ${group} lies on ${names.join()}`)
  }
}

function randomDrives(random: Random, count: number, prefix: string): PlacementDrive[] {
  const domains = Math.max(3, Math.ceil(count / (1 + below(random, 3))))
  return Array.from({ length: count }, (_, at) =>
    drive(`${prefix}${at}`, `h${at % domains}`, 50 + below(random, 100)),
  )
}

/** Some drives of a pool leave, gone or not, and others come. */
function expectRest(random: Random): { moved: number; minimum: number } {
  const before = randomDrives(random, 3 + below(random, 8), 'a')
  const pool = poolOf(before)
  const added = below(random, 3) === 0 ? [] : randomDrives(random, 1 + below(random, 5), 'b')
  const after = [...before.slice(Math.min(below(random, 3), before.length - 3)), ...added]
  const gone = new Set(below(random, 2) === 0 ? [] : before.map(({ id }) => id))
  const { minimum, moved: atOnce } = computeGroups({ drives: after, replicas: 3, current: pool })
  const { pool: rested, moved } = walk(pool, after, gone, random)
  expect(moved, `of ${atOnce} at once`).to.be.at.most(Math.ceil(atOnce * 1.02) + 8)
  if (new Set(after.map(({ domain }) => domain)).size >= 3) expectApart(rested, after)
  const { groups, drives } = computeGroups({ drives: after, replicas: 3, current: rested })
  expect(heldBy(rested), 'shares').to.deep.equal(heldBy({ ...rested, groups, drives }))
  return { moved, minimum }
}

describe('group changes', () => {
  it('come to rest at the placement, by little more than the minimum, never with two copies in one domain', function () {
    this.timeout(20_000 + SEEDS * 2_000)
    let total = 0
    let totalMinimum = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = createSeededRandom(seed)
      try {
        const { moved, minimum } = expectRest(random)
        total += moved
        totalMinimum += minimum
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
    expect(total / totalMinimum).to.be.at.most(1.05)
  })

  it('put a drive at risk first, and all its groups at once', () => {
    const drives = ['a', 'b', 'c', 'd', 'e'].map((name) => drive(name))
    const pool = poolOf(drives)
    const held = heldBy(pool).get('a')
    const rest = [...drives.slice(1), drive('f')]
    const step = planStep({ pool, drives: rest, isGone: (id) => id === 'a', groupsMax: 10 })
    expect(changesOf(step.pool)).to.have.length(held ?? -1)
    expect(changesOf(step.pool).every(({ leaver }) => leaver === 'a')).to.equal(true)
  })

  it('move few groups at once when nothing is at risk, and none while they wait', () => {
    const drives = ['a', 'b', 'c'].map((name) => drive(name))
    const pool = poolOf(drives)
    const grown = [...drives, drive('d')]
    const step = planStep({ pool, drives: grown, isGone: () => false, groupsMax: 10 })
    expect(changesOf(step.pool)).to.have.length(10)
    expect(step.pool.epoch).to.equal(2)
    expect(step.positionsLeft).to.equal((GROUPS_PER_POOL * 3) / 4)
    expect(planStep({ pool, drives: grown, isGone: () => false, waits: true }).pool).to.equal(pool)
  })

  it('withdraw a joiner that is no longer wanted, and keep the others', () => {
    const drives = ['a', 'b', 'c'].map((name) => drive(name))
    const { pool } = planStep({ pool: poolOf(drives), drives: [...drives, drive('d')], isGone: () => false })
    expect(pool.next).to.not.equal(undefined)
    const back = planStep({ pool, drives, isGone: (id) => id === 'd' }).pool
    expect(back.next).to.equal(undefined)
    expect(back.drives).to.not.include('d')
    expect(heldBy(back)).to.deep.equal(heldBy(pool))
    const other = planStep({ pool, drives: [...drives, drive('e')], isGone: (id) => id === 'd' }).pool
    expect(new Set(changesOf(other).map(({ joiner }) => joiner))).to.deep.equal(new Set(['e']))
  })

  it('change nothing twice: the same step planned again is the same pool', () => {
    const drives = ['a', 'b', 'c', 'd'].map((name) => drive(name))
    const step = { drives: drives.slice(1), isGone: () => false, groupsMax: 100 }
    const first = planStep({ pool: poolOf(drives), ...step }).pool
    expect(planStep({ pool: first, ...step }).pool).to.equal(first)
  })

  it('put joiners in place only for the groups that are whole', () => {
    const drives = ['a', 'b', 'c'].map((name) => drive(name))
    const moving = planStep({
      pool: poolOf(drives),
      drives: [...drives, drive('d')],
      isGone: () => false,
    }).pool
    const [first] = changesOf(moving)
    if (first === undefined) throw new Error('nothing moves')
    const pool = completeGroups(moving, new Set([first.group]))
    expect(pool.epoch).to.equal(moving.epoch + 1)
    expect(drivesOfGroup(pool, first.group)[first.position]).to.equal('d')
    expect(changesOf(pool)).to.deep.equal(changesOf(moving).slice(1))
    const all = completeGroups(moving, allGroups())
    expect(all.next).to.equal(undefined)
    expect(heldBy(all).get('d')).to.equal(changesOf(moving).length)
  })

  it('survive being written and read', () => {
    const drives = ['a', 'b', 'c'].map((name) => drive(name))
    const pool = planStep({
      pool: poolOf(drives),
      drives: [...drives, drive('d')],
      isGone: () => false,
    }).pool
    expect(changesOf(Pool.decode(Pool.encode(pool)))).to.deep.equal(changesOf(pool))
  })
})
