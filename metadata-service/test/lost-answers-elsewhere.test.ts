import {
  CairnError,
  deleteObjects,
  getObject,
  type PutObjectRequest,
  putObject,
  sessionOf,
} from '@cairn/protocol'
import { expect } from 'chai'
import type { EntryStore } from '../src/ports.js'
import { bound } from './core/commit/commit-bench.js'
import { rejection } from './rejection.js'
import { type PausableService, SeveralServices } from './several-services.js'

/** A line to the store that loses the next answer to a change of an object, and is dead then until it is mended. */
class BrokenLine {
  private isArmed = false
  private isDead = false

  over(store: EntryStore): EntryStore {
    return {
      ...bound(store),
      apply: async (entry) => {
        this.assertAlive()
        const results = await store.apply(entry)
        if (!this.isArmed || entry.commits.length === 0) return results
        this.isArmed = false
        this.isDead = true
        throw new CairnError('OutcomeUnknown', 'the answer is lost')
      },
      read: async (reads) => {
        this.assertAlive()
        return store.read(reads)
      },
    }
  }

  breakAfterNextChange(): void {
    this.isArmed = true
  }

  mend(): void {
    this.isDead = false
  }

  private assertAlive(): void {
    if (this.isDead) throw new CairnError('Busy', 'no answer')
  }
}

describe('a change whose answer was lost, and that others have superseded before that is settled', () => {
  interface Setting {
    readonly world: SeveralServices
    readonly line: BrokenLine
    readonly a: PausableService
    readonly b: PausableService
  }

  async function open(): Promise<Setting> {
    const world = new SeveralServices()
    const line = new BrokenLine()
    const b = await world.run(world.start('b'))
    const a = await world.run(world.start('a', {}, async (store) => line.over(store)))
    await world.run(world.addDrive([a, b]))
    await world.run(world.open(a))
    await world.run(world.bucket(a))
    return { world, line, a, b }
  }

  async function putOf({ world, b }: Setting, etag: string): Promise<PutObjectRequest> {
    const op = world.op()
    const space = await world.run(world.bucketSpace(b))
    const context = { session: sessionOf(op), op, poolEpoch: 0, dirtyGroups: [] }
    const map = { pool: 1, slices: [], pages: [] }
    return { context, bucket: 'b', space, key: 'k', map, sizeBytes: 0, etag, owner: 'o', attributes: {} }
  }

  const remove = ({ world, b }: Setting) => {
    const items = [{ op: world.op(), key: 'k' }]
    return world.run(world.call(b, deleteObjects, { bucket: 'b', owner: 'o', items }))
  }

  /** The put at `a`, with its answer still on the way. */
  async function lose(setting: Setting, put: PutObjectRequest): Promise<{ settled: Promise<unknown> }> {
    const { world, line, a, b } = setting
    line.breakAfterNextChange()
    const settled = world.call(a, putObject, put)
    await world.clock.advance(50)
    const found = await world.run(world.call(b, getObject, { bucket: 'b', key: 'k' }))
    expect(found.object.etag, 'the change has happened').to.equal(put.etag)
    return { settled }
  }

  it('is not done again after a delete', async () => {
    const setting = await open()
    const { world, line, b } = setting
    const { settled } = await lose(setting, await putOf(setting, 'lost'))
    await remove(setting)
    line.mend()
    await world.run(settled)
    const found = await world.run(rejection(world.call(b, getObject, { bucket: 'b', key: 'k' })))
    expect(found.code).to.equal('NoSuchKey')
  })

  it('is not done again after a delete and another put', async () => {
    const setting = await open()
    const { world, line, b } = setting
    const { settled } = await lose(setting, await putOf(setting, 'lost'))
    await remove(setting)
    await world.run(world.call(b, putObject, await putOf(setting, 'newer')))
    line.mend()
    await world.run(settled)
    const found = await world.run(world.call(b, getObject, { bucket: 'b', key: 'k' }))
    expect(found.object.etag).to.equal('newer')
  })

  it('is not done again by a repeat where it could not be settled in time', async () => {
    const setting = await open()
    const { world, line, a, b } = setting
    const put = await putOf(setting, 'lost')
    const { settled } = await lose(setting, put)
    const ended = rejection(settled)
    await remove(setting)
    await world.clock.advance(15_000)
    line.mend()
    expect((await world.run(ended)).code).to.equal('OutcomeUnknown')
    await world.clock.advance(15_000)
    expect((await world.run(rejection(world.call(a, putObject, put)))).code).to.equal('OutcomeUnknown')
    const found = await world.run(rejection(world.call(b, getObject, { bucket: 'b', key: 'k' })))
    expect(found.code).to.equal('NoSuchKey')
  })
  it('is told apart among deletes once nobody can settle it any more', async () => {
    const setting = await open()
    const { world, line, a, b } = setting
    await world.run(world.call(b, putObject, await putOf(setting, 'older')))
    const items = [{ op: world.op(), key: 'k' }]
    const request = { bucket: 'b', owner: 'o', items }
    line.breakAfterNextChange()
    const lost = world.call(a, deleteObjects, request)
    await world.clock.advance(50)
    await world.run(world.call(b, putObject, await putOf(setting, 'newer')))
    await world.clock.advance(15_000)
    line.mend()
    const first = (await world.run(lost)).outcomes[0]
    expect(first).to.deep.include({ errorCode: 'OutcomeUnknown' }).and.not.have.property('neverSettled')
    await world.clock.advance(15_000)
    const again = (await world.run(world.call(a, deleteObjects, request))).outcomes[0]
    expect(again).to.deep.include({ errorCode: 'OutcomeUnknown', neverSettled: true })
    const found = await world.run(world.call(b, getObject, { bucket: 'b', key: 'k' }))
    expect(found.object.etag).to.equal('newer')
  })
})
