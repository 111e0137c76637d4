import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { CopyObjectCommand, GetObjectCommand } from '@aws-sdk/client-s3'
import { type ConnectedClient, openCairn, type RequestedPart, toBytes } from '@cairn/client'
import { expect } from 'chai'
import { removeFolder, temporaryFolder } from '../src/harness/folders.js'
import { type RolesCluster, startRolesCluster } from '../src/harness/roles.js'
import { connectS3 } from '../src/harness/s3.js'

function gatewayOf({ cluster }: RolesCluster): RolesCluster['cluster']['gateways'][number] {
  const [gateway] = cluster.gateways
  if (gateway === undefined) throw new Error('the cluster has no gateway')
  return gateway
}

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
    const s3 = connectS3(gatewayOf(roles))
    const found = await s3.send(new GetObjectCommand({ Bucket: 'library', Key: 'shared' }))
    expect(await found.Body?.transformToString()).to.equal('from the library')
    s3.destroy()
  })

  /** An object made of more others than one commit can refer to, and its bytes. */
  async function join(key: string): Promise<{ etag: string; whole: Buffer }> {
    const pieces = Array.from({ length: 41 }, (_, at) => Buffer.from(`piece ${at};`))
    const attributes = { contentType: 'text/pieces', userMetadata: { made: 'of pieces' } }
    const { uploadId } = await client.createUpload('library', key, { attributes })
    const upload = { bucket: 'library', key, uploadId }
    const parts: RequestedPart[] = []
    for (const [at, piece] of pieces.entries()) {
      const { etag } = await client.putObject('library', 'piece', piece)
      const source = { bucket: 'library', key: 'piece', etag }
      parts.push(await client.copyPart(upload, at + 1, source, undefined))
    }
    const { etag } = await client.completeUpload(upload, parts, { partBytesMin: 0 })
    return { etag, whole: Buffer.concat(pieces) }
  }

  it('makes objects of very many others, which a gateway copies', async () => {
    const { etag, whole } = await join('joined')
    const s3 = connectS3(gatewayOf(roles))
    const source = { Bucket: 'library', CopySource: 'library/joined' }
    const { CopyObjectResult } = await s3.send(
      new CopyObjectCommand({ ...source, Key: 'copy', ChecksumAlgorithm: 'SHA256' }),
    )
    const md5 = `"${createHash('md5').update(whole).digest('hex')}"`
    expect(CopyObjectResult?.ETag).to.equal(md5)
    expect(CopyObjectResult?.ChecksumSHA256).to.equal(createHash('sha256').update(whole).digest('base64'))
    const replaced = { MetadataDirective: 'REPLACE', ContentType: 'text/new' } as const
    const ontoItself = (IfMatch: string) =>
      s3.send(new CopyObjectCommand({ ...source, ...replaced, Key: 'joined', IfMatch }))
    const refused = await ontoItself('"other"').catch((error: unknown) => error)
    expect(refused).to.have.property('name', 'PreconditionFailed')
    await ontoItself(etag)
    for (const [Key, type, made] of [
      ['copy', 'text/pieces', 'of pieces'],
      ['joined', 'text/new', undefined],
    ] as const) {
      const found = await s3.send(new GetObjectCommand({ Bucket: 'library', Key }))
      expect([found.ETag, found.ContentType, found.Metadata?.made]).to.deep.equal([md5, type, made])
      expect(await found.Body?.transformToString()).to.equal(whole.toString())
    }
    s3.destroy()
  })

  it('makes a part of an object of very many others', async () => {
    const { etag, whole } = await join('pieces')
    const { uploadId } = await client.createUpload('library', 'of-pieces')
    const upload = { bucket: 'library', key: 'of-pieces', uploadId }
    const range = { offset: 3, length: 100 }
    const part = await client.copyPart(upload, 1, { bucket: 'library', key: 'pieces', etag }, range)
    await client.completeUpload(upload, [part])
    const copied = await toBytes((await client.openObject('library', 'of-pieces')).read())
    expect(Buffer.compare(copied, whole.subarray(3, 103))).to.equal(0)
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
