import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { BLOCK_BYTES_MAX, UNIT_BYTES } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { toBytes, toNodeReadable, toReadableStream } from '../src/index.js'
import { codeOf, createWorld, inChunks, patternBytes, type World } from './world/world.js'

const SEED = Number(process.env.CAIRN_TEST_SEED ?? 20261121)

async function readAll(
  world: World,
  key: string,
  range?: { offset: number; length: number },
): Promise<Buffer> {
  const opened = await world.client.openObject('b', key)
  return Buffer.from(await toBytes(opened.read(range)))
}

describe('putting and getting objects', () => {
  let world: World
  beforeEach(async () => {
    world = await createWorld()
  })

  const sizes = [0, 1, UNIT_BYTES - 1, UNIT_BYTES, UNIT_BYTES + 1, 3 * UNIT_BYTES + 5]
  for (const size of [
    ...sizes,
    BLOCK_BYTES_MAX - 1,
    BLOCK_BYTES_MAX,
    BLOCK_BYTES_MAX + 1,
    2.5 * BLOCK_BYTES_MAX,
  ]) {
    it(`gives back ${size} bytes as they were, from one buffer and from chunks (seed ${SEED})`, async () => {
      const bytes = patternBytes(size, SEED)
      const chunks = inChunks(bytes, createSeededRandom(SEED))
      const [first, second] = await world.run(
        Promise.all([world.client.putObject('b', 'k', bytes), world.client.putObject('b', 'l', chunks)]),
      )
      const md5 = createHash('md5').update(bytes).digest('hex')
      expect([first.etag, second.etag, first.sizeBytes]).to.deep.equal([md5, md5, size])
      expect((await world.run(readAll(world, 'k'))).equals(bytes)).to.equal(true)
      expect((await world.run(readAll(world, 'l'))).equals(bytes)).to.equal(true)
    })
  }

  it('stores every block on all drives of its group, under the map id of its write', async () => {
    await world.run(world.client.putObject('b', 'k', patternBytes(BLOCK_BYTES_MAX + 9)))
    const contents = world.servers.map(({ blocks }) => [...blocks.keys()].sort())
    expect(contents[0]).to.have.length(2)
    expect(contents[1]).to.deep.equal(contents[0])
    expect(contents[2]).to.deep.equal(contents[0])
    const maps = world.servers.flatMap(({ blocks }) => [...blocks.values()].map(({ map }) => map))
    expect(new Set(maps)).to.deep.equal(new Set(world.metadata.ops))
    expect(world.metadata.contexts[0]?.dirtyGroups).to.deep.equal([])
  })

  it('needs one metadata call and one block call for a small read', async () => {
    await world.run(world.client.putObject('b', 'k', patternBytes(4096)))
    const gets = (): number => world.servers.reduce((sum, server) => sum + server.gets, 0)
    const before = [gets(), { ...world.metadata.calls }] as const
    await world.run(readAll(world, 'k'))
    expect(gets() - before[0]).to.equal(1)
    expect(world.metadata.calls).to.deep.equal({ ...before[1], GetObject: 1 })
  })

  it('needs one call a replica and one commit for a small write to a known bucket', async () => {
    await world.run(world.client.putObject('b', 'k', patternBytes(10)))
    const before = { ...world.metadata.calls }
    await world.run(world.client.putObject('b', 'k', patternBytes(10)))
    expect(world.metadata.calls).to.deep.equal({ ...before, PutObject: 2 })
    expect(world.servers.map(({ puts }) => puts)).to.deep.equal([2, 2, 2])
  })

  it(`reads random ranges as slices of the whole (seed ${SEED})`, async () => {
    const random = createSeededRandom(SEED)
    const bytes = patternBytes(2 * BLOCK_BYTES_MAX + 12_345, SEED)
    await world.run(world.client.putObject('b', 'k', bytes))
    for (let round = 0; round < 60; round++) {
      const near =
        round % 3 === 0 ? BLOCK_BYTES_MAX - 2 * UNIT_BYTES : Math.floor(random.fraction() * bytes.length)
      const offset = Math.min(bytes.length, near + Math.floor(random.fraction() * 3))
      const length = Math.floor(random.fraction() * Math.min(bytes.length - offset, 5 * UNIT_BYTES))
      const read = await world.run(readAll(world, 'k', { offset, length }))
      expect(read.equals(bytes.subarray(offset, offset + length)), `${offset}+${length}`).to.equal(true)
    }
  })

  it('refuses a range outside the object', async () => {
    await world.run(world.client.putObject('b', 'k', patternBytes(10)))
    expect(await codeOf(world.run(readAll(world, 'k', { offset: 5, length: 6 })))).to.equal('InvalidArgument')
  })

  it('takes and gives streams of Node and of the web', async () => {
    const bytes = patternBytes(300_000)
    const web = toReadableStream(inChunks(bytes, world.random))
    await world.run(world.client.putObject('b', 'web', web))
    await world.run(
      world.client.putObject('b', 'node', Readable.from([bytes.subarray(0, 9), bytes.subarray(9)])),
    )
    const opened = await world.run(world.client.openObject('b', 'web'))
    expect(Buffer.from(await world.run(toBytes(toReadableStream(opened.read())))).equals(bytes)).to.equal(
      true,
    )
    const other = await world.run(world.client.openObject('b', 'node'))
    expect(Buffer.from(await world.run(toBytes(toNodeReadable(other.read())))).equals(bytes)).to.equal(true)
  })

  it('computes the digests asked for and stores the checksum of the seal', async () => {
    const bytes = patternBytes(200_000)
    const sha256 = createHash('sha256').update(bytes).digest('base64')
    const options = {
      digests: ['SHA256'] as const,
      seal: (digests: { SHA256?: Uint8Array }) => {
        const value = Buffer.from(digests.SHA256 ?? []).toString('base64')
        return { checksum: { algorithm: 'SHA256', type: 'FULL_OBJECT', value } as const }
      },
    }
    const result = await world.run(world.client.putObject('b', 'k', bytes, options))
    expect(result.checksum?.value).to.equal(sha256)
    expect(world.metadata.object('b/k')?.checksum?.value).to.equal(sha256)
  })

  it('commits nothing when the seal, the length, the source or the caller says no', async () => {
    const bytes = patternBytes(UNIT_BYTES * 3)
    const { client } = world
    const seal = (): never => {
      throw new Error('refused')
    }
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes
      throw new Error('the source broke')
    }
    const controller = new AbortController()
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield bytes
      controller.abort()
      await new Promise(() => undefined)
    }
    expect(await codeOf(world.run(client.putObject('b', 'k', bytes, { seal })))).to.contain('refused')
    for (const body of [bytes, bytes.subarray(0, 10), inChunks(bytes, world.random)]) {
      const code = await codeOf(world.run(client.putObject('b', 'k', body, { sizeBytes: 11 })))
      expect(code).to.equal('LengthMismatch')
    }
    expect(
      await codeOf(world.run(client.putObject('b', 'k', bytes, { sizeBytes: bytes.length + 1 }))),
    ).to.equal('LengthMismatch')
    expect(await codeOf(world.run(client.putObject('b', 'k', broken())))).to.contain('the source broke')
    const aborted = client.putObject('b', 'k', endless(), { signal: controller.signal })
    expect(await codeOf(world.run(aborted))).to.equal('Cancelled')
    const late = client.putObject('b', 'k', bytes, { signal: AbortSignal.abort() })
    expect(await codeOf(world.run(late))).to.equal('Cancelled')
    expect(world.metadata.ops).to.deep.equal([])
    expect(world.metadata.object('b/k')).to.equal(undefined)
  })

  it('refuses a body that is not made of bytes', async () => {
    const body = Readable.from(['text'])
    expect(await codeOf(world.run(world.client.putObject('b', 'k', body)))).to.equal('InvalidArgument')
  })

  it('says that the bucket is not there before it reads the body', async () => {
    let asked = false
    async function* body(): AsyncGenerator<Uint8Array> {
      asked = true
      yield patternBytes(1)
    }
    expect(await codeOf(world.run(world.client.putObject('none', 'k', body())))).to.equal('NoSuchBucket')
    expect(asked).to.equal(false)
  })

  it('stores small and large objects in a bucket that was made again meanwhile', async () => {
    await world.run(world.client.putObject('b', 'k', patternBytes(5)))
    world.metadata.buckets.set('b', Uint8Array.from([9, 9, 9, 9, 9, 9, 9, 9]) as never)
    await world.run(world.client.putObject('b', 'k', patternBytes(6)))
    world.metadata.buckets.set('b', Uint8Array.from([8, 8, 8, 8, 8, 8, 8, 8]) as never)
    await world.run(world.client.putObject('b', 'l', patternBytes(UNIT_BYTES + 1)))
    expect(world.metadata.object('b/k')?.sizeBytes).to.equal(6)
    expect(world.metadata.object('b/l')?.sizeBytes).to.equal(UNIT_BYTES + 1)
  })

  it('lists, copies and heads', async () => {
    const { etag } = await world.run(world.client.putObject('b', 'k', patternBytes(5)))
    const copied = await world.run(world.client.copyObject({ bucket: 'b', key: 'k', etag }, 'b', 'l'))
    expect(copied.etag).to.equal(etag)
    const page = await world.run(world.client.listObjects('b', { limit: 1 }))
    expect([page.objects.map(({ key }) => key), page.truncated]).to.deep.equal([['k'], true])
    expect((await world.run(world.client.headObject('b', 'l'))).sizeBytes).to.equal(5)
    expect(await codeOf(world.run(world.client.headObject('b', 'm')))).to.equal('NoSuchKey')
  })
})
