import type { IncomingCall, RpcHandler, RpcMethod, RpcRouter } from '@cairn/protocol'
import { expect } from 'chai'
import { registerNamespaceHandlers } from '../../src/rpc/object-handlers.js'
import { NamespaceWorld, OWNER, seed } from '../core/namespace/namespace-world.js'

type Answer = (request: unknown) => Promise<unknown>

/** A router whose calls pass through the codecs of their methods, as on the wire. */
function codecRouter(): { router: RpcRouter; answers: Map<string, Answer> } {
  const answers = new Map<string, Answer>()
  const handle = <Q, R>(method: RpcMethod<Q, R>, handler: RpcHandler<Q, R>): void => {
    answers.set(method.name, async (request) => {
      const decoded = method.request.decode(method.request.encode(request as Q))
      const { response } = await handler(decoded, {} as IncomingCall)
      return method.response.decode(method.response.encode(response))
    })
  }
  return { router: { handle }, answers }
}

describe('registerNamespaceHandlers', () => {
  it('serves every method of buckets and objects through its codec', async () => {
    const world = await NamespaceWorld.open(seed)
    const { router, answers } = codecRouter()
    registerNamespaceHandlers(router, world.namespace, () => undefined)
    const call = (name: string, request: unknown): Promise<unknown> => {
      const answer = answers.get(name)
      if (answer === undefined) throw new Error(`no handler for ${name}`)
      return world.run(answer(request))
    }
    const bucket = 'b'
    await call('CreateBucket', { op: world.op(), bucket, owner: OWNER, region: 'r' })
    await call('SetBucketVersioning', { op: world.op(), bucket, versioning: 'enabled' })
    const { space } = await world.run(world.namespace.getBucket({ bucket }))
    await call('PutObject', world.putRequest(bucket, space, 'k', { etag: 'e' }))
    await call('CopyObject', world.copyRequest({ bucket, key: 'k', etag: 'e' }, bucket, 'copy'))
    const page = { bucket, prefix: '', delimiter: '', limit: 10 }
    expect(await call('ListObjects', { ...page, after: '' }))
      .to.have.property('objects')
      .of.length(2)
    const versions = await call('ListVersions', { ...page, afterKey: '', afterVersionId: '' })
    expect(versions).to.have.property('versions').of.length(2)
    expect(await call('GetObject', { bucket, key: 'copy' })).to.have.nested.property('object.etag', 'e')
    const tags = [{ key: 'a', value: '' }]
    const tagged = await call('SetObjectTags', { op: world.op(), bucket, key: 'copy', tags })
    expect(tagged).to.have.property('versionId')
    const shown = await call('GetObject', { bucket, key: 'copy' })
    expect(shown).to.have.nested.property('object.attributes.tags').that.deep.equals(tags)
    const document = Buffer.from('rules')
    await call('SetBucketConfiguration', { op: world.op(), bucket, kind: 'cors', document })
    const configuration = await call('GetBucketConfiguration', { bucket, kind: 'cors' })
    expect(configuration).to.deep.equal({ document })
    const items = [{ op: world.op(), key: 'k' }]
    const deleted = await call('DeleteObjects', { bucket, owner: OWNER, items })
    expect(deleted).to.have.nested.property('outcomes[0].deleteMarker', true)
    expect(await call('ListBuckets', { prefix: '', after: '', limit: 5 }))
      .to.have.property('buckets')
      .of.length(1)
    expect(await call('GetBucket', { bucket })).to.have.property('versioning', 'enabled')
    await world.bucket('empty')
    expect(await call('DeleteBucket', { op: world.op(), bucket: 'empty' })).to.deep.equal({})
    expect(answers.size).to.equal(14)
  })
})
