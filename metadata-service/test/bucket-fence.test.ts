/** ● What is changed of a bucket holds for every write that commits after it, through whichever service. */
import { deleteBucket, type PutObjectRequest, putObject, setBucketVersioning } from '@cairn/protocol'
import { expect } from 'chai'
import { bucketKey, currentRange } from '../src/core/rows/keys.js'
import { VersionRow } from '../src/core/rows/rows.js'
import type { StoreRow } from '../src/ports.js'
import { startTwo, type TwoServices } from './several-services.js'

/** Calls of the store and answers to them, at each of which the put is stopped once. */
const STEPS = [0, 1, 2, 3, 4, 5, 6]

interface Stage extends TwoServices {
  readonly put: PutObjectRequest
}

async function stage(): Promise<Stage> {
  const { world, a, b } = await startTwo()
  await world.run(world.bucket(b))
  const op = world.op()
  const put: PutObjectRequest = {
    context: { session: world.session, op, poolEpoch: 0, dirtyGroups: [] },
    ...{ bucket: 'b', space: await world.run(world.bucketSpace(a)), key: 'k' },
    ...{ map: { pool: 1, slices: [], pages: [] }, sizeBytes: 0, etag: 'e', owner: 'o', attributes: {} },
  }
  return { world, a, b, put }
}

/** What a call came to: the code of its error, or `done`. */
function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'done',
    ({ code }: { code: string }) => code,
  )
}

/** The put at `a` is stopped on its way while `change` is made at `b`; what both came to. */
async function putAcross(
  { world, a, put }: Stage,
  step: number,
  change: () => Promise<unknown>,
): Promise<[string, string]> {
  a.pauseAfter(step)
  const done = outcomeOf(world.call(a, putObject, put))
  await world.clock.advance(100)
  const changed = await world.run(outcomeOf(change()))
  a.wake()
  return [await world.run(done), changed]
}

async function objectsOf({ world, put }: Stage): Promise<readonly StoreRow[]> {
  const range = currentRange(put.space)
  const { results } = await world.run(world.store.read([{ kind: 'scan', range, limit: 10 }]))
  return results[0] ?? []
}

describe('a change of a bucket', () => {
  const before = new Set<boolean>()

  for (const step of STEPS) {
    it(`holds for a put that was under way at another service (stopped at step ${step})`, async () => {
      const on = await stage()
      const { world, b } = on
      const request = { op: world.op(), bucket: 'b', versioning: 'enabled' as const }
      const change = (): Promise<unknown> => world.call(b, setBucketVersioning, request)
      expect(await putAcross(on, step, change)).to.deep.equal(['done', 'done'])
      const [object] = await objectsOf(on)
      const { results } = await world.run(world.store.read([{ kind: 'get', key: bucketKey('b') }]))
      const bucket = results[0]?.[0]
      if (bucket === undefined || object === undefined) throw new Error('a row is missing')
      const isBefore = object.revision < bucket.revision
      before.add(isBefore)
      expect(VersionRow.decode(object.value).isNull).to.equal(isBefore)
    })

    it(`that ends it leaves no object of such a put behind (stopped at step ${step})`, async () => {
      const on = await stage()
      const { world, b } = on
      const request = { op: world.op(), bucket: 'b' }
      const change = (): Promise<unknown> => world.call(b, deleteBucket, request)
      const outcomes = await putAcross(on, step, change)
      expect(outcomes).to.be.deep.oneOf([
        ['done', 'BucketNotEmpty'],
        ['NoSuchBucket', 'done'],
      ])
      expect(await objectsOf(on)).to.have.length(outcomes[0] === 'done' ? 1 : 0)
    })
  }

  it('was made before and after the commits of these puts', () => {
    expect([...before].sort()).to.deep.equal([false, true])
  })
})
