import type { SetObjectTagsRequest, WritePreconditions } from '@cairn/protocol'
import { expect } from 'chai'
import { bucketConfigurationKey } from '../../../src/core/rows/keys.js'
import { rejection } from '../../rejection.js'
import { NamespaceWorld, seed } from './namespace-world.js'

const BUCKET = 'bucket'
const ONE = [{ key: 'colour', value: 'blue' }]

describe('Configurations of a bucket', () => {
  let world: NamespaceWorld
  beforeEach(async () => {
    world = await NamespaceWorld.open(seed)
  })

  const read = async () =>
    (await world.run(world.namespace.getBucketConfiguration({ bucket: BUCKET, kind: 'cors' }))).document
  const write = (text: string | undefined, op = world.op()) =>
    world.run(
      world.namespace.setBucketConfiguration({
        op,
        bucket: BUCKET,
        kind: 'cors',
        ...(text === undefined ? {} : { document: Buffer.from(text) }),
      }),
    )

  it('keeps what was set last, until it is removed', async () => {
    await world.bucket(BUCKET)
    expect(await read()).to.equal(undefined)
    await write('one')
    await write('two')
    expect(Buffer.from((await read()) ?? []).toString()).to.equal('two')
    const other = await world.run(world.namespace.getBucketConfiguration({ bucket: BUCKET, kind: 'tagging' }))
    expect(other.document).to.equal(undefined)
    await write(undefined)
    expect(await read()).to.equal(undefined)
  })

  it('changes nothing when an operation is repeated after a later one', async () => {
    await world.bucket(BUCKET)
    const op = world.op()
    await write('one', op)
    await write('two')
    await write('one', op)
    expect(Buffer.from((await read()) ?? []).toString()).to.equal('two')
  })

  it('goes with its bucket', async () => {
    const space = await world.bucket(BUCKET)
    await write('one')
    await world.run(world.namespace.deleteBucket({ op: world.op(), bucket: BUCKET }))
    const { results } = await world.run(
      world.store.read([{ kind: 'get', key: bucketConfigurationKey(space, 'cors') }]),
    )
    expect(results[0]).to.have.length(0)
    expect((await rejection(read())).code).to.equal('NoSuchBucket')
  })
})

describe('Tags of an object', () => {
  let world: NamespaceWorld
  beforeEach(async () => {
    world = await NamespaceWorld.open(seed)
  })

  const set = (changes: Partial<SetObjectTagsRequest> = {}) =>
    world.run(
      world.namespace.setObjectTags({ op: world.op(), bucket: BUCKET, key: 'k', tags: ONE, ...changes }),
    )
  const get = async (versionId?: string) => {
    const request = { bucket: BUCKET, key: 'k', ...(versionId === undefined ? {} : { versionId }) }
    return (await world.run(world.namespace.getObject(request))).object
  }

  it('replaces and removes them, and leaves everything else', async () => {
    const space = await world.bucket(BUCKET)
    await world.put(BUCKET, space, 'k', { attributes: { contentType: 'text/plain', tags: ONE } })
    const before = await get()
    expect(await set({ tags: [{ key: 'b', value: '' }, ...ONE] })).to.deep.equal({})
    const { attributes, ...rest } = await get()
    expect(attributes).to.deep.equal({
      contentType: 'text/plain',
      tags: [{ key: 'b', value: '' }, ...ONE],
    })
    expect({ ...rest, attributes: before.attributes }).to.deep.equal(before)
    await set({ tags: [] })
    expect((await get()).attributes).to.deep.equal({ contentType: 'text/plain' })
  })

  it('tags the version that is named, in whatever place it is', async () => {
    const space = await world.bucket(BUCKET, 'enabled')
    const old = await world.put(BUCKET, space, 'k')
    const current = await world.put(BUCKET, space, 'k')
    expect(await set({ versionId: old })).to.deep.equal({ versionId: old })
    expect((await get(old)).attributes.tags).to.deep.equal(ONE)
    expect((await get()).attributes.tags).to.equal(undefined)
    expect(await set()).to.deep.equal({ versionId: current })
    await world.remove(BUCKET, 'k', { versionId: current })
    expect((await get()).attributes.tags).to.deep.equal(ONE)
  })

  it('does nothing when an operation is repeated after a later one', async () => {
    const space = await world.bucket(BUCKET)
    await world.put(BUCKET, space, 'k')
    const op = world.op()
    await set({ op })
    await set({ tags: [] })
    await set({ op })
    expect((await get()).attributes.tags).to.equal(undefined)
  })

  it('is refused where there is no object', async () => {
    const space = await world.bucket(BUCKET, 'enabled')
    expect((await rejection(set())).code).to.equal('NoSuchKey')
    const versionId = await world.put(BUCKET, space, 'k')
    const marker = await world.remove(BUCKET, 'k')
    expect((await rejection(set())).code).to.equal('NoSuchKey')
    const named = { versionId: marker.versionId ?? '' }
    expect((await rejection(set(named))).code).to.equal('VersionIsDeleteMarker')
    await world.remove(BUCKET, 'k', { versionId })
    expect((await rejection(set({ versionId }))).code).to.equal('NoSuchVersion')
  })
})

describe('Preconditions of a delete', () => {
  let world: NamespaceWorld
  beforeEach(async () => {
    world = await NamespaceWorld.open(seed)
  })

  const remove = async (conditions: Partial<WritePreconditions>, versionId?: string) => {
    const preconditions = { ifMatch: [], ifNoneMatch: [], ...conditions }
    const item = { preconditions, ...(versionId === undefined ? {} : { versionId }) }
    return (await world.remove(BUCKET, 'k', item)).errorCode
  }

  it('compare size and time', async () => {
    const space = await world.bucket(BUCKET)
    await world.put(BUCKET, space, 'k', { sizeBytes: 7 })
    const { object } = await world.run(world.namespace.getObject({ bucket: BUCKET, key: 'k' }))
    const ifModifiedSeconds = Math.floor(object.modifiedMs / 1000)
    expect(await remove({ ifSizeBytes: 6 })).to.equal('PreconditionFailed')
    expect(await remove({ ifModifiedSeconds: ifModifiedSeconds + 1 })).to.equal('PreconditionFailed')
    expect(await remove({ ifSizeBytes: 7, ifModifiedSeconds })).to.equal(undefined)
  })

  it('fail for a missing key unless that is fine', async () => {
    await world.bucket(BUCKET)
    expect(await remove({ ifMatch: ['*'] })).to.equal('NoSuchKey')
    expect(await remove({ ifSizeBytes: 1 })).to.equal('NoSuchKey')
    expect(await remove({ ifMatch: ['*'], missingIsFine: true })).to.equal(undefined)
  })

  it('write no delete marker for a missing key that is fine', async () => {
    await world.bucket(BUCKET, 'enabled')
    expect(await remove({ ifMatch: ['*'], missingIsFine: true })).to.equal(undefined)
    // A marker would fail it.
    expect(await remove({ ifMatch: ['etag'], missingIsFine: true })).to.equal(undefined)
  })

  it('fail for a delete marker, but for one of anything where that is fine', async () => {
    const space = await world.bucket(BUCKET, 'enabled')
    await world.put(BUCKET, space, 'k')
    await world.remove(BUCKET, 'k')
    expect(await remove({ ifMatch: ['*'] })).to.equal('NoSuchKey')
    expect(await remove({ ifMatch: ['etag'], missingIsFine: true })).to.equal('PreconditionFailed')
    expect(await remove({ ifSizeBytes: 1, missingIsFine: true })).to.equal('PreconditionFailed')
    expect(await remove({ ifMatch: ['*'], missingIsFine: true })).to.equal(undefined)
  })

  it('judge the version that is named', async () => {
    const space = await world.bucket(BUCKET, 'enabled')
    const old = await world.put(BUCKET, space, 'k', { etag: 'old' })
    await world.put(BUCKET, space, 'k', { etag: 'new' })
    expect(await remove({ ifMatch: ['new'] }, old)).to.equal('PreconditionFailed')
    expect(await remove({ ifMatch: ['old'] }, old)).to.equal(undefined)
  })
})
