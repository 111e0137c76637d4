import { expect } from 'chai'
import fc from 'fast-check'
import {
  type BlockId,
  computeGroups,
  drivesOfGroup,
  GROUPS_PER_POOL,
  groupOf,
  murmur3,
  NO_DRIVE,
  type Placement,
  type PlacementDrive,
  type Pool,
  replaceDrive,
} from '../src/index.js'

function makeDrives(count: number, weightOf: (at: number) => number, drivesPerHost = 1): PlacementDrive[] {
  return Array.from({ length: count }, (_, at) => ({
    id: at.toString(16).padStart(16, '0'),
    weight: weightOf(at),
    domain: `host-${Math.floor(at / drivesPerHost)}`,
  }))
}

function toPool(placement: Placement, replicas: number): Pool {
  const { drives, groups } = placement
  return { id: 1, name: 'default', epoch: 7, replicas, failureDomain: 'host', drives, groups }
}

function heldBy(pool: Pool): Map<string, number> {
  const held = new Map<string, number>()
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    for (const drive of drivesOfGroup(pool, group)) {
      if (drive !== undefined) held.set(drive, (held.get(drive) ?? 0) + 1)
    }
  }
  return held
}

/** Exact share of each drive when no domain is heavier than one position of each group. */
function exactShares(drives: readonly PlacementDrive[], replicas: number): Map<string, number> {
  const total = drives.reduce((sum, drive) => sum + drive.weight, 0)
  return new Map(drives.map((drive) => [drive.id, (GROUPS_PER_POOL * replicas * drive.weight) / total]))
}

function expectDomainsApart(pool: Pool, drives: readonly PlacementDrive[]): void {
  const domainOf = new Map(drives.map((drive) => [drive.id, drive.domain]))
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    const domains = new Set(drivesOfGroup(pool, group).map((drive) => domainOf.get(drive ?? '')))
    if (domains.has(undefined) || domains.size !== pool.replicas) expect.fail(`group ${group} is not apart`)
  }
}

/** Chai compares tables of groups entry by entry, which takes longer than making them. */
function expectSame({ groups, ...rest }: Placement, { groups: wanted, ...others }: Placement): void {
  expect(Buffer.compare(groups, wanted)).to.equal(0)
  expect(rest).to.deep.equal(others)
}

describe('murmur3', () => {
  it('gives the published values', () => {
    const hex = (text: string): Uint8Array => Buffer.from(text, 'hex')
    expect(murmur3(hex(''))).to.equal(0)
    expect(murmur3(hex(''), 1)).to.equal(0x514e28b7)
    expect(murmur3(hex(''), 0xffffffff)).to.equal(0x81f16f39)
    expect(murmur3(hex('ffffffff'))).to.equal(0x76293b50)
    expect(murmur3(hex('21436587'))).to.equal(0xf55b516b)
    expect(murmur3(hex('21436587'), 0x5082edee)).to.equal(0x2362f9de)
    expect(murmur3(hex('214365'))).to.equal(0x7e4a8634)
    expect(murmur3(hex('2143'))).to.equal(0xa0f7b07a)
    expect(murmur3(hex('21'))).to.equal(0x72661cf4)
    expect(murmur3(Buffer.from('Hello, world!'), 0x9747b28c)).to.equal(0x24884cba)
    expect(murmur3(Buffer.from('The quick brown fox jumps over the lazy dog'), 0x9747b28c)).to.equal(
      0x2fa826cd,
    )
  })
})

describe('groupOf', () => {
  it('is the leading 12 bits of the hash, the same for ever', () => {
    const block = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex') as Uint8Array as BlockId
    expect(groupOf(block)).to.equal(murmur3(block) >>> 20)
    expect(groupOf(block)).to.equal(401)
  })

  it('spreads the counters of one session evenly', () => {
    const held = new Uint32Array(GROUPS_PER_POOL)
    const block = Buffer.alloc(16, 0x5a)
    for (let counter = 0; counter < GROUPS_PER_POOL * 64; counter++) {
      block.writeBigUInt64BE(BigInt(counter), 8)
      const group = groupOf(block as Uint8Array as BlockId)
      held[group] = (held[group] ?? 0) + 1
    }
    expect(Math.min(...held)).to.be.above(64 - 8 * 6)
    expect(Math.max(...held)).to.be.below(64 + 8 * 6)
  })
})

describe('computeGroups', () => {
  for (const count of [3, 4, 6, 20, 100]) {
    it(`gives each of ${count} drives its share by weight within two positions`, () => {
      const drives = makeDrives(count, (at) => (count === 3 ? 1 : 4 + (at % 3)))
      const pool = toPool(computeGroups({ drives, replicas: 3 }), 3)
      const held = heldBy(pool)
      for (const [id, share] of exactShares(drives, 3)) {
        expect(Math.abs((held.get(id) ?? 0) - share), `drive ${id}`).to.be.below(2)
      }
      expectDomainsApart(pool, drives)
    })

    it(`moves at most 5 % above the minimum when a drive joins or leaves ${count}`, () => {
      const drives = makeDrives(count + 1, (at) => 4 + (at % 3))
      const first = computeGroups({ drives: drives.slice(0, count), replicas: 2 })
      const grown = computeGroups({ drives, replicas: 2, current: toPool(first, 2) })
      expect(grown.minimum).to.be.above(0)
      expect(grown.moved).to.be.within(grown.minimum, Math.ceil(grown.minimum * 1.05))
      expectDomainsApart(toPool(grown, 2), drives)
      const left = drives.slice(1)
      const shrunk = computeGroups({ drives: left, replicas: 2, current: toPool(grown, 2) })
      expect(shrunk.moved).to.be.within(shrunk.minimum, Math.ceil(shrunk.minimum * 1.05))
      expectDomainsApart(toPool(shrunk, 2), left)
    })
  }

  it('gives a domain that is too heavy one position of each group and the rest to others', () => {
    const drives = makeDrives(4, (at) => (at === 0 ? 100 : 1))
    const held = heldBy(toPool(computeGroups({ drives, replicas: 3 }), 3))
    expect(held.get(drives[0]?.id ?? '')).to.equal(GROUPS_PER_POOL)
  })

  it('uses distinct drives when there are fewer domains than replicas', () => {
    const drives = makeDrives(4, () => 1, 2)
    const pool = toPool(computeGroups({ drives, replicas: 3 }), 3)
    for (let group = 0; group < GROUPS_PER_POOL; group++) {
      expect(new Set(drivesOfGroup(pool, group)).size).to.equal(3)
    }
  })

  it('leaves positions empty when there are fewer drives than replicas, and fills them later', () => {
    const drives = makeDrives(3, () => 1)
    const poor = computeGroups({ drives: drives.slice(0, 2), replicas: 3 })
    expect(Buffer.from(poor.groups).readUInt16LE(4)).to.equal(NO_DRIVE)
    const rich = computeGroups({ drives, replicas: 3, current: toPool(poor, 3) })
    expect(rich.moved).to.equal(GROUPS_PER_POOL)
    expectDomainsApart(toPool(rich, 3), drives)
  })

  it('changes nothing when nothing changed', () => {
    const drives = makeDrives(7, (at) => 1 + at)
    const first = computeGroups({ drives, replicas: 3 })
    const again = computeGroups({ drives: [...drives].reverse(), replicas: 3, current: toPool(first, 3) })
    expect(again.moved).to.equal(0)
    expect(again.minimum).to.equal(0)
    expect(Buffer.compare(again.groups, first.groups)).to.equal(0)
  })

  it('holds its promises through random changes of the drives', () => {
    const change = fc.record({
      weights: fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 3, maxLength: 12 }),
      drivesPerHost: fc.integer({ min: 1, max: 2 }),
    })
    const seed = Number(process.env.CAIRN_TEST_SEED ?? 1)
    console.log(`      placement seed ${seed}`)
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (steps, replicas) => {
          let current: Pool | undefined
          for (const step of steps) {
            const drives = makeDrives(step.weights.length, (at) => step.weights[at] ?? 1, step.drivesPerHost)
            const request = current === undefined ? { drives, replicas } : { drives, replicas, current }
            const placement = computeGroups(request)
            expectSame(computeGroups(request), placement)
            expect(placement.moved).to.be.at.least(placement.minimum)
            current = toPool(placement, replicas)
            const usable = drives.filter((drive) => drive.weight > 0)
            if (new Set(usable.map((drive) => drive.domain)).size >= replicas)
              expectDomainsApart(current, usable)
          }
        },
      ),
      { seed, numRuns: 15 },
    )
  })
})

describe('replaceDrive', () => {
  it('gives the new drive every position of the old one and raises the epoch', () => {
    const drives = makeDrives(3, () => 1)
    const pool = toPool(computeGroups({ drives, replicas: 3 }), 3)
    const [old, kept] = [drives[0]?.id ?? '', drives[1]?.id ?? '']
    const changed = replaceDrive(pool, old, 'f'.repeat(16))
    expect(changed.epoch).to.equal(8)
    expect(heldBy(changed).get('f'.repeat(16))).to.equal(heldBy(pool).get(old))
    expect(heldBy(changed).has(old)).to.equal(false)
    expect(() => replaceDrive(pool, old, kept)).to.throw(RangeError)
    expect(() => replaceDrive(pool, 'nobody', 'f'.repeat(16))).to.throw(RangeError)
  })
})
