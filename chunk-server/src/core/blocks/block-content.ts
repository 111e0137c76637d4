/** What a block's content comes to: its size and hash. */
import {
  type BlockHasher,
  CairnError,
  createBlockHasher,
  hashBlock,
  sameBytes,
  UNIT_BYTES,
  type Unit,
} from '@cairn/protocol'
import type { StoredBlock } from '../../ports.js'
import type { UnitIntake } from './unit-intake.js'

/** Bytes taken at once from a body that is only compared. */
const PIECE_BYTES = 4 * UNIT_BYTES

/** A put of a block that is there: no-op for the same content, `BlockConflict` for other. */
export async function compareContent(known: StoredBlock, intake: UnitIntake): Promise<StoredBlock> {
  const hasher = createBlockHasher()
  for (;;) {
    const units = await intake.take(PIECE_BYTES)
    if (units.length === 0) break
    for (const { bytes } of units) hasher.update(bytes)
  }
  if (intake.sizeBytes !== known.sizeBytes || !sameBytes(hasher.digest(), known.hash)) {
    throw new CairnError('BlockConflict', 'the drive holds this block with other content')
  }
  return { sizeBytes: known.sizeBytes, hash: known.hash }
}

/** Size and hash of a block that is at hand as a whole. */
export function hashUnits(units: readonly Unit[]): StoredBlock {
  const only = units[0]
  if (only === undefined) return { sizeBytes: 0, hash: hashBlock(new Uint8Array()) }
  if (units.length === 1)
    return { sizeBytes: only.bytes.length, hash: only.blockHash ?? hashBlock(only.bytes) }
  const hasher: BlockHasher = createBlockHasher()
  let sizeBytes = 0
  for (const { bytes } of units) {
    hasher.update(bytes)
    sizeBytes += bytes.length
  }
  return { sizeBytes, hash: hasher.digest() }
}
