/**
 * From names to rows. `resolve(bucket, key) → (space, key)` is the only way, so that a prefix can later be renamed
 * or snapshotted by aliasing spaces.
 */
import { CairnError, KEY_BYTES_MAX, type SpaceId, sameBytes } from '@cairn/protocol'
import type { KeyValueStore, Read, ReadResult, StoreRow } from '../../ports.js'
import { bucketKey } from '../rows/keys.js'
import { BucketRow } from '../rows/rows.js'
import type { KeyPlace } from './version-write-maps.js'
import type { StoredBucket } from './version-write-state.js'

/** Names remembered with their space, to read a bucket and what is in it at one revision. Hints only. */
const SPACE_HINTS_MAX = 10_000

/** Reads until the space is known: one for a wrong hint, and one for each new life of the bucket meanwhile. */
const READS_MAX = 4

/** What was read in a bucket, with the bucket, at one revision. */
export interface BucketRead {
  readonly bucket: StoredBucket
  readonly results: ReadResult['results']
}

/** Where a key of a bucket lies. */
export function resolve(bucket: StoredBucket, key: string): KeyPlace {
  return { space: bucket.row.space, key }
}

/** `InvalidArgument` unless the key has 1 to 1,024 bytes of UTF-8 and no NUL. */
export function checkKey(key: string): void {
  const size = Buffer.byteLength(key, 'utf8')
  if (size === 0 || size > KEY_BYTES_MAX) {
    throw new CairnError('InvalidArgument', `a key has 1 to ${KEY_BYTES_MAX} bytes, not ${size}`)
  }
  checkText(key, 'key')
}

/** `InvalidArgument` for text that cannot stand in a key: NUL, or half of a surrogate pair. */
export function checkText(text: string, name: string): void {
  if (text.includes('\0') || !text.isWellFormed()) {
    throw new CairnError('InvalidArgument', `the ${name} holds NUL or malformed text`)
  }
}

/** `InvalidArgument` for an empty bucket name; the other rules are the gateway's. */
export function checkBucketName(bucket: string): void {
  if (bucket === '' || bucket.includes('\0') || Buffer.byteLength(bucket, 'utf8') > KEY_BYTES_MAX) {
    throw new CairnError('InvalidArgument', 'not a bucket name')
  }
}

/** Rows of buckets by the bytes they were decoded from: a store that keeps rows in memory hands out the same ones. */
const decoded = new WeakMap<Uint8Array, BucketRow>()

function decodeBucket(value: Uint8Array): BucketRow {
  const known = decoded.get(value)
  if (known !== undefined) return known
  const row = BucketRow.decode(value)
  decoded.set(value, row)
  return row
}

/** Decodes a bucket's row; `NoSuchBucket` if it is absent. */
export function requireBucket(name: string, row: StoreRow | undefined): StoredBucket {
  if (row === undefined) throw new CairnError('NoSuchBucket', `no bucket ${name}`)
  return { name, row: decodeBucket(row.value), revision: row.revision }
}

/** Reads buckets and what is in them. */
export class Resolver {
  private readonly store: KeyValueStore
  private readonly spaces = new Map<string, SpaceId>()

  constructor(store: KeyValueStore) {
    this.store = store
  }

  /** `NoSuchBucket` if it does not exist. */
  async bucket(name: string): Promise<StoredBucket> {
    return (await this.read(name, () => [])).bucket
  }

  /**
   * Reads a bucket, and rows in its space at the same revision: one request when the space is known already.
   * `hint` is the space the caller believes in; a wrong one costs a second request.
   */
  async read(name: string, reads: (space: SpaceId) => readonly Read[], hint?: SpaceId): Promise<BucketRead> {
    checkBucketName(name)
    const ofBucket: Read = { kind: 'get', key: bucketKey(name) }
    let guess = hint ?? this.spaces.get(name)
    for (let attempt = 0; attempt < READS_MAX; attempt++) {
      const first = await this.store.read(guess === undefined ? [ofBucket] : [ofBucket, ...reads(guess)])
      const bucket = requireBucket(name, first.results[0]?.[0])
      const { space } = bucket.row
      if (guess !== undefined && sameBytes(guess, space)) return { bucket, results: first.results.slice(1) }
      this.remember(name, space)
      if (reads(space).length === 0) return { bucket, results: [] }
      guess = space
    }
    throw new CairnError('Busy', `bucket ${name} is made anew all the time`)
  }

  /** What `read` would resolve with, if the store has it at hand; `undefined` if not. */
  readNow(name: string, reads: (space: SpaceId) => readonly Read[], hint?: SpaceId): BucketRead | undefined {
    const guess = hint ?? this.spaces.get(name) ?? this.findSpaceNow(name)
    if (guess === undefined) return undefined
    const found = this.store.readNow?.([{ kind: 'get', key: bucketKey(name) }, ...reads(guess)])
    if (found === undefined) return undefined
    const bucket = requireBucket(name, found.results[0]?.[0])
    return sameBytes(guess, bucket.row.space) ? { bucket, results: found.results.slice(1) } : undefined
  }

  /** Writers bring the space along: whoever reads what they wrote may be the first to look for it. */
  private findSpaceNow(name: string): SpaceId | undefined {
    const row = this.store.readNow?.([{ kind: 'get', key: bucketKey(name) }])?.results[0]?.[0]
    if (row === undefined) return undefined
    const { space } = requireBucket(name, row).row
    this.remember(name, space)
    return space
  }

  private remember(name: string, space: SpaceId): void {
    if (this.spaces.size >= SPACE_HINTS_MAX) this.spaces.clear()
    this.spaces.set(name, space)
  }
}
