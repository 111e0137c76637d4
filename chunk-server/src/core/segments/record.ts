/**
 * The format of a segment: a header page, then records at multiples of 8. All numbers little endian.
 *
 * ```
 * block record      header | owner | pad | data | pad | footer
 * tombstone record  header | entries of 32 bytes | CRC | pad
 * void record       header only; `size` bytes from its start on were given up, or fill up a page
 *
 * header  0 magic "CAIRNREC"   8 format, 9 kind, 10 owner bytes (u16)   12 offset of the record (u32)
 *        16 salt of the segment (8)   24 block id (16)   40 size (u32)   44 synced to (u32)
 *        48 order (u48)   56 stored at, ms (u48)   64 CRC of the owner (u32)   68 CRC of bytes 0 to 68 (u32)
 * footer  0 magic "CAIRNFTR"   8 offset of the record (u32)   12 size (u32)   16 salt (8)   24 order (u48)
 *        32 BLAKE3-256 (32)   64 unit checks (u32 each)   then CRC, seeded with the block id (u32)
 * entry   0 block id (16)   16 order (u48)   24 horizon (u48)
 * ```
 * CRC is CRC32C. `size` is the block's length, STREAMED if the length was unknown when the header was written,
 * the number of entries, or the bytes given up. Salt and offset make a record valid in one place only: a block
 * whose bytes are a copy of a segment never passes for records. `synced to` says how much of the segment was
 * known to be durable: damage before it is rot, damage behind it may be a write that a crash cut off.
 *
 * A block record counts if header and footer are right; whoever finds a header without its footer has found a
 * write that was never acknowledged.
 */
import {
  BLOCK_BYTES_MAX,
  BLOCK_ID_BYTES,
  type BlockId,
  crc32c,
  crc32cOfPart,
  DIRECT_BYTES,
  markVerified,
  UNIT_BYTES,
  type Unit,
  unitCheck,
} from '@cairn/protocol'

/** First bytes of every record; found by searching after damage. */
export const RECORD_MAGIC: Buffer = Buffer.from('CAIRNREC')
/** First bytes of a block record's footer. */
export const FOOTER_MAGIC: Buffer = Buffer.from('CAIRNFTR')
/** Version of the record format. */
const RECORD_FORMAT = 1
/** Records start at multiples of this. */
export const RECORD_ALIGN = 8
export const HEADER_BYTES = 72
export const SALT_BYTES = 8
/** Largest encoded owner: a key of 1,024 bytes, a bucket name and ids, with room. */
export const OWNER_BYTES_MAX = 4096
export const KIND_BLOCK = 1
export const KIND_TOMBSTONES = 2
export const KIND_VOID = 3
/** Size in the header of a block whose length was not known yet. */
export const STREAMED = 0xffffffff
const TOMBSTONE_BYTES = 32
/** Entries of one tombstone record. */
export const TOMBSTONES_PER_RECORD_MAX = 1024
const FOOTER_FIXED_BYTES = 64

/** Rounds up to the next place where a record may start. */
export function align(bytes: number): number {
  return Math.ceil(bytes / RECORD_ALIGN) * RECORD_ALIGN
}

/** Units that a block of this size has; an empty block has none. */
export function unitCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / UNIT_BYTES)
}

/** From the start of a block record to its data. */
export function dataStart(ownerBytes: number): number {
  return align(HEADER_BYTES + ownerBytes)
}

/** Size of the footer of a block. */
export function footerBytes(sizeBytes: number): number {
  return align(FOOTER_FIXED_BYTES + 4 * unitCount(sizeBytes) + 4)
}

/** Size of a whole block record. */
export function blockRecordBytes(ownerBytes: number, sizeBytes: number): number {
  return dataStart(ownerBytes) + align(sizeBytes) + footerBytes(sizeBytes)
}

/**
 * Size of the void record from `end` to the next page border, where a file is written in whole pages: none at a border,
 * and a page more where its header would not fit.
 */
export function paddingBytes(end: number): number {
  const left = Math.ceil(end / DIRECT_BYTES) * DIRECT_BYTES - end
  return left === 0 || left >= HEADER_BYTES ? left : left + DIRECT_BYTES
}

/** What a block record in whole pages may need beyond its own size: padding before it and behind it. */
export const PADDING_BYTES_MAX: number = 2 * (DIRECT_BYTES + HEADER_BYTES)

/** Size of a tombstone record. */
export function tombstoneRecordBytes(count: number): number {
  return align(HEADER_BYTES + count * TOMBSTONE_BYTES + 4)
}

export interface RecordHeader {
  readonly kind: number
  readonly ownerBytes: number
  readonly offset: number
  readonly salt: Uint8Array
  readonly block: BlockId
  readonly size: number
  readonly syncedTo: number
  readonly order: number
  readonly storedAtMs: number
  readonly ownerCheck: number
}

/** What a footer says besides the unit checks. */
export interface RecordFooter {
  readonly offset: number
  readonly sizeBytes: number
  readonly salt: Uint8Array
  readonly order: number
  readonly hash: Uint8Array
  readonly checks: readonly number[]
}

/** A deleted block: records of it below `order` are dead; none lies in a segment above `horizon`. */
export interface Tombstone {
  readonly block: BlockId
  readonly order: number
  readonly horizon: number
}

const NO_BLOCK: Uint8Array = Buffer.alloc(BLOCK_ID_BYTES)

/** The block id of records that have none. */
export const noBlock: BlockId = NO_BLOCK as BlockId

/** Writes the header at `at`; the owner, if any, is the caller's to put behind it. */
export function writeHeader(target: Buffer, at: number, header: RecordHeader): void {
  target.set(RECORD_MAGIC, at)
  target[at + 8] = RECORD_FORMAT
  target[at + 9] = header.kind
  target.writeUInt16LE(header.ownerBytes, at + 10)
  target.writeUInt32LE(header.offset, at + 12)
  target.set(header.salt, at + 16)
  target.set(header.block, at + 24)
  target.writeUInt32LE(header.size, at + 40)
  target.writeUInt32LE(header.syncedTo, at + 44)
  writeLong(target, header.order, at + 48)
  writeLong(target, header.storedAtMs, at + 56)
  target.writeUInt32LE(header.ownerCheck, at + 64)
  target.writeUInt32LE(crc32cOfPart(target, { from: at, to: at + 68 }), at + 68)
}

/** Writes the header of a void record that covers `sizeBytes` from `offset` on. */
export function writeVoid(
  target: Buffer,
  at: number,
  place: {
    readonly offset: number
    readonly sizeBytes: number
    readonly salt: Uint8Array
    readonly syncedTo: number
  },
): void {
  const { offset, sizeBytes, salt, syncedTo } = place
  const none = { ownerBytes: 0, block: noBlock, order: 0, storedAtMs: 0, ownerCheck: 0 }
  writeHeader(target, at, { ...none, kind: KIND_VOID, offset, salt, size: sizeBytes, syncedTo })
}

/** The header at `at`, as views of `source`, or `undefined` if there is none that is right. */
export function readHeader(source: Buffer, at: number): RecordHeader | undefined {
  if (at + HEADER_BYTES > source.length) return undefined
  if (!holds(source, at, RECORD_MAGIC)) return undefined
  if (source[at + 8] !== RECORD_FORMAT) return undefined
  if (crc32cOfPart(source, { from: at, to: at + 68 }) !== source.readUInt32LE(at + 68)) return undefined
  return {
    kind: source[at + 9] ?? 0,
    ownerBytes: source.readUInt16LE(at + 10),
    offset: source.readUInt32LE(at + 12),
    salt: source.subarray(at + 16, at + 24),
    block: source.subarray(at + 24, at + 40) as Uint8Array as BlockId,
    size: source.readUInt32LE(at + 40),
    syncedTo: source.readUInt32LE(at + 44),
    order: readLong(source, at + 48),
    storedAtMs: readLong(source, at + 56),
    ownerCheck: source.readUInt32LE(at + 64),
  }
}

/** Writes the footer of `block` at `at`, padding included; returns its size. */
export function writeFooter(target: Buffer, at: number, block: BlockId, footer: RecordFooter): number {
  const sizeBytes = footerBytes(footer.sizeBytes)
  target.set(FOOTER_MAGIC, at)
  target.writeUInt32LE(footer.offset, at + 8)
  target.writeUInt32LE(footer.sizeBytes, at + 12)
  target.set(footer.salt, at + 16)
  writeLong(target, footer.order, at + 24)
  target.set(footer.hash, at + 32)
  let end = at + FOOTER_FIXED_BYTES
  for (const check of footer.checks) end = target.writeUInt32LE(check, end)
  target.writeUInt32LE(crc32cOfPart(target, { from: at, to: end }, crc32c(block)), end)
  target.fill(0, end + 4, at + sizeBytes)
  return sizeBytes
}

/** The footer of `block` at `at`, or `undefined` if it is not there whole and right. */
export function readFooter(source: Buffer, at: number, block: BlockId): RecordFooter | undefined {
  if (at + FOOTER_FIXED_BYTES > source.length) return undefined
  if (!holds(source, at, FOOTER_MAGIC)) return undefined
  const sizeBytes = source.readUInt32LE(at + 12)
  if (sizeBytes > BLOCK_BYTES_MAX) return undefined
  const end = at + FOOTER_FIXED_BYTES + 4 * unitCount(sizeBytes)
  if (end + 4 > source.length) return undefined
  if (crc32cOfPart(source, { from: at, to: end }, crc32c(block)) !== source.readUInt32LE(end))
    return undefined
  const checks: number[] = []
  for (let check = at + FOOTER_FIXED_BYTES; check < end; check += 4) checks.push(source.readUInt32LE(check))
  return {
    offset: source.readUInt32LE(at + 8),
    sizeBytes,
    salt: source.subarray(at + 16, at + 24),
    order: readLong(source, at + 24),
    hash: source.subarray(at + 32, at + 64),
    checks,
  }
}

/** Writes entries, check and padding behind a tombstone record's header; returns where the record ends. */
export function writeTombstones(target: Buffer, at: number, tombstones: readonly Tombstone[]): number {
  let end = at
  for (const tombstone of tombstones) {
    target.set(tombstone.block, end)
    writeLong(target, tombstone.order, end + 16)
    writeLong(target, tombstone.horizon, end + 24)
    end += TOMBSTONE_BYTES
  }
  target.writeUInt32LE(crc32c(target.subarray(at, end)), end)
  const padded = at - HEADER_BYTES + tombstoneRecordBytes(tombstones.length)
  target.fill(0, end + 4, padded)
  return padded
}

/** The `count` entries at `at`, or `undefined` if their check fails. */
export function readTombstones(source: Buffer, at: number, count: number): Tombstone[] | undefined {
  const end = at + count * TOMBSTONE_BYTES
  if (end + 4 > source.length) return undefined
  if (crc32c(source.subarray(at, end)) !== source.readUInt32LE(end)) return undefined
  const tombstones: Tombstone[] = []
  for (let entry = at; entry < end; entry += TOMBSTONE_BYTES) {
    tombstones.push({
      block: Buffer.from(source.subarray(entry, entry + BLOCK_ID_BYTES)) as Uint8Array as BlockId,
      order: readLong(source, entry + 16),
      horizon: readLong(source, entry + 24),
    })
  }
  return tombstones
}

/** Units of a block from its bytes (starting at `firstUnit`) and checks, or the index of the first wrong one. */
export function verifyUnits(
  block: BlockId,
  bytes: Uint8Array,
  place: { readonly firstUnit: number; readonly checks: readonly number[] },
): Unit[] | number {
  const units: Unit[] = []
  let index = place.firstUnit
  for (let at = 0; at < bytes.length; at += UNIT_BYTES, index++) {
    const unit = bytes.subarray(at, Math.min(at + UNIT_BYTES, bytes.length))
    const check = place.checks[index]
    if (check === undefined || unitCheck(block, index, unit) !== check) return index
    units.push(markVerified({ bytes: unit, check }, block, index))
  }
  return units
}

/** So few bytes are compared sooner than native code is called. */
function holds(source: Buffer, at: number, expected: Buffer): boolean {
  for (let index = 0; index < expected.length; index++) {
    if (source[at + index] !== expected[index]) return false
  }
  return true
}

function writeLong(target: Buffer, value: number, at: number): void {
  target.writeUIntLE(value, at, 6)
  target.writeUInt16LE(0, at + 6)
}

function readLong(source: Buffer, at: number): number {
  return source.readUIntLE(at, 6)
}
