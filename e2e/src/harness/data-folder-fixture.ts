/**
 * What lies in the kept data folders of `e2e/fixtures`, and how it is read back: one object of each kind. Later
 * versions open copies of these folders and must find everything; so nothing here is ever changed, only added to
 * under a new folder number.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { contentOf, sha256 } from './seeded.js'

const PLAIN = 'plain-bucket'
const VERSIONED = 'versioned-bucket'
const PART_BYTES = 5 * 1024 * 1024

/** Key and size of objects whose content follows from the key. */
const OBJECTS: readonly (readonly [key: string, sizeBytes: number])[] = [
  ['empty', 0],
  ['one-byte', 1],
  ['unit', 65_536],
  ['two-units', 70_001],
  ['a', 10],
  ['a/', 0],
  ['a/b', 20],
  ['ключ/with spaces & + %25', 300],
  [`${'long/'.repeat(200)}end`, 40],
]

/** Fills an empty server. */
export async function fillFixture(s3: S3Client): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket: PLAIN }))
  for (const [Key, size] of OBJECTS) {
    await s3.send(new PutObjectCommand({ Bucket: PLAIN, Key, Body: contentOf(Key, size) }))
  }
  await s3.send(
    new PutObjectCommand({
      Bucket: PLAIN,
      Key: 'with-attributes',
      Body: contentOf('with-attributes', 100),
      ContentType: 'text/x-kept',
      CacheControl: 'max-age=7',
      Metadata: { colour: 'blue' },
      Tagging: 'team=red&year=2026',
      ChecksumAlgorithm: 'SHA256',
    }),
  )
  await s3.send(new CopyObjectCommand({ Bucket: PLAIN, Key: 'copy', CopySource: `${PLAIN}/two-units` }))
  await s3.send(new PutObjectCommand({ Bucket: PLAIN, Key: 'deleted', Body: contentOf('deleted', 99) }))
  await s3.send(new DeleteObjectCommand({ Bucket: PLAIN, Key: 'deleted' }))
  await fillUploads(s3)
  await fillVersions(s3)
}

async function fillUploads(s3: S3Client): Promise<void> {
  const target = { Bucket: PLAIN, Key: 'multipart' }
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target))
  const Parts: { PartNumber: number; ETag: string | undefined }[] = []
  for (const [at, size] of [PART_BYTES, 1000].entries()) {
    const Body = contentOf(`part ${at + 1}`, size)
    const { ETag } = await s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber: at + 1, Body }))
    Parts.push({ PartNumber: at + 1, ETag })
  }
  await s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }))
  const open = { Bucket: PLAIN, Key: 'open-upload' }
  const begun = await s3.send(new CreateMultipartUploadCommand(open))
  const Body = contentOf('open part', 500)
  await s3.send(new UploadPartCommand({ ...open, UploadId: begun.UploadId, PartNumber: 3, Body }))
}

async function fillVersions(s3: S3Client): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket: VERSIONED }))
  const put = (label: string): Promise<unknown> =>
    s3.send(new PutObjectCommand({ Bucket: VERSIONED, Key: 'key', Body: contentOf(label, 200) }))
  const turn = (Status: 'Enabled' | 'Suspended'): Promise<unknown> =>
    s3.send(new PutBucketVersioningCommand({ Bucket: VERSIONED, VersioningConfiguration: { Status } }))
  await put('null version')
  await turn('Enabled')
  await put('second version')
  await s3.send(new DeleteObjectCommand({ Bucket: VERSIONED, Key: 'key' }))
  await put('third version')
}

/** Reads everything back; a line for each thing that is not as it was. */
export async function checkFixture(s3: S3Client): Promise<string[]> {
  const wrong: string[] = []
  const expectBytes = async (key: string, expected: Buffer): Promise<void> => {
    const found = await s3.send(new GetObjectCommand({ Bucket: PLAIN, Key: key }))
    const bytes = (await found.Body?.transformToByteArray()) ?? new Uint8Array()
    if (sha256(bytes) !== sha256(expected)) wrong.push(`${key}: other content`)
  }
  for (const [key, size] of OBJECTS) await expectBytes(key, contentOf(key, size))
  await expectBytes('copy', contentOf('two-units', 70_001))
  await expectBytes('multipart', Buffer.concat([contentOf('part 1', PART_BYTES), contentOf('part 2', 1000)]))
  wrong.push(...(await checkAttributes(s3)), ...(await checkUploads(s3)), ...(await checkVersions(s3)))
  const listed = await s3.send(new ListObjectsV2Command({ Bucket: PLAIN }))
  if (listed.KeyCount !== OBJECTS.length + 3) wrong.push(`the listing has ${listed.KeyCount} keys`)
  return wrong
}

async function checkAttributes(s3: S3Client): Promise<string[]> {
  const target = { Bucket: PLAIN, Key: 'with-attributes' }
  const found = await s3.send(new GetObjectCommand({ ...target, ChecksumMode: 'ENABLED' }))
  const bytes = (await found.Body?.transformToByteArray()) ?? new Uint8Array()
  const { TagSet } = await s3.send(new GetObjectTaggingCommand(target))
  const tags = (TagSet ?? []).map(({ Key, Value }) => `${Key}=${Value}`).sort()
  const facts = {
    content: sha256(bytes) === sha256(contentOf('with-attributes', 100)),
    type: found.ContentType === 'text/x-kept',
    cache: found.CacheControl === 'max-age=7',
    metadata: found.Metadata?.colour === 'blue',
    checksum: found.ChecksumSHA256 === Buffer.from(sha256(bytes), 'hex').toString('base64'),
    tags: tags.join() === 'team=red,year=2026',
  }
  return Object.entries(facts).flatMap(([name, holds]) => (holds ? [] : [`with-attributes: other ${name}`]))
}

/** The open upload is still there, and can be ended. */
async function checkUploads(s3: S3Client): Promise<string[]> {
  const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket: PLAIN }))
  const [upload] = Uploads ?? []
  if (upload?.Key !== 'open-upload') return ['the open upload is gone']
  await s3.send(
    new AbortMultipartUploadCommand({ Bucket: PLAIN, Key: upload.Key, UploadId: upload.UploadId }),
  )
  return []
}

async function checkVersions(s3: S3Client): Promise<string[]> {
  const { Versions, DeleteMarkers } = await s3.send(new ListObjectVersionsCommand({ Bucket: VERSIONED }))
  const wrong: string[] = DeleteMarkers?.length === 1 ? [] : ['versions: not one delete marker']
  for (const [at, label] of ['third version', 'second version', 'null version'].entries()) {
    const VersionId = Versions?.[at]?.VersionId
    const target = { Bucket: VERSIONED, Key: 'key', ...(VersionId === undefined ? {} : { VersionId }) }
    const found = await s3.send(new GetObjectCommand(target))
    const bytes = (await found.Body?.transformToByteArray()) ?? new Uint8Array()
    if (sha256(bytes) !== sha256(contentOf(label, 200))) wrong.push(`versions: other content of ${label}`)
  }
  if (Versions?.at(-1)?.VersionId !== 'null') wrong.push('versions: the oldest is not the null version')
  return wrong
}
