import { BLOCK_BYTES_MAX, UNIT_BYTES } from '@cairn/protocol'
import { expect } from 'chai'
import { connectCairn, toBytes } from '../src/index.js'
import { MAP_REFRESH_MS } from '../src/limits.js'
import { codeOf, createWorld, patternBytes, type World } from './world/world.js'

async function read(world: World): Promise<Buffer> {
  const opened = await world.run(world.client.openObject('b', 'k'))
  return Buffer.from(await world.run(toBytes(opened.read())))
}

for (const size of [100, UNIT_BYTES * 40, BLOCK_BYTES_MAX + 5]) {
  describe(`a stale cluster map while ${size} bytes are written`, () => {
    const bytes = patternBytes(size)

    it('is refreshed, and the block is sent again, when all servers refuse it', async () => {
      const world = await createWorld({ servers: 4, replicas: 3 })
      world.place([1, 2, 3])
      for (const each of world.servers) each.lowestEpoch = 2
      await world.run(world.client.putObject('b', 'k', bytes))
      expect(world.metadata.contexts.at(-1)?.poolEpoch).to.equal(2)
      expect(world.metadata.contexts.at(-1)?.dirtyGroups).to.deep.equal([])
      expect(world.servers.map(({ blocks }) => blocks.size > 0)).to.deep.equal([false, true, true, true])
      expect((await read(world)).equals(bytes)).to.equal(true)
    })

    it('makes copies on the new members when some servers refuse it', async () => {
      const world = await createWorld({ servers: 4, replicas: 3 })
      world.place([1, 2, 3])
      for (const index of [0, 1]) Object.assign(world.servers[index] ?? {}, { lowestEpoch: 2 })
      await world.run(world.client.putObject('b', 'k', bytes))
      expect(world.metadata.contexts.at(-1)?.dirtyGroups).to.deep.equal([])
      const names = world.servers.slice(1).map(({ blocks }) => [...blocks.keys()].sort().join())
      expect(new Set(names).size).to.equal(1)
      expect((await read(world)).equals(bytes)).to.equal(true)
    })

    it('is noticed at the commit: copies first, then the commit again by the same op', async () => {
      const world = await createWorld({ servers: 6, replicas: 3 })
      world.metadata.beforeCommit = () => {
        world.metadata.beforeCommit = undefined
        world.place([3, 4, 5])
      }
      await world.run(world.client.putObject('b', 'k', bytes))
      expect(new Set(world.metadata.ops).size).to.equal(1)
      expect(world.metadata.contexts.map(({ poolEpoch }) => poolEpoch)).to.deep.equal([1, 2])
      expect(world.metadata.contexts.at(-1)?.dirtyGroups).to.deep.equal([])
      expect((await read(world)).equals(bytes)).to.equal(true)
    })

    it('is an error, and nothing is committed, when the new members cannot take copies', async () => {
      const world = await createWorld({ servers: 6, replicas: 3 })
      for (const index of [3, 4]) Object.assign(world.servers[index] ?? {}, { putError: 'DriveFailed' })
      world.metadata.beforeCommit = () => {
        world.metadata.beforeCommit = undefined
        world.place([3, 4, 5])
      }
      expect(await codeOf(world.run(world.client.putObject('b', 'k', bytes)))).to.equal(
        'InsufficientReplicas',
      )
      expect(world.metadata.object('b/k')).to.equal(undefined)
    })
  })
}

it('a cluster map that never settles ends in an error', async () => {
  const world = await createWorld()
  for (const each of world.servers) each.lowestEpoch = 99
  expect(await codeOf(world.run(world.client.putObject('b', 'k', patternBytes(9))))).to.equal(
    'InsufficientReplicas',
  )
})

it('a read finds the new members after the group has moved', async () => {
  const world = await createWorld({ servers: 6, replicas: 3 })
  await world.run(world.client.putObject('b', 'k', patternBytes(9)))
  for (const index of [0, 1, 2]) {
    const [from, to] = [world.servers[index], world.servers[index + 3]]
    for (const [name, replica] of from?.blocks ?? []) to?.blocks.set(name, replica)
    from?.blocks.clear()
  }
  world.place([3, 4, 5])
  expect((await read(world)).equals(patternBytes(9))).to.equal(true)
})

it('a write asks for a newer map before it says that too few drives are in service', async () => {
  const world = await createWorld()
  const { map } = world.metadata
  const drives = map.drives.map((drive) => ({ ...drive, state: 'dead' as const }))
  world.metadata.map = { ...map, epoch: 2, drives }
  await world.clock.advance(MAP_REFRESH_MS + 1000)
  expect(await codeOf(world.run(world.client.putObject('b', 'k', patternBytes(9))))).to.equal(
    'InsufficientReplicas',
  )
  expect(world.servers.map(({ puts }) => puts)).to.deep.equal([0, 0, 0])
  world.metadata.map = { ...map, epoch: 3 }
  await world.run(world.client.putObject('b', 'k', patternBytes(9)))
  await world.run(world.client.putObject('b', 'l', patternBytes(9 * UNIT_BYTES)))
  expect((await read(world)).equals(patternBytes(9))).to.equal(true)
})

it('a write does not wait for a suspect drive, and sends nothing to a dead one', async () => {
  const world = await createWorld({ servers: 4, replicas: 4 })
  const { map } = world.metadata
  const states = ['up', 'up', 'suspect', 'dead'] as const
  const drives = map.drives.map((drive, index) => ({ ...drive, state: states[index] ?? 'up' }))
  world.metadata.map = { ...map, epoch: 2, drives }
  await world.clock.advance(MAP_REFRESH_MS + 1000)
  const code = await codeOf(world.run(world.client.putObject('b', 'k', patternBytes(9))))
  expect(code).to.equal('none')
  expect(world.servers.map(({ puts }) => puts)).to.deep.equal([1, 1, 1, 0])
  expect(world.metadata.contexts.at(-1)?.dirtyGroups).to.have.length(1)
})

describe('a client whose cluster map is older than the pool', () => {
  it('gets the newer map to read what others have written', async () => {
    const world = await createWorld()
    const { map } = world.metadata
    const bytes = patternBytes(100)
    world.metadata.map = { ...map, pools: [] }
    const { clock, random, network, identity } = world
    const connecting = connectCairn({
      network,
      metadata: ['local:metadata'],
      identity: identity('early'),
      clock,
      random,
    })
    const early = await world.run(connecting)
    world.place([0, 1, 2])
    await world.run(world.client.putObject('b', 'k', bytes))
    const opened = await world.run(early.openObject('b', 'k'))
    expect(Buffer.from(await world.run(toBytes(opened.read()))).equals(bytes)).to.equal(true)
  })
})
