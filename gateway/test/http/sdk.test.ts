import { Readable } from 'node:stream'
import { GetObjectCommand, HeadBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { EXAMPLE } from '../authentication/raw-request.js'
import { presignedTarget, startTestGateway, type TestGateway } from './test-gateway.js'

describe('the AWS SDK for JavaScript', () => {
  let server: TestGateway
  let client: S3Client

  before(async () => {
    server = await startTestGateway({ clock: systemClock })
    client = new S3Client({
      endpoint: `http://127.0.0.1:${server.port}`,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: EXAMPLE.accessKey, secretAccessKey: EXAMPLE.secretKey },
    })
  })

  after(async () => {
    client.destroy()
    await server.gateway.close()
  })

  it('puts text, bytes and streams and gets them back', async () => {
    const bytes = Buffer.alloc(300_000, 'cairn')
    for (const [Key, Body] of [
      ["a b/+%/~*'()!/ünï/😀//..", 'text'],
      ['bytes', bytes],
      ['stream', Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)])],
    ] as const) {
      const ContentLength = Key === 'stream' ? { ContentLength: bytes.length } : {}
      await client.send(new PutObjectCommand({ Bucket: 'bucket', Key, Body, ...ContentLength }))
      const { Body: read } = await client.send(new GetObjectCommand({ Bucket: 'bucket', Key }))
      const text = Key === 'bytes' || Key === 'stream' ? bytes.toString() : 'text'
      expect((await read?.transformToString()) === text, Key).to.equal(true)
    }
  })

  it('puts with each checksum algorithm', async () => {
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
      const result = await client.send(
        new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: 'x', ChecksumAlgorithm }),
      )
      expect(result.$metadata.httpStatusCode).to.equal(200)
    }
  })

  it('reads the errors', async () => {
    const missing = await client
      .send(new GetObjectCommand({ Bucket: 'bucket', Key: 'missing' }))
      .catch((error: Error) => error.name)
    expect(missing).to.equal('NoSuchKey')
    const bucket = await client
      .send(new HeadBucketCommand({ Bucket: 'missing' }))
      .catch((error: { $metadata: { httpStatusCode: number } }) => error.$metadata.httpStatusCode)
    expect(bucket).to.equal(501)
  })

  it('follows presigned URLs by fetch', async () => {
    const target = presignedTarget({
      method: 'PUT',
      path: '/bucket/presigned',
      host: `127.0.0.1:${server.port}`,
    })
    const response = await fetch(`http://127.0.0.1:${server.port}${target}`, {
      method: 'PUT',
      body: 'by fetch',
    })
    expect(response.status).to.equal(200)
    expect(server.objects.get('presigned')?.toString()).to.equal('by fetch')
  })
})
