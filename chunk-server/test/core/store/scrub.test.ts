import { formatId } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { Scrub } from '../../../src/core/store/scrub.js'
import { blockId, ownerOf, unitsOf } from '../../conformance/blocks.js'
import { World } from './segment-world.js'

const never = new AbortController().signal
const SIZES = [1, 5000, 5001, 300_000, 300_001, 0, 70_000]

/** A drive that is scrubbed once in each interval. */
class ScrubbedWorld extends World {
  readonly errors: unknown[] = []
  busy = false
  scrub: Scrub | undefined

  begin(intervalMs: number): void {
    this.scrub = new Scrub({
      store: this.store.scrubber,
      counters: this.store.counters,
      disk: this.disk,
      clock: this.clock,
      random: this.random,
      intervalMs,
      isBusy: () => this.busy,
      isUp: () => true,
      onError: (error) => this.errors.push(error),
    })
    this.scrub.start()
  }

  async until(isSo: () => boolean): Promise<void> {
    for (let turn = 0; !isSo(); turn++) {
      if (turn > 5000) throw new Error('it never came to be so')
      await this.clock.advance(10)
    }
    expect(this.errors).to.deep.equal([])
  }

  /** One whole pass that begins after this call. */
  async passOnce(): Promise<void> {
    const before = this.scrub?.report().passesDone ?? 0
    await this.until(() => (this.scrub?.report().passesDone ?? 0) >= before + 2)
  }

  async fill(): Promise<void> {
    await this.open()
    for (const [counter, size] of SIZES.entries()) {
      const block = blockId(1, counter)
      const units = unitsOf(block, createSeededRandom(size).bytes(size))
      await this.run(this.store.put(block, ownerOf('k'), units, { signal: never }))
    }
  }

  /** Where the record of a block starts: its id stands 24 bytes into the header. */
  async placeOf(counter: number): Promise<{ path: string; offset: number }> {
    for (const path of await this.segments()) {
      const at = Buffer.from(this.disk.peek(path) ?? Buffer.alloc(0)).indexOf(blockId(1, counter))
      if (at >= 0) return { path, offset: at - 24 }
    }
    throw new Error(`block ${counter} is in no segment`)
  }

  async damaged(): Promise<string[]> {
    const { blocks } = await this.run(this.store.list(undefined, 100, false, { damagedOnly: true }))
    return blocks.map((entry) => formatId(entry.block))
  }
}

async function filled(seed = 1): Promise<ScrubbedWorld> {
  const world = new ScrubbedWorld(seed)
  await world.fill()
  return world
}

/** Puts, deletes and compacts; returns the counters of the blocks that are left. */
async function busyLife(world: World): Promise<Set<number>> {
  const kept = new Set<number>()
  for (let counter = 10; counter < 60; counter++) {
    const block = blockId(2, counter)
    const size = counter % 7 === 0 ? 300_000 : 3000
    const units = unitsOf(block, createSeededRandom(counter).bytes(size))
    await world.run(world.store.put(block, ownerOf('k'), units, { signal: never }))
    kept.add(counter)
    const victim = counter - 5
    if (counter % 3 !== 0 && kept.delete(victim)) await world.run(world.store.delete([blockId(2, victim)]))
    if (counter % 10 === 0) await world.run(world.store.compactOnce())
  }
  return kept
}

describe('Scrub', () => {
  it('reads every block once in each pass, finds nothing wrong, and counts what it read', async () => {
    const world = await filled()
    world.begin(1000)
    await world.until(() => world.scrub?.report().passesDone === 1)
    const { scrub } = world
    const report = scrub?.report()
    expect(report).to.include({
      blocksScrubbed: SIZES.length,
      bytesScrubbed: SIZES.reduce((a, b) => a + b),
      damageFound: 0,
    })
    await world.until(() => scrub?.report().passesDone === 3)
    expect(scrub?.report().blocksScrubbed).to.equal(3 * SIZES.length)
    expect(scrub?.report().lastPassEndedMs).to.be.above(0)
    expect(world.damage).to.deep.equal([])
    await world.run(scrub?.close() ?? Promise.resolve())
  })

  for (const [what, at] of [
    ['the header', 30],
    ['the magic of the record', 1],
    ['the owner', 72 + 22],
    ['the data', 140],
  ] as const) {
    it(`finds a flipped bit in ${what} of any block, marks that block alone, and tells of it once`, async () => {
      for (const [counter, size] of SIZES.entries()) {
        if (what === 'the data' && size < 70_000) continue
        const world = await filled()
        const { path, offset } = await world.placeOf(counter)
        world.disk.flip(path, offset + at)
        world.begin(500)
        await world.passOnce()
        await world.passOnce()
        expect(await world.damaged()).to.deep.equal([formatId(blockId(1, counter))])
        expect(world.damage.filter((event) => event.kind === 'block')).to.have.length(1)
        await world.run(world.scrub?.close() ?? Promise.resolve())
      }
    })
  }

  for (const [what, spoil] of [
    ['a truncated', (content: Buffer) => content.subarray(0, 4096)],
    ['a vanished', () => undefined],
    ['a swapped', (_: Buffer, other: Buffer) => other],
  ] as const) {
    it(`finds ${what} segment`, async () => {
      const world = await filled()
      const paths = await world.segments()
      const [first, second] = paths.map((path) => Buffer.from(world.disk.peek(path) ?? Buffer.alloc(0)))
      if (paths[0] === undefined || first === undefined || second === undefined) throw new Error('too few')
      world.disk.poke(paths[0], spoil(first, second))
      world.begin(500)
      await world.passOnce()
      expect((await world.damaged()).length).to.be.above(0)
      await world.run(world.scrub?.close() ?? Promise.resolve())
    })
  }

  it('counts each block that it could read once in a pass, damaged or not', async () => {
    const world = await filled()
    const { path, offset } = await world.placeOf(3)
    for (const at of [1, 140]) world.disk.flip(path, offset + at)
    world.begin(500)
    await world.until(() => world.scrub?.report().passesDone === 2)
    expect(world.scrub?.report()).to.include({ blocksScrubbed: 2 * SIZES.length, damageFound: 1 })
    await world.run(world.scrub?.close() ?? Promise.resolve())
  })

  it('counts no block whose segment has gone', async () => {
    const world = await filled()
    world.disk.poke((await world.placeOf(1)).path, undefined)
    world.begin(500)
    await world.until(() => world.scrub?.report().passesDone === 2)
    const { length: lost } = await world.damaged()
    expect(lost).to.be.within(1, SIZES.length - 1)
    expect(world.scrub?.report().blocksScrubbed).to.equal(2 * (SIZES.length - lost))
    await world.run(world.scrub?.close() ?? Promise.resolve())
  })

  it('counts a block that is repaired in its pass at both places, and once from then on', async () => {
    const world = await filled()
    const { path, offset } = await world.placeOf(1)
    world.disk.flip(path, offset + 140)
    world.begin(500)
    await world.until(() => world.damage.length === 1)
    const units = unitsOf(blockId(1, 1), createSeededRandom(SIZES[1] ?? 0).bytes(SIZES[1] ?? 0))
    await world.run(world.store.put(blockId(1, 1), ownerOf('k'), units, { signal: never }))
    await world.until(() => world.scrub?.report().passesDone === 1)
    const { blocksScrubbed: first = 0 } = world.scrub?.report() ?? {}
    expect(first).to.be.within(SIZES.length, SIZES.length + 1)
    await world.until(() => world.scrub?.report().passesDone === 3)
    expect(world.scrub?.report().blocksScrubbed).to.equal(first + 2 * SIZES.length)
    expect(await world.damaged()).to.deep.equal([])
    await world.run(world.scrub?.close() ?? Promise.resolve())
  })

  it('takes rot in what is deleted for no fault', async () => {
    const world = await filled()
    const { path, offset } = await world.placeOf(3)
    await world.run(world.store.delete([blockId(1, 3)]))
    for (const at of [5, 100, 5000]) world.disk.flip(path, offset + at)
    world.begin(500)
    await world.passOnce()
    expect(world.damage).to.deep.equal([])
    expect(await world.damaged()).to.deep.equal([])
    await world.run(world.scrub?.close() ?? Promise.resolve())
  })

  it('notices rows that the index has lost', async () => {
    const world = await filled()
    await world.run(world.store.flushIndex())
    await world.reopen()
    world.index.apply({ put: [], remove: [blockId(1, 1)], live: [], durable: true })
    world.begin(500)
    await world.passOnce()
    expect(world.damage.map((event) => event.kind)).to.include('index')
    expect(world.store.indexDamaged).to.equal(true)
    await world.run(world.scrub?.close() ?? Promise.resolve())
  })

  it('goes on after a restart where it was', async () => {
    const world = await filled()
    const segments = (await world.segments()).length
    world.begin(100_000)
    await world.until(() => (world.scrub?.report().blocksScrubbed ?? 0) >= 3)
    await world.run(world.scrub?.close() ?? Promise.resolve())
    const first = world.scrub?.report().blocksScrubbed ?? 0
    expect(segments).to.be.above(1)
    expect(first).to.be.below(SIZES.length)
    await world.reopen()
    world.begin(100_000)
    await world.clock.advance(100_000)
    await world.until(() => world.scrub?.report().passesDone === 1)
    expect(world.scrub?.report().blocksScrubbed).to.be.below(SIZES.length + 1)
    await world.run(world.scrub?.close() ?? Promise.resolve())
    world.disk.poke('scrub.json', Buffer.from('{"format":1}'))
    world.begin(500)
    await world.passOnce()
    await world.run(world.scrub?.close() ?? Promise.resolve())
  })

  it('spreads a pass over the interval, and ends although others are always busy', async () => {
    const world = await filled()
    world.begin(100_000)
    await world.clock.advance(20_000)
    const early = world.scrub?.report()
    expect(early?.passesDone).to.equal(0)
    expect(early?.passDoneBytes).to.be.below((early?.passTotalBytes ?? 0) * 0.8)
    world.busy = true
    await world.clock.advance(80_000)
    await world.until(() => world.scrub?.report().passesDone === 1)
    await world.run(world.scrub?.close() ?? Promise.resolve())
  })

  it('keeps the interval of a drive that is always busy', async () => {
    const worlds = [await filled(), await filled()]
    for (const [at, world] of worlds.entries()) {
      world.busy = at === 1
      world.begin(500)
      await world.clock.advance(20 * 500)
      expect(world.scrub?.report().passesDone, `drive ${at}`).to.be.at.least(19)
      await world.run(world.scrub?.close() ?? Promise.resolve())
    }
  })

  it('finds no damage and loses nothing while blocks come, go and are compacted', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = await filled(seed)
      world.begin(50)
      const kept = await busyLife(world)
      await world.passOnce()
      const ids = [...kept].map((counter) => blockId(2, counter))
      const checked = await world.run(world.store.verify(ids, { signal: never }))
      expect(world.damage, `seed ${seed}`).to.deep.equal([])
      expect(checked.damaged, `seed ${seed}`).to.deep.equal([])
      expect((await world.run(world.store.find(ids))).length, `seed ${seed}`).to.equal(ids.length)
      await world.run(world.scrub?.close() ?? Promise.resolve())
    }
  })

  it('keeps what was acknowledged when the power goes in the midst of a pass', async () => {
    for (let nth = 1; nth <= 10; nth++) {
      const world = await filled(nth)
      world.begin(100)
      const end = world.disk.log.length + 5 * nth
      await world.until(() => world.disk.log.length >= end)
      world.crash({ kind: 'lost' })
      await world.open()
      const ids = SIZES.map((_, counter) => blockId(1, counter))
      const checked = await world.run(world.store.verify(ids, { signal: never }))
      expect(checked.damaged).to.deep.equal([])
      expect((await world.run(world.store.find(ids))).length).to.equal(SIZES.length)
    }
  })

  it('finds rows and segments in agreement after a life with power cuts', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const world = await filled(seed)
      await busyLife(world)
      void world.store.compactOnce().catch(() => undefined)
      await world.clock.advance(seed)
      world.crash({ kind: seed % 2 === 0 ? 'lost' : 'kept' }, { loseIndex: seed % 3 === 0 })
      await world.open()
      await world.run(world.store.delete([blockId(2, 12), blockId(1, 3)]))
      world.begin(50)
      await world.passOnce()
      expect(world.damage, `seed ${seed}`).to.deep.equal([])
      expect(world.store.indexDamaged, `seed ${seed}`).to.equal(false)
      await world.run(world.scrub?.close() ?? Promise.resolve())
    }
  })
})
