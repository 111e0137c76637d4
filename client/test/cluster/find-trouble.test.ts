import type { DriveState } from '@cairn/protocol'
import { expect } from 'chai'
import { createWorld, type World } from '../world/world.js'

/** The world of three drives, in these states. */
async function worldWith(states: readonly DriveState[]): Promise<World> {
  const world = await createWorld()
  const { map } = world.metadata
  const drives = map.drives.map((drive, at) => ({ ...drive, state: states[at] ?? 'up' }))
  world.metadata.map = { ...map, epoch: map.epoch + 1, drives }
  return world
}

const troubleOf = (world: World): Promise<string | undefined> => world.run(world.client.findTrouble())

describe('whether a read and a write would work', () => {
  it('they would while a quorum of each group is up', async () => {
    expect(await troubleOf(await createWorld())).to.equal(undefined)
    expect(await troubleOf(await worldWith(['suspect', 'up', 'up']))).to.equal(undefined)
  })

  it('they would not while most groups are short of drives, by the reason', async () => {
    const trouble = await troubleOf(await worldWith(['suspect', 'dead', 'up']))
    expect(trouble).to.match(/^(\d+) of \1 groups have fewer than 2 drives that are up$/)
  })

  it('nothing would without a pool', async () => {
    const world = await createWorld()
    const { defaultPool: _, ...map } = world.metadata.map
    world.metadata.map = { ...map, epoch: map.epoch + 1, pools: [] }
    expect(await troubleOf(world)).to.match(/no pool yet/)
  })

  it('writes would not if the store of the metadata takes none', async () => {
    const world = await createWorld()
    world.metadata.storeTrouble = 'a commit has failed'
    expect(await troubleOf(world)).to.equal('the metadata takes no writes: a commit has failed')
    world.metadata.storeTrouble = undefined
    const full = { member: 'etcd-1:2379', bytes: 9, fileBytes: 10, quotaBytes: 10, isRefusing: true }
    world.metadata.space = [{ ...full, isRefusing: false }, full]
    expect(await troubleOf(world)).to.match(/etcd etcd-1:2379 has reached its quota$/)
  })
})
