import { type BlockId, CairnError, type OpId, type SpaceId, sessionScopedId } from '@cairn/protocol'
import { expect } from 'chai'
import { uploadKey } from '../../src/core/rows/keys.js'
import { UploadRow } from '../../src/core/rows/rows.js'
import { abortUpload } from '../../src/core/uploads/uploads.js'
import { putPart } from '../../src/core/uploads/uploads-parts.js'
import { abortLostUploads } from '../../src/workers/lost-uploads.js'
import { UploadWorld } from '../core/uploads/upload-world.js'
import { rejection } from '../rejection.js'

async function open(versioning: 'unset' | 'enabled' = 'unset') {
  const world = await UploadWorld.open(31)
  return { world, space: await world.run(world.bucket('b', versioning)) }
}

async function collect(world: UploadWorld) {
  return world.run(world.garbage.runOnce())
}

async function sourceOf(world: UploadWorld, key: string) {
  return (await world.run(world.namespace.getObject({ bucket: 'b', key }))).object
}

async function copy(world: UploadWorld, from: string, to: string): Promise<void> {
  const { etag } = await sourceOf(world, from)
  await world.run(
    world.namespace.copyObject({
      context: { session: world.session, op: world.op(), poolEpoch: 1, dirtyGroups: [] },
      source: { bucket: 'b', key: from, etag },
      bucket: 'b',
      key: to,
      owner: 'o',
    }),
  )
}

/** Two parts, of which the second is a copy of object `s`. */
async function uploadWithCopy(world: UploadWorld, space: SpaceId) {
  await world.run(world.put(space, 's'))
  const upload = await world.run(world.create('k'))
  await world.run(world.part(upload, space, 1))
  await world.run(world.copiedPart(upload, await sourceOf(world, 's'), 2))
  return upload
}

/** More than 10,000 uploads of `k`, before all others. */
async function beginEarlier(world: UploadWorld, space: SpaceId, value: Uint8Array): Promise<void> {
  for (let at = 0; at <= 10_000; at += 100) {
    const puts = Array.from({ length: 100 }, (_, more) => {
      const op = world.op()
      return {
        key: uploadKey(space, 'k', at + more, op),
        value: UploadRow.encode({ ...UploadRow.decode(value), op }),
      }
    })
    await world.store.commit({ compares: [], puts, proof: { keys: [], carries: () => false } })
  }
}

describe('GarbageWorker', () => {
  it('frees the blocks of an overwritten and of a deleted object, and keeps the row as proof for ten minutes', async () => {
    const { world, space } = await open()
    await world.run(world.put(space, 'k'))
    await world.run(world.put(space, 'k'))
    expect(await collect(world)).to.include({ freedRows: 1, freedBytes: 10, pendingRows: 0, removedRows: 0 })
    await world.run(world.delete('k'))
    expect(await collect(world)).to.include({ freedRows: 1, freedBytes: 10 })
    expect(world.drives.blocksById.size).to.equal(0)
    expect(await world.run(world.rows('g/'))).to.have.length(2)
    await world.clock.advance(601_000)
    expect(await collect(world)).to.include({ removedRows: 2 })
    expect(await world.run(world.rows('g/'))).to.have.length(0)
  })

  it('counts but does not free before the grace has passed', async () => {
    const { world, space } = await open()
    const { GarbageWorker } = await import('../../src/workers/garbage-worker.js')
    const { store, clock, drives } = world
    const worker = new GarbageWorker({ store, clock, reclaimer: drives, graceSeconds: () => 100 })
    await world.run(world.put(space, 'k'))
    await world.run(world.delete('k'))
    expect(await world.run(worker.runOnce())).to.include({ pendingRows: 1, pendingBytes: 10, freedBytes: 0 })
    await clock.advance(101_000)
    expect(await world.run(worker.runOnce())).to.include({ pendingRows: 0, pendingBytes: 0, freedBytes: 10 })
  })

  it('keeps what a drive has not confirmed, and frees it when the drive is back', async () => {
    const { world, space } = await open()
    await world.run(world.put(space, 'k'))
    await world.run(world.delete('k'))
    world.drives.isUp = false
    expect(await collect(world)).to.include({ pendingRows: 1, freedRows: 0 })
    await world.clock.advance(700_000)
    expect(await collect(world)).to.include({ pendingRows: 1, removedRows: 0 })
    world.drives.isUp = true
    expect(await collect(world)).to.include({ pendingRows: 0, freedRows: 1 })
    expect(world.drives.blocksById.size).to.equal(0)
  })

  it('keeps a block while any copy of its object lives, whatever was dropped first', async () => {
    const { world, space } = await open()
    await world.run(world.put(space, 'a'))
    await copy(world, 'a', 'b')
    await copy(world, 'b', 'c')
    for (const key of ['a', 'b']) {
      await world.run(world.delete(key))
      expect(await collect(world)).to.include({ freedBytes: 0, pendingRows: 0 })
      expect(await world.run(world.lostBlocks())).to.deep.equal([])
    }
    await world.run(world.delete('c'))
    expect(await collect(world)).to.include({ freedBytes: 10 })
  })

  it('removes the parts that a completed object does not use, then all rows of the upload', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    for (const number of [1, 2, 3]) await world.run(world.part(upload, space, number))
    await world.run(world.part(upload, space, 1))
    await world.run(world.complete(upload, [1, 3]))
    expect(await collect(world)).to.include({ freedBytes: 20 })
    expect(world.drives.blocksById.size).to.equal(2)
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
    expect(await world.run(world.rows('p/'))).to.have.length(0)
    expect(await world.run(world.rows('u/'))).to.have.length(1)
    await world.clock.advance(601_000)
    await collect(world)
    expect(await world.run(world.rows('u/'))).to.have.length(0)
    expect(await world.run(world.rows('g/'))).to.have.length(0)
    await world.run(world.delete('k'))
    await collect(world)
    expect(world.drives.blocksById.size).to.equal(0)
  })

  it('removes the row of an upload behind very many others of its key', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    const [row] = await world.run(world.rows('u/'))
    if (row === undefined) throw new Error('the upload has no row')
    await world.run(beginEarlier(world, space, row.value))
    const request = { bucket: 'b', key: 'k', uploadId: upload.uploadId, op: world.op() }
    await world.run(abortUpload(world.world, request))
    await collect(world)
    await world.clock.advance(601_000)
    await collect(world)
    const { results } = await world.run(world.store.read([{ kind: 'get', key: row.key }]))
    expect(results[0]).to.deep.equal([])
    expect(await world.run(world.rows('g/'))).to.have.length(0)
  })

  it('leaves what an object had beside living borrowed blocks to the search for orphans', async () => {
    const { world, space } = await open()
    const upload = await uploadWithCopy(world, space)
    await world.run(world.complete(upload))
    await world.run(world.delete('k'))
    expect(await collect(world)).to.include({ pendingRows: 0 })
    await world.clock.advance(601_000)
    await collect(world)
    expect(await world.run(world.orphans.runOnce())).to.include({ orphansDeleted: 1 })
    expect(world.drives.blocksById.size).to.equal(1)
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })

  it('frees everything of an aborted upload', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    for (const number of [1, 2, 3]) await world.run(world.part(upload, space, number))
    const request = { bucket: 'b', key: 'k', uploadId: upload.uploadId, op: world.op() }
    await world.run(abortUpload(world.world, request))
    world.drives.isUp = false
    await collect(world)
    expect(await world.run(world.rows('p/'))).to.have.length(4)
    world.drives.isUp = true
    await collect(world)
    expect(world.drives.blocksById.size).to.equal(0)
    expect(await world.run(world.rows('p/'))).to.have.length(0)
  })

  it('keeps the source of a part copy alive until the upload is aborted', async () => {
    const { world, space } = await open()
    const upload = await uploadWithCopy(world, space)
    await world.run(world.delete('s'))
    expect(await collect(world)).to.include({ freedBytes: 0, pendingRows: 1 })
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
    const request = { bucket: 'b', key: 'k', uploadId: upload.uploadId, op: world.op() }
    await world.run(abortUpload(world.world, request))
    await collect(world)
    await collect(world)
    expect(world.drives.blocksById.size).to.equal(0)
    expect(await world.run(world.rows('r/'))).to.have.length(0)
  })

  it('keeps the source of a part copy alive as long as the object that the upload became', async () => {
    const { world, space } = await open()
    const upload = await uploadWithCopy(world, space)
    await world.run(world.complete(upload))
    await world.run(world.delete('s'))
    for (let run = 0; run < 3; run++) await collect(world)
    expect(world.drives.blocksById.size).to.equal(2)
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
    await world.run(world.delete('k'))
    for (let run = 0; run < 3; run++) await collect(world)
    expect(world.drives.blocksById.size).to.equal(0)
    expect(await world.run(world.rows('r/'))).to.have.length(0)
  })

  it('refuses a part copy whose source changed after it was read', async () => {
    const { world, space } = await open()
    await world.run(world.put(space, 's'))
    const source = await sourceOf(world, 's')
    const upload = await world.run(world.create('k'))
    await world.run(world.put(space, 's'))
    const error = await rejection(world.run(world.copiedPart(upload, source, 1)))
    expect(error.code).to.equal('PreconditionFailed')
    await world.run(world.delete('s'))
    expect((await rejection(world.run(world.copiedPart(upload, source, 1)))).code).to.equal('NoSuchKey')
    expect(await world.run(world.rows('r/'))).to.have.length(0)
  })

  it('frees a paged map slice by slice, and its pages last', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    const request = world.partRequest(upload, space, 1)
    const owner = {
      space,
      bucket: 'b',
      key: 'k',
      map: Buffer.from(upload.uploadId.slice(16), 'hex') as Uint8Array as OpId,
    }
    const { slices } = request.map
    const pageBlock = sessionScopedId<BlockId>(world.session, 1_000_000)
    const page = { slice: world.drives.storePage(pageBlock, owner, slices), coveredBytes: 10, sliceCount: 1 }
    await world.run(putPart(world.world, { ...request, map: { pool: 1, slices: [], pages: [page] } }))
    await world.run(world.part(upload, space, 1))
    world.drives.isUp = false
    expect(await collect(world)).to.include({ pendingRows: 1, freedBytes: 0 })
    world.drives.isUp = true
    await collect(world)
    expect(world.drives.has(pageBlock)).to.equal(false)
    expect(world.drives.blocksById.size).to.equal(1)
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })

  it('goes on with other garbage while a page cannot be read', async () => {
    const { world, space } = await open()
    const op = world.op()
    const owner = { space, bucket: 'b', key: 'paged', map: op }
    const { slices } = world.blockMap(owner)
    const pageBlock = sessionScopedId<BlockId>(world.session, 1_000_000)
    const page = { slice: world.drives.storePage(pageBlock, owner, slices), coveredBytes: 10, sliceCount: 1 }
    await world.run(
      world.namespace.putObject({
        context: { session: world.session, op, poolEpoch: 1, dirtyGroups: [] },
        ...{ bucket: 'b', space, key: 'paged', sizeBytes: 10, etag: 'e', owner: 'o', attributes: {} },
        map: { pool: 1, slices: [], pages: [page] },
      }),
    )
    await world.run(world.delete('paged'))
    const upload = await world.run(world.create('k'))
    await world.run(world.part(upload, space, 1))
    await world.run(
      abortUpload(world.world, { bucket: 'b', key: 'k', uploadId: upload.uploadId, op: world.op() }),
    )
    world.drives.readPage = async () => {
      throw new CairnError('BlockUnavailable', 'one of three drives does not answer')
    }
    expect(await collect(world)).to.include({ freedRows: 1, pendingRows: 1, freedBytes: 10 })
    expect(world.drives.has(pageBlock)).to.equal(true)
  })

  it('aborts and frees the uploads of a bucket that is gone', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    const late = world.partRequest(upload, space, 2)
    await world.run(world.part(upload, space, 1))
    await world.run(world.namespace.deleteBucket({ op: world.op(), bucket: 'b' }))
    await world.run(world.bucket('b'))
    expect(await world.run(abortLostUploads(world.store, world.clock))).to.equal(1)
    expect(await world.run(abortLostUploads(world.store, world.clock))).to.equal(0)
    expect((await rejection(world.run(putPart(world.world, late)))).code).to.equal('NoSuchUpload')
    await collect(world)
    expect(world.drives.blocksById.size).to.equal(1)
  })
})
