import { BLOCK_BYTES_MAX, UNIT_BYTES } from '@cairn/protocol'
import { expect } from 'chai'
import { toBytes } from '../src/index.js'
import { MAP_REFRESH_MS } from '../src/limits.js'
import { codeOf, createWorld, patternBytes, type World } from './world/world.js'

/** Members are 0, 1 and 2; 3 joins in the place of 0. */
async function changingWorld(): Promise<World> {
  const world = await createWorld({ servers: 5, replicas: 3 })
  world.join(new Map([[0, 3]]))
  await world.clock.advance(MAP_REFRESH_MS + 1000)
  return world
}

function fail(world: World, ...indexes: readonly number[]): void {
  for (const index of indexes) Object.assign(world.servers[index] ?? {}, { putError: 'DriveFailed' })
}

async function read(world: World): Promise<Buffer> {
  const opened = await world.run(world.client.openObject('b', 'k'))
  return Buffer.from(await world.run(toBytes(opened.read())))
}

for (const size of [100, UNIT_BYTES * 40, BLOCK_BYTES_MAX + 5]) {
  describe(`${size} bytes written while a drive joins their group`, () => {
    const bytes = patternBytes(size)
    const put = (world: World): Promise<string> => codeOf(world.run(world.client.putObject('b', 'k', bytes)))

    it('go to members and joiner, and owe nothing', async () => {
      const world = await changingWorld()
      expect(await put(world)).to.equal('none')
      const names = world.servers.slice(0, 4).map(({ blocks }) => [...blocks.keys()].sort().join())
      expect(new Set(names).size).to.equal(1)
      expect(world.metadata.contexts.at(-1)?.dirtyGroups).to.deep.equal([])
    })

    it('owe a copy when the joiner cannot take one', async () => {
      const world = await changingWorld()
      fail(world, 3)
      expect(await put(world)).to.equal('none')
      expect(world.metadata.contexts.at(-1)?.dirtyGroups).to.have.length.above(0)
    })

    it('owe a copy when a member that stays cannot take one', async () => {
      const world = await changingWorld()
      fail(world, 1)
      expect(await put(world)).to.equal('none')
      expect(world.metadata.contexts.at(-1)?.dirtyGroups).to.have.length.above(0)
    })

    it('are refused when only one of the members to be could take them', async () => {
      const world = await changingWorld()
      fail(world, 1, 3)
      expect(await put(world)).to.equal('InsufficientReplicas')
      expect(world.metadata.object('b/k')).to.equal(undefined)
    })

    it('are refused when only one of the members as they are could take them', async () => {
      const world = await changingWorld()
      fail(world, 0, 1)
      expect(await put(world)).to.equal('InsufficientReplicas')
    })

    it('count on the member that takes the position of another one, as before and after', async () => {
      const world = await createWorld({ servers: 5, replicas: 3 })
      world.join(
        new Map([
          [0, 1],
          [1, 3],
        ]),
      )
      await world.clock.advance(MAP_REFRESH_MS + 1000)
      fail(world, 0)
      expect(await put(world)).to.equal('none')
      const names = [1, 2, 3].map((index) => [...(world.servers[index]?.blocks.keys() ?? [])].sort().join())
      expect(new Set(names).size).to.equal(1)
      fail(world, 3)
      expect(await put(world)).to.equal('none')
      fail(world, 1)
      expect(await put(world)).to.equal('InsufficientReplicas')
    })

    it('get a copy on the drive that joins between their blocks and their commit', async () => {
      const world = await createWorld({ servers: 5, replicas: 3 })
      world.metadata.beforeCommit = () => {
        world.metadata.beforeCommit = undefined
        world.join(new Map([[1, 4]]))
      }
      expect(await put(world)).to.equal('none')
      expect(world.metadata.contexts.map(({ poolEpoch }) => poolEpoch)).to.deep.equal([1, 2])
      expect(world.metadata.contexts.at(-1)?.dirtyGroups).to.deep.equal([])
      expect(world.servers[4]?.blocks.size).to.equal(world.servers[0]?.blocks.size)
    })

    it('have their copies when their group has changed twice before their commit', async () => {
      const world = await createWorld({ servers: 5, replicas: 3 })
      const steps = [() => world.join(new Map([[0, 3]])), () => world.place([3, 1, 2])]
      steps.push(
        () => world.join(new Map([[1, 4]])),
        () => world.place([3, 4, 2]),
      )
      world.metadata.beforeCommit = () => {
        steps.shift()?.()
      }
      expect(await put(world)).to.equal('none')
      expect(world.metadata.contexts.at(-1)?.poolEpoch).to.equal(5)
      expect(world.metadata.contexts.at(-1)?.dirtyGroups).to.deep.equal([])
      const names = [3, 4, 2].map((index) => [...(world.servers[index]?.blocks.keys() ?? [])].sort().join())
      expect(new Set(names).size).to.equal(1)
      for (const index of [0, 1]) world.servers[index]?.blocks.clear()
      expect((await read(world)).equals(bytes)).to.equal(true)
    })
  })
}

describe('reads while a drive joins a group', () => {
  it('ask the joiner only when no member is left', async () => {
    const world = await changingWorld()
    await world.run(world.client.putObject('b', 'k', patternBytes(100)))
    for (let at = 0; at < 8; at++) await read(world)
    expect(world.servers[3]?.gets).to.equal(0)
    for (const index of [0, 1, 2]) world.servers[index]?.blocks.clear()
    expect((await read(world)).equals(patternBytes(100))).to.equal(true)
    expect(world.servers[3]?.gets).to.equal(1)
  })
})
