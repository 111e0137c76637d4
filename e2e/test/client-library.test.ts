import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { GetObjectCommand } from '@aws-sdk/client-s3'
import { type ConnectedClient, openCairn, toBytes } from '@cairn/client'
import { expect } from 'chai'
import { removeFolder, temporaryFolder } from '../src/harness/folders.js'
import { type RolesCluster, startRolesCluster } from '../src/harness/roles.js'
import { connectS3 } from '../src/harness/s3.js'

/** A program of its own on a cluster of processes, through nothing but the library's entry. */
describe('the client library over TCP', function () {
  this.timeout(120_000)
  let folder: string
  let roles: RolesCluster
  let client: ConnectedClient

  before(async () => {
    folder = await temporaryFolder('client')
    roles = await startRolesCluster({ folder })
    const { metadataServices, clusterSecret } = roles.cluster
    const metadata = metadataServices.map(({ rpcAddress }) => rpcAddress)
    client = await openCairn({ metadata, clusterSecret })
  })

  after(async () => {
    await client.close()
    await roles.stop()
    await removeFolder(folder)
  })

  it('stores a stream of several blocks and reads it back, whole and in part', async () => {
    const content = randomBytes(20_000_001)
    await client.createBucket('library')
    const chunks = Array.from({ length: 20 }, (_, at) =>
      content.subarray(at * 1_000_001, (at + 1) * 1_000_001),
    )
    await client.putObject('library', 'stream', Readable.from(chunks))
    const opened = await client.openObject('library', 'stream')
    expect(opened.object.sizeBytes).to.equal(20_000_001)
    expect(Buffer.compare(await toBytes(opened.read()), content)).to.equal(0)
    const part = await toBytes(opened.read({ offset: 8_388_600, length: 100 }))
    expect(Buffer.compare(part, content.subarray(8_388_600, 8_388_700))).to.equal(0)
  })

  it('makes an object of a part of its own and a copied one', async () => {
    const content = randomBytes(6_000_000)
    const { uploadId } = await client.createUpload('library', 'upload')
    const upload = { bucket: 'library', key: 'upload', uploadId }
    const own = await client.uploadPart(upload, 1, content)
    const { etag } = await client.headObject('library', 'stream')
    const range = { offset: 8_388_600, length: 100 }
    const copied = await client.copyPart(upload, 2, { bucket: 'library', key: 'stream', etag }, range)
    await client.completeUpload(upload, [own, copied])
    const stored = await toBytes((await client.openObject('library', 'upload')).read())
    const source = await toBytes((await client.openObject('library', 'stream')).read(range))
    expect(Buffer.compare(stored, Buffer.concat([content, source]))).to.equal(0)
  })

  it('shares its objects with the gateway', async () => {
    await client.putObject('library', 'shared', Buffer.from('from the library'))
    const [gateway] = roles.cluster.gateways
    if (gateway === undefined) throw new Error('the cluster has no gateway')
    const s3 = connectS3(gateway)
    const found = await s3.send(new GetObjectCommand({ Bucket: 'library', Key: 'shared' }))
    expect(await found.Body?.transformToString()).to.equal('from the library')
    s3.destroy()
  })

  it('names its errors', async () => {
    const missing = await client.openObject('library', 'missing').catch((error: unknown) => error)
    expect(missing).to.have.property('code', 'NoSuchKey')
    const { rpcAddress } = roles.cluster.metadata
    const stranger = { metadata: [rpcAddress], clusterSecret: 'x'.repeat(32) }
    const refused = await openCairn(stranger).catch((error: unknown) => error)
    expect(refused).to.have.property('code', 'PeerRejected')
  })

  it('reads on when one of the chunk servers is killed', async () => {
    await roles.cluster.chunkServers[0]?.kill()
    const opened = await client.openObject('library', 'stream')
    expect((await toBytes(opened.read())).length).to.equal(20_000_001)
    await client.putObject('library', 'after', Buffer.from('two copies are enough'))
  })
})
