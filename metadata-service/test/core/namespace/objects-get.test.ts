import { CairnError, GetObjectResponse } from '@cairn/protocol'
import { expect } from 'chai'
import { getObject } from '../../../src/core/namespace/objects-get.js'
import { Resolver } from '../../../src/core/versions/resolve.js'
import type { KeyValueStore, StoreRow } from '../../../src/ports.js'
import { NamespaceWorld, seed } from './namespace-world.js'

/** The same store with the bytes of its rows passed through `change`. */
function passing(store: KeyValueStore, change: (value: Uint8Array) => Uint8Array): Resolver {
  const pass = (row: StoreRow): StoreRow => ({ ...row, value: change(row.value) })
  const read: KeyValueStore['read'] = async (...given) => {
    const found = await store.read(...given)
    return { ...found, results: found.results.map((rows) => rows.map(pass)) }
  }
  return new Resolver(
    new Proxy(store, { get: (on, name) => (name === 'read' ? read : Reflect.get(on, name)) }),
  )
}

/** Hands out equal bytes as the same ones, whatever rows they stand in. */
function merging(): (value: Uint8Array) => Uint8Array {
  const known = new Map<string, Uint8Array>()
  return (value) => {
    const name = Buffer.from(value).toString('latin1')
    const first = known.get(name) ?? value
    known.set(name, first)
    return first
  }
}

describe('getObject', () => {
  it('answers alike from rows it knows and from rows it has never seen', async () => {
    const world = await NamespaceWorld.open(seed)
    const resolver = passing(world.store, merging())
    const unknowing = passing(world.store, (value) => Uint8Array.from(value))
    const seen: GetObjectResponse[] = []
    const compare = async (bucket: string, key: string, versionId?: string): Promise<void> => {
      const request = { bucket, key, ...(versionId === undefined ? {} : { versionId }) }
      const fresh = await world.run(getObject({ resolver: unknowing }, request))
      for (let time = 0; time < 2; time++) {
        const answer = await world.run(getObject({ resolver }, request))
        const decoded = GetObjectResponse.decode(GetObjectResponse.encode(answer))
        expect(answer).to.deep.equal(fresh)
        expect(decoded.object.key).to.equal(key)
        expect(decoded.versioning).to.equal(fresh.versioning)
        expect(decoded.object.isLatest).to.equal(fresh.object.isLatest)
        seen.push(answer)
      }
    }
    const space = await world.bucket('a', 'enabled')
    const first = await world.put('a', space, 'k')
    await compare('a', 'k')
    expect(seen[1]).to.equal(seen[0])
    await compare('a', 'k', first)
    await world.put('a', space, 'k')
    await compare('a', 'k')
    await compare('a', 'k', first)
    const request = { op: world.op(), bucket: 'a', versioning: 'suspended' } as const
    await world.run(world.namespace.setBucketVersioning(request))
    await compare('a', 'k')
    await compare('a', 'k', first)
  })
})

describe('getObjectNow', () => {
  it('answers as getObject does, and leaves the rest to it', async () => {
    const world = await NamespaceWorld.open(seed)
    const { namespace } = world
    const space = await world.bucket('a', 'enabled')
    const first = await world.put('a', space, 'k')
    expect(namespace.getObjectNow({ bucket: 'none', key: 'k' })).to.equal(undefined)
    for (let time = 0; time < 2; time++) {
      const later = await world.run(namespace.getObject({ bucket: 'a', key: 'k' }))
      expect(namespace.getObjectNow({ bucket: 'a', key: 'k' })).to.deep.equal(later)
      await world.put('a', space, 'k')
    }
    expect(namespace.getObjectNow({ bucket: 'a', key: 'k' })?.object.versionId).to.not.equal(first)
    expect(namespace.getObjectNow({ bucket: 'a', key: 'k', versionId: first })).to.equal(undefined)
    expect(namespace.getObjectNow({ bucket: 'a', key: 'other' })).to.equal(undefined)
    await world.remove('a', 'k')
    expect(() => namespace.getObjectNow({ bucket: 'a', key: 'k' })).to.throw(CairnError)
  })

  it('answers right after the first put in a bucket', async () => {
    const world = await NamespaceWorld.open(seed)
    await world.put('a', await world.bucket('a'), 'k')
    expect(world.namespace.getObjectNow({ bucket: 'a', key: 'k' })?.object.key).to.equal('k')
  })

  it('never answers from the bucket that had the name before', async () => {
    const world = await NamespaceWorld.open(seed)
    const { namespace } = world
    await world.put('a', await world.bucket('a'), 'k')
    await world.run(namespace.getObject({ bucket: 'a', key: 'k' }))
    await world.remove('a', 'k')
    await world.run(namespace.deleteBucket({ op: world.op(), bucket: 'a' }))
    expect(() => namespace.getObjectNow({ bucket: 'a', key: 'k' })).to.throw(CairnError)
    await world.bucket('a')
    expect(namespace.getObjectNow({ bucket: 'a', key: 'k' })).to.equal(undefined)
  })
})
