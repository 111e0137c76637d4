/** The check word of a unit: CRC32C (RFC 3720, appendix B.4) over block id, unit index and bytes. */
import { crc32c as nativeCrc32c } from '@node-rs/crc32'
import { BLOCK_ID_BYTES, type BlockId } from '../ids.js'

/** CRC32C of `bytes`; `initial` continues an earlier value. */
export function crc32c(bytes: Uint8Array, initial = 0): number {
  return nativeCrc32c(bytes as Buffer, initial)
}

const seed = Buffer.alloc(BLOCK_ID_BYTES + 4)

/** Check of unit `unitIndex` of `block`: another block's unit, or another place, never passes for this one. */
export function unitCheck(block: BlockId, unitIndex: number, bytes: Uint8Array): number {
  seed.set(block, 0)
  seed.writeUInt32LE(unitIndex, BLOCK_ID_BYTES)
  return nativeCrc32c(bytes as Buffer, nativeCrc32c(seed))
}
