/**
 * The names of rows. Numbers are big-endian, so that byte order is their order; ids are raw bytes; keys are UTF-8
 * and hold no NUL, so that `<key>\0` belongs to one key alone and versions of `a` sort before those of `a\x01`.
 *
 * Rows under `m/` are named where they are defined.
 *
 * | row                                         | holds                                     |
 * | b/<bucket>                                  | bucket                                    |
 * | bc/<space><kind>                            | configuration of a bucket                 |
 * | o/<space><key>                              | current version or delete marker of a key |
 * | v/<space><key>\0<descending seq><op>        | older version                             |
 * | u/<space><key>\0<initiated µs><op>          | multipart upload                          |
 * | p/<op of upload><part number>               | part                                      |
 * | r/<map><referrer>                           | somebody refers to a map                  |
 * | g/<seq><op>                                 | what the operation `op` dropped           |
 * | s/<session>                                 | live writer                               |
 * | dirty/<pool><group>                         | a group owes a copy                       |
 */
import {
  type BucketConfigurationKind,
  type OpId,
  type SessionId,
  SPACE_ID_BYTES,
  type SpaceId,
  sameBytes,
} from '@cairn/protocol'
import type { StoreKey, StoreRange } from '../../ports.js'
import { orderedBytes, VERSION_ID_BYTES } from './keys-version-id.js'

/** Bytes before the key in `o/`, `v/` and `u/` rows. */
export const KEY_OFFSET: number = 2 + SPACE_ID_BYTES

const SEQ_MAX = 0xffff_ffff_ffff_ffffn

/** All keys that begin with `prefix`, with the tightest end. */
export function rangeOfPrefix(prefix: Uint8Array): StoreRange {
  return { from: prefix, to: successorOfPrefix(prefix) }
}

/** Whether a key lies in a range. */
export function isWithin(key: StoreKey, { from, to }: StoreRange): boolean {
  return Buffer.compare(from, key) <= 0 && Buffer.compare(key, to) < 0
}

/** The smallest byte string above every string that begins with `prefix`. There is none for 0xff alone. */
export function successorOfPrefix(prefix: Uint8Array): Uint8Array {
  let end = prefix.length
  while (end > 0 && prefix[end - 1] === 0xff) end--
  if (end === 0) throw new RangeError('no key is above this prefix')
  const to = Buffer.from(prefix.subarray(0, end))
  to[end - 1] = (to[end - 1] ?? 0) + 1
  return to
}

/** The smallest byte string above `key`. */
export function successorOfKey(key: Uint8Array): Uint8Array {
  const next = Buffer.alloc(key.length + 1)
  next.set(key)
  return next
}

/** Of the bytes with which both begin. */
export function commonLength(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length)
  let length = 0
  while (length < most && a[length] === b[length]) length++
  return length
}

let bucketLast: { readonly bucket: string; readonly row: StoreKey } | undefined

/** The row of a bucket. Most requests are for the same one as the request before. */
export function bucketKey(bucket: string): StoreKey {
  if (bucketLast?.bucket === bucket) return bucketLast.row
  const row = Buffer.from(`b/${bucket}`, 'utf8')
  bucketLast = { bucket, row }
  return row
}
/** All `b/` rows of names that begin so. */
export function bucketRange(prefix = ''): StoreRange {
  return rangeOfPrefix(bucketKey(prefix))
}
/** The bucket name in a `b/` key. */
export function bucketOfKey(key: StoreKey): string {
  return utf8(key, 2, key.length)
}

/** The row of one configuration of the bucket that has this space. */
export function bucketConfigurationKey(space: SpaceId, kind: BucketConfigurationKind): StoreKey {
  return orderedBytes('bc/', space, Buffer.from(kind, 'latin1'))
}

let currentLast: { readonly space: SpaceId; readonly key: string; readonly row: StoreKey } | undefined

/** The row of the current version. Whoever writes a key asks for it several times in one turn. */
export function currentKey(space: SpaceId, key: string): StoreKey {
  if (currentLast?.key === key && sameBytes(currentLast.space, space)) return currentLast.row
  const row = scopedKey(CURRENT, space, key, 0)
  currentLast = { space, key, row }
  return row
}
/** Current rows of a space whose keys begin with `prefix`. */
export function currentRange(space: SpaceId, prefix = ''): StoreRange {
  return rangeOfPrefix(currentKey(space, prefix))
}
/** The object key in an `o/` key. */
export function keyOfCurrent(key: StoreKey): string {
  return utf8(key, KEY_OFFSET, key.length)
}

/** The row of an older version. */
export function olderKey(space: SpaceId, key: string, seq: number, op: OpId): StoreKey {
  return stampedKey(OLDER, space, key, { stamp: SEQ_MAX - BigInt(seq), op })
}
/** All older versions of one key, newest first. */
export function olderRange(space: SpaceId, key: string): StoreRange {
  return rangeOfPrefix(scopedKey(OLDER, space, key, 1))
}
/** Older versions of all keys of a space that begin with `prefix`. */
export function olderRangeOfSpace(space: SpaceId, prefix = ''): StoreRange {
  return rangeOfPrefix(scopedKey(OLDER, space, prefix, 0))
}
/** The length of `<2><space><key>` in a `v/` or `u/` key: without NUL, stamp and op id. */
function nameBytesOfStamped(key: StoreKey): number {
  return key.length - VERSION_ID_BYTES - 1
}
/** What an older row's key says. The op id is a view of the key. */
export function parseOlderKey(key: StoreKey): { key: string; seq: number; op: OpId } {
  const { stamp, ...rest } = parseStampedKey(key)
  return { ...rest, seq: Number(SEQ_MAX - stamp) }
}

/** The row of a multipart upload. `initiatedMicros` since 1970. */
export function uploadKey(space: SpaceId, key: string, initiatedMicros: number, op: OpId): StoreKey {
  return stampedKey(UPLOAD, space, key, { stamp: BigInt(initiatedMicros), op })
}
/** Uploads of one key, oldest first. */
export function uploadRange(space: SpaceId, key: string): StoreRange {
  return rangeOfPrefix(scopedKey(UPLOAD, space, key, 1))
}
/** Uploads of all keys of a space that begin with `prefix`. */
export function uploadRangeOfSpace(space: SpaceId, prefix = ''): StoreRange {
  return rangeOfPrefix(scopedKey(UPLOAD, space, prefix, 0))
}
/** What an upload row's key says. Space and op id are views of the key. */
export function parseUploadKey(key: StoreKey): {
  space: SpaceId
  key: string
  initiatedMicros: number
  op: OpId
} {
  const { stamp, ...rest } = parseStampedKey(key)
  return { ...rest, space: spaceOfKey(key), initiatedMicros: Number(stamp) }
}
/** The space in an `o/`, `v/` or `u/` key, as a view of it. */
export function spaceOfKey(key: StoreKey): SpaceId {
  return key.subarray(2, KEY_OFFSET) as SpaceId
}

/** The row of one part of the upload that `upload` made. */
export function partKey(upload: OpId, partNumber: number): StoreKey {
  const key = Buffer.allocUnsafe(2 + upload.length + 2)
  key.write('p/', 0, 'latin1')
  key.set(upload, 2)
  key.writeUInt16BE(partNumber, 2 + upload.length)
  return key
}
/** All parts of an upload, by number. */
export function partRange(upload: OpId): StoreRange {
  return rangeOfPrefix(orderedBytes('p/', upload))
}
/** The part number in a `p/` key. */
export function partNumberOfKey(key: StoreKey): number {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUInt16BE(key.length - 2)
}

/** The row by which `referrer` (a version id of 24 bytes, or an upload's op id) keeps a map alive. */
export function referenceKey(map: OpId, referrer: Uint8Array): StoreKey {
  return orderedBytes('r/', map, referrer)
}
/** All who refer to a map besides its birthplace. */
export function referenceRange(map: OpId): StoreRange {
  return rangeOfPrefix(orderedBytes('r/', map))
}

/** The row of what one operation dropped; `seq` in µs since 1970, so that garbage sorts by age. */
export function garbageKey(seq: number, op: OpId): StoreKey {
  const stamp = Buffer.allocUnsafe(8)
  stamp.writeBigUInt64BE(BigInt(seq), 0)
  return orderedBytes('g/', stamp, op)
}
/** The sequence number in a `g/` key. */
export function seqOfGarbage(key: StoreKey): number {
  const view = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  return Number(view.readBigUInt64BE(2))
}
/** Garbage dropped before `untilSeq`; all of it by default. */
export function garbageRange(untilSeq?: number): StoreRange {
  const all = rangeOfPrefix(Buffer.from('g/', 'latin1'))
  if (untilSeq === undefined) return all
  const stamp = Buffer.allocUnsafe(8)
  stamp.writeBigUInt64BE(BigInt(untilSeq), 0)
  return { from: all.from, to: orderedBytes('g/', stamp) }
}

/** The row of a live writer. */
export function sessionKey(session: SessionId): StoreKey {
  return orderedBytes('s/', session)
}

/** Stands for every group of a pool, when a commit owes copies in more groups than it can name. */
export const EVERY_GROUP = 0xffff

/** The debt of one group of a pool, or of EVERY_GROUP. */
export function dirtyKey(pool: number, group: number): StoreKey {
  const key = Buffer.allocUnsafe(6 + 4 + 2)
  key.write('dirty/', 0, 'latin1')
  key.writeUInt32BE(pool, 6)
  key.writeUInt16BE(group, 10)
  return key
}
/** All `dirty/` rows. */
export function dirtyRange(): StoreRange {
  return rangeOfPrefix(Buffer.from('dirty/', 'latin1'))
}
/** The pool and group in a `dirty/` key. */
export function parseDirtyKey(key: StoreKey): { pool: number; group: number } {
  const view = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  return { pool: view.readUInt32BE(6), group: view.readUInt16BE(10) }
}

const CURRENT = 0x6f
const OLDER = 0x76
const UPLOAD = 0x75

function scopedKey(kind: number, space: SpaceId, key: string, tailBytes: number): Buffer {
  const keyBytes = Buffer.byteLength(key, 'utf8')
  const row = Buffer.allocUnsafe(KEY_OFFSET + keyBytes + tailBytes)
  row[0] = kind
  row[1] = 0x2f
  row.set(space, 2)
  row.write(key, KEY_OFFSET, 'utf8')
  if (tailBytes > 0) row[KEY_OFFSET + keyBytes] = 0
  return row
}

function stampedKey(
  kind: number,
  space: SpaceId,
  key: string,
  tail: { readonly stamp: bigint; readonly op: OpId },
): StoreKey {
  const row = scopedKey(kind, space, key, 1 + VERSION_ID_BYTES)
  const at = row.length - VERSION_ID_BYTES
  row.writeBigUInt64BE(tail.stamp, at)
  row.set(tail.op, at + 8)
  return row
}

function parseStampedKey(key: StoreKey): { key: string; stamp: bigint; op: OpId } {
  const end = nameBytesOfStamped(key)
  const view = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  return {
    key: utf8(key, KEY_OFFSET, end),
    stamp: view.readBigUInt64BE(end + 1),
    op: key.subarray(end + 9) as OpId,
  }
}

function utf8(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', from, to)
}
