/**
 * The rows of the block index. Values are one blob each with a CRC32C seeded with the block id, so that a flipped bit
 * is found: segment (u48), offset (u32), size (u32), owner bytes (u16), flags (u8), order (u48), stored at (u48),
 * hash (32).
 */
import { BLOCK_ID_BYTES, type BlockId, CairnError, crc32c, crc32cOfPart } from '@cairn/protocol'
import { PlacedBlock } from '../core/segments/placed-block.js'
import type { IndexedBlock } from '../ports.js'

const VALUE_BYTES = 65
/** The bytes of a value that its CRC covers. */
const CHECKED_BYTES = 61
const ROW_BYTES = BLOCK_ID_BYTES + VALUE_BYTES
const FLAG_DAMAGED = 1

/** Ids and values of many rows, one behind the other. */
export interface BlockRows {
  readonly rows: Buffer | null
  readonly count: number
}

/** The value of an entry's row. */
export function encodeValue(entry: IndexedBlock): Buffer {
  const value = Buffer.allocUnsafe(VALUE_BYTES)
  value.writeUIntLE(entry.segment, 0, 6)
  value.writeUInt32LE(entry.offset, 6)
  value.writeUInt32LE(entry.sizeBytes, 10)
  value.writeUInt16LE(entry.ownerBytes, 14)
  value[16] = entry.damaged ? FLAG_DAMAGED : 0
  value.writeUIntLE(entry.order, 17, 6)
  value.writeUIntLE(entry.storedAtMs, 23, 6)
  value.set(entry.hash, 29)
  value.writeUInt32LE(crc32cOfPart(value, { from: 0, to: CHECKED_BYTES }, crc32c(entry.block)), CHECKED_BYTES)
  return value
}

/** The entries of rows, as views of them. `BlockCorrupt` if any is damaged. */
export function decodeRows({ rows, count }: BlockRows): IndexedBlock[] {
  if ((rows?.length ?? 0) !== count * ROW_BYTES) throw indexDamage('rows of the block index are damaged')
  const entries: IndexedBlock[] = []
  if (rows === null) return entries
  for (let at = 0; at < rows.length; at += ROW_BYTES) {
    entries.push(
      decodeAt(rows.subarray(at, at + BLOCK_ID_BYTES) as Uint8Array as BlockId, rows, at + BLOCK_ID_BYTES),
    )
  }
  return entries
}

/** The entry of `block`, as a view of its row's value. `BlockCorrupt` if that is damaged. */
export function decodeValue(block: BlockId, value: Buffer): IndexedBlock {
  if (value.length !== VALUE_BYTES) throw indexDamage('a row of the block index is damaged')
  return decodeAt(block, value, 0)
}

function decodeAt(block: BlockId, bytes: Buffer, at: number): IndexedBlock {
  const check = at + CHECKED_BYTES
  if (crc32cOfPart(bytes, { from: at, to: check }, crc32c(block)) !== bytes.readUInt32LE(check)) {
    throw indexDamage('a row of the block index is damaged')
  }
  const content = {
    sizeBytes: bytes.readUInt32LE(at + 10),
    ownerBytes: bytes.readUInt16LE(at + 14),
    storedAtMs: bytes.readUIntLE(at + 23, 6),
    hash: bytes.subarray(at + 29, check),
  }
  const place = {
    segment: bytes.readUIntLE(at, 6),
    offset: bytes.readUInt32LE(at + 6),
    order: bytes.readUIntLE(at + 17, 6),
  }
  const damaged = (bytes.readUInt8(at + 16) & FLAG_DAMAGED) !== 0
  return new PlacedBlock(block, content, place, { damaged })
}

/** Of an index; `reason` tells it from a block that is corrupt. */
export function indexDamage(message: string, cause?: unknown): CairnError {
  return new CairnError('BlockCorrupt', message, { cause, details: { reason: 'index' } })
}
