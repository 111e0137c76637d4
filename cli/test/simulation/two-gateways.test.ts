import { hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import { SimulatedCluster } from './cluster.js'
import { pause } from './process.js'
import { World } from './world.js'

const BUCKET = 'bucket'
const BODY = Buffer.from('a small body, so that the remembered bucket serves')
/** Two services: see `World`. */
const SEED = 2

describe('What one gateway changes', () => {
  let world: World
  let cluster: SimulatedCluster

  const run = <T>(work: Promise<T>): Promise<T> => world.clock.runUntil(work)

  /** The client of gateway 0 or 1. */
  function gateway(index: 0 | 1) {
    const client = cluster.clients[index]?.client
    if (client === undefined) throw new Error(`gateway ${index} does not run`)
    return client
  }

  const codeOf = (work: Promise<unknown>): Promise<string> =>
    run(
      work.then(
        () => 'done',
        (error: unknown) => (hasCode(error, 'NoSuchBucket', 'NoSuchUpload') ? error.code : String(error)),
      ),
    )

  const put = (index: 0 | 1) => gateway(index).putObject(BUCKET, 'k', BODY)

  beforeEach(async () => {
    world = new World(SEED)
    cluster = new SimulatedCluster(world)
    cluster.start()
    const whole = async (): Promise<void> => {
      while (!cluster.isWhole) await pause(world.clock, 50)
    }
    await run(whole())
    await run(gateway(0).createBucket(BUCKET))
    // Both remember the bucket now.
    await run(Promise.all([put(0), put(1)]))
  })

  it('of the versioning of a bucket holds for the very next put of another', async () => {
    await run(gateway(0).setBucketVersioning(BUCKET, 'enabled'))
    const { versionId } = await run(put(1))
    expect(versionId).to.be.a('string').and.not.equal('null')
    expect((await run(gateway(0).listVersions(BUCKET))).versions).to.have.length(2)
    await run(gateway(0).setBucketVersioning(BUCKET, 'suspended'))
    await run(put(1))
    const { versions } = await run(gateway(1).listVersions(BUCKET))
    expect(versions.map((each) => each.versionId)).to.deep.equal(['null', versionId])
  })

  it('by ending a bucket ends it for the very next put of another', async () => {
    await run(gateway(0).deleteObject(BUCKET, { key: 'k' }))
    await run(gateway(0).deleteBucket(BUCKET))
    expect(await codeOf(put(1))).to.equal('NoSuchBucket')
  })

  it('by making a bucket anew lets the very next put of another go there', async () => {
    await run(gateway(0).deleteObject(BUCKET, { key: 'k' }))
    await run(gateway(0).deleteBucket(BUCKET))
    await run(gateway(0).createBucket(BUCKET))
    await run(put(1))
    expect((await run(gateway(0).listObjects(BUCKET))).objects.map(({ key }) => key)).to.deep.equal(['k'])
  })

  for (const ending of ['abortUpload', 'completeUpload'] as const) {
    it(`by ${ending} holds for the very next part of another`, async () => {
      const { uploadId } = await run(gateway(0).createUpload(BUCKET, 'up'))
      const upload = { bucket: BUCKET, key: 'up', uploadId }
      const { etag } = await run(gateway(1).uploadPart(upload, 1, BODY))
      if (ending === 'abortUpload') await run(gateway(0).abortUpload(upload))
      else await run(gateway(0).completeUpload(upload, [{ partNumber: 1, etag }]))
      expect(await codeOf(gateway(1).uploadPart(upload, 1, BODY))).to.equal('NoSuchUpload')
    })
  }
})
