import type { CompleteUploadRequest } from '@cairn/protocol'
import { expect } from 'chai'
import { completeUpload, PART_CHECKSUMS_BYTES_MAX } from '../../../src/core/uploads/complete-upload.js'
import { UploadWorld } from './upload-world.js'

const CHECKSUM = { algorithm: 'SHA512', type: 'COMPOSITE', value: 'value-2' } as const

describe('checksums of parts', () => {
  async function open() {
    const world = await UploadWorld.open(21)
    return { world, space: await world.run(world.bucket('b', 'enabled')) }
  }

  type Opened = Awaited<ReturnType<typeof open>>

  async function complete({ world, space }: Opened, changes: Partial<CompleteUploadRequest>): Promise<void> {
    const upload = await world.run(world.create('k'))
    for (const number of [1, 2]) await world.run(world.part(upload, space, number))
    const request = await world.run(world.prepareComplete(upload))
    await world.run(completeUpload(world.world, { ...request, checksum: CHECKSUM, ...changes }))
  }

  async function checksumsOf({ world }: Opened, key: string) {
    const { object } = await world.run(world.namespace.getObject({ bucket: 'b', key }))
    return object.partChecksums === undefined ? undefined : Buffer.from(object.partChecksums)
  }

  it('stay with the object, and go along with a copy that keeps its parts', async () => {
    const opened = await open()
    const { world } = opened
    const partChecksums = Buffer.alloc(128, 7)
    await complete(opened, { partChecksums })
    expect(await checksumsOf(opened, 'k')).to.deep.equal(partChecksums)
    const { object } = await world.run(world.namespace.getObject({ bucket: 'b', key: 'k' }))
    const copy = (key: string, changes: object) => {
      const context = { session: world.session, op: world.op(), poolEpoch: 1, dirtyGroups: [] }
      const source = { bucket: 'b', key: 'k', etag: object.etag }
      return world.run(
        world.namespace.copyObject({ context, source, bucket: 'b', key, owner: 'o', ...changes }),
      )
    }
    await copy('kept', {})
    expect(await checksumsOf(opened, 'kept')).to.deep.equal(partChecksums)
    await copy('whole', { etag: '0'.repeat(32), checksum: { ...CHECKSUM, type: 'FULL_OBJECT' } })
    expect(await checksumsOf(opened, 'whole')).to.equal(undefined)
  })

  it('are left out when they are too many for a row', async () => {
    const opened = await open()
    await complete(opened, { partChecksums: Buffer.alloc(PART_CHECKSUMS_BYTES_MAX + 1) })
    expect(await checksumsOf(opened, 'k')).to.equal(undefined)
  })

  it('fit a commit that keeps the largest version as an older one', async () => {
    const opened = await open()
    const parts = Array.from({ length: 10_000 }, (_, at) => ({
      firstNumber: at + 1,
      count: 1,
      sizeBytes: 5 * 1024 ** 3 - at,
    }))
    const largest = { parts, partChecksums: Buffer.alloc(PART_CHECKSUMS_BYTES_MAX, 1) }
    await complete(opened, largest)
    await complete(opened, largest)
    expect(await checksumsOf(opened, 'k')).to.have.length(PART_CHECKSUMS_BYTES_MAX)
  })
})
