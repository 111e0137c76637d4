import { expect } from 'chai'
import type { Head } from '../../src/ports-mirror.js'
import { seed } from '../conformance/subject.js'
import { delegate, MirrorWorld, runHistory } from './mirror-world.js'

const TROUBLE = { faultRate: 0.05, lossRate: 0.02, delayMsMax: 12 }
const STEPS = 3_000

describe('MirroredEntryStore', () => {
  let world: MirrorWorld

  afterEach(() => world.close())

  it('answers by the store until it is whole, and then by itself', async () => {
    world = await MirrorWorld.open(seed)
    const revision = await world.write('o/a', '1')
    expect((await world.find('o/a'))?.revision).to.equal(revision)
    expect(world.mirror.status()).to.include({ state: 'filling', readsHere: 0 })
    await world.untilFollowing()
    expect((await world.find('o/a'))?.revision).to.equal(revision)
    expect(world.mirror.status()).to.include({ readsHere: 1, rows: 3, lagEntries: 0 })
  })

  it('shows what was committed before the read, with its exact revisions', async () => {
    world = await MirrorWorld.open(seed, { delayMsMax: 20 })
    await world.untilFollowing()
    const created = await world.write('o/a', '1')
    for (let round = 2; round < 30; round++) {
      const revision = await world.write('o/a', String(round))
      const row = await world.find('o/a')
      expect([String(row?.value), row?.created, row?.revision]).to.deep.equal([String(round), created, revision])
    }
    expect(world.mirror.status().readsHere).to.equal(28)
  })

  it(`answers ${STEPS} random steps linearizably, whatever happens to its changes (seed ${seed})`, async function () {
    this.timeout(120_000)
    world = await MirrorWorld.open(seed, TROUBLE)
    await world.untilFollowing()
    expect((await runHistory(world, STEPS)).slice(0, 5)).to.deep.equal([])
    expect(world.source.faults).to.be.greaterThan(20)
    expect(world.mirror.status().readsHere).to.be.greaterThan(50)
    expect(world.mirror.status()).to.include({ mismatches: 0 })
  })

  it('is caught by that history when it does not wait for head', async function () {
    this.timeout(60_000)
    let known: Head | undefined
    world = await MirrorWorld.open(seed, { delayMsMax: 12 }, (source) => ({
      ...delegate(source),
      head: async () => {
        if (world.mirror.status().state !== 'following') known = await source.head()
        return known ?? (await source.head())
      },
    }))
    await world.untilFollowing()
    expect(await runHistory(world, 300)).to.have.length.greaterThan(0)
  })
})
