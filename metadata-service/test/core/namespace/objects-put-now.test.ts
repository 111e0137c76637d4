import { CairnError, type PutObjectRequest, type SpaceId } from '@cairn/protocol'
import { expect } from 'chai'
import { rejection } from '../../rejection.js'
import { NamespaceWorld, seed } from './namespace-world.js'

const BUCKET = 'bucket'
const FIRST = { route: 1, sinceMicros: 0 }

describe('putObjectNow', () => {
  let world: NamespaceWorld
  let space: SpaceId

  beforeEach(async () => {
    world = await NamespaceWorld.open(seed)
    space = await world.bucket(BUCKET)
    // The first put of a session reads its row.
    await world.put(BUCKET, space, 'first', { attempt: FIRST })
  })

  const request = (key: string, changes: Partial<PutObjectRequest> = {}): PutObjectRequest =>
    world.putRequest(BUCKET, space, key, { attempt: FIRST, ...changes })

  /** The object as a reader sees it, without what differs between any two puts. */
  async function seen(key: string): Promise<object> {
    const { object } = await world.run(world.namespace.getObject({ bucket: BUCKET, key }))
    const { map: _map, etag: _etag, modifiedMs: _modifiedMs, key: _key, ...rest } = object
    return Object.entries(rest).filter(([, value]) => !(value instanceof Uint8Array))
  }

  it('stores what putObject stores, and answers the same', async () => {
    const attributes = { contentType: 'text/plain', userMetadata: { a: 'b' } }
    const given = {
      attributes,
      checksum: { algorithm: 'CRC32C', type: 'FULL_OBJECT', value: 'AAAAAA==' },
    } as const
    const now = world.putNow(request('now', given))
    expect(now).to.not.equal(undefined)
    const answer = await world.run(Promise.resolve(now))
    const ordinary = await world.run(world.namespace.putObject(request('later', given)))
    expect(Object.keys(answer ?? {})).to.deep.equal(Object.keys(ordinary))
    expect(await seen('now')).to.deep.equal(await seen('later'))
  })

  it('replaces what is there, and its repeat gets the first answer', async () => {
    await world.run(Promise.resolve(world.putNow(request('k'))))
    const second = request('k', { etag: 'second' })
    const answer = await world.run(Promise.resolve(world.putNow(second)))
    expect(world.putNow(second), 'a repeat').to.equal(undefined)
    expect(await world.run(world.namespace.putObject(second))).to.deep.equal(answer)
    const { object } = await world.run(world.namespace.getObject({ bucket: BUCKET, key: 'k' }))
    expect(object.etag).to.equal('second')
  })

  it('takes nothing from writers it does not know, on other routes, or that may have been tried', () => {
    const { attempt: _attempt, ...without } = request('k')
    expect(world.putNow(without)).to.equal(undefined)
    expect(world.putNow(request('k', { attempt: { ...FIRST, route: 2 } }))).to.equal(undefined)
    expect(world.putNow(request('k', { attempt: { ...FIRST, firstRoute: 1 } }))).to.equal(undefined)
    const context = { ...world.context(), poolEpoch: 99 }
    expect(world.putNow(request('k', { context }))).to.equal(undefined)
  })

  it('leaves errors to putObject, and remembers nothing of them', async () => {
    expect(world.putNow(request(''))).to.equal(undefined)
    expect(world.putNow(request('k', { sizeBytes: 5, map: world.map(6) }))).to.equal(undefined)
    expect(world.putNow(request('k', { bucket: 'missing' }))).to.equal(undefined)
    const preconditions = { ifMatch: ['other'], ifNoneMatch: [] }
    const refused = request('first', { preconditions })
    expect(world.putNow(refused)).to.equal(undefined)
    expect((await rejection(world.run(world.namespace.putObject(refused)))).code).to.equal(
      'PreconditionFailed',
    )
    expect(world.putNow({ ...refused, preconditions: { ifMatch: [], ifNoneMatch: [] } })).to.equal(undefined)
  })

  it('does not overtake others that write the key, nor is overtaken', async () => {
    const before = world.namespace.putObject(request('k', { etag: 'a' }))
    expect(world.putNow(request('k', { etag: 'b' }))).to.equal(undefined)
    await world.run(before)
    const now = world.putNow(request('k', { etag: 'c' }))
    const after = world.namespace.putObject(request('k', { etag: 'd' }))
    await world.run(Promise.all([now, after]))
    const { object } = await world.run(world.namespace.getObject({ bucket: BUCKET, key: 'k' }))
    expect(object.etag).to.equal('d')
  })

  it('is done in the ordinary way when another service was faster', async () => {
    const other = world.secondService()
    const theirs = other.putObject({ ...request('k'), attempt: undefined } as unknown as PutObjectRequest)
    // Theirs is waiting for its entry by then.
    for (let turn = 0; turn < 100; turn++) await Promise.resolve()
    const ours = world.putNow(request('k', { etag: 'ours' }))
    await world.run(Promise.all([theirs, ours]))
    expect(ours).to.not.equal(undefined)
    expect(await ours).to.not.be.instanceOf(CairnError)
    const { object } = await world.run(world.namespace.getObject({ bucket: BUCKET, key: 'k' }))
    expect(object.etag).to.equal('ours')
  })

  it('fails cleanly once the session has ended', async () => {
    await world.run(world.sessions.close(world.session))
    expect(world.putNow(request('k'))).to.equal(undefined)
  })
})
