import { type CairnError, hasCode, SESSION_LEASE_MS, type SpaceId } from '@cairn/protocol'
import { expect } from 'chai'
import type { Namespace } from '../../../src/core/namespace/namespace.js'
import { dirtyRange, EVERY_GROUP, garbageRange, parseDirtyKey } from '../../../src/core/rows/keys.js'
import { GarbageRow } from '../../../src/core/rows/rows.js'
import { rejection } from '../../rejection.js'
import { NamespaceWorld, OWNER, seed } from './namespace-world.js'

const BUCKET = 'bucket'
const ANY = { ifMatch: ['*'], ifNoneMatch: [] }
const NONE = { ifMatch: [], ifNoneMatch: ['*'] }

/** Raises a number in the ETag five times, by compare and swap. */
async function swap(world: NamespaceWorld, service: Namespace, space: SpaceId): Promise<void> {
  for (let done = 0; done < 5; ) {
    const { object } = await service.getObject({ bucket: BUCKET, key: 'k' })
    const preconditions = { ifMatch: [object.etag], ifNoneMatch: [] }
    const etag = String(Number(object.etag) + 1)
    const request = world.putRequest(BUCKET, space, 'k', { etag, preconditions })
    const error = await service.putObject(request).catch((thrown: CairnError) => thrown)
    if (!(error instanceof Error)) done++
    else if (!hasCode(error, 'PreconditionFailed', 'ConditionalConflict')) throw error
  }
}

describe('Namespace', () => {
  let world: NamespaceWorld
  beforeEach(async () => {
    world = await NamespaceWorld.open(seed)
  })

  const get = (key: string, versionId?: string) =>
    world.run(
      world.namespace.getObject({ bucket: BUCKET, key, ...(versionId === undefined ? {} : { versionId }) }),
    )

  describe('buckets', () => {
    it('makes a bucket once, and says to whom it belongs', async () => {
      const request = { op: world.op(), bucket: BUCKET, owner: OWNER, region: 'eu' }
      const made = await world.run(world.namespace.createBucket(request))
      expect(await world.run(world.namespace.createBucket(request))).to.deep.equal(made)
      expect(await world.run(world.namespace.getBucket({ bucket: BUCKET }))).to.deep.equal(made)
      const error = await rejection(world.run(world.namespace.createBucket({ ...request, op: world.op() })))
      expect(error).to.deep.include({
        code: 'BucketAlreadyExists',
        details: { owner: OWNER, region: 'eu' },
      })
    })

    it('keeps a bucket while a version or a marker is in it', async () => {
      const space = await world.bucket(BUCKET, 'enabled')
      const versionId = await world.put(BUCKET, space, 'k')
      const marker = await world.remove(BUCKET, 'k')
      const drop = () => world.run(world.namespace.deleteBucket({ op: world.op(), bucket: BUCKET }))
      expect((await rejection(drop())).code).to.equal('BucketNotEmpty')
      await world.remove(BUCKET, 'k', { versionId })
      expect((await rejection(drop())).code).to.equal('BucketNotEmpty')
      await world.remove(BUCKET, 'k', { versionId: marker.versionId ?? '' })
      await drop()
      expect((await rejection(world.run(world.namespace.getBucket({ bucket: BUCKET })))).code).to.equal(
        'NoSuchBucket',
      )
    })

    it('refuses a write for the earlier life of a bucket, and shows nothing of it', async () => {
      const space = await world.bucket(BUCKET)
      const request = { op: world.op(), bucket: BUCKET }
      await world.run(world.namespace.deleteBucket(request))
      await world.run(world.namespace.deleteBucket(request))
      await world.bucket(BUCKET)
      expect((await rejection(world.put(BUCKET, space, 'k'))).code).to.equal('NoSuchBucket')
    })

    it('lists by name, prefix and page', async () => {
      for (const name of ['b2', 'a1', 'b1', 'b3']) await world.bucket(name)
      const list = async (prefix: string, after: string, limit: number) => {
        const page = await world.run(world.namespace.listBuckets({ prefix, after, limit }))
        return [...page.buckets.map(({ name }) => name), page.truncated]
      }
      expect(await list('', '', 10)).to.deep.equal(['a1', 'b1', 'b2', 'b3', false])
      expect(await list('b', '', 2)).to.deep.equal(['b1', 'b2', true])
      expect(await list('b', 'b2', 2)).to.deep.equal(['b3', false])
      expect(await list('b', 'c', 2)).to.deep.equal([false])
      expect(await list('', '', 0)).to.deep.equal([false])
    })

    it('never returns to the state of never having been versioned', async () => {
      await world.bucket(BUCKET)
      const request = { op: world.op(), bucket: BUCKET, versioning: 'unset' } as const
      expect((await rejection(world.run(world.namespace.setBucketVersioning(request)))).code).to.equal(
        'InvalidArgument',
      )
    })
  })

  describe('fences', () => {
    let space: SpaceId
    beforeEach(async () => {
      space = await world.bucket(BUCKET)
    })

    it('refuses the commit of a session that has ended, but still answers the repeat of an earlier one', async () => {
      const request = world.putRequest(BUCKET, space, 'k')
      const first = await world.run(world.namespace.putObject(request))
      await world.clock.advance(SESSION_LEASE_MS * 2)
      expect((await rejection(world.put(BUCKET, space, 'k'))).code).to.equal('SessionExpired')
      expect(await world.run(world.namespace.putObject(request))).to.deep.equal(first)
    })

    it('answers a late repeat of what it has refused as it did first, whatever has happened since', async () => {
      await world.put(BUCKET, space, 'k')
      const create = world.putRequest(BUCKET, space, 'k', { preconditions: NONE })
      const first = await rejection(world.run(world.namespace.putObject(create)))
      await world.remove(BUCKET, 'k')
      const again = await rejection(world.run(world.namespace.putObject(create)))
      expect(again).to.deep.include({ code: first.code, details: first.details })
      expect((await rejection(get('k'))).code).to.equal('NoSuchKey')
    })

    it('does not delete what was written after a delete that found nothing, when that is repeated', async () => {
      const op = world.op()
      const first = await world.remove(BUCKET, 'k', { op })
      await world.put(BUCKET, space, 'k')
      expect(await world.remove(BUCKET, 'k', { op })).to.deep.equal(first)
      expect((await get('k')).object.key).to.equal('k')
    })

    it('refuses blocks that were placed by another epoch of the pool', async () => {
      const context = { ...world.context(), poolEpoch: world.poolEpoch + 1 }
      expect((await rejection(world.put(BUCKET, space, 'k', { context }))).code).to.equal('StaleClusterMap')
    })

    it('records the groups that owe a copy, or all when they are many', async () => {
      const groups = async () => {
        const read = await world.run(world.store.read([{ kind: 'scan', range: dirtyRange(), limit: 100 }]))
        return (read.results[0] ?? []).map(({ key }) => parseDirtyKey(key).group)
      }
      await world.put(BUCKET, space, 'k', { context: { ...world.context(), dirtyGroups: [7, 3, 7] } })
      expect(await groups()).to.deep.equal([3, 7])
      const dirtyGroups = Array.from({ length: 500 }, (_, at) => at)
      await world.put(BUCKET, space, 'k', { context: { ...world.context(), dirtyGroups } })
      expect(await groups()).to.deep.equal([3, 7, EVERY_GROUP])
    })

    it('refuses keys, maps and version ids that cannot be', async () => {
      for (const key of ['', 'k'.repeat(1025), 'a\0b', '\ud800']) {
        expect((await rejection(world.put(BUCKET, space, key))).code).to.equal('InvalidArgument')
      }
      const map = world.map(4)
      expect((await rejection(world.put(BUCKET, space, 'k', { map }))).code).to.equal('InvalidArgument')
      expect((await rejection(get('k', 'nonsense'))).code).to.equal('InvalidArgument')
    })
  })

  describe('conditions', () => {
    for (const versioning of ['unset', 'enabled'] as const) {
      it(`lets exactly one of many creations win, across two services (${versioning})`, async () => {
        const space = await world.bucket(BUCKET, versioning)
        const services = [world.namespace, world.secondService()]
        const racing = Array.from({ length: 20 }, (_, at) => {
          const request = world.putRequest(BUCKET, space, 'k', { preconditions: NONE })
          const service = services[at % 2] ?? world.namespace
          return service.putObject(request).catch((error: CairnError) => error)
        })
        const results = await world.run(Promise.all(racing))
        const refused = results.filter((result) =>
          hasCode(result, 'PreconditionFailed', 'ConditionalConflict'),
        )
        expect(refused.length).to.equal(19)
      })

      it(`counts every one of many swaps of the ETag once, across two services (${versioning})`, async () => {
        const space = await world.bucket(BUCKET, versioning)
        await world.put(BUCKET, space, 'k', { etag: '0' })
        const services = [world.namespace, world.secondService()]
        const swaps = [0, 1, 2, 3].map((at) => swap(world, services[at % 2] ?? world.namespace, space))
        await world.run(Promise.all(swaps))
        expect((await get('k')).object.etag).to.equal('20')
      })
    }

    it('takes a delete marker for absence and names it', async () => {
      const space = await world.bucket(BUCKET, 'enabled')
      await world.put(BUCKET, space, 'k')
      const { versionId = '' } = await world.remove(BUCKET, 'k')
      const error = await rejection(world.put(BUCKET, space, 'k', { preconditions: ANY }))
      expect(error).to.deep.include({ code: 'NoSuchKey', details: { deleteMarker: 'true', versionId } })
      await world.put(BUCKET, space, 'k', { preconditions: NONE })
    })

    it('judges deletes by the version they remove, each item for itself', async () => {
      const space = await world.bucket(BUCKET)
      await world.put(BUCKET, space, 'k', { etag: 'e' })
      const items = [
        { op: world.op(), key: 'k', preconditions: { ifMatch: ['x'], ifNoneMatch: [] } },
        { op: world.op(), key: 'missing' },
        { op: world.op(), key: '' },
        { op: world.op(), key: 'k', preconditions: { ifMatch: ['e'], ifNoneMatch: [] } },
        { op: world.op(), key: 'k' },
      ]
      const { outcomes } = await world.run(
        world.namespace.deleteObjects({ bucket: BUCKET, owner: OWNER, items }),
      )
      expect(outcomes.map(({ errorCode }) => errorCode)).to.deep.equal([
        'PreconditionFailed',
        undefined,
        'InvalidArgument',
        undefined,
        undefined,
      ])
      expect((await rejection(get('k'))).code).to.equal('NoSuchKey')
    })
  })

  describe('versions', () => {
    it('names what is wrong with a version that is asked for', async () => {
      const space = await world.bucket(BUCKET, 'enabled')
      await world.put(BUCKET, space, 'k')
      const { versionId = '' } = await world.remove(BUCKET, 'k')
      expect((await rejection(get('k', versionId))).code).to.equal('VersionIsDeleteMarker')
      expect((await rejection(get('k', 'null'))).code).to.equal('NoSuchVersion')
      expect((await rejection(get('k', '0'.repeat(48)))).code).to.equal('NoSuchVersion')
    })

    it('sorts a write after a clock that jumped back above the older ones', async () => {
      const space = await world.bucket(BUCKET, 'enabled')
      const ids = [await world.put(BUCKET, space, 'k')]
      world.clock.jumpWall(-86_400_000)
      ids.push(await world.put(BUCKET, space, 'k'))
      expect([...ids].sort()).to.deep.equal(ids)
      expect((await get('k')).object.versionId).to.equal(ids[1])
    })
  })

  describe('copies', () => {
    it('refuses a source that changed since it was looked at, or that is not there', async () => {
      const space = await world.bucket(BUCKET)
      await world.put(BUCKET, space, 'k', { etag: 'new' })
      const copy = (key: string, etag: string) =>
        world.run(
          world.namespace.copyObject(world.copyRequest({ bucket: BUCKET, key, etag }, BUCKET, 'copy')),
        )
      expect((await rejection(copy('k', 'old'))).code).to.equal('PreconditionFailed')
      expect((await rejection(copy('missing', 'old'))).code).to.equal('NoSuchKey')
    })

    it('keeps or replaces attributes and checksum', async () => {
      const space = await world.bucket(BUCKET)
      const attributes = { contentType: 'text/plain', userMetadata: { a: '1' } }
      const checksum = { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'AAAA' } as const
      await world.put(BUCKET, space, 'k', { etag: 'e', attributes, checksum })
      const source = { bucket: BUCKET, key: 'k', etag: 'e' }
      await world.run(world.namespace.copyObject(world.copyRequest(source, BUCKET, 'kept')))
      const replaced = world.copyRequest(source, BUCKET, 'replaced', { attributes: { contentType: 'x/y' } })
      await world.run(world.namespace.copyObject(replaced))
      const kept = (await get('kept')).object
      expect({ ...kept.attributes.userMetadata }).to.deep.equal({ a: '1' })
      expect(kept.checksum).to.deep.equal(checksum)
      expect((await get('replaced')).object.attributes).to.deep.equal({ contentType: 'x/y' })
    })

    it('leaves the blocks of an overwritten source to the garbage, with its birthplace', async () => {
      const space = await world.bucket(BUCKET)
      await world.put(BUCKET, space, 'k', { etag: 'e' })
      const source = { bucket: BUCKET, key: 'k', etag: 'e' }
      await world.run(world.namespace.copyObject(world.copyRequest(source, BUCKET, 'copy')))
      await world.remove(BUCKET, 'k')
      await world.remove(BUCKET, 'copy')
      const read = await world.run(world.store.read([{ kind: 'scan', range: garbageRange(), limit: 10 }]))
      const rows = (read.results[0] ?? []).map(({ value }) => GarbageRow.decode(value))
      expect(rows.map(({ key, birthKey }) => `${key} ${birthKey}`)).to.deep.equal(['k k', 'copy k'])
      expect(rows[1]?.map).to.deep.equal(rows[0]?.map)
    })
  })
})
