import { expect } from 'chai'
import { putPart } from '../../../src/core/uploads/uploads-parts.js'
import { rejection } from '../../rejection.js'
import { UploadWorld } from './upload-world.js'

async function open() {
  const world = await UploadWorld.open(51)
  const space = await world.run(world.bucket())
  const seen = async () => (await world.run(world.namespace.getObject({ bucket: 'b', key: 's' }))).object
  return { world, space, seen }
}

describe('a part that is a copy', () => {
  it('is refused when its source was written again with the same bytes as other blocks', async () => {
    const { world, space, seen } = await open()
    await world.run(world.put(space, 's', { etag: 'same' }))
    const source = await seen()
    const upload = await world.run(world.create('k'))
    await world.run(world.put(space, 's', { etag: 'same' }))
    const late = await rejection(world.run(world.copiedPart(upload, source, 1)))
    expect(late.code).to.equal('PreconditionFailed')
    await world.run(world.copiedPart(upload, await seen(), 1))
    await world.run(world.garbage.runOnce())
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })

  it('is refused when the pages of its map were placed by an older cluster map', async () => {
    const { world, space, seen } = await open()
    await world.run(world.put(space, 's'))
    const { etag, mapId, map } = await seen()
    const upload = await world.run(world.create('k'))
    const own = world.partRequest(upload, space, 1)
    const [page] = own.map.slices
    const copied = (poolEpoch: number) => ({
      ...own,
      context: { ...own.context, op: world.op(), poolEpoch },
      etag,
      source: { bucket: 'b', key: 's', etag, ...(mapId && { mapId }) },
      map: { pool: 1, slices: [], pages: page ? [{ slice: page, coveredBytes: 10, sliceCount: 1 }] : [] },
    })
    const late = await rejection(world.run(putPart(world.world, copied(0))))
    expect(late.code).to.equal('StaleClusterMap')
    const inline = { ...copied(0), map: map ?? own.map }
    expect((await world.run(putPart(world.world, inline))).etag).to.equal(etag)
    expect((await world.run(putPart(world.world, copied(1)))).etag).to.equal(etag)
  })
})

describe('a copy', () => {
  it('is refused when its source has another map than the caller saw', async () => {
    const { world, space, seen } = await open()
    await world.run(world.put(space, 's', { etag: 'same' }))
    const { etag, mapId } = await seen()
    await world.run(world.put(space, 's', { etag: 'same' }))
    const copy = (source: object) =>
      world.run(
        world.namespace.copyObject({
          context: { session: world.session, op: world.op(), poolEpoch: 1, dirtyGroups: [] },
          source: { bucket: 'b', key: 's', etag, ...source },
          bucket: 'b',
          key: 'k',
          owner: 'o',
        }),
      )
    const late = await rejection(copy({ mapId }))
    expect(late).to.deep.include({ code: 'PreconditionFailed', details: { sourceChanged: 'true' } })
    expect((await copy({})).etag).to.equal(etag)
  })
})
