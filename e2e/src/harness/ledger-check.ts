/** Compares what a server says with the ledger: every key by GET, and the listing. */
import { GetObjectCommand, NoSuchKey, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3'
import type { KeyState, Ledger } from './ledger.js'
import { connectS3 } from './s3.js'
import { sha256 } from './seeded.js'
import type { Server } from './server.js'

export interface LedgerCheckOptions {
  readonly bucket: string
  /** An error with an S3 code instead of the bytes is no complaint. */
  readonly allowsErrors?: boolean
}

/** Complaints; none if all is well. What is found becomes the ledger's state, so that it has to stay. */
export async function checkLedger(
  server: Pick<Server, 'endpoint' | 'accessKey' | 'secretKey'>,
  ledger: Ledger,
  options: LedgerCheckOptions,
): Promise<string[]> {
  const s3 = connectS3(server)
  try {
    const complaints: string[] = []
    const listed = await listKeys(s3, options, complaints)
    for (const key of ledger.keys()) {
      const found = await readState(s3, options.bucket, key)
      const isError = found?.startsWith(UNREADABLE) === true
      if (isError && options.allowsErrors === true) continue
      const complaint = ledger.check(key, found)
      if (complaint !== undefined) complaints.push(complaint)
      if (listed !== undefined && listed.has(key) !== (found !== undefined))
        complaints.push(`${key}: listing and GET disagree`)
    }
    return complaints
  } finally {
    s3.destroy()
  }
}

const UNREADABLE = 'unreadable: '

async function listKeys(
  s3: S3Client,
  { bucket, allowsErrors }: LedgerCheckOptions,
  complaints: string[],
): Promise<Set<string> | undefined> {
  const keys = new Set<string>()
  try {
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: bucket })) {
      for (const entry of page.Contents ?? []) keys.add(entry.Key ?? '')
    }
    return keys
  } catch (error) {
    const name = (error as Error).name
    // A server that died before the bucket was made.
    if (name === 'NoSuchBucket') return keys
    if (allowsErrors !== true) complaints.push(`listing: ${name}`)
    return undefined
  }
}

async function readState(s3: S3Client, bucket: string, key: string): Promise<KeyState> {
  try {
    const found = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
    return sha256((await found.Body?.transformToByteArray()) ?? new Uint8Array())
  } catch (error) {
    if (error instanceof NoSuchKey || (error as Error).name === 'NoSuchBucket') return undefined
    return `${UNREADABLE}${(error as Error).name} ${(error as Error).message}`
  }
}
