import { createHash } from 'node:crypto'
import { BLOCK_BYTES_MAX, createDigest, MAP_PAGE_SLICES, UNIT_BYTES } from '@cairn/protocol'
import { expect } from 'chai'
import { toBytes, type UploadRef } from '../../src/index.js'
import { codeOf, createWorld, patternBytes, type World } from '../world/world.js'

const PART = UNIT_BYTES + 11

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function crc32(bytes: Uint8Array): string {
  const digest = createDigest('CRC32')
  digest.update(bytes)
  return base64(digest.digest())
}

describe('multipart uploads', () => {
  let world: World
  let upload: UploadRef
  const options = { partBytesMin: 1000 }

  beforeEach(async () => {
    world = await createWorld()
    upload = await begin()
  })

  async function begin(checksum: object = {}): Promise<UploadRef> {
    const { uploadId } = await world.run(world.client.createUpload('b', 'k', checksum))
    return { bucket: 'b', key: 'k', uploadId }
  }

  async function putPart(partNumber: number, bytes: Uint8Array, write: object = {}) {
    const { etag } = await world.run(world.client.uploadPart(upload, partNumber, bytes, write))
    return { partNumber, etag }
  }

  async function read(key = 'k', range?: { offset: number; length: number }): Promise<Buffer> {
    const opened = await world.run(world.client.openObject('b', key))
    return Buffer.from(await world.run(toBytes(opened.read(range))))
  }

  const complete = (parts: { partNumber: number; etag: string }[], more: object = {}) =>
    world.run(world.client.completeUpload(upload, parts, { ...options, ...more }))

  it('become one object of the listed parts in order, with gaps in the numbers', async () => {
    const bytes = [1, 2, 3].map((seed) => patternBytes(PART, seed))
    const parts = []
    for (const number of [9, 2, 5])
      parts.push(await putPart(number, bytes[parts.length] ?? bytes[0] ?? SMALL))
    await putPart(4, SMALL)
    const [nine, two, five] = parts
    if (!nine || !two || !five) throw new Error('a part is missing')
    const result = await complete([two, five, nine])
    const md5s = [bytes[1], bytes[2], bytes[0]].map((each) =>
      createHash('md5')
        .update(each ?? SMALL)
        .digest(),
    )
    expect(result.etag).to.equal(`${createHash('md5').update(Buffer.concat(md5s)).digest('hex')}-3`)
    expect(result.sizeBytes).to.equal(3 * PART)
    const expected = Buffer.concat([bytes[1] ?? SMALL, bytes[2] ?? SMALL, bytes[0] ?? SMALL])
    expect((await read()).equals(expected)).to.equal(true)
    expect(world.metadata.object('b/k')?.parts).to.deep.equal([
      { firstNumber: 2, count: 1, sizeBytes: PART },
      { firstNumber: 5, count: 1, sizeBytes: PART },
      { firstNumber: 9, count: 1, sizeBytes: PART },
    ])
  })

  it('own their blocks by the id of the object to be', async () => {
    await putPart(1, SMALL)
    const maps = world.servers.flatMap(({ blocks }) => [...blocks.values()].map(({ map }) => map))
    expect(new Set(maps)).to.deep.equal(new Set([upload.uploadId.slice(16)]))
  })

  it('refuse a list that is empty, out of order, wrong or too small, and stay open', async () => {
    const one = await putPart(1, SMALL)
    const two = await putPart(2, patternBytes(10))
    const three = await putPart(3, SMALL)
    expect(await codeOf(complete([]))).to.equal('InvalidArgument')
    expect(await codeOf(complete([two, one]))).to.equal('InvalidPartOrder')
    expect(await codeOf(complete([one, one]))).to.equal('InvalidPartOrder')
    expect(await codeOf(complete([one, { ...two, etag: 'x' }]))).to.equal('InvalidPart')
    expect(await codeOf(complete([one, { partNumber: 7, etag: one.etag }]))).to.equal('InvalidPart')
    expect(await codeOf(complete([one, two, three]))).to.equal('PartTooSmall')
    expect(await codeOf(complete([one], { sizeBytes: 5 }))).to.equal('LengthMismatch')
    expect(world.metadata.calls.FreezeUpload).to.equal(undefined)
    await complete([{ ...one, etag: `"${one.etag}"` }, two])
  })

  it('give a repeat with the same list the stored result, and another list NoSuchUpload', async () => {
    const one = await putPart(1, SMALL)
    const two = await putPart(2, SMALL)
    const first = await complete([one, two])
    const again = await complete([one, two])
    expect(again).to.deep.equal(first)
    expect(await codeOf(complete([one]))).to.equal('NoSuchUpload')
  })

  it('completed many times at the same time become one object with one result', async () => {
    const one = await putPart(1, SMALL)
    const all = Array.from({ length: 8 }, () => world.client.completeUpload(upload, [one], options))
    const [first, ...others] = await world.run(Promise.all(all))
    for (const other of others) expect(other).to.deep.equal(first)
    expect((await read()).equals(SMALL)).to.equal(true)
  })

  it('survive a lost answer of the completing commit', async () => {
    const one = await putPart(1, SMALL)
    world.metadata.answersToLose = 2
    await complete([one])
    expect((await read()).equals(SMALL)).to.equal(true)
  })

  it('are gone after an abort', async () => {
    const one = await putPart(1, SMALL)
    await world.run(world.client.abortUpload(upload))
    expect(await codeOf(putPart(2, SMALL))).to.equal('NoSuchUpload')
    expect(await codeOf(complete([one]))).to.equal('NoSuchUpload')
    expect(await codeOf(putPart(10_001, SMALL))).to.equal('InvalidArgument')
  })

  it('page through more parts than one answer holds', async () => {
    const parts = []
    for (let number = 1; number <= 1003; number++) parts.push(await putPart(number, patternBytes(3, number)))
    const result = await complete(parts, { partBytesMin: 1 })
    expect(result.sizeBytes).to.equal(3 * 1003)
    expect(world.metadata.object('b/k')?.map?.pages).to.have.length(1)
    const expected = Buffer.concat(parts.map(({ partNumber }) => patternBytes(3, partNumber)))
    expect((await read()).equals(expected)).to.equal(true)
  })

  it('combine the checksums of their parts, or compose them', async () => {
    const bytes = [patternBytes(PART, 1), patternBytes(PART, 2)]
    for (const checksumType of ['FULL_OBJECT', 'COMPOSITE'] as const) {
      upload = await begin({ checksumAlgorithm: 'CRC32', checksumType })
      const parts = []
      for (const each of bytes) {
        const seal = () => ({
          checksum: { algorithm: 'CRC32', type: 'FULL_OBJECT', value: crc32(each) } as const,
        })
        parts.push(await putPart(parts.length + 1, each, { seal }))
      }
      const all = Buffer.concat(bytes)
      const raw = Buffer.concat(bytes.map((each) => Buffer.from(crc32(each), 'base64')))
      const value = checksumType === 'FULL_OBJECT' ? crc32(all) : `${crc32(raw)}-2`
      const wrong = { algorithm: 'CRC32', type: checksumType, value: 'AAAAAA==' }
      expect(await codeOf(complete(parts, { checksum: wrong }))).to.equal('DigestMismatch')
      const result = await complete(parts, { checksum: { ...wrong, value } })
      expect(result.checksum).to.deep.equal({ algorithm: 'CRC32', type: checksumType, value })
    }
  })

  it('refuse a part without the checksum that the upload declares', async () => {
    upload = await begin({ checksumAlgorithm: 'SHA256', checksumType: 'COMPOSITE' })
    const one = await putPart(1, SMALL)
    expect(await codeOf(complete([one]))).to.equal('InvalidArgument')
  })

  it('copy a range of another object without writing a block', async () => {
    const bytes = patternBytes(2 * BLOCK_BYTES_MAX + 99)
    const { etag } = await world.run(world.client.putObject('b', 'source', bytes))
    const before = world.servers.map(({ puts }) => puts)
    const range = { offset: BLOCK_BYTES_MAX - 70_000, length: BLOCK_BYTES_MAX + 70_001 }
    const source = { bucket: 'b', key: 'source', etag }
    const part = await world.run(world.client.copyPart(upload, 1, source, range))
    const expected = bytes.subarray(range.offset, range.offset + range.length)
    expect(part.etag).to.equal(createHash('md5').update(expected).digest('hex'))
    expect(world.servers.map(({ puts }) => puts)).to.deep.equal(before)
    const request = world.metadata.partRequests.at(-1)
    expect(request?.source?.mapId).to.deep.equal(world.metadata.object('b/source')?.mapId)
    await complete([{ partNumber: 1, etag: part.etag }])
    expect((await read()).equals(expected)).to.equal(true)
  })

  it('copy nothing from a source that has changed, or from beyond its end', async () => {
    const { etag } = await world.run(world.client.putObject('b', 'source', SMALL))
    const source = { bucket: 'b', key: 'source', etag: 'other' }
    expect(await codeOf(world.run(world.client.copyPart(upload, 1, source, undefined)))).to.equal(
      'PreconditionFailed',
    )
    const beyond = { offset: 1, length: SMALL.length }
    const good = { ...source, etag }
    expect(await codeOf(world.run(world.client.copyPart(upload, 1, good, beyond)))).to.equal(
      'InvalidArgument',
    )
  })

  it('read only the pages of the map that a range touches', async () => {
    const { etag } = await world.run(world.client.putObject('b', 'source', SMALL))
    const source = { bucket: 'b', key: 'source', etag }
    const parts = []
    const count = 2 * MAP_PAGE_SLICES + 5
    for (let number = 1; number <= count; number++) {
      const range = { offset: number % 1000, length: 7 }
      const part = await world.run(world.client.copyPart(upload, number, source, range))
      parts.push({ partNumber: number, etag: part.etag })
    }
    await complete(parts, { partBytesMin: 1 })
    const map = world.metadata.object('b/k')?.map
    expect(map?.pages.map(({ sliceCount }) => sliceCount)).to.deep.equal([
      MAP_PAGE_SLICES,
      MAP_PAGE_SLICES,
      5,
    ])
    const expected = Buffer.concat(
      parts.map(({ partNumber }) => SMALL.subarray(partNumber % 1000, (partNumber % 1000) + 7)),
    )
    const before = world.servers.reduce((sum, { gets }) => sum + gets, 0)
    const range = { offset: 7 * 2 * MAP_PAGE_SLICES + 3, length: 9 }
    const bytes = await read('k', range)
    expect(bytes.equals(expected.subarray(range.offset, range.offset + range.length))).to.equal(true)
    // One page and two slices of the source.
    expect(world.servers.reduce((sum, { gets }) => sum + gets, 0) - before).to.equal(3)
    expect((await read()).equals(expected)).to.equal(true)
    if (map === undefined) throw new Error('no map')
    let slices = 0
    const counting = (async () => {
      for await (const slice of world.client.slicesOf(map)) slices += slice.length === 7 ? 1 : 0
    })()
    await world.run(counting)
    expect(slices).to.equal(count)
  })
})

const SMALL = patternBytes(2000)
