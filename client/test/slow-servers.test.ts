import { GROUPS_PER_POOL, type ServerSpeed } from '@cairn/protocol'
import { expect } from 'chai'
import { toBytes } from '../src/index.js'
import { OVERTAKEN_MAX, SPEED_REPORT_MS } from '../src/limits.js'
import { createWorld, patternBytes, type World } from './world/world.js'

const BYTES = patternBytes(4096)

describe('a slow chunk server', () => {
  let world: World

  const pass = (delayMs: number): Promise<void> =>
    world.run(new Promise((resolve) => world.clock.setTimer(delayMs, resolve)))

  const put = (key: string) => world.run(world.client.putObject('b', key, BYTES))

  async function read(key: string): Promise<void> {
    const opened = await world.run(world.client.openObject('b', key))
    expect(Buffer.from(await world.run(toBytes(opened.read()))).equals(BYTES)).to.equal(true)
  }

  /** Three drives of all hold each group, in turn; the first is as said. */
  function spread(state: 'up' | 'suspect'): void {
    const { map } = world.metadata
    const groups = Buffer.alloc(GROUPS_PER_POOL * 3 * 2)
    for (let slot = 0; slot < GROUPS_PER_POOL * 3; slot++) {
      groups.writeUInt16LE((Math.floor(slot / 3) + (slot % 3)) % map.drives.length, slot * 2)
    }
    world.metadata.map = {
      ...map,
      epoch: map.epoch + 1,
      drives: map.drives.map((drive, at) => (at === 0 ? { ...drive, state } : drive)),
      pools: map.pools.map((pool) => ({ ...pool, groups })),
    }
  }

  it('is told of with its times beside those of the others', async () => {
    world = await createWorld()
    const slow = world.servers[1]
    if (slow === undefined) throw new Error('no server')
    slow.delayMs = 40
    for (let at = 0; at < 8; at++) await put(`k${at}`)
    await pass(SPEED_REPORT_MS)
    const writes = world.metadata.speeds.flatMap(({ speeds }) =>
      speeds.filter(({ kind }) => kind === 'write'),
    )
    const of = (server: string): ServerSpeed | undefined => writes.find((each) => each.server === server)
    expect(writes.map(({ calls }) => calls)).to.deep.equal([8, 8, 8])
    expect(of('m-d1')?.lowMicros).to.be.within(40_000, 41_000)
    expect(of('m-d0')?.highMicros).to.be.below(1_000)
  })

  it('is hardly asked again by readers, though its answers come late', async () => {
    world = await createWorld()
    await put('k')
    for (let at = 0; at < 60; at++) await read('k')
    const [slow] = [...world.servers].sort((a, b) => b.gets - a.gets)
    if (slow === undefined) throw new Error('no server')
    slow.delayMs = 100
    for (let round = 0; round < 20; round++) {
      for (let at = 0; at < 5; at++) await read('k')
      await pass(150)
    }
    expect(world.client.counters().hedgedReads).to.be.within(1, 2 * OVERTAKEN_MAX)
  })

  it('gets no new blocks while it is suspect and other groups are there', async () => {
    world = await createWorld({ servers: 5, replicas: 3 })
    spread('suspect')
    // The answer to a report says that there is a newer map.
    await put('first')
    await pass(2 * SPEED_REPORT_MS)
    const doubtful = world.servers[0]
    const before = doubtful?.puts
    for (let at = 0; at < 40; at++) await put(`k${at}`)
    expect(doubtful?.puts).to.equal(before)
    spread('up')
    await pass(2 * SPEED_REPORT_MS)
    for (let at = 0; at < 40; at++) await put(`l${at}`)
    expect(doubtful?.puts).to.be.above(before ?? 0)
    for (let at = 0; at < 40; at++) await read(`k${at}`)
  })

  it('gets its blocks while it is suspect if no group is without it', async () => {
    world = await createWorld()
    const { map } = world.metadata
    world.metadata.map = {
      ...map,
      epoch: map.epoch + 1,
      drives: map.drives.map((drive, at) => (at === 0 ? { ...drive, state: 'suspect' } : drive)),
    }
    await put('first')
    await pass(2 * SPEED_REPORT_MS)
    const before = world.servers[0]?.puts ?? 0
    for (let at = 0; at < 5; at++) await put(`k${at}`)
    expect(world.servers[0]?.puts).to.equal(before + 5)
  })
})
