import type { ConnectedClient } from '@cairn/client'
import {
  type BlockSlice,
  CairnError,
  type CompleteUploadRequest,
  FEATURE_LEVEL,
  type Network,
  type PutObjectRequest,
  type PutPartRequest,
  type ShownReceipts,
  UNIT_BYTES,
} from '@cairn/protocol'
import { expect } from 'chai'
import { SimulatedCluster } from './cluster.js'
import { bodyOf } from './content.js'
import { wrapCalls } from './late-repeats.js'
import { pause } from './process.js'
import { World } from './world.js'

const BUCKET = 'bucket'
/** Two services: see `World`. */
const SEED = 4
/** Pieces of a body that come so slowly that each becomes a block: too many for a map without pages. */
const PIECES = 48
const PIECE_BYTES = UNIT_BYTES
const PIECE_PAUSE_MS = 12_000

type Commit = PutObjectRequest | PutPartRequest | CompleteUploadRequest

const COMMITS = ['PutObject', 'PutPart', 'CompleteUpload']

describe('A program that commits blocks', function () {
  this.timeout(60_000)
  let world: World
  let cluster: SimulatedCluster
  let sent: Commit[]
  /** Changes a commit on its way. */
  let tamper: (commit: Commit) => Commit
  /** Answers that are lost on their way back. */
  let lostAnswers: number

  const run = <T>(work: Promise<T>): Promise<T> => world.clock.runUntil(work)

  function tampering(network: Network): Network {
    return wrapCalls(network, async (method, request, options, call) => {
      if (!COMMITS.includes(method.name)) return call(method, request, options)
      const changed = tamper(request as unknown as Commit)
      sent.push(changed)
      const reply = await call(method, changed as typeof request, options)
      if (lostAnswers-- > 0) throw new CairnError('ConnectionLost', 'the answer is lost')
      return reply
    })
  }

  async function start(level = FEATURE_LEVEL): Promise<void> {
    world = new World(SEED, { clientNetwork: tampering })
    cluster = new SimulatedCluster(world)
    for (const node of cluster.nodes) node.featureLevel = level
    cluster.start()
    while (!cluster.isWhole) await world.clock.advance(50)
    await run(client().createBucket(BUCKET))
  }

  function client(index = 0): ConnectedClient {
    const found = cluster.clients[index]?.client
    if (found === undefined) throw new Error(`client ${index} does not run`)
    return found
  }

  const outcome = (work: Promise<unknown>): Promise<string> =>
    run(
      work.then(
        () => 'done',
        (error: unknown) => (error instanceof CairnError ? error.code : String(error)),
      ),
    )

  async function* slowly(op: number): AsyncGenerator<Uint8Array> {
    for (let piece = 0; piece < PIECES; piece++) {
      yield bodyOf(op + piece, PIECE_BYTES)
      await pause(world.clock, PIECE_PAUSE_MS)
    }
  }
  const slowBody = (op: number): Buffer =>
    Buffer.concat(Array.from({ length: PIECES }, (_, piece) => bodyOf(op + piece, PIECE_BYTES)))

  async function read(key: string): Promise<Buffer> {
    const opened = await client(1).openObject(BUCKET, key)
    const pieces: Uint8Array[] = []
    for await (const piece of opened.read()) pieces.push(piece)
    return Buffer.concat(pieces)
  }

  const receiptsOf = ({ context }: Commit): ShownReceipts['blocks'] => context.receipts?.blocks ?? []

  /** The first slice of a version, as anybody may see it. */
  async function sliceOf(key: string): Promise<BlockSlice> {
    const { object } = await run(client().openObject(BUCKET, key))
    const [slice] = object.map?.slices ?? []
    if (slice === undefined) throw new Error(`${key} has no block`)
    return slice
  }

  const naming =
    (slice: BlockSlice) =>
    (commit: Commit): Commit => ({
      ...commit,
      map: { ...commit.map, slices: [slice] },
      sizeBytes: slice.length,
    })

  beforeEach(() => {
    sent = []
    tamper = (commit) => commit
    lostAnswers = 0
  })

  it('shows what its drives gave, for small bodies and for long ones with pages', async () => {
    await start()
    await run(client().putObject(BUCKET, 'small', bodyOf(1, 100)))
    await run(client().putObject(BUCKET, 'empty', Buffer.alloc(0)))
    await run(client().putObject(BUCKET, 'paged', slowly(10)))
    const counts = sent.map((commit) => receiptsOf(commit).map(({ receipts }) => receipts.length))
    expect(counts.slice(0, 2)).to.deep.equal([[3], []])
    const [page] = sent[2]?.map.pages ?? []
    expect(page?.sliceCount).to.be.above(40)
    expect(counts[2]).to.deep.equal(Array.from({ length: 1 + (page?.sliceCount ?? 0) }, () => 3))
    expect((await run(read('small'))).equals(bodyOf(1, 100))).to.equal(true)
    expect((await run(read('paged'))).equals(slowBody(10))).to.equal(true)
  })

  it('completes uploads of parts that are its own, copied, and of another program', async () => {
    await start()
    await run(client().putObject(BUCKET, 'paged', slowly(10)))
    await run(client().putObject(BUCKET, 'plain', bodyOf(2, 5_000)))
    const upload = await run(client().createUpload(BUCKET, 'upload'))
    const ref = { bucket: BUCKET, key: 'upload', uploadId: upload.uploadId }
    const etagOf = async (key: string) => (await run(client().headObject(BUCKET, key))).etag
    const source = async (key: string) => ({ bucket: BUCKET, key, etag: await etagOf(key) })
    const range = { offset: 70_000, length: 2_700_000 }
    const parts = [
      await run(client().uploadPart(ref, 1, slowly(50))),
      await run(client().copyPart(ref, 2, await source('paged'), range)),
      await run(client(1).uploadPart(ref, 3, bodyOf(3, 70_000))),
      await run(client().copyPart(ref, 4, await source('plain'), undefined)),
    ]
    const requested = parts.map(({ partNumber, etag }) => ({ partNumber, etag }))
    await run(client(1).completeUpload(ref, requested, { partBytesMin: 0 }))
    expect(sent.filter(({ map }) => map.pages.length > 0)).to.have.length(4)
    const copied = slowBody(10).subarray(70_000, 2_770_000)
    const expected = Buffer.concat([slowBody(50), copied, bodyOf(3, 70_000), bodyOf(2, 5_000)])
    expect((await run(read('upload'))).equals(expected)).to.equal(true)
  })

  it('gets new receipts, once, if the old ones do not do', async () => {
    await start()
    let strips = 1
    tamper = (commit) => {
      const { receipts: _, ...context } = commit.context
      return strips-- > 0 ? { ...commit, context } : commit
    }
    await run(client().putObject(BUCKET, 'k', bodyOf(4, 150_000)))
    expect(sent.map((commit) => receiptsOf(commit).length)).to.deep.equal([0, 1])
    expect((await run(read('k'))).equals(bodyOf(4, 150_000))).to.equal(true)
    strips = Number.POSITIVE_INFINITY
    sent = []
    expect(await outcome(client().putObject(BUCKET, 'k', bodyOf(5, 100)))).to.equal('ReceiptMissing')
    expect(sent).to.have.length(2)
    expect((await run(read('k'))).length).to.equal(150_000)
  })

  it('is refused blocks of others, and blocks of its own that another object names', async () => {
    await start()
    await run(client(1).putObject(BUCKET, 'other', bodyOf(6, 400)))
    await run(client().putObject(BUCKET, 'own', bodyOf(7, 400)))
    tamper = naming(await sliceOf('other'))
    expect(await outcome(client().putObject(BUCKET, 'k', bodyOf(8, 100)))).to.equal('NotAllowed')
    const own = sent.find(({ key }) => key === 'own')
    const steal = naming(await sliceOf('own'))
    tamper = (commit) => ({
      ...steal(commit),
      context: { ...commit.context, ...(own?.context.receipts && { receipts: own.context.receipts }) },
    })
    expect(await outcome(client().putObject(BUCKET, 'k', bodyOf(9, 100)))).to.equal('ReceiptMissing')
    expect(await outcome(client().openObject(BUCKET, 'k'))).to.equal('NoSuchKey')
  })

  it('is refused parts and uploads with blocks that are neither new nor of their sources', async () => {
    await start()
    await run(client(1).putObject(BUCKET, 'other', bodyOf(6, 400)))
    await run(client().putObject(BUCKET, 'source', bodyOf(7, 400)))
    const { uploadId } = await run(client().createUpload(BUCKET, 'k'))
    const ref = { bucket: BUCKET, key: 'k', uploadId }
    const { etag } = await run(client().headObject(BUCKET, 'source'))
    const part = await run(client().uploadPart(ref, 1, bodyOf(8, 400)))
    tamper = naming(await sliceOf('other'))
    expect(await outcome(client().uploadPart(ref, 2, bodyOf(9, 400)))).to.equal('NotAllowed')
    const source = { bucket: BUCKET, key: 'source', etag }
    expect(await outcome(client().copyPart(ref, 2, source, undefined))).to.equal('NotAllowed')
    const requested = [{ partNumber: 1, etag: part.etag }]
    expect(await outcome(client().completeUpload(ref, requested))).to.equal('NotAllowed')
    tamper = (commit) => commit
    expect(await outcome(client().completeUpload(ref, requested))).to.equal('done')
    expect((await run(read('k'))).equals(bodyOf(8, 400))).to.equal(true)
  })

  it('shows the same again when an answer was lost, and gets the first result', async () => {
    await start()
    await run(client().setBucketVersioning(BUCKET, 'enabled'))
    lostAnswers = 1
    const { versionId } = await run(client().putObject(BUCKET, 'k', bodyOf(4, 100)))
    expect(sent).to.have.length(2)
    expect(receiptsOf(sent[1] as Commit)).to.deep.equal(receiptsOf(sent[0] as Commit))
    const { versions } = await run(client().listVersions(BUCKET))
    expect(versions.map((version) => version.versionId)).to.deep.equal([versionId])
  })

  it('need not show anything below the level', async () => {
    await start(FEATURE_LEVEL - 1)
    tamper = (commit) => {
      const { receipts, ...context } = commit.context
      expect(receipts?.blocks).to.have.length(1)
      return { ...commit, context }
    }
    expect(await outcome(client().putObject(BUCKET, 'k', bodyOf(4, 100)))).to.equal('done')
  })
})
