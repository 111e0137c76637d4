/**
 * ● A lost answer is never guessed: each operation that changes something, with the answer dropped at each hop. Its
 * outcome is that of an undisturbed run, once; or it is said to be unknown, and is that or nothing.
 */
import type { ConnectedClient } from '@cairn/client'
import { CairnError, hasCode, type Network, type UploadInfo } from '@cairn/protocol'
import { expect } from 'chai'
import { SimulatedCluster } from './cluster.js'
import { wrapCalls } from './late-repeats.js'
import { pause } from './process.js'
import { World } from './world.js'

const BUCKET = 'bucket'
const BODY = Buffer.alloc(70_000, 7)
const DOCUMENT = Buffer.from('a document')
/** Two services: see `World`. */
const SEED = 2

/** One thing that a user does; names are unlike those of all others. */
interface Operation<Prepared> {
  prepare?(client: ConnectedClient, name: string): Promise<Prepared>
  act(client: ConnectedClient, name: string, prepared: Prepared): Promise<unknown>
  /** A repeat through another service cannot always tell what the first attempt has come to. */
  readonly mayStayUnknown?: boolean
}

const put = (client: ConnectedClient, key: string): Promise<unknown> => client.putObject(BUCKET, key, BODY)
const begin = (client: ConnectedClient, key: string): Promise<UploadInfo> => client.createUpload(BUCKET, key)

function operation<Prepared>(of: Operation<Prepared>): Operation<unknown> {
  return of as Operation<unknown>
}

const OPERATIONS: Readonly<Record<string, Operation<unknown>>> = {
  putObject: { act: put },
  'putObject over another': { prepare: put, act: put },
  deleteObject: { prepare: put, act: (client, key) => client.deleteObject(BUCKET, { key }) },
  'deleteObject of a version': operation({
    prepare: (client, key) => client.putObject(BUCKET, key, BODY),
    act: (client, key, { versionId }) => client.deleteObject(BUCKET, { key, versionId: versionId ?? '' }),
  }),
  copyObject: operation({
    prepare: (client, name) => client.putObject(BUCKET, `${name}/source`, BODY),
    act: (client, name, { etag }) =>
      client.copyObject({ bucket: BUCKET, key: `${name}/source`, etag }, BUCKET, name),
  }),
  setObjectTags: {
    prepare: put,
    act: (client, key) => client.setObjectTags(BUCKET, key, [{ key: 'a', value: 'b' }]),
  },
  createUpload: { act: begin },
  uploadPart: operation({
    prepare: begin,
    act: (client, _name, upload) => client.uploadPart({ bucket: BUCKET, ...upload }, 1, BODY),
  }),
  completeUpload: operation({
    prepare: async (client, key) => {
      const upload = { bucket: BUCKET, ...(await begin(client, key)) }
      return { upload, etag: (await client.uploadPart(upload, 1, BODY)).etag }
    },
    act: (client, _name, { upload, etag }) => client.completeUpload(upload, [{ partNumber: 1, etag }]),
  }),
  abortUpload: operation({
    prepare: begin,
    act: (client, _name, upload) => client.abortUpload({ bucket: BUCKET, ...upload }),
  }),
  createBucket: { mayStayUnknown: true, act: (client, name) => client.createBucket(name) },
  deleteBucket: {
    mayStayUnknown: true,
    prepare: (client, name) => client.createBucket(name),
    act: (client, name) => client.deleteBucket(name),
  },
  setBucketVersioning: {
    mayStayUnknown: true,
    prepare: (client, name) => client.createBucket(name),
    act: (client, name) => client.setBucketVersioning(name, 'enabled'),
  },
  setBucketConfiguration: {
    mayStayUnknown: true,
    prepare: (client, name) => client.createBucket(name),
    act: (client, name) => client.setBucketConfiguration(name, 'cors', DOCUMENT),
  },
}

/** Drops the answer to one call of those that go by. */
class Dropper {
  dropped = false
  private isArmed = false
  private left = 0

  /** The answer to call number `at`, from 0. */
  arm(at: number): void {
    this.left = at
    this.isArmed = true
    this.dropped = false
  }

  disarm(): void {
    this.isArmed = false
  }

  wrap(network: Network, isMeant: (method: string) => boolean): Network {
    return wrapCalls(network, async (method, request, options, call) => {
      const reply = await call(method, request, options)
      if (!this.isArmed || !isMeant(method.name) || this.left-- > 0) return reply
      this.isArmed = false
      this.dropped = true
      throw new CairnError('ConnectionLost', 'the answer was dropped')
    })
  }
}

/** What is not asked for by an operation itself. */
const UPKEEP = ['RenewSession', 'GetClusterMap', 'ReportBlocks', 'ReportSpeeds']

/** An outcome, and what was to be seen before and after. */
interface Found {
  readonly outcome: string
  readonly before: unknown
  readonly after: unknown
}

class Stage {
  readonly toServices: Dropper = new Dropper()
  readonly toDrives: Dropper = new Dropper()
  readonly fromDrives: Dropper = new Dropper()
  readonly world: World
  readonly cluster: SimulatedCluster

  constructor() {
    const isBlock = (method: string): boolean => method === 'PutBlock' || method === 'GetBlock'
    const isAsked = (method: string): boolean => !isBlock(method) && !UPKEEP.includes(method)
    this.world = new World(SEED, {
      clientNetwork: (network) => this.toDrives.wrap(this.toServices.wrap(network, isAsked), isBlock),
      chunkNetwork: (network) => this.fromDrives.wrap(network, () => true),
    })
    this.cluster = new SimulatedCluster(this.world)
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.world.clock.runUntil(work)
  }

  get client(): ConnectedClient {
    const client = this.cluster.clients[0]?.client
    if (client === undefined) throw new Error('the client does not run')
    return client
  }

  async open(): Promise<void> {
    this.cluster.start()
    await this.run(this.whole())
    await this.run(this.client.createBucket(BUCKET))
    await this.run(this.client.setBucketVersioning(BUCKET, 'enabled'))
  }

  async whole(): Promise<void> {
    while (!this.cluster.isWhole) await pause(this.world.clock, 50)
  }

  /** All that the operation may have touched, without what differs from run to run. */
  async see(name: string): Promise<unknown> {
    const { client } = this
    const { versions } = await client.listVersions(BUCKET, { prefix: name })
    const { uploads } = await client.listUploads(BUCKET, { prefix: name })
    const parts = await Promise.all(uploads.map((upload) => client.listParts({ bucket: BUCKET, ...upload })))
    const head = await client.headObject(BUCKET, name).catch(() => undefined)
    const bucket = await client.getBucket(name).catch(() => undefined)
    const document = await client.getBucketConfiguration(name, 'cors').catch(() => undefined)
    return {
      versions: versions.map(({ deleteMarker, sizeBytes, etag }) => ({ deleteMarker, sizeBytes, etag })),
      parts: parts.map((page) => page.parts.map(({ partNumber, etag }) => ({ partNumber, etag }))),
      tags: head?.attributes.tags,
      versioning: bucket?.versioning,
      document: document === undefined ? undefined : Buffer.from(document).toString(),
    }
  }

  async carryOut(
    of: Operation<unknown>,
    name: string,
    disturb: () => void = () => undefined,
  ): Promise<Found> {
    const prepared = await this.run(of.prepare?.(this.client, name) ?? Promise.resolve())
    const before = await this.run(this.see(name))
    disturb()
    const outcome = await this.run(
      of.act(this.client, name, prepared).then(
        () => 'done',
        (error: unknown) => (hasCode(error, 'OutcomeUnknown') ? error.code : String(error)),
      ),
    )
    for (const each of [this.toServices, this.toDrives, this.fromDrives]) each.disarm()
    await this.run(this.world.store.calm())
    return { outcome, before, after: await this.run(this.see(name)) }
  }
}

/** How an answer is dropped: number `at` of those that come there. */
interface Hop {
  readonly answersMax: number
  begin(stage: Stage, at: number): void
  hasDropped(stage: Stage): boolean
}

const HOPS: Readonly<Record<string, Hop>> = {
  'from a service to the client': {
    answersMax: 9,
    begin: ({ toServices }, at) => toServices.arm(at),
    hasDropped: ({ toServices }) => toServices.dropped,
  },
  'from a chunk server to the client': {
    answersMax: 9,
    begin: ({ toDrives }, at) => toDrives.arm(at),
    hasDropped: ({ toDrives }) => toDrives.dropped,
  },
  ...Object.fromEntries(
    (['lost-before', 'lost-after', 'late'] as const).map((fault) => [
      `from the store to a service (${fault})`,
      {
        answersMax: 3,
        begin: ({ world }: Stage, at: number) =>
          world.store.inject(...Array.from({ length: at }, () => undefined), fault),
        hasDropped: () => true,
      },
    ]),
  ),
}

/** Compares a disturbed run with an undisturbed one. */
function judge(of: Operation<unknown>, plain: Found, found: Found, where: string): void {
  expect(found.before, where).to.deep.equal(plain.before)
  if (found.outcome === 'OutcomeUnknown' && of.mayStayUnknown === true) {
    expect(found.after, where).to.be.deep.oneOf([plain.before, plain.after])
    return
  }
  expect(found.outcome, where).to.equal('done')
  expect(found.after, where).to.deep.equal(plain.after)
}

describe('An operation whose answer is dropped', () => {
  let count = 0

  for (const [name, of] of Object.entries(OPERATIONS)) {
    it(`happens once, or is said to be unknown: ${name}`, async () => {
      const stage = new Stage()
      await stage.open()
      const plain = await stage.carryOut(of, `n${++count}`)
      expect(plain.outcome).to.equal('done')
      for (const [hop, { answersMax, begin: start, hasDropped }] of Object.entries(HOPS)) {
        for (let at = 0, isOver = false; at < answersMax && !isOver; at++) {
          const found = await stage.carryOut(of, `n${++count}`, () => start(stage, at))
          judge(of, plain, found, `${hop}, answer ${at}`)
          isOver = !hasDropped(stage)
        }
      }
    }).timeout(60_000)
  }

  it('leaves chunk servers in service: each answer of a metadata service is dropped once', async () => {
    const stage = new Stage()
    await stage.open()
    for (let at = 0; at < 12; at++) {
      stage.fromDrives.arm(at)
      stage.cluster.chunks[at % 3]?.crash(0)
      while (!stage.fromDrives.dropped) await stage.world.clock.advance(500)
      await stage.run(stage.whole())
      expect((await stage.carryOut(OPERATIONS.putObject as Operation<unknown>, `c${at}`)).outcome).to.equal(
        'done',
      )
    }
  }).timeout(60_000)
})
