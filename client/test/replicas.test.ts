import { BLOCK_BYTES_MAX, BLOCK_DEADLINE_MS, UNIT_BYTES, unitCheck } from '@cairn/protocol'
import { expect } from 'chai'
import { toBytes } from '../src/index.js'
import { ASIDE_MS, ASIDE_MS_MAX, OVERTAKEN_MAX, WINDOW_UNITS } from '../src/limits.js'
import type { FakeChunkServer } from './world/fake-chunk-server.js'
import { codeOf, createWorld, patternBytes, type World } from './world/world.js'

function server(world: World, index: number): FakeChunkServer {
  const found = world.servers[index]
  if (found === undefined) throw new Error(`no server ${index}`)
  return found
}

async function read(world: World, range?: { offset: number; length: number }): Promise<Buffer> {
  const opened = await world.run(world.client.openObject('b', 'k'))
  return Buffer.from(await world.run(toBytes(opened.read(range))))
}

const LARGE = patternBytes(BLOCK_BYTES_MAX + 3 * UNIT_BYTES + 7)
const SMALL = patternBytes(4096)

for (const [name, bytes] of [
  ['small', SMALL],
  ['large', LARGE],
] as const) {
  describe(`replicas of a ${name} object`, () => {
    let world: World
    beforeEach(async () => {
      world = await createWorld()
    })

    const put = () => world.run(world.client.putObject('b', 'k', bytes))

    it('are stored at quorum when one drive fails, and its group is marked dirty', async () => {
      server(world, 1).putError = 'DriveFailed'
      await put()
      expect(world.metadata.contexts[0]?.dirtyGroups).to.have.length(name === 'small' ? 1 : 2)
      expect((await read(world)).equals(bytes)).to.equal(true)
    })

    it('are refused when two drives fail, and nothing is committed', async () => {
      server(world, 0).putError = 'DriveFailed'
      server(world, 1).putError = 'DriveFailed'
      expect(await codeOf(put())).to.equal('InsufficientReplicas')
      expect(world.metadata.ops).to.deep.equal([])
    })

    it('are stored when one drive has just come back and the next one goes', async () => {
      const heal = world.network.partition('client', 'd1', 'break')
      const untilMs = world.clock.monotonicMs() + 5_000
      while (world.clock.monotonicMs() < untilMs) {
        await world.run(world.client.putObject('b', 'another', SMALL))
        await world.clock.advance(100)
      }
      heal()
      world.network.partition('client', 'd2', 'break')
      await put()
      expect((await read(world)).equals(bytes)).to.equal(true)
    })

    it('are refused while two drives cannot be reached', async () => {
      world.network.partition('client', 'd1', 'break')
      world.network.partition('client', 'd2', 'break')
      expect(await codeOf(put())).to.equal('InsufficientReplicas')
      expect(world.metadata.ops).to.deep.equal([])
    })

    it('are refused for want of room when two drives are full', async () => {
      server(world, 0).putError = 'DriveFull'
      server(world, 1).putError = 'DriveFull'
      expect(await codeOf(put())).to.equal('DriveFull')
      expect(world.metadata.ops).to.deep.equal([])
    })

    it('do not wait for one that hangs longer than its grace', async () => {
      server(world, 2).hangs = true
      const startMs = world.clock.monotonicMs()
      await put()
      expect(world.clock.monotonicMs() - startMs).to.be.below(3000)
      expect(world.metadata.contexts[0]?.dirtyGroups).to.have.length(name === 'small' ? 1 : 2)
      expect(world.client.counters().laggedReplicas).to.be.above(0)
    })

    it('are waited for while one is slow but within its grace', async () => {
      server(world, 2).delayMs = 30
      await put()
      expect(world.metadata.contexts[0]?.dirtyGroups).to.deep.equal([])
    })

    it('fail with the deadline, not for ever, when two hang', async () => {
      server(world, 1).hangs = true
      server(world, 2).hangs = true
      const startMs = world.clock.monotonicMs()
      expect(await codeOf(put())).to.equal('InsufficientReplicas')
      expect(world.clock.monotonicMs() - startMs).to.be.below(3 * BLOCK_DEADLINE_MS)
    })

    it('are read from another one when one is corrupt, and that is reported', async () => {
      await put()
      server(world, 0).spoil(0, () => undefined)
      for (let round = 0; round < 6; round++) expect((await read(world)).equals(bytes)).to.equal(true)
      expect(new Set(world.damages.map(({ kind, drive }) => `${kind} ${drive}`))).to.deep.equal(
        new Set(['corrupt d0']),
      )
      expect(world.client.counters().corruptReplicas).to.equal(world.damages.length)
    })

    it('never give wrong bytes when two of three are corrupt', async () => {
      await put()
      server(world, 0).spoil(0, () => undefined)
      server(world, 2).spoil(0, () => undefined)
      for (let round = 0; round < 6; round++) expect((await read(world)).equals(bytes)).to.equal(true)
    })

    it('reject when all are corrupt', async () => {
      await put()
      for (const { spoil } of world.servers.map((each) => ({ spoil: each.spoil.bind(each) })))
        spoil(0, () => undefined)
      expect(await codeOf(read(world))).to.equal('BlockUnavailable')
    })

    it('are checked against the hash of the map even if the unit checks fit', async () => {
      await put()
      server(world, 0).spoil(0, unitCheck)
      for (let round = 0; round < 6; round++) {
        // Wrong bytes with right checks show only at the end of a block: right bytes, or an error.
        const outcome = await read(world).catch((error: { code: string }) => error.code)
        if (typeof outcome === 'string') expect(outcome).to.equal('BlockUnavailable')
        else expect(outcome.equals(bytes)).to.equal(true)
      }
      if (name === 'small') expect((await read(world)).equals(bytes)).to.equal(true)
    })

    it('are read from another one when one lacks the block', async () => {
      await put()
      server(world, 0).blocks.clear()
      for (let round = 0; round < 6; round++) expect((await read(world)).equals(bytes)).to.equal(true)
      expect(new Set(world.damages.map(({ kind }) => kind))).to.deep.equal(new Set(['missing']))
    })

    it('are unavailable only after all have failed', async () => {
      await put()
      server(world, 0).getError = 'DriveFailed'
      server(world, 1).blocks.clear()
      expect((await read(world)).equals(bytes)).to.equal(true)
      server(world, 2).getError = 'Busy'
      expect(await codeOf(read(world))).to.equal('BlockUnavailable')
    })

    it('are hedged when one hangs', async () => {
      await put()
      server(world, 0).hangs = true
      server(world, 1).hangs = true
      const startMs = world.clock.monotonicMs()
      for (let round = 0; round < 6; round++) expect((await read(world)).equals(bytes)).to.equal(true)
      expect(world.clock.monotonicMs() - startMs).to.be.below(20_000)
      expect(world.client.counters().hedgedReads).to.be.above(0)
    })

    it('are not asked of one that says nothing, but now and then, until it answers again', async () => {
      await put()
      const readTimes = async (times: number): Promise<void> => {
        for (let round = 0; round < times; round++) expect((await read(world)).equals(bytes)).to.equal(true)
      }
      await readTimes(60)
      const [silent] = [...world.servers].sort((a, b) => b.gets - a.gets)
      if (silent === undefined) throw new Error('no server')
      silent.hangs = true
      const startMs = world.clock.monotonicMs()
      await readTimes(100)
      expect(world.client.counters().hedgedReads).to.be.within(1, 2 * OVERTAKEN_MAX)
      expect(world.clock.monotonicMs() - startMs).to.be.below(ASIDE_MS)
      silent.hangs = false
      await world.run(new Promise<void>((resolve) => world.clock.setTimer(ASIDE_MS_MAX, resolve)))
      const asked = silent.gets
      await readTimes(20)
      expect(silent.gets).to.be.above(asked)
    })
  })
}

describe('the flow of a large object', () => {
  it('goes on with another replica at the unit where one broke off', async () => {
    const world = await createWorld()
    await world.run(world.client.putObject('b', 'k', LARGE))
    server(world, 0).breakAfterUnits = 5
    server(world, 1).breakAfterUnits = 7
    expect((await read(world)).equals(LARGE)).to.equal(true)
    expect(world.client.counters().failovers).to.be.above(0)
  })

  it('holds a bounded number of units while replicas hang', async () => {
    const world = await createWorld()
    for (const each of world.servers) each.hangs = true
    let givenBytes = 0
    const unit = patternBytes(UNIT_BYTES)
    async function* body(): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 400; index++) {
        givenBytes += unit.length
        yield unit
      }
    }
    const putting = world.client.putObject('b', 'k', body())
    await world.clock.advance(5_000)
    expect(givenBytes).to.be.at.most((WINDOW_UNITS + 2) * UNIT_BYTES)
    for (const each of world.servers) each.hangs = false
    const result = await world.run(putting)
    expect(result.sizeBytes).to.equal(400 * UNIT_BYTES)
  })

  it('goes on in a new block after a pause that outlasts the deadline of a call', async () => {
    const world = await createWorld()
    async function* body(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < LARGE.length; at += 3_000_000) {
        yield LARGE.subarray(at, at + 3_000_000)
        await new Promise<void>((resolve) => world.clock.setTimer(2 * BLOCK_DEADLINE_MS, resolve))
      }
    }
    await world.run(world.client.putObject('b', 'k', body()))
    expect((await read(world)).equals(LARGE)).to.equal(true)
    expect(world.metadata.contexts[0]?.dirtyGroups).to.deep.equal([])
  })

  it('reads at most one block ahead of a consumer that pauses', async () => {
    const world = await createWorld()
    await world.run(world.client.putObject('b', 'k', patternBytes(4 * BLOCK_BYTES_MAX)))
    const opened = await world.run(world.client.openObject('b', 'k'))
    const iterator = opened.read()[Symbol.asyncIterator]()
    await world.run(iterator.next())
    await world.clock.advance(1_000)
    expect(world.servers.reduce((sum, { gets }) => sum + gets, 0)).to.equal(2)
    if (iterator.return !== undefined) await world.run(iterator.return())
  })

  it('survives a consumer that pauses longer than the deadline of a call', async () => {
    const world = await createWorld()
    await world.run(world.client.putObject('b', 'k', LARGE))
    const opened = await world.run(world.client.openObject('b', 'k'))
    const iterator = opened.read()[Symbol.asyncIterator]()
    const chunks: Uint8Array[] = []
    for (;;) {
      const result = await world.run(iterator.next())
      if (result.done) break
      chunks.push(result.value)
      if (chunks.length % 20 === 0) await world.clock.advance(2 * BLOCK_DEADLINE_MS)
    }
    expect(Buffer.concat(chunks).equals(LARGE)).to.equal(true)
  })

  it('stops with Cancelled when the reader aborts', async () => {
    const world = await createWorld()
    await world.run(world.client.putObject('b', 'k', LARGE))
    for (const each of world.servers) each.hangs = true
    const controller = new AbortController()
    const opened = await world.run(world.client.openObject('b', 'k'))
    const reading = toBytes(opened.read(undefined, { signal: controller.signal }))
    reading.catch(() => undefined)
    await world.clock.advance(100)
    controller.abort()
    expect(await codeOf(world.run(reading))).to.equal('Cancelled')
  })
})
