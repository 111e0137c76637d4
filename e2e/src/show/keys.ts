/** Keys are byte strings: each of these survives put, get, list, copy and delete, byte for byte. */
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { startRoles } from '../harness/roles.js'
import { connectS3 } from '../harness/s3.js'
import type { Report } from './report.js'

const BUCKET = 'keys'

function everyPlane(): string {
  return Array.from({ length: 17 }, (_, plane) => String.fromCodePoint(plane * 0x10000 + 0x41)).join('')
}

function controlBytes(): string {
  return Array.from({ length: 31 }, (_, index) => String.fromCharCode(index + 1)).join('')
}

/** Names that file systems, URL classes or XML would bend. */
const AWKWARD_KEYS: readonly string[] = [
  '..',
  '../x',
  './x',
  '.',
  'a//b',
  '//',
  '/leading',
  'trailing/',
  '%2F',
  '%2e%2e',
  '%2e%2e/%2F',
  'per%cent',
  'with space',
  ' ',
  'a+b',
  '"double" \'single\'',
  '<&>',
  'a&amp;b',
  '?versionId=x',
  'a?b=c#d',
  'back\\slash',
  '$HOME',
  '_ :',
  controlBytes(),
  'tab\tnew\nline\r',
  '\u007f',
  'ü',
  'u\u0308',
  '日本語/キー',
  '😀',
  '\ufffd\uffff\ufffe',
  everyPlane(),
  'k'.repeat(1024),
  'é'.repeat(512),
  'a',
  'a/',
  'a/b',
  '__proto__',
  'constructor',
]

async function listAll(s3: S3Client): Promise<string[]> {
  const keys: string[] = []
  let token: string | undefined
  do {
    const page = await s3.send(
      new ListObjectsV2Command({ Bucket: BUCKET, EncodingType: 'url', MaxKeys: 7, ContinuationToken: token }),
    )
    for (const entry of page.Contents ?? []) keys.push(decodeURIComponent(entry.Key ?? ''))
    token = page.NextContinuationToken
  } while (token !== undefined)
  return keys
}

async function read(s3: S3Client, key: string): Promise<string> {
  const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }))
  return (await found.Body?.transformToString()) ?? ''
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** `npm run show -- keys`. */
export async function showKeys(report: Report): Promise<void> {
  const folder = await temporaryFolder('keys')
  const roles = await startRoles({ folder })
  const s3 = connectS3(roles.server)
  try {
    await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
    for (const key of AWKWARD_KEYS)
      await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: `of ${key}` }))
    const wrong: string[] = []
    for (const key of AWKWARD_KEYS) if ((await read(s3, key)) !== `of ${key}`) wrong.push(key)
    report.holds(`put and get of ${AWKWARD_KEYS.length} keys`, wrong.length === 0, JSON.stringify(wrong))
    const listed = await listAll(s3)
    const expected = [...AWKWARD_KEYS].sort(byBytes)
    report.holds(
      'listing gives every key, in byte order',
      JSON.stringify(listed) === JSON.stringify(expected),
    )
    await copyEach(s3, report)
    for (const key of await listAll(s3)) await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }))
    report.atMost('keys left after deleting each by its listed name', (await listAll(s3)).length, 0)
  } finally {
    s3.destroy()
    await roles.stop()
    await removeFolder(folder)
  }
}

async function copyEach(s3: S3Client, report: Report): Promise<void> {
  const wrong: string[] = []
  for (const [index, key] of AWKWARD_KEYS.entries()) {
    const source = `${BUCKET}/${encodeURIComponent(key)}`
    await s3.send(new CopyObjectCommand({ Bucket: BUCKET, Key: `copy-${index}`, CopySource: source }))
    if ((await read(s3, `copy-${index}`)) !== `of ${key}`) wrong.push(key)
  }
  report.holds('copy by encoded source', wrong.length === 0, JSON.stringify(wrong))
}
