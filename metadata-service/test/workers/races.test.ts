import { CairnError, type CompletedUpload, type SpaceId, type UploadInfo } from '@cairn/protocol'
import { expect } from 'chai'
import { completeUpload } from '../../src/core/uploads/complete-upload.js'
import { abortUpload } from '../../src/core/uploads/uploads.js'
import { putPart } from '../../src/core/uploads/uploads-parts.js'
import type { EntryFault } from '../../src/simulation/faulty-entry-store.js'
import { UploadWorld } from '../core/uploads/upload-world.js'

const SEEDS = Number(process.env.CAIRN_TEST_SEEDS ?? 60)
/** After it, workers look again at what others held. */
const DAY_MS = 86_500_000
const KEYS = ['a', 'b']
const FIRST_SEED = Number(process.env.CAIRN_TEST_SEED ?? 1)

/** Writers, deleters, copiers and uploaders on few keys, while both workers run with zero grace. */
class Race {
  private readonly world: UploadWorld
  private readonly space: SpaceId
  private readonly uploads: UploadInfo[] = []
  private isOver = false

  constructor(world: UploadWorld, space: SpaceId) {
    this.world = world
    this.space = space
  }

  async round(hasFaults: boolean): Promise<void> {
    this.isOver = false
    const workers = [
      this.forever(() => this.world.garbage.runOnce()),
      this.forever(() => this.world.orphans.runOnce()),
      ...(hasFaults ? [this.forever(() => this.sabotage())] : []),
    ]
    const expiry = this.chance(0.5) ? this.tolerate(() => this.endSession()) : Promise.resolve()
    const actors = Array.from({ length: 6 }, () => this.act(4))
    await Promise.all([...actors, expiry])
    this.isOver = true
    await Promise.all(workers)
  }

  /** Drops everything; what is left then is lost space. */
  async end(): Promise<void> {
    for (const upload of this.uploads) await this.tolerate(() => this.abort(upload))
    for (const key of KEYS) await this.world.delete(key)
    await this.world.sessions.close(this.world.session)
    for (let run = 0; run < 4; run++) {
      await this.world.garbage.runOnce()
      await this.world.orphans.runOnce()
      await this.pause(DAY_MS)
    }
  }

  private async forever(run: () => Promise<unknown>): Promise<void> {
    while (!this.isOver) {
      await this.tolerate(run)
      await this.pause(1 + this.world.random.fraction() * 5)
    }
  }

  private async sabotage(): Promise<void> {
    this.world.line.inject(this.pick<EntryFault>(['lost-before', 'lost-after', 'late', 'too-large']))
    if (this.chance(0.2)) this.world.line.failReads(1)
  }

  /** The session ends at any moment, as after a pause of its process; writers go on with a new one. */
  private async endSession(): Promise<void> {
    await this.pause(this.world.random.fraction() * 10)
    const old = this.world.session
    this.world.session = await this.world.sessions.open({ role: 'gateway', name: 'next' })
    await this.world.sessions.close(old)
  }

  private async act(steps: number): Promise<void> {
    const actions = [
      () => this.put(),
      () => this.world.delete(this.pick(KEYS)),
      () => this.copy(),
      () => this.create(),
      () => this.part(),
      () => this.part(),
      () => this.copiedPart(),
      () => this.complete(),
      () => this.abort(this.pick(this.uploads)),
    ]
    for (let step = 0; step < steps; step++) {
      await this.tolerate(this.pick(actions))
      await this.pause(this.world.random.fraction() * 3)
    }
  }

  private put(): Promise<unknown> {
    return this.world.put(this.space, this.pick(KEYS))
  }

  private async create(): Promise<void> {
    this.uploads.push(await this.world.create(this.pick(KEYS)))
  }

  /** Between storing the block and the commit anything may happen; the commit may also come twice. */
  private async part(): Promise<void> {
    const { world } = this
    const request = world.partRequest(
      this.pick(this.uploads),
      this.space,
      1 + Math.floor(world.random.fraction() * 3),
    )
    await this.pause(world.random.fraction() * 20)
    const first = await putPart(world.world, request)
    if (!this.chance(0.5)) return
    await this.pause(world.random.fraction() * 20)
    expect(await putPart(world.world, request)).to.deep.equal(first)
  }

  private async copiedPart(): Promise<void> {
    const { object } = await this.world.namespace.getObject({ bucket: 'b', key: this.pick(KEYS) })
    await this.pause(this.world.random.fraction() * 10)
    await this.world.copiedPart(this.pick(this.uploads), object, 4)
  }

  private async copy(): Promise<void> {
    const { world } = this
    const { object } = await world.namespace.getObject({ bucket: 'b', key: this.pick(KEYS) })
    await this.pause(world.random.fraction() * 10)
    await world.namespace.copyObject({
      context: { session: world.session, op: world.op(), poolEpoch: 1, dirtyGroups: [] },
      source: { bucket: 'b', key: object.key, etag: object.etag },
      bucket: 'b',
      key: this.pick(KEYS),
      owner: 'o',
    })
  }

  private async complete(): Promise<void> {
    const { world } = this
    const request = await world.prepareComplete(this.pick(this.uploads))
    await this.pause(world.random.fraction() * 20)
    const first: CompletedUpload = await completeUpload(world.world, request)
    if (!this.chance(0.5)) return
    await this.pause(world.random.fraction() * 20)
    expect(await completeUpload(world.world, request)).to.deep.equal(first)
  }

  private abort({ key, uploadId }: UploadInfo): Promise<void> {
    return abortUpload(this.world.world, { bucket: 'b', key, uploadId, op: this.world.op() })
  }

  /** Operations may fail in every documented way; what must hold is checked afterwards. */
  private async tolerate(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (error instanceof Nothing) return
      if (!(error instanceof CairnError) || error.code === 'Internal') throw error
    }
  }

  private pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.world.random.fraction() * items.length)]
    if (item === undefined) throw new Nothing()
    return item
  }

  private chance(probability: number): boolean {
    return this.world.random.fraction() < probability
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.clock.setTimer(ms, resolve))
  }
}

/** There is nothing to act on yet. */
class Nothing extends Error {}

/** Uses up the faults that are still to come. */
async function quieten(world: UploadWorld): Promise<void> {
  await world.line.calm()
  for (let left = 1; left > 0; ) {
    const before = world.line.faults
    await world.rows('none').catch(() => undefined)
    await world.sessions.open({ role: 'test', name: 'probe' }).catch(() => undefined)
    left = world.line.faults - before
  }
  await world.line.calm()
}

describe('writers, uploads and workers at once', () => {
  for (const hasFaults of [false, true]) {
    it(`never leave a row without its blocks, nor lose space${hasFaults ? ', though answers get lost' : ''}`, async function () {
      this.timeout(120_000)
      console.log(`      seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}`)
      for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
        const world = await UploadWorld.open(seed)
        const race = new Race(world, await world.run(world.bucket()))
        for (let round = 0; round < 4; round++) {
          await world.run(race.round(hasFaults))
          await world.run(quieten(world))
          expect(await world.run(world.lostBlocks()), `seed ${seed}, round ${round}`).to.deep.equal([])
        }
        await world.run(quieten(world))
        await world.clock.runUntil(race.end(), 10 * DAY_MS)
        const left = [...world.drives.blocksById.values()].map(({ owner }) => owner?.key)
        expect(left, `seed ${seed}: blocks left`).to.deep.equal([])
        for (const prefix of ['g/', 'p/', 'r/', 'u/']) {
          expect(
            await world.run(world.rows(prefix)),
            `seed ${seed}: rows left under ${prefix}`,
          ).to.have.length(0)
        }
      }
    })
  }
})
