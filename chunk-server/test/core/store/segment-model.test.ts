import { type BlockId, CairnError } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import fc from 'fast-check'
import type { CrashChoice } from '../../../src/simulation/index.js'
import { blockId, codeOf, ownerOf, readRange, unitsOf } from '../../conformance/blocks.js'
import { World } from './segment-world.js'

const KiB = 1024
const SIZES = [0, 1, 4095, 4097, 64 * KiB - 1, 64 * KiB, 64 * KiB + 1, 128 * KiB, 128 * KiB + 1, 300_007]
const SLOTS = 14
const RUNS = Number(process.env.CAIRN_MODEL_RUNS ?? 60)
const never = new AbortController().signal

type Fate = 'present' | 'absent' | 'either'
type Step =
  | { readonly do: 'put' | 'delete'; readonly slots: readonly number[]; readonly wait: number }
  | { readonly do: 'compact'; readonly wait: number }
  | { readonly do: 'restart' }
  | { readonly do: 'read'; readonly slot: number }
  | {
      readonly do: 'crash'
      readonly how: number
      readonly loseIndex: boolean
      readonly again: number
    }

/** Content of a slot is a function of the slot: a block's bytes never change. */
const bodies = Array.from({ length: SLOTS }, (_, slot) => {
  const size = SIZES[slot % SIZES.length] ?? 0
  return createSeededRandom(slot + 1).bytes(size)
})

function idOf(slot: number): BlockId {
  return blockId(1 + (slot % 3), slot)
}

const slots = fc.uniqueArray(fc.nat(SLOTS - 1), { minLength: 1, maxLength: 6 })
/** 0 waits for the answer; n > 0 goes on after that many ms of simulated time, leaving it in flight. */
const wait = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }) },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant<'put'>('put'), slots, wait }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant<'delete'>('delete'), slots, wait }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant<'compact'>('compact'), wait }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant<'restart'>('restart') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant<'read'>('read'), slot: fc.nat(SLOTS - 1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant<'crash'>('crash'),
      how: fc.nat(6),
      loseIndex: fc.boolean(),
      again: fc.nat(3),
    }),
  },
)

/** The store beside what it must hold. */
class Model {
  readonly world: World
  readonly fates: Fate[] = Array.from({ length: SLOTS }, () => 'absent')
  /** Slots with work in flight: left alone until it has ended. */
  private readonly busy = new Set<number>()
  private inFlight: Promise<unknown>[] = []

  constructor(seed: number) {
    this.world = new World(seed)
  }

  async step(step: Step): Promise<void> {
    if ('slots' in step) await this.change(step.do, step.slots, step.wait)
    else if (step.do === 'compact') await this.background(this.world.store.compactOnce(), step.wait)
    else if (step.do === 'read') await this.read(step.slot)
    else if (step.do === 'restart') await this.restart()
    else await this.crash(step)
  }

  async settle(): Promise<void> {
    await this.world.run(Promise.allSettled(this.inFlight))
    this.inFlight = []
  }

  async checkAll(): Promise<void> {
    await this.settle()
    for (let slot = 0; slot < SLOTS; slot++) await this.read(slot)
    const listed = await this.world.run(this.world.store.list(undefined, 100, true))
    const present = this.fates.filter((fate) => fate === 'present').length
    expect(listed.blocks.length).to.equal(present)
    expect(this.world.store.usage().blockCount).to.equal(present)
    expect(this.world.damage, 'a crash is no damage').to.deep.equal([])
  }

  private async change(kind: 'put' | 'delete', chosen: readonly number[], waitMs: number): Promise<void> {
    const free = chosen.filter((slot) => !this.busy.has(slot))
    const works = kind === 'put' ? free.map((slot) => this.put(slot)) : [this.remove(free)]
    await this.background(Promise.all(works), waitMs)
  }

  private async put(slot: number): Promise<void> {
    const body = bodies[slot] ?? Buffer.alloc(0)
    if (this.fates[slot] === 'absent') this.fates[slot] = 'either'
    this.busy.add(slot)
    await this.store(slot, body)
    this.fates[slot] = 'present'
    this.busy.delete(slot)
  }

  /** Every other block is handed over, if the store takes it. */
  private async store(slot: number, body: Uint8Array): Promise<void> {
    const { store } = this.world
    const [block, owner, units] = [idOf(slot), ownerOf(`k${slot}`), unitsOf(idOf(slot), body)]
    const unit = units.length === 1 && slot % 2 === 0 ? units[0] : undefined
    let isTaken = false
    const handed = new Promise<void>((resolve, reject) => {
      const settle = (outcome: unknown): void => {
        if (outcome instanceof CairnError) reject(outcome)
        else resolve()
      }
      isTaken = unit !== undefined && store.putNow?.(block, owner, unit, settle) === true
    })
    handed.catch(() => undefined)
    if (isTaken) await handed
    else await store.put(block, owner, units, { signal: never })
  }

  private async remove(chosen: readonly number[]): Promise<void> {
    for (const slot of chosen) {
      if (this.fates[slot] === 'present') this.fates[slot] = 'either'
      this.busy.add(slot)
    }
    await this.world.store.delete(chosen.map(idOf))
    for (const slot of chosen) {
      this.fates[slot] = 'absent'
      this.busy.delete(slot)
    }
  }

  private async background(work: Promise<unknown>, waitMs: number): Promise<void> {
    if (waitMs === 0) {
      await this.world.run(work)
      return
    }
    this.inFlight.push(work.catch(() => undefined))
    await this.world.clock.advance(waitMs * 1.5 * this.world.random.fraction())
  }

  private async read(slot: number): Promise<void> {
    if (this.busy.has(slot)) return
    const body = bodies[slot] ?? Buffer.alloc(0)
    const reading = readRange(this.world.store, idOf(slot), { offset: 0, length: body.length })
    if (this.fates[slot] === 'absent') {
      expect(await this.world.run(codeOf(reading)), `slot ${slot} is deleted`).to.equal('NoSuchBlock')
      return
    }
    const found = await this.world.run(reading.catch((error: unknown) => error))
    if (found instanceof Buffer) {
      expect(found.equals(body), `bytes of slot ${slot}`).to.equal(true)
      this.fates[slot] = 'present'
    } else {
      expect((found as { code: string }).code, `slot ${slot}`).to.equal('NoSuchBlock')
      expect(this.fates[slot], `slot ${slot} was acknowledged`).to.equal('either')
      this.fates[slot] = 'absent'
    }
  }

  private async restart(): Promise<void> {
    await this.settle()
    await this.world.reopen()
    await this.checkAll()
  }

  private async crash(step: Extract<Step, { do: 'crash' }>): Promise<void> {
    const { world } = this
    this.end(step.how, step)
    this.inFlight = []
    this.busy.clear()
    for (let again = 0; again < step.again; again++) {
      world.opening().catch(() => undefined)
      await world.clock.advance(15 * world.random.fraction())
      this.end(step.how + again, step)
    }
    await world.open()
    await this.checkAll()
  }

  /** A power cut or, for the last two ways, the end of the process alone. */
  private end(how: number, options: { loseIndex: boolean }): void {
    if (how % 7 < 5) this.world.crash(this.choice(how), options)
    else this.world.kill()
  }

  private choice(how: number): CrashChoice {
    const { random } = this.world
    if (how % 5 === 0) return { kind: 'lost' }
    if (how % 5 === 1) return { kind: 'kept' }
    if (how % 5 === 2) return { kind: 'torn', keptBytes: Math.floor(random.fraction() * 200) * 512 }
    return { kind: 'subset', random, grainBytes: how % 5 === 3 ? 512 : 4096 }
  }
}

describe('SegmentBlockStore over crashes', function () {
  this.timeout(120_000)

  it('keeps what it acknowledged and nothing else, whatever a power cut leaves', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(step, { minLength: 5, maxLength: 40 }), async (seed, steps) => {
        const model = new Model(seed)
        await model.world.open()
        for (const one of steps) await model.step(one)
        await model.checkAll()
      }),
      { numRuns: RUNS, endOnFailure: RUNS > 200 },
    )
  })
})
