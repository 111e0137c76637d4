/** What every `BlockIndex` promises, and what the one in SQLite does with a damaged file. */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sessionOf, systemClock, systemRandom } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { MemoryBlockIndex } from '../../../src/adapters/memory-block-index.js'
import { createNodeDisk } from '../../../src/adapters/node-disk.js'
import { openSqliteBlockIndex } from '../../../src/adapters/sqlite-block-index.js'
import { openSegmentBlockStore, type SegmentBlockStore } from '../../../src/core/store/segment-block-store.js'
import type { BlockIndex, DamageEvent, IndexBatch, IndexedBlock } from '../../../src/ports.js'
import { blockId, codeOf, ownerOf, readRange, unitsOf } from '../../conformance/blocks.js'
import { temporaryFolder } from '../../temporary-folder.js'

const never = new AbortController().signal
const random = createSeededRandom(41)

function entryOf(session: number, counter: number): IndexedBlock {
  return {
    block: blockId(session, counter),
    segment: 1_800_000_000_123,
    offset: counter * 4096,
    ownerBytes: 77,
    sizeBytes: 4096 + counter,
    hash: Buffer.from(random.bytes(32)),
    storedAtMs: 1_800_000_000_456,
    order: 281_474_976_710_000 + counter,
    damaged: counter % 2 === 1,
  }
}

/** Rows all over the index. */
function scattered(): IndexedBlock[] {
  return Array.from({ length: 100 }, () => entryOf(Math.floor(random.fraction() * 2 ** 31), 0))
}

function batch(part: Partial<IndexBatch>): IndexBatch {
  return { put: [], remove: [], live: [], durable: false, ...part }
}

function describeBlockIndex(name: string, open: () => BlockIndex): void {
  describe(`${name} as a BlockIndex`, () => {
    it('keeps rows, replaces them, removes them, and pages through them in id order', () => {
      const index = open()
      const rows = [3, 1, 2, 0].map((counter) => entryOf(7, counter))
      index.apply(batch({ put: rows }))
      index.apply(batch({ put: [{ ...entryOf(7, 2), offset: 8 }], remove: [blockId(7, 3), blockId(7, 9)] }))
      expect(index.get(blockId(7, 3))).to.equal(undefined)
      expect(index.get(blockId(7, 2))?.offset).to.equal(8)
      expect(index.get(blockId(7, 1))).to.deep.equal(rows[1])
      const first = index.range(undefined, 2)
      expect(first.map((row) => row.sizeBytes)).to.deep.equal([4096, 4097])
      expect(index.range(first[1]?.block, 2).map((row) => row.sizeBytes)).to.deep.equal([4098])
      index.close()
    })

    it('names sessions once and in order', () => {
      const index = open()
      index.apply(batch({ put: [9, 2, 5].flatMap((session) => [entryOf(session, 1), entryOf(session, 2)]) }))
      const sessions = index.writers(undefined, 2)
      expect(sessions.map((session) => Buffer.from(session).readUInt32BE(0))).to.deep.equal([2, 5])
      const rest = index.writers(sessions[1], 5)
      expect(rest.map((session) => Buffer.from(session).readUInt32BE(0))).to.deep.equal([9])
      expect(index.last(sessionOf(blockId(5, 0)))).to.deep.equal(blockId(5, 2))
      expect(index.last(sessionOf(blockId(6, 0)))).to.equal(undefined)
      index.close()
    })

    it('counts live bytes and keeps checkpoints, each without the other', () => {
      const index = open()
      const place = { sequence: 5, indexedTo: 900, sealed: true, tombstoneBytes: 30, horizon: 6 }
      index.apply(batch({ live: [{ sequence: 5, bytes: 100, blocks: 2 }] }))
      index.apply(
        batch({ checkpoint: { segments: [place], gone: [], nextOrder: 40, nextSequence: 9 }, durable: true }),
      )
      index.apply(batch({ live: [{ sequence: 5, bytes: -40, blocks: -1 }] }))
      expect(index.segments()).to.deep.equal([{ ...place, liveBytes: 60, liveBlocks: 1 }])
      expect(index.next()).to.deep.equal({ order: 40, sequence: 9 })
      index.apply(batch({ checkpoint: { segments: [], gone: [5], nextOrder: 41, nextSequence: 9 } }))
      expect(index.segments()).to.deep.equal([])
      index.reset()
      expect(index.next().order).to.equal(41)
      index.close()
    })
  })
}

describeBlockIndex('MemoryBlockIndex', () => new MemoryBlockIndex())
describeBlockIndex('SqliteBlockIndex', () => openSqliteBlockIndex(':memory:'))

describe('SqliteBlockIndex under a store', function () {
  this.timeout(30_000)
  let folder: ReturnType<typeof temporaryFolder>
  let damage: DamageEvent[]
  const path = (): string => join(folder.path, 'index.sqlite')

  beforeEach(() => {
    folder = temporaryFolder()
    damage = []
  })
  afterEach(() => folder.remove())

  function open(): Promise<SegmentBlockStore> {
    const onDamage = (event: DamageEvent): void => void damage.push(event)
    return openSegmentBlockStore({
      disk: createNodeDisk(folder.path, { durability: 'none' }),
      index: openSqliteBlockIndex(path(), { onDamage }),
      clock: systemClock,
      random: systemRandom,
      durability: 'none',
      onDamage,
    })
  }

  async function fill(): Promise<void> {
    const store = await open()
    const puts = Array.from({ length: 600 }, (_, counter) => {
      const block = blockId(1, counter)
      return store.put(block, ownerOf('k'), unitsOf(block, bodyOf(counter)), { signal: never })
    })
    await Promise.all(puts)
    await store.delete([blockId(1, 3)])
    await store.close()
  }

  function bodyOf(counter: number): Uint8Array {
    return createSeededRandom(counter).bytes(100)
  }

  async function expectWhole(): Promise<void> {
    const store = await open()
    expect(store.usage().blockCount).to.equal(599)
    for (let counter = 0; counter < 600; counter += counter === 2 ? 2 : 1) {
      const body = await readRange(store, blockId(1, counter), { offset: 0, length: 100 })
      expect(body.equals(bodyOf(counter))).to.equal(true)
    }
    expect(await codeOf(readRange(store, blockId(1, 3), { offset: 0, length: 1 }))).to.equal('NoSuchBlock')
    await store.close()
  }

  it('is made anew from the segments when its file is gone', async () => {
    await fill()
    rmSync(path())
    await expectWhole()
    expect(damage).to.deep.equal([])
  })

  for (const [name, damaged] of Object.entries({
    garbage: () => createSeededRandom(1).bytes(50_000),
    'half a file': (file: Buffer) => file.subarray(0, file.length / 2),
    nothing: () => Buffer.alloc(0),
    'another schema': (file: Buffer) => {
      const copy = Buffer.from(file)
      copy.writeUInt32BE(0, 60)
      return copy
    },
  })) {
    it(`is made anew from the segments when its file holds ${name}`, async () => {
      await fill()
      writeFileSync(path(), damaged(readFileSync(path())))
      await expectWhole()
      expect(damage.map((event) => event.kind)).to.deep.equal(name === 'nothing' ? [] : ['index'])
    })
  }

  it('keeps its log bounded, and counts what it syncs for that', () => {
    const index = openSqliteBlockIndex(path())
    let largestBytes = 0
    let checkpoints = 0
    for (let round = 0; round < 300; round++) {
      const before = index.syncs
      index.apply(batch({ put: scattered() }))
      checkpoints += index.syncs > before + 1 ? 1 : 0
      largestBytes = Math.max(largestBytes, statSync(`${path()}-wal`).size)
    }
    expect(checkpoints).to.be.above(1)
    expect(index.syncs).to.be.within(3 * checkpoints - 1, 3 * checkpoints)
    expect(largestBytes).to.be.within(2000 * 4096, 2500 * 4096)
    const before = index.syncs
    index.apply(batch({ put: scattered(), durable: true }))
    expect(index.syncs - before).to.be.within(1, 4)
    index.close()
  })

  it('refuses a file of a later version', async () => {
    await fill()
    const file = readFileSync(path())
    file.writeUInt32BE(77, 60)
    writeFileSync(path(), file)
    expect(await codeOf(Promise.resolve().then(() => openSqliteBlockIndex(path())))).to.equal('FormatTooNew')
  })

  it('finds flipped bits in its rows, tells, and is whole again after the next start', async () => {
    await fill()
    const file = readFileSync(path())
    const row = file.indexOf(Buffer.from(blockId(1, 450)))
    file[row + 30] = (file[row + 30] ?? 0) ^ 4
    writeFileSync(path(), file)
    const store = await open()
    expect(await codeOf(readRange(store, blockId(1, 450), { offset: 0, length: 100 }))).to.equal(
      'BlockCorrupt',
    )
    expect(damage.map((event) => event.kind)).to.deep.equal(['index'])
    await store.close()
    await expectWhole()
  })
})
