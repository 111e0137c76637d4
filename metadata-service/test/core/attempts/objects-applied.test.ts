import type { OpId } from '@cairn/protocol'
import { expect } from 'chai'
import type { Namespace } from '../../../src/core/namespace/namespace.js'
import { rejection } from '../../rejection.js'
import { NamespaceWorld } from '../namespace/namespace-world.js'

async function open() {
  const world = await NamespaceWorld.open(61)
  const space = await world.bucket('b')
  const restart = async (): Promise<Namespace> => {
    const namespace = world.secondService()
    await world.run(namespace.world.applied.recall(world.store))
    return namespace
  }
  return { world, space, restart }
}

describe('AppliedOperations', () => {
  it('keep a put that is repeated after a restart from undoing a delete', async () => {
    const { world, space, restart } = await open()
    const put = world.putRequest('b', space, 'k')
    await world.run(world.namespace.putObject(put))
    await world.remove('b', 'k')
    const restarted = await restart()
    await world.run(restarted.putObject(put))
    const found = await rejection(world.run(restarted.getObject({ bucket: 'b', key: 'k' })))
    expect(found.code).to.equal('NoSuchKey')
  })

  it('are refused under ids that are none: their repeats could not be told', async () => {
    const { world, space } = await open()
    const put = world.putRequest('b', space, 'k')
    for (const sizeBytes of [8, 15, 17]) {
      const op = Buffer.alloc(sizeBytes, put.context.op) as Uint8Array as OpId
      for (const attempt of [undefined, { route: 1, sinceMicros: 0 }]) {
        const request = { ...put, context: { ...put.context, op }, ...(attempt && { attempt }) }
        expect(world.putNow(request)).to.equal(undefined)
        expect((await rejection(world.run(world.namespace.putObject(request)))).code).to.equal(
          'InvalidArgument',
        )
        const items = [{ op, key: 'k' }]
        const deletion = world.namespace.deleteObjects({
          bucket: 'b',
          owner: 'o',
          items,
          ...(attempt && { attempt }),
        })
        expect((await rejection(world.run(deletion))).code).to.equal('InvalidArgument')
      }
    }
  })

  it('keep a delete that is repeated after a restart from removing what was put since', async () => {
    const { world, space, restart } = await open()
    await world.put('b', space, 'k')
    const items = [{ op: world.op(), key: 'k' }]
    await world.run(world.namespace.deleteObjects({ bucket: 'b', owner: 'o', items }))
    await world.put('b', space, 'k', { etag: 'kept' })
    const restarted = await restart()
    const repeat = await world.run(restarted.deleteObjects({ bucket: 'b', owner: 'o', items }))
    expect(repeat.outcomes).to.deep.equal([{ deleteMarker: false }])
    const { object } = await world.run(restarted.getObject({ bucket: 'b', key: 'k' }))
    expect(object.etag).to.equal('kept')
  })

  it('keep a repeated deletion of a bucket from removing its successor', async () => {
    const { world, restart } = await open()
    const request = { op: world.op(), bucket: 'b' }
    await world.run(world.namespace.deleteBucket(request))
    await world.bucket('b')
    const restarted = await restart()
    await world.run(restarted.deleteBucket(request))
    expect((await world.run(restarted.getBucket({ bucket: 'b' }))).name).to.equal('b')
  })

  it('recall the newest of more rows than one read brings', async () => {
    const { world, space, restart } = await open()
    const keys = Array.from({ length: 1100 }, (_, at) => `k${at}`)
    const puts = keys.map((key) => world.putRequest('b', space, key, { sizeBytes: 0 }))
    await world.run(Promise.all(puts.map((put) => world.namespace.putObject(put))))
    const items = keys.map((key) => ({ op: world.op(), key }))
    for (const some of [items.slice(0, 550), items.slice(550)]) {
      await world.run(world.namespace.deleteObjects({ bucket: 'b', owner: 'o', items: some }))
    }
    const { applied } = (await restart()).world
    for (const op of [...puts.map(({ context }) => context.op), ...items.map((item) => item.op)]) {
      expect(applied.find(op)).to.not.equal(undefined)
    }
  })
})
