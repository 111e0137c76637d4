import { type CairnError, type Random, UNIT_BYTES, type Unit } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { FramePool } from '../src/blocks/frames.js'
import { UnitWindow } from '../src/blocks/unit-window.js'
import { cutSlices } from '../src/bodies/block-maps.js'
import { UnitCutter } from '../src/bodies/cut.js'
import { LatencyWindow } from '../src/cluster/latency.js'
import { FACT_CACHE_ENTRIES_MAX, FACT_CACHE_MS, RESTARTABLE_UNITS, WINDOW_UNITS } from '../src/limits.js'
import { FactCache } from '../src/objects/fact-cache.js'
import { patternBytes } from './world/world.js'

const SEED = Number(process.env.CAIRN_TEST_SEED ?? 20261121)

function cutAtRandom(
  bytes: Uint8Array,
  random: Random,
): { units: Uint8Array[]; rest: Uint8Array | undefined } {
  const cutter = new UnitCutter(new FramePool())
  const units: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = Math.min(bytes.length - at, 1 + Math.floor(random.fraction() * 2 * UNIT_BYTES))
    cutter.add(bytes.subarray(at, at + size))
    for (let unit = cutter.take(); unit !== undefined; unit = cutter.take()) units.push(unit.bytes)
    at += size
  }
  return { units, rest: cutter.rest()?.bytes }
}

describe('UnitCutter', () => {
  it(`cuts any chunks into full units and a rest (seed ${SEED})`, () => {
    const random = createSeededRandom(SEED)
    for (let round = 0; round < 50; round++) {
      const bytes = patternBytes(Math.floor(random.fraction() * 6 * UNIT_BYTES), round + 1)
      const { units, rest } = cutAtRandom(bytes, random)
      expect(units.every(({ length }) => length === UNIT_BYTES)).to.equal(true)
      expect(rest?.length ?? 0).to.equal(bytes.length % UNIT_BYTES)
      expect(Buffer.concat(rest ? [...units, rest] : units).equals(bytes)).to.equal(true)
    }
  })

  it('needs a chunk no more once it is used up', () => {
    const bytes = patternBytes(3 * UNIT_BYTES)
    const chunk = Buffer.from(bytes)
    const cutter = new UnitCutter(new FramePool())
    cutter.add(chunk)
    const units = [cutter.take(), cutter.take(), cutter.take()]
    expect([cutter.take(), cutter.rest()]).to.deep.equal([undefined, undefined])
    chunk.fill(0)
    expect(Buffer.concat(units.map((unit) => unit?.bytes ?? Buffer.alloc(0))).equals(bytes)).to.equal(true)
  })
})

describe('UnitWindow', () => {
  const unit = (index: number): Unit => ({ bytes: Uint8Array.of(index), check: index })

  it('gives every cursor all units in order and lets go of what all have taken', async () => {
    const window = new UnitWindow(WINDOW_UNITS, () => undefined, queueMicrotask)
    const cursors = [window.open(), window.open()]
    for (let index = 0; index < RESTARTABLE_UNITS + 4; index++) window.push(unit(index))
    for (const cursor of cursors) {
      for (let index = 0; index < RESTARTABLE_UNITS + 2; index++) {
        expect((await cursor.next()).value?.check).to.equal(index)
      }
    }
    expect([window.heldUnits, window.isRestartable]).to.deep.equal([2, false])
  })

  it('keeps everything until all have taken enough that the block can no longer be refused', async () => {
    const window = new UnitWindow(WINDOW_UNITS, () => undefined, queueMicrotask)
    const [fast] = [window.open(), window.open()]
    for (let index = 0; index < RESTARTABLE_UNITS + 1; index++) {
      window.push(unit(index))
      await fast?.next()
    }
    expect([window.heldUnits, window.isRestartable]).to.deep.equal([RESTARTABLE_UNITS + 1, true])
  })

  it('ends all cursors cleanly, or with its failure', async () => {
    const good = new UnitWindow(WINDOW_UNITS, () => undefined, queueMicrotask)
    const waiting = good.open().next()
    good.end()
    expect((await waiting).done).to.equal(true)
    const bad = new UnitWindow(WINDOW_UNITS, () => undefined, queueMicrotask)
    const failing = bad.open().next()
    bad.end({ code: 'Cancelled' } as CairnError)
    expect(await failing.catch((error: CairnError) => error.code)).to.equal('Cancelled')
  })

  it('never ends a dropped cursor cleanly', async () => {
    const window = new UnitWindow(WINDOW_UNITS, () => undefined, queueMicrotask)
    const cursor = window.open()
    const waiting = cursor.next()
    cursor.drop()
    window.end()
    expect(await waiting.catch((error: CairnError) => error.code)).to.equal('Cancelled')
    expect(await cursor.next().catch((error: CairnError) => error.code)).to.equal('Cancelled')
  })
})

describe('cutSlices', () => {
  it('covers exactly the range, for every range of a small map', () => {
    const facts = { blockBytes: 100, hash: Uint8Array.of(1) }
    const slices = [3, 1, 4].map((length, index) => ({
      ...facts,
      block: Uint8Array.of(index) as never,
      offset: index * 10,
      length,
    }))
    const places = slices.flatMap(({ block, offset, length }) =>
      Array.from({ length }, (_, at) => `${block[0]}:${offset + at}`),
    )
    for (let offset = 0; offset <= 8; offset++) {
      for (let length = 0; offset + length <= 8; length++) {
        const cut = [...cutSlices(slices, 0, { offset, length })].flatMap((slice) =>
          Array.from({ length: slice.length }, (_, at) => `${slice.block[0]}:${slice.offset + at}`),
        )
        expect(cut, `${offset}+${length}`).to.deep.equal(places.slice(offset, offset + length))
      }
    }
  })
})

describe('LatencyWindow', () => {
  it('knows nothing before the first sample and takes notice of an outlier at once', () => {
    const window = new LatencyWindow()
    expect(window.quantile(0.5)).to.equal(undefined)
    window.add(1)
    expect(window.quantile(0.5)).to.equal(1)
    for (let sample = 0; sample < 100; sample++) window.add(2)
    window.add(500)
    expect(window.quantile(0.5)).to.equal(2)
    expect(window.quantile(0.99)).to.equal(500)
    for (let sample = 0; sample < 100; sample++) window.add(2)
    expect(window.quantile(0.99)).to.equal(2)
  })
})

describe('FactCache', () => {
  it('forgets by time, by number and on demand', async () => {
    const clock = createSimulatedClock(createSeededRandom(SEED))
    const cache = new FactCache<number>(clock)
    for (let fact = 0; fact <= FACT_CACHE_ENTRIES_MAX; fact++) cache.remember(`n${fact}`, fact)
    expect([cache.find('n0'), cache.find('n1')]).to.deep.equal([undefined, 1])
    cache.forget('n1')
    expect([cache.find('n1'), cache.find('n2')]).to.deep.equal([undefined, 2])
    await clock.advance(FACT_CACHE_MS)
    expect(cache.find('n2')).to.equal(undefined)
  })
})
