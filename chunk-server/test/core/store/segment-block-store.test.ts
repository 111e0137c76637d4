import { crc32c, type UnitStream } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { blockId, codeOf, ownerOf, readRange, unitsOf } from '../../conformance/blocks.js'
import { TIGHT, World } from './segment-world.js'

const never = new AbortController().signal

function put(world: World, counter: number, size = 4096): Promise<unknown> {
  const block = blockId(1, counter)
  const body = createSeededRandom(counter).bytes(size)
  return world.store.put(block, ownerOf(`key ${counter}`), unitsOf(block, body), { signal: never })
}

async function isRight(world: World, counter: number, size = 4096): Promise<boolean> {
  const found = await world.run(readRange(world.store, blockId(1, counter), { offset: 0, length: size }))
  return found.equals(createSeededRandom(counter).bytes(size))
}

function numbers(count: number, first = 0): number[] {
  return Array.from({ length: count }, (_, index) => first + index)
}

async function opened(seed: number, limits?: World['limits']): Promise<World> {
  const world = new World(seed)
  if (limits !== undefined) world.limits = limits
  await world.open()
  return world
}

/** Bytes of all segment files. */
async function diskBytes(world: World): Promise<number> {
  let total = 0
  for (const path of await world.segments()) total += world.disk.peek(path)?.length ?? 0
  return total
}

async function compactAll(world: World): Promise<void> {
  for (;;) {
    const { removedSegments } = await world.run(world.store.compactOnce())
    if (removedSegments === 0) return
  }
}

describe('Group commit', () => {
  it('lets 64 concurrent puts share syncs, 16 at least in each', async () => {
    const world = await opened(1, { reserveBytes: 0 })
    await world.run(put(world, 1000))
    const before = { ...world.store.counters }
    const chain = async (writer: number): Promise<void> => {
      for (let round = 0; round < 5; round++) await put(world, writer * 5 + round)
    }
    await world.run(Promise.all(numbers(64).map(chain)))
    const records = world.store.counters.records - before.records
    const syncs = world.store.counters.fsyncs - before.fsyncs
    expect(records).to.equal(320)
    expect(records / syncs).to.be.at.least(16)
  })

  it('spends one write and one sync on a put that comes alone', async () => {
    const world = await opened(2, { reserveBytes: 0 })
    await world.run(put(world, 1))
    const before = { ...world.store.counters }
    await world.run(put(world, 2))
    expect(world.store.counters.fsyncs - before.fsyncs).to.equal(1)
    expect(world.store.counters.writes - before.writes).to.equal(1)
  })

  it('puts a thousand deletes into one sync', async () => {
    const world = await opened(3, { reserveBytes: 0 })
    await world.run(Promise.all(numbers(1000).map((counter) => put(world, counter, 10))))
    const before = world.store.counters.fsyncs
    const result = await world.run(world.store.delete(numbers(1000).map((counter) => blockId(1, counter))))
    expect(result).to.deep.equal({ deleted: 1000, freedBytes: 10_000 })
    expect(world.store.counters.fsyncs - before).to.equal(1)
  })

  it('answers Busy rather than queue without end', async () => {
    const world = await opened(4, { reserveBytes: 0, queuedBytesMax: 20_000 })
    const codes = numbers(10).map((counter) =>
      put(world, counter).then(
        () => 'stored',
        (error: { code: string }) => error.code,
      ),
    )
    const seen = await world.run(Promise.all(codes))
    expect(new Set(seen)).to.deep.equal(new Set(['stored', 'Busy']))
  })

  it('spends one sync on a large block, however many writes it takes', async () => {
    const world = await opened(5, { reserveBytes: 0 })
    await world.run(put(world, 1, 1_000_000))
    const before = world.store.counters.fsyncs
    await world.run(put(world, 2, 3_000_000))
    expect(world.store.counters.fsyncs - before).to.equal(1)
    expect(await isRight(world, 2, 3_000_000)).to.equal(true)
  })
})

describe('Start of a SegmentBlockStore', () => {
  it('reads no record after a clean stop, and only the tail after a crash', async () => {
    const world = await opened(6, { ...TIGHT, tailFlushMs: 10 })
    for (let round = 0; round < 20; round++) {
      await world.run(Promise.all(numbers(20, round * 20).map((counter) => put(world, counter))))
    }
    await world.reopen()
    const { log } = world.disk
    const sinceOpen = log.slice(log.findLastIndex(({ kind }) => kind === 'list'))
    expect(sinceOpen.filter(({ kind }) => kind === 'read')).to.deep.equal([])
    await world.run(put(world, 1000))
    await world.clock.advance(100)
    await world.run(put(world, 1001))
    world.crash({ kind: 'lost' }, { keepIndex: true })
    await world.open()
    const bytesRead = world.disk.log
      .filter(({ kind }) => kind === 'read')
      .reduce((sum, { bytes }) => sum + bytes, 0)
    expect(bytesRead).to.be.lessThan(40_000)
    for (const counter of [0, 399, 1000, 1001]) expect(await isRight(world, counter)).to.equal(true)
  })

  it('ends an opening between two segments, and another finds everything', async () => {
    const world = await opened(7, TIGHT)
    for (let round = 0; round < 20; round++) {
      await world.run(Promise.all(numbers(20, round * 20).map((counter) => put(world, counter))))
    }
    expect((await world.segments()).length).to.be.above(1)
    world.kill()
    world.index.reset()
    const ending = new AbortController()
    const opens = (): number => world.disk.log.filter(({ kind }) => kind === 'read').length
    const before = opens()
    const opening = codeOf(world.run(world.opening(ending.signal)))
    ending.abort()
    expect(await opening).to.equal('ShuttingDown')
    expect(opens()).to.equal(before)
    await world.open()
    for (const counter of [0, 200, 399]) expect(await isRight(world, counter)).to.equal(true)
  })

  it('makes what it found in the tail durable before it counts', async () => {
    const world = await opened(7)
    const writing = put(world, 1)
    writing.catch(() => undefined)
    while (world.disk.log.at(-1)?.kind !== 'sync' || world.store.counters.records === 0) {
      await world.clock.advance(0.05)
    }
    world.kill()
    await world.open()
    await world.run(put(world, 1))
    world.crash({ kind: 'lost' })
    await world.open()
    expect(await isRight(world, 1)).to.equal(true)
  })

  it('writes again what a process left that died of a failed sync', async () => {
    const world = await opened(9)
    await world.run(put(world, 1))
    world.disk.fail('sync', 1)
    expect(await world.run(codeOf(put(world, 2)))).to.equal('DriveFailed')
    world.kill()
    await world.open()
    const { blocks } = await world.run(world.store.list(undefined, 10, false))
    expect(blocks.length, 'the page cache still has it').to.equal(2)
    await world.run(put(world, 2))
    world.crash({ kind: 'lost' })
    await world.open()
    expect(await isRight(world, 2)).to.equal(true)
  })

  it('refuses segments of a later format', async () => {
    const world = await opened(8)
    await world.run(put(world, 1))
    const [path = ''] = await world.segments()
    world.crash({ kind: 'lost' }, { loseIndex: true })
    const content = Buffer.from(world.disk.peek(path) ?? [])
    content.writeUInt32LE(99, 8)
    content.writeUInt32LE(crc32c(content.subarray(0, 4092)), 4092)
    world.disk.poke(path, content)
    expect(await world.run(codeOf(world.opening()))).to.equal('FormatTooNew')
  })
})

describe('SegmentBlockStore', () => {
  it('refuses an owner that is too long', async () => {
    const world = await opened(20)
    const owner = ownerOf('k'.repeat(5000))
    const storing = world.store.put(blockId(1, 1), owner, [], { signal: never })
    expect(await world.run(codeOf(storing))).to.equal('InvalidArgument')
  })

  it('goes on while its index cannot be written, and catches up afterwards', async () => {
    const world = await opened(21)
    const apply = world.index.apply.bind(world.index)
    let refused = 0
    world.index.apply = () => {
      refused++
      throw new Error('database or disk is full')
    }
    for (let counter = 0; counter < 10; counter++) await world.run(put(world, counter))
    await world.run(world.store.delete([blockId(1, 4)]))
    await world.clock.advance(500)
    expect(refused).to.be.greaterThan(2)
    for (let counter = 5; counter < 10; counter++) expect(await isRight(world, counter)).to.equal(true)
    world.index.apply = apply
    await world.clock.advance(500)
    expect(world.index.range(undefined, 100)).to.have.lengthOf(9)
    expect(world.index.segments().reduce((sum, row) => sum + row.liveBlocks, 0)).to.equal(9)
  })
})

describe('Compaction', () => {
  it('gives the space of deleted blocks back', async () => {
    const world = await opened(10)
    await world.run(Promise.all(numbers(200).map((counter) => put(world, counter))))
    await world.run(put(world, 500, 400_000))
    const full = await diskBytes(world)
    const all = [...numbers(200), 500].map((counter) => blockId(1, counter))
    await world.run(world.store.delete(all))
    await compactAll(world)
    expect(world.store.usage().blockCount).to.equal(0)
    expect(await diskBytes(world)).to.be.lessThan(full / 20)
  })

  it('copies what lives, and keeps it readable throughout', async () => {
    const world = await opened(11)
    await world.run(Promise.all(numbers(120).map((counter) => put(world, counter, 3000))))
    await world.run(put(world, 900, 400_000))
    await world.run(put(world, 901, 400_000))
    const doomed = numbers(120).filter((counter) => counter % 5 !== 0)
    await world.run(world.store.delete([...doomed, 900].map((counter) => blockId(1, counter))))
    const before = await diskBytes(world)
    const slow = world.store.get(blockId(1, 901), { offset: 0, length: 400_000 }, { signal: never })
    const { units } = await world.run(slow)
    const iterator = (units as UnitStream)[Symbol.asyncIterator]()
    const parts = [(await world.run(iterator.next())).value?.bytes]
    await compactAll(world)
    for (
      let next = await world.run(iterator.next());
      next.done !== true;
      next = await world.run(iterator.next())
    ) {
      parts.push(next.value.bytes)
    }
    expect(Buffer.concat(parts).equals(createSeededRandom(901).bytes(400_000))).to.equal(true)
    expect(await diskBytes(world)).to.be.lessThan(before * 0.7)
    for (let counter = 0; counter < 120; counter += 5)
      expect(await isRight(world, counter, 3000)).to.equal(true)
    world.crash({ kind: 'lost' }, { loseIndex: true })
    await world.open()
    expect(world.store.usage().blockCount).to.equal(25)
  })

  it('keeps a tombstone while an older segment may hold its block, and drops it afterwards', async () => {
    const world = await opened(12, { ...TIGHT, tombstoneBytesMin: 1_000_000 })
    // The first segment stays: it lives but for one block.
    await world.run(Promise.all(numbers(45).map((counter) => put(world, counter))))
    await world.run(world.store.delete([blockId(1, 7)]))
    // The tombstone's own segment is emptied again and again.
    for (let round = 0; round < 3; round++) {
      const more = numbers(60, 1000 + round * 100)
      await world.run(Promise.all(more.map((counter) => put(world, counter))))
      await world.run(world.store.delete(more.map((counter) => blockId(1, counter))))
      await compactAll(world)
    }
    world.crash({ kind: 'lost' }, { loseIndex: true })
    await world.open()
    const { blocks } = await world.run(world.store.list(undefined, 1000, false))
    expect(blocks.map((entry) => Buffer.from(entry.block).readUInt32BE(12))).to.deep.equal(
      numbers(45).filter((counter) => counter !== 7),
    )
    // With everything deleted no tombstone has anything left to kill.
    await world.run(world.store.delete(blocks.map((entry) => entry.block)))
    for (let round = 0; round < 4; round++) {
      await world.run(put(world, 5000 + round, 150_000))
      await compactAll(world)
    }
    await world.reopen()
    await compactAll(world)
    await world.run(world.store.flushIndex())
    const tombstoneBytes = world.index.segments().reduce((sum, row) => sum + row.tombstoneBytes, 0)
    expect(tombstoneBytes).to.equal(0)
  })

  it('ends a run at its budget and goes on with the next', async () => {
    const world = await opened(13, { ...TIGHT, compactionBytesMax: 10_000 })
    await world.run(Promise.all(numbers(200).map((counter) => put(world, counter))))
    const doomed = numbers(200).filter((counter) => counter % 2 === 0)
    await world.run(world.store.delete(doomed.map((counter) => blockId(1, counter))))
    const first = await world.run(world.store.compactOnce())
    expect(first.complete).to.equal(false)
    expect(first.copiedBytes).to.be.within(1, 220_000)
    await compactAll(world)
    for (let counter = 1; counter < 200; counter += 2) expect(await isRight(world, counter)).to.equal(true)
  })

  it('leaves a segment with a rotten block alone, and does not try it again', async () => {
    const world = await opened(14)
    await world.run(Promise.all(numbers(60).map((counter) => put(world, counter))))
    await world.reopen()
    const entry = world.index.get(blockId(1, 20))
    const path =
      (await world.segments()).find((name) => name.includes((entry?.segment ?? 0).toString(16))) ?? ''
    world.disk.flip(path, (entry?.offset ?? 0) + 1000)
    const doomed = numbers(60).filter((counter) => counter % 20 !== 0)
    await world.run(world.store.delete(doomed.map((counter) => blockId(1, counter))))
    await compactAll(world)
    expect(await world.segments()).to.include(path)
    const before = world.disk.count('read')
    await compactAll(world)
    expect(world.disk.count('read')).to.equal(before)
    expect(
      await world.run(codeOf(put(world, 20).then(() => isRight(world, 20))).catch(() => 'right')),
    ).to.equal('right')
    await compactAll(world)
    expect(await world.segments()).not.to.include(path)
  })
})

describe('A deletion under way', () => {
  const block = blockId(1, 1)
  const body = createSeededRandom(1).bytes(500_000)
  let world: World
  beforeEach(async () => {
    world = await opened(15)
    await world.run(put(world, 1, body.length))
  })

  function deleting(): Promise<unknown> {
    return world.store.delete([block])
  }

  it('hides its block from those who compare drives', async () => {
    const [, page] = await world.run(Promise.all([deleting(), world.store.list(undefined, 10, false)]))
    expect(page.blocks).to.deep.equal([])
    await world.run(put(world, 1, body.length))
    const [, found] = await world.run(Promise.all([deleting(), world.store.find([block])]))
    expect(found).to.deep.equal([])
  })

  it('is waited for by a put of the same block, which stores it anew', async () => {
    await world.run(Promise.all([deleting(), put(world, 1, body.length)]))
    expect(await isRight(world, 1, body.length)).to.equal(true)
  })

  it('that begins while a put compares leaves it unacknowledged', async () => {
    let deletion: Promise<unknown> = Promise.resolve()
    async function* units(): UnitStream {
      for (const [at, unit] of unitsOf(block, body).entries()) {
        if (at === 4) deletion = deleting()
        yield unit
      }
    }
    const repeat = world.store.put(block, ownerOf('key 1'), units(), { signal: never })
    expect(await world.run(codeOf(repeat))).to.equal('Busy')
    await world.run(deletion)
    expect(await world.run(world.store.find([block]))).to.deep.equal([])
  })

  it('whose sync fails leaves no put of its block acknowledged', async () => {
    world.disk.fail('sync', 1)
    const repeat = codeOf(put(world, 1, body.length))
    expect(await world.run(Promise.all([codeOf(deleting()), repeat]))).to.deep.equal([
      'DriveFailed',
      'DriveFailed',
    ])
  })
})
