import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import fc from 'fast-check'
import { MemoryBlockIndex } from '../../../src/adapters/memory-block-index.js'
import { BlockTable } from '../../../src/core/blocks/block-table.js'
import { KnownPlaces } from '../../../src/core/blocks/known-places.js'
import { SEGMENT_LIMITS } from '../../../src/core/segments/segment-limits.js'
import { recordBytesOf, SegmentSet } from '../../../src/core/segments/segment-set.js'
import { WriteState } from '../../../src/core/segments/write-state.js'
import type { IndexedBlock } from '../../../src/ports.js'
import { createSimulatedDisk } from '../../../src/simulation/index.js'
import { blockId } from '../../conformance/blocks.js'

function entryOf(counter: number, offset: number): IndexedBlock {
  const hash = Buffer.alloc(32, counter)
  const block = blockId(1, counter)
  const place = { segment: 1, offset, ownerBytes: 8, sizeBytes: 16, storedAtMs: 1, order: offset }
  return { block, hash, ...place, damaged: false }
}

/** Counts what is asked of it, and fails on demand. */
class WatchedIndex extends MemoryBlockIndex {
  lookUps = 0
  appliesBeforeFailure = Number.POSITIVE_INFINITY

  override get(...given: Parameters<MemoryBlockIndex['get']>): IndexedBlock | undefined {
    this.lookUps++
    return super.get(...given)
  }

  override apply(...given: Parameters<MemoryBlockIndex['apply']>): void {
    if (this.appliesBeforeFailure-- <= 0) throw new Error('the index cannot be written')
    super.apply(...given)
  }
}

const random = createSeededRandom(5)

function tableOver(index: MemoryBlockIndex, clock: SimulatedClock): BlockTable {
  const disk = createSimulatedDisk({ random, clock })
  const state = new WriteState(disk, { durability: 'none', reserveBytes: 0 })
  const segments = new SegmentSet({ disk, clock, random, state, driveId: '', openFilesMax: 3 })
  return new BlockTable(index, segments, { clock, limits: { ...SEGMENT_LIMITS, tailSliceRows: 1 } })
}

describe('BlockTable', () => {
  it('asks the index once for a block that does not change', async () => {
    const index = new WatchedIndex()
    const table = tableOver(index, createSimulatedClock(random))
    table.put(entryOf(1, 8))
    await table.flush()
    index.lookUps = 0
    for (let time = 0; time < 3; time++) expect(table.find(blockId(1, 1))).to.deep.equal(entryOf(1, 8))
    expect(index.lookUps).to.equal(1)
  })

  /** A table beside what it should say. */
  class Twin {
    readonly index: WatchedIndex = new WatchedIndex()
    readonly clock: SimulatedClock = createSimulatedClock(random)
    readonly table: BlockTable = tableOver(this.index, this.clock)
    readonly places: Map<number, IndexedBlock> = new Map()

    put(counter: number, offset: number): void {
      this.table.put(entryOf(counter, offset))
      this.places.set(counter, entryOf(counter, offset))
    }

    remove(counter: number): void {
      this.table.remove(blockId(1, counter))
      this.places.delete(counter)
    }

    find(counter: number): void {
      this.table.find(blockId(1, counter))
    }

    async flush(): Promise<void> {
      await this.clock.runUntil(this.table.flush())
    }

    /** A flush that ends after so many slices. */
    async fail(slices: number): Promise<void> {
      this.index.appliesBeforeFailure = slices
      await this.flush().catch(() => undefined)
      this.index.appliesBeforeFailure = Number.POSITIVE_INFINITY
    }
  }

  const step = fc.record({
    kind: fc.constantFrom(
      'put' as const,
      'remove' as const,
      'find' as const,
      'flush' as const,
      'fail' as const,
    ),
    counter: fc.nat(2),
  })

  it('finds the last place of a block and counts it once, whatever was read, written or failed in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
        const twin = new Twin()
        for (const [at, { kind, counter }] of steps.entries()) {
          await twin[kind](counter, 8 * at)
          expect(twin.table.find(blockId(1, counter))).to.deep.equal(twin.places.get(counter))
        }
        await twin.flush()
        const { liveBlocks, liveBytes } = twin.index.segments()[0] ?? { liveBlocks: 0, liveBytes: 0 }
        expect(liveBlocks).to.equal(twin.places.size)
        expect(liveBytes).to.equal(twin.places.size * recordBytesOf(entryOf(1, 8)))
      }),
    )
  })
})

describe('KnownPlaces', () => {
  it('drops what was not used for long, and keeps what is', () => {
    const places = new KnownPlaces()
    places.note('in use', entryOf(1, 8))
    places.note('not in use', entryOf(2, 8))
    for (let at = 0; at < 50_000; at++) {
      places.note(String(at), entryOf(3, 8))
      places.find('in use')
    }
    expect(places.find('in use')).to.deep.equal(entryOf(1, 8))
    expect(places.find('not in use')).to.equal(undefined)
  })
})
