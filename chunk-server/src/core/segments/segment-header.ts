/**
 * Names and header pages of segment files: `segments/<16 hex digits of the sequence>.seg`, first page
 * magic "CAIRNSEG", format (u32), sequence (u64), salt (8), length and text of the drive id, CRC32C at 4092.
 */
import { crc32c } from '@cairn/protocol'
import { SALT_BYTES } from './record.js'

/** Folder of a drive's segments. */
export const SEGMENT_FOLDER = 'segments'
/** The header page: one page, so that no record shares it. */
export const SEGMENT_HEADER_BYTES = 4096
const MAGIC = Buffer.from('CAIRNSEG')
const FORMAT = 1
const CRC_AT = SEGMENT_HEADER_BYTES - 4

export interface SegmentHeader {
  readonly sequence: number
  /** Random; stands in all records of the segment. */
  readonly salt: Uint8Array
  readonly driveId: string
}

/** Path of a segment on its drive. */
export function segmentPath(sequence: number): string {
  return `${SEGMENT_FOLDER}/${sequence.toString(16).padStart(16, '0')}.seg`
}

/** Sequence in a file name, or `undefined` if it names no segment. */
export function parseSegmentName(name: string): number | undefined {
  const match = /(?:^|\/)([0-9a-f]{16})\.seg$/.exec(name)
  const sequence = match?.[1] === undefined ? Number.NaN : Number.parseInt(match[1], 16)
  return Number.isSafeInteger(sequence) && sequence > 0 ? sequence : undefined
}

/** The header page, in this memory if there is some. */
export function encodeSegmentHeader(
  header: SegmentHeader,
  memory: Buffer = Buffer.allocUnsafe(SEGMENT_HEADER_BYTES),
): Buffer {
  const page = memory.subarray(0, SEGMENT_HEADER_BYTES).fill(0)
  page.set(MAGIC, 0)
  page.writeUInt32LE(FORMAT, 8)
  page.writeBigUInt64LE(BigInt(header.sequence), 16)
  page.set(header.salt, 24)
  const driveId = Buffer.from(header.driveId)
  page.writeUInt16LE(driveId.length, 32)
  page.set(driveId, 34)
  page.writeUInt32LE(crc32c(page.subarray(0, CRC_AT)), CRC_AT)
  return page
}

/** What a header page says, or `undefined` if it is damaged; a format above ours is `'newer'`. */
export function decodeSegmentHeader(page: Buffer): SegmentHeader | 'newer' | undefined {
  if (page.length < SEGMENT_HEADER_BYTES || MAGIC.compare(page, 0, 8) !== 0) return undefined
  if (crc32c(page.subarray(0, CRC_AT)) !== page.readUInt32LE(CRC_AT)) return undefined
  if (page.readUInt32LE(8) > FORMAT) return 'newer'
  const driveIdBytes = page.readUInt16LE(32)
  return {
    sequence: Number(page.readBigUInt64LE(16)),
    salt: Buffer.from(page.subarray(24, 24 + SALT_BYTES)),
    driveId: page.toString('utf8', 34, 34 + driveIdBytes),
  }
}
