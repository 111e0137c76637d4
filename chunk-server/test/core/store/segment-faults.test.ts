import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { blockId, codeOf, ownerOf, readRange, unitsOf } from '../../conformance/blocks.js'
import { TIGHT, World } from './segment-world.js'

const never = new AbortController().signal
const SMALL = 5000
const LARGE = 300_000
const ALL = Array.from({ length: 12 }, (_, counter) => counter)

function bodyOf(counter: number): Uint8Array {
  return createSeededRandom(counter).bytes(counter % 4 === 3 ? LARGE : SMALL)
}

function put(world: World, counter: number): Promise<unknown> {
  const block = blockId(1, counter)
  return world.store.put(block, ownerOf('k'), unitsOf(block, bodyOf(counter)), { signal: never })
}

async function holds(world: World, counter: number): Promise<boolean> {
  const length = bodyOf(counter).length
  const reading = readRange(world.store, blockId(1, counter), { offset: 0, length })
  const found = await world.run(reading.catch((error: { code: string }) => error.code))
  if (typeof found !== 'string') expect(found.equals(bodyOf(counter))).to.equal(true)
  else expect(found).to.equal('NoSuchBlock')
  return typeof found !== 'string'
}

/** Puts 12 blocks in pairs, deletes a third of them, compacts; tells what was acknowledged. */
async function workload(world: World): Promise<{ stored: Set<number>; gone: Set<number>; errors: string[] }> {
  const stored = new Set<number>()
  const gone = new Set<number>()
  const errors: string[] = []
  const note = (error: { code: string }): void => void errors.push(error.code)
  const one = (counter: number): Promise<unknown> => put(world, counter).then(() => stored.add(counter), note)
  for (let counter = 0; counter < 12; counter += 2) {
    await world.run(Promise.all([one(counter), one(counter + 1)]))
  }
  for (let counter = 0; counter < 12; counter += 3) {
    if (!stored.has(counter)) continue
    const removal = world.store.delete([blockId(1, counter)])
    await world.run(removal.then(() => gone.add(counter), note))
  }
  await world.run(world.store.compactOnce().catch(note))
  return { stored, gone, errors }
}

async function checkAfter(world: World, done: { stored: Set<number>; gone: Set<number> }): Promise<void> {
  for (let counter = 0; counter < 12; counter++) {
    const there = await holds(world, counter)
    if (done.gone.has(counter)) expect(there, `block ${counter} stays deleted`).to.equal(false)
    else if (done.stored.has(counter)) expect(there, `block ${counter} was acknowledged`).to.equal(true)
  }
}

describe('SegmentBlockStore on a failing drive', function () {
  this.timeout(60_000)

  it('keeps what it said through a power cut after a process that ended as it made its folder', async () => {
    const world = new World(1)
    world.disk.onOperation = ({ kind }) => {
      if (kind === 'makeFolder') world.kill()
    }
    void world.opening()
    await world.clock.advance(100)
    world.disk.onOperation = undefined
    await world.open()
    await world.run(put(world, 1))
    world.crash({ kind: 'lost' }, { keepIndex: true })
    await world.open()
    expect(await holds(world, 1)).to.equal(true)
  })

  for (const kind of ['sync', 'write', 'syncFolder', 'create'] as const) {
    it(`stops writing for good after the first failed ${kind}, whichever it is, and keeps what it said`, async () => {
      const counting = new World(1)
      await counting.open()
      const opened = counting.disk.count(kind)
      await workload(counting)
      const total = counting.disk.count(kind) - opened
      expect(total).to.be.greaterThan(kind === 'sync' || kind === 'write' ? 10 : 3)
      for (let nth = 1; nth <= total; nth++) {
        const world = new World(1)
        await world.open()
        world.disk.fail(kind, nth)
        const done = await workload(world)
        expect(done.errors, `${kind} ${nth}`).to.include('DriveFailed')
        expect(world.disk.syncsAfterFailure, 'no sync is repeated').to.equal(0)
        if (kind === 'sync' || kind === 'write') {
          expect(await world.run(codeOf(put(world, 90)))).to.equal('DriveFailed')
        }
        await checkAfter(world, done)
        world.crash({ kind: 'lost' }, { loseIndex: nth % 2 === 0 })
        await world.open()
        await checkAfter(world, done)
        expect(world.damage).to.deep.equal([])
      }
    })
  }

  it('goes on after a want of descriptors at whichever sync of its folder, and keeps what it said', async () => {
    const counting = new World(1)
    await counting.open()
    const opened = counting.disk.count('syncFolder')
    await workload(counting)
    const total = counting.disk.count('syncFolder') - opened
    expect(counting.store.counters.segmentsRemoved, 'by compaction').to.be.greaterThan(0)
    for (let nth = 1; nth <= total; nth++) {
      const world = new World(1)
      await world.open()
      world.disk.fail('syncFolder', nth, { exhausted: true })
      const done = await workload(world)
      expect(new Set(done.errors), `syncFolder ${nth}`).to.deep.equal(new Set(['Busy']))
      await world.run(put(world, 1))
      done.stored.add(1)
      await world.run(world.store.compactOnce())
      await checkAfter(world, done)
      world.crash({ kind: 'lost' }, { loseIndex: nth % 2 === 0 })
      await world.open()
      await checkAfter(world, done)
      expect(world.damage).to.deep.equal([])
    }
  })

  async function filledTo(capacity: number): Promise<void> {
    const world = new World(2)
    world.disk.setCapacity(capacity)
    await world.open()
    const done = await workload(world)
    for (const code of done.errors) expect(code, `at ${capacity}`).to.equal('DriveFull')
    const expected = ALL.map((counter) => done.stored.has(counter) && !done.gone.has(counter))
    const held = async (): Promise<boolean[]> => {
      const found: boolean[] = []
      for (const counter of ALL) found.push(await holds(world, counter))
      return found
    }
    expect(await held(), `at ${capacity}`).to.deep.equal(expected)
    world.crash({ kind: 'kept' }, { loseIndex: capacity % 2 === 0 })
    world.disk.setCapacity(10_000_000)
    await world.open()
    expect(await held(), `at ${capacity}, after a crash`).to.deep.equal(expected)
    expect(world.damage).to.deep.equal([])
  }

  it('refuses puts at any point where the drive is full, keeps what it said, and still deletes', async () => {
    for (let capacity = 4096; capacity < 900_000; capacity += 23_456 + (capacity % 97))
      await filledTo(capacity)
  })

  it('keeps a reserve in which deletes and compaction go on, and takes puts again afterwards', async () => {
    const world = new World(3)
    world.limits = { ...TIGHT, reserveBytes: 300_000 }
    world.disk.setCapacity(1_000_000)
    await world.open()
    let count = 0
    while (
      (await world.run(
        put(world, count * 4).then(
          () => true,
          () => false,
        ),
      )) &&
      count < 500
    )
      count++
    expect(count).to.be.within(10, 499)
    expect(await world.run(codeOf(put(world, 4000)))).to.equal('DriveFull')
    const doomed = Array.from({ length: count - 5 }, (_, index) => blockId(1, index * 4))
    expect((await world.run(world.store.delete(doomed))).deleted).to.equal(count - 5)
    while (!(await world.run(world.store.compactOnce())).complete);
    await world.run(put(world, 4000))
    expect(await holds(world, 4000)).to.equal(true)
    expect(await holds(world, (count - 1) * 4)).to.equal(true)
  })
})

describe('SegmentBlockStore on rotten bytes', function () {
  this.timeout(60_000)

  async function filled(): Promise<World> {
    const world = new World(4)
    await world.open()
    for (let counter = 0; counter < 8; counter++) await world.run(put(world, counter))
    await world.run(world.store.delete([blockId(1, 0)]))
    await world.run(world.store.close())
    return world
  }

  /** Codes of the blocks that cannot be read; all others are right. */
  async function failures(world: World, context: string): Promise<string[]> {
    const codes: string[] = []
    for (let counter = 1; counter < 8; counter++) {
      const body = bodyOf(counter)
      const reading = readRange(world.store, blockId(1, counter), { offset: 0, length: body.length })
      const found = await world.run(reading.catch((error: { code: string }) => error.code))
      if (typeof found === 'string') codes.push(found)
      else expect(found.equals(body), context).to.equal(true)
    }
    return codes
  }

  it('gives right bytes or a named error for a flip of any byte, with and without its index', async () => {
    const random = createSeededRandom(77)
    const paths = await (await filled()).segments()
    const seen = new Set<string>()
    const flipped = async (run: number): Promise<void> => {
      const world = await filled()
      const path = paths[run % paths.length] ?? ''
      const size = world.disk.peek(path)?.length ?? 0
      const offset = run % 3 === 0 ? (run * 61) % 4200 : Math.floor(random.fraction() * size)
      world.crash({ kind: 'lost' }, { loseIndex: run % 2 === 0 })
      world.disk.flip(path, offset, 1 << (run % 8))
      await world.open()
      const codes = await failures(world, `byte ${offset} of ${path}`)
      expect(codes.length, 'one flip concerns one block').to.be.at.most(1)
      for (const code of codes) seen.add(code)
      if (codes[0] === 'BlockCorrupt') expect(world.damage.length).to.be.greaterThan(0)
    }
    for (let run = 0; run < 240; run++) await flipped(run)
    expect([...seen].sort()).to.deep.equal(['BlockCorrupt', 'NoSuchBlock'])
  })

  it('takes a block again whose copy has rotted, and serves the new one', async () => {
    const world = await filled()
    world.crash({ kind: 'lost' })
    await world.open()
    const entry = world.index.get(blockId(1, 5))
    const path = (await world.segments()).find((name) => name.includes((entry?.segment ?? 0).toString(16)))
    world.disk.flip(path ?? '', (entry?.offset ?? 0) + 2000)
    expect(await failures(world, 'flipped')).to.deep.equal(['BlockCorrupt'])
    expect(world.store.counters.blocksCorrupt).to.equal(1)
    expect(world.damage.map((event) => event.kind)).to.deep.equal(['block'])
    await world.run(put(world, 5))
    expect(await failures(world, 'replaced')).to.deep.equal([])
    world.crash({ kind: 'lost' }, { loseIndex: true })
    await world.open()
    expect(await failures(world, 'replaced, index lost')).to.deep.equal([])
  })

  it('finds the records behind a damaged range, and says where the damage is', async () => {
    const world = await filled()
    const path = (await world.segments())[0] ?? ''
    world.crash({ kind: 'lost' }, { loseIndex: true })
    for (let offset = 4096; offset < 4096 + 3000; offset += 7) world.disk.flip(path, offset, 0xff)
    await world.open()
    expect(await failures(world, 'behind the damage')).to.have.lengthOf.at.most(1)
    expect(world.damage).to.have.lengthOf(1)
    expect(world.damage[0]).to.include({ kind: 'segment', offset: 4096 })
    expect(world.store.counters.rangesQuarantined).to.equal(1)
  })

  it('reports a segment that has vanished, and keeps what the others hold', async () => {
    const world = await filled()
    const path = (await world.segments())[1] ?? ''
    world.crash({ kind: 'lost' })
    world.disk.poke(path, undefined)
    await world.open()
    const codes = await failures(world, 'without a segment')
    expect(codes.length).to.be.within(1, 6)
    expect(new Set(codes)).to.deep.equal(new Set(['NoSuchBlock']))
    expect(world.damage.map((event) => event.kind)).to.deep.equal(['segment'])
  })

  it('never takes the bytes of a block for records', async () => {
    const world = await filled()
    const segment = Buffer.from(world.disk.peek((await world.segments())[0] ?? '') ?? [])
    const other = new World(9)
    await other.open()
    const block = blockId(2, 1)
    await other.run(other.store.put(block, ownerOf('copy'), unitsOf(block, segment), { signal: never }))
    const [path = ''] = await other.segments()
    other.crash({ kind: 'lost' }, { loseIndex: true })
    other.disk.flip(path, 4096 + 8)
    await other.open()
    expect((await other.run(other.store.list(undefined, 10, false))).blocks).to.deep.equal([])
  })

  it('never takes a record that stands in another place for the one it is', async () => {
    const world = await filled()
    const [path = ''] = await world.segments()
    const segment = Buffer.from(world.disk.peek(path) ?? [])
    world.crash({ kind: 'lost' }, { loseIndex: true })
    world.disk.poke(
      path,
      Buffer.concat([segment.subarray(0, 4096), Buffer.alloc(512), segment.subarray(4096)]),
    )
    await world.open()
    const { blocks } = await world.run(world.store.list(undefined, 10, false))
    expect(blocks.length).to.be.within(1, 6)
    expect((await failures(world, 'shifted')).length).to.equal(7 - blocks.length)
  })
})
