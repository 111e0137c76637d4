import type { ListUploadsRequest, UploadInfo, UploadRequest } from '@cairn/protocol'
import { expect } from 'chai'
import { completeUpload } from '../../../src/core/uploads/complete-upload.js'
import {
  abortUpload,
  createUpload,
  freezeUpload,
  getUpload,
  thawUpload,
} from '../../../src/core/uploads/uploads.js'
import { listParts, listUploads } from '../../../src/core/uploads/uploads-listing.js'
import { putPart } from '../../../src/core/uploads/uploads-parts.js'
import { rejection } from '../../rejection.js'
import { UploadWorld } from './upload-world.js'

const nameOf = ({ key, uploadId }: UploadInfo): UploadRequest => ({ bucket: 'b', key, uploadId })

async function open(versioning: 'unset' | 'enabled' = 'unset') {
  const world = await UploadWorld.open(21)
  return { world, space: await world.run(world.bucket('b', versioning)) }
}

async function codeOf(world: UploadWorld, work: Promise<unknown>): Promise<string> {
  return (await rejection(world.run(work))).code
}

describe('multipart uploads', () => {
  it('give the first result to a repeated CreateUpload', async () => {
    const { world } = await open()
    const request = { op: world.op(), bucket: 'b', key: 'k', owner: 'o', attributes: {} }
    const first = await world.run(createUpload(world.world, request))
    await world.clock.advance(5)
    expect(await world.run(createUpload(world.world, request))).to.deep.equal(first)
    expect(await world.run(world.rows('u/'))).to.have.length(1)
  })

  it('are found only by bucket, key and id together', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    const found = await world.run(getUpload(world.world, nameOf(upload)))
    expect(found).to.deep.equal({ upload, space })
    const wrong = [{ key: 'other' }, { uploadId: 'f'.repeat(48) }, { uploadId: 'none' }]
    for (const change of wrong) {
      expect(await codeOf(world, getUpload(world.world, { ...nameOf(upload), ...change }))).to.equal(
        'NoSuchUpload',
      )
    }
    expect(await codeOf(world, getUpload(world.world, { ...nameOf(upload), bucket: 'x' }))).to.equal(
      'NoSuchBucket',
    )
  })

  it('become an object whose blocks are those of the listed parts', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    for (const number of [1, 3, 7]) await world.run(world.part(upload, space, number))
    const result = await world.run(world.complete(upload, [1, 7]))
    const { object } = await world.run(world.namespace.getObject({ bucket: 'b', key: 'k' }))
    expect(object).to.deep.include({
      etag: result.etag,
      sizeBytes: 20,
      mapId: Buffer.from(upload.uploadId.slice(16), 'hex'),
    })
    expect(object.map?.slices).to.have.length(2)
    expect(result.versionId).to.equal(undefined)
  })

  it('show a version id in a bucket with versioning', async () => {
    const { world, space } = await open('enabled')
    const upload = await world.run(world.create('k'))
    await world.run(world.part(upload, space, 1))
    const { versionId } = await world.run(world.complete(upload))
    const { object } = await world.run(world.namespace.getObject({ bucket: 'b', key: 'k' }))
    expect(object.versionId)
      .to.equal(versionId)
      .and.to.match(/^[0-9a-f]{48}$/)
  })

  it('list their parts by number, page by page', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    for (const number of [10_000, 2, 1, 300]) await world.run(world.part(upload, space, number))
    const seen: number[] = []
    for (let afterPart = 0; ; ) {
      const request = { ...nameOf(upload), afterPart, limit: 3, withMaps: false }
      const page = await world.run(listParts(world.world, request))
      seen.push(...page.parts.map((part) => part.partNumber))
      expect(page.parts[0]?.map).to.equal(undefined)
      if (!page.truncated) break
      afterPart = seen.at(-1) ?? 0
    }
    expect(seen).to.deep.equal([1, 2, 300, 10_000])
    for (const number of [0, 10_001]) {
      expect(await codeOf(world, world.part(upload, space, number))).to.equal('InvalidArgument')
    }
  })

  it('keep the part that was committed last, and give a repeat its first result without bringing it back', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    const first = world.partRequest(upload, space, 1)
    const firstInfo = await world.run(putPart(world.world, first))
    const second = await world.run(world.part(upload, space, 1))
    await world.run(world.garbage.runOnce())
    expect(await world.run(putPart(world.world, first))).to.deep.equal(firstInfo)
    const listing = await world.run(
      listParts(world.world, { ...nameOf(upload), afterPart: 0, limit: 9, withMaps: false }),
    )
    expect(listing.parts.map((part) => part.etag)).to.deep.equal([second.etag])
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
    expect(world.drives.blocksById.size).to.equal(1)
  })

  it('refuse parts while frozen, and take them again once thawed', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    const op = world.op()
    await world.run(freezeUpload(world.world, { ...nameOf(upload), op }))
    expect(await codeOf(world, world.part(upload, space, 1))).to.equal('NoSuchUpload')
    await world.run(thawUpload(world.world, { ...nameOf(upload), op: world.op() }))
    expect(await codeOf(world, world.part(upload, space, 1))).to.equal('NoSuchUpload')
    await world.run(thawUpload(world.world, { ...nameOf(upload), op }))
    expect((await world.run(world.part(upload, space, 1))).partNumber).to.equal(1)
  })

  it('are completed only by the operation that froze them last', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    await world.run(world.part(upload, space, 1))
    const first = await world.run(world.prepareComplete(upload))
    const second = await world.run(world.prepareComplete(upload))
    expect(await codeOf(world, completeUpload(world.world, first))).to.equal('ConditionalConflict')
    const result = await world.run(completeUpload(world.world, second))
    expect(await world.run(completeUpload(world.world, second))).to.deep.equal(result)
    expect(await world.run(completeUpload(world.world, first))).to.deep.equal(result)
    const other = { ...first, listHash: 'other' }
    expect(await codeOf(world, completeUpload(world.world, other))).to.equal('NoSuchUpload')
    const frozen = await world.run(freezeUpload(world.world, { ...nameOf(upload), op: world.op() }))
    expect(frozen.completed).to.deep.equal(result)
    expect(result.sizeBytes).to.equal(10)
  })

  it('stay open for a freeze that arrives again after it was given up', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    await world.run(world.part(upload, space, 1))
    const late = await world.run(world.prepareComplete(upload))
    const { op } = late.context
    const other = await world.run(world.prepareComplete(upload))
    await world.run(thawUpload(world.world, { ...nameOf(upload), op: other.context.op }))
    await world.run(world.part(upload, space, 1))
    for (const again of [op, other.context.op]) {
      const freeze = freezeUpload(world.world, { ...nameOf(upload), op: again })
      expect(await codeOf(world, freeze)).to.equal('ConditionalConflict')
    }
    expect(await codeOf(world, completeUpload(world.world, late))).to.equal('ConditionalConflict')
    await world.run(world.garbage.runOnce())
    await world.run(world.complete(upload))
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })

  it('give a repeated Complete its result after the object was overwritten and cleaned up', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    await world.run(world.part(upload, space, 1))
    const request = await world.run(world.prepareComplete(upload))
    const result = await world.run(completeUpload(world.world, request))
    await world.run(world.put(space, 'k'))
    await world.run(world.garbage.runOnce())
    expect(await world.run(completeUpload(world.world, request))).to.deep.equal(result)
    expect(world.drives.blocksById.size).to.equal(1)
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })

  it('refuse to complete without parts, by failed preconditions, and in a session that has ended', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    await world.run(world.part(upload, space, 1))
    await world.run(world.put(space, 'k'))
    const request = await world.run(world.prepareComplete(upload))
    expect(await codeOf(world, completeUpload(world.world, { ...request, parts: [] }))).to.equal(
      'InvalidArgument',
    )
    const preconditions = { ifMatch: [], ifNoneMatch: ['*'] }
    expect(await codeOf(world, completeUpload(world.world, { ...request, preconditions }))).to.equal(
      'PreconditionFailed',
    )
    const again = await world.run(world.prepareComplete(upload))
    await world.run(world.sessions.close(world.session))
    expect(await codeOf(world, completeUpload(world.world, again))).to.equal('SessionExpired')
  })

  it('refuse parts and objects whose map does not cover their size', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    const part = { ...world.partRequest(upload, space, 1), sizeBytes: 11 }
    expect(await codeOf(world, putPart(world.world, part))).to.equal('InvalidArgument')
    await world.run(world.part(upload, space, 1))
    const request = await world.run(world.prepareComplete(upload))
    const short = { ...request, map: { pool: 1, slices: [], pages: [] } }
    expect(await codeOf(world, completeUpload(world.world, short))).to.equal('InvalidArgument')
  })

  it('are gone once aborted, and give a repeat of the abort its result', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    await world.run(world.part(upload, space, 1))
    const request = { ...nameOf(upload), op: world.op() }
    await world.run(abortUpload(world.world, request))
    await world.run(abortUpload(world.world, request))
    expect(await codeOf(world, abortUpload(world.world, { ...request, op: world.op() }))).to.equal(
      'NoSuchUpload',
    )
    expect(await codeOf(world, getUpload(world.world, nameOf(upload)))).to.equal('NoSuchUpload')
    expect(await codeOf(world, world.part(upload, space, 2))).to.equal('NoSuchUpload')
    expect(await codeOf(world, freezeUpload(world.world, request))).to.equal('NoSuchUpload')
  })

  it('cannot be aborted once completed', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    await world.run(world.part(upload, space, 1))
    await world.run(world.complete(upload))
    expect(await codeOf(world, abortUpload(world.world, { ...nameOf(upload), op: world.op() }))).to.equal(
      'NoSuchUpload',
    )
  })
})

describe('multipart uploads raced in one turn', () => {
  const inBothOrders = [false, true]

  for (const isReversed of inBothOrders) {
    const order = isReversed ? 'second' : 'first'

    it(`take no part after a freeze that came ${isReversed ? 'first' : 'second'}`, async () => {
      const { world, space } = await open()
      const upload = await world.run(world.create('k'))
      const part = () => putPart(world.world, world.partRequest(upload, space, 1))
      const freeze = () => freezeUpload(world.world, { ...nameOf(upload), op: world.op() })
      const tasks: (() => Promise<unknown>)[] = isReversed ? [freeze, part] : [part, freeze]
      await world.run(Promise.allSettled(tasks.map((task) => task())))
      const [frozen] = await world.run(world.rows('u/'))
      const parts = (await world.run(world.rows('p/'))).filter(({ key }) => key[18] !== 0xff)
      for (const row of parts) expect(row.revision).to.be.below(frozen?.revision ?? 0)
      expect(frozen?.revision).to.be.above(frozen?.created ?? Number.POSITIVE_INFINITY)
    })

    it(`are completed or aborted, never both, when the abort comes ${order}`, async () => {
      const { world, space } = await open()
      const upload = await world.run(world.create('k'))
      await world.run(world.part(upload, space, 1))
      const request = await world.run(world.prepareComplete(upload))
      const complete = () => completeUpload(world.world, request)
      const abort = () => abortUpload(world.world, { ...nameOf(upload), op: world.op() })
      const tasks: (() => Promise<unknown>)[] = isReversed ? [complete, abort] : [abort, complete]
      const results = await world.run(Promise.allSettled(tasks.map((task) => task())))
      expect(results.filter(({ status }) => status === 'fulfilled')).to.have.length(1)
      await world.run(world.garbage.runOnce())
      expect(await world.run(world.lostBlocks())).to.deep.equal([])
    })
  }

  it('give one part number to both writers in turn, and free the loser', async () => {
    const { world, space } = await open()
    const upload = await world.run(world.create('k'))
    const writers = [1, 2, 3].map(() => putPart(world.world, world.partRequest(upload, space, 1)))
    await world.run(Promise.all(writers))
    await world.run(world.garbage.runOnce())
    expect(world.drives.blocksById.size).to.equal(1)
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })
})

describe('listUploads', () => {
  const all: ListUploadsRequest = {
    bucket: 'b',
    prefix: '',
    delimiter: '',
    afterKey: '',
    afterUploadId: '',
    limit: 1000,
  }

  async function filled() {
    const { world } = await open()
    const made: UploadInfo[] = []
    for (const key of ['b', 'a/2', 'a', 'a/1', 'a', 'c/x/y', 'z'])
      made.push(await world.run(world.create(key)))
    return { world, made }
  }

  async function walk(world: UploadWorld, request: ListUploadsRequest): Promise<string[]> {
    const seen: string[] = []
    let next = request
    for (;;) {
      const page = await world.run(listUploads(world.world, next))
      const entries = [...page.uploads.map(({ key }) => key), ...page.commonPrefixes]
      expect(entries.length).to.be.at.most(request.limit)
      seen.push(...entries)
      if (!page.truncated) return seen
      next = { ...request, afterKey: page.nextKey, afterUploadId: page.nextUploadId }
    }
  }

  it('goes by key in byte order, then by initiation, whatever the page size', async () => {
    const { world, made } = await filled()
    const page = await world.run(listUploads(world.world, all))
    const ofA = made.filter(({ key }) => key === 'a').map(({ uploadId }) => uploadId)
    expect(page.uploads.filter(({ key }) => key === 'a').map(({ uploadId }) => uploadId)).to.deep.equal(ofA)
    for (const limit of [1, 2, 3, 1000]) {
      expect(await walk(world, { ...all, limit })).to.deep.equal(['a', 'a', 'a/1', 'a/2', 'b', 'c/x/y', 'z'])
    }
  })

  it('groups keys below a delimiter, and filters by prefix', async () => {
    const { world } = await filled()
    expect(await walk(world, { ...all, delimiter: '/', limit: 1 })).to.deep.equal([
      'a',
      'a',
      'a/',
      'b',
      'c/',
      'z',
    ])
    expect(await walk(world, { ...all, delimiter: '/', prefix: 'c/', limit: 1 })).to.deep.equal(['c/x/'])
    expect(await walk(world, { ...all, prefix: 'a/', limit: 1 })).to.deep.equal(['a/1', 'a/2'])
  })

  it('hides uploads that are completed or aborted, and honours a limit of 0', async () => {
    const { world, made } = await filled()
    for (const upload of made.slice(1))
      await world.run(abortUpload(world.world, { ...nameOf(upload), op: world.op() }))
    expect(await walk(world, { ...all, limit: 1 })).to.deep.equal(['b'])
    const none = await world.run(listUploads(world.world, { ...all, limit: 0 }))
    expect(none).to.deep.include({ uploads: [], truncated: false })
    expect(await codeOf(world, listUploads(world.world, { ...all, limit: 1001 }))).to.equal('InvalidArgument')
  })
})
