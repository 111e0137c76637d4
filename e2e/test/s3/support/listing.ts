/** Pages of ListObjects and ListObjectsV2, decoded. */
import { CreateBucketCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { encode, type Identity } from './signing.js'
import { send, type WireResponse } from './wire.js'
import { freshName } from './world.js'
import { blocks, text } from './xml.js'

/** `next` is what continues the listing. */
export interface Page {
  readonly keys: string[]
  readonly prefixes: string[]
  readonly truncated: boolean
  readonly next: string | undefined
  readonly response: WireResponse
}

export type Parameters = Readonly<Record<string, string>>

/** The raw answer to a listing with these parameters. */
export function ask(server: Identity, bucket: string, parameters: Parameters): Promise<WireResponse> {
  const query = Object.entries(parameters)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&')
  return send(server, { path: `/${bucket}`, query })
}

/** A page of either version, with encoded keys. */
export async function list(server: Identity, bucket: string, parameters: Parameters = {}): Promise<Page> {
  const response = await ask(server, bucket, { 'encoding-type': 'url', ...parameters })
  expect(response.status, response.text).to.equal(200)
  const xml = response.text
  expect(xml).to.contain('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">')
  expect(text(xml, 'EncodingType')).to.equal('url')
  const keys = blocks(xml, 'Contents').map((entry) => decodeURIComponent(text(entry, 'Key') ?? ''))
  const prefixes = blocks(xml, 'CommonPrefixes').map((entry) =>
    decodeURIComponent(text(entry, 'Prefix') ?? ''),
  )
  const truncated = text(xml, 'IsTruncated') === 'true'
  const marker = text(xml, 'NextMarker')
  const next =
    text(xml, 'NextContinuationToken') ?? (marker === undefined ? undefined : decodeURIComponent(marker))
  return { keys, prefixes, truncated, next, response }
}

/** All pages, with the number of entries of each. */
export async function listAll(
  server: Identity,
  bucket: string,
  parameters: Parameters,
  version: 1 | 2,
): Promise<{ keys: string[]; prefixes: string[]; sizes: number[] }> {
  const all = { keys: [] as string[], prefixes: [] as string[], sizes: [] as number[] }
  let more: Parameters = {}
  for (;;) {
    const base = version === 2 ? { 'list-type': '2' } : {}
    const page = await list(server, bucket, { ...base, ...parameters, ...more })
    all.keys.push(...page.keys)
    all.prefixes.push(...page.prefixes)
    all.sizes.push(page.keys.length + page.prefixes.length)
    if (!page.truncated) return all
    const next = page.next ?? page.keys.at(-1) ?? ''
    expect(next).to.not.equal('')
    more = version === 2 ? { 'continuation-token': next } : { marker: next }
  }
}

/** Order of S3: by the bytes of UTF-8. */
export function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Objects stored at once. */
const PARALLEL = 50

/** A new bucket with a small object under each of the keys; its name. */
export async function makeBucketOf(s3: S3Client, keys: readonly string[]): Promise<string> {
  const Bucket = freshName()
  await s3.send(new CreateBucketCommand({ Bucket }))
  for (let at = 0; at < keys.length; at += PARALLEL) {
    const some = keys.slice(at, at + PARALLEL)
    await Promise.all(some.map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }))))
  }
  return Bucket
}
