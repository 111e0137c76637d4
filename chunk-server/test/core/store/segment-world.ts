/** A segment store on simulated ground: a disk that loses power, an index that loses its last transactions. */
import type { Random } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { MemoryBlockIndex } from '../../../src/adapters/memory-block-index.js'
import type { SegmentLimits } from '../../../src/core/segments/segment-limits.js'
import { openSegmentBlockStore, type SegmentBlockStore } from '../../../src/core/store/segment-block-store.js'
import type { DamageEvent, IndexBatch } from '../../../src/ports.js'
import { type CrashChoice, createSimulatedDisk, type SimulatedDisk } from '../../../src/simulation/index.js'

/** Limits so small that a few blocks reach all of them. */
export const TIGHT: Partial<SegmentLimits> = {
  segmentBytes: 200 * 1024,
  smallBlockBytesMax: 128 * 1024,
  batchRecordsMax: 5,
  streamsMax: 2,
  reserveBytes: 0,
  tailEntriesFlush: 6,
  tailSliceRows: 2,
  tailEntriesMax: 24,
  tailFlushMs: 50,
  openFilesMax: 3,
  tombstoneBytesMin: 256,
  rollBytesMin: 0,
}

/** Keeps its transactions apart, so that a crash can undo the latest ones. */
export class FragileIndex extends MemoryBlockIndex {
  private readonly batches: IndexBatch[] = []
  private durableCount = 0

  override apply(batch: IndexBatch): void {
    super.apply(batch)
    this.batches.push(batch)
    if (batch.durable) this.durableCount = this.batches.length
  }

  override reset(): void {
    super.reset()
    this.batches.length = 0
    this.durableCount = 0
  }

  /** What a power cut leaves: all durable batches and a random number of those after. */
  afterCrash(random: Random): FragileIndex {
    const free = this.batches.length - this.durableCount
    return this.prefix(this.durableCount + Math.floor(random.fraction() * (free + 1)))
  }

  /** What the end of the process leaves: all of it, out of reach of the process that ended. */
  afterKill(): FragileIndex {
    return this.prefix(this.batches.length)
  }

  private prefix(kept: number): FragileIndex {
    const left = new FragileIndex()
    for (const batch of this.batches.slice(0, kept)) left.apply(batch)
    left.durableCount = this.durableCount
    return left
  }
}

/** Lets calls through until the process is dead; then they never return. */
function mortal<Target extends object>(target: Target, life: { readonly over: boolean }): Target {
  return new Proxy(target, {
    get(on, name) {
      const value: unknown = Reflect.get(on, name)
      if (typeof value !== 'function') return value
      return async (...given: unknown[]) => {
        if (life.over) return new Promise(() => undefined)
        const result: unknown = await value.apply(on, given)
        return name === 'open' && result instanceof Object ? mortal(result, life) : result
      }
    },
  })
}

/** One drive over all its crashes. */
export class World {
  readonly random: Random
  readonly clock: SimulatedClock
  readonly damage: DamageEvent[] = []
  disk: SimulatedDisk
  index: FragileIndex = new FragileIndex()
  limits: Partial<SegmentLimits>
  private life = { over: false }
  private opened: SegmentBlockStore | undefined

  constructor(seed: number) {
    // Every other world writes its large blocks past the page cache.
    this.limits = { ...TIGHT, cachedCopiesMax: seed % 2 }
    this.random = createSeededRandom(seed)
    this.clock = createSimulatedClock(this.random)
    this.disk = createSimulatedDisk({ clock: this.clock, random: this.random, latencyMs: 1 })
  }

  get store(): SegmentBlockStore {
    if (this.opened === undefined) throw new Error('the store is not open')
    return this.opened
  }

  /** Runs simulated time until `work` is done. */
  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.runUntil(work)
  }

  /** The store as a promise, for tests that crash while it opens. */
  opening(signal?: AbortSignal): Promise<SegmentBlockStore> {
    const { index, clock, random, limits, damage } = this
    return openSegmentBlockStore({
      disk: mortal(this.disk, this.life),
      index,
      clock,
      random,
      limits,
      durability: 'fsync',
      driveId: 'd1',
      ...(signal === undefined ? {} : { signal }),
      onDamage: (event) => damage.push(event),
    })
  }

  async open(): Promise<void> {
    this.opened = await this.run(this.opening())
  }

  async reopen(): Promise<void> {
    await this.run(this.store.close())
    await this.open()
  }

  /** Cuts the power and forgets the process; `open` starts the next one. */
  crash(choice: CrashChoice, options: { loseIndex?: boolean; keepIndex?: boolean } = {}): void {
    this.kill()
    this.disk = this.disk.crash(choice)
    if (options.loseIndex === true) this.index = new FragileIndex()
    else if (options.keepIndex !== true) this.index = this.index.afterCrash(this.random)
  }

  /** Ends the process as kill -9 does: what it handed to the kernel stays, nothing more comes. */
  kill(): void {
    this.life.over = true
    this.life = { over: false }
    this.index = this.index.afterKill()
    this.opened = undefined
  }

  /** Paths of the segment files. */
  async segments(): Promise<string[]> {
    const names = await this.run(this.disk.list('segments'))
    return names.map((name) => `segments/${name}`)
  }
}
