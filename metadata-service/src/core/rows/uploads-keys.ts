/**
 * Rows beside the parts of an upload, under numbers that no part can have. They go when the upload is cleaned up.
 *
 * | row                        | holds                                                                      |
 * | p/<upload>0xfffd           | when the upload was initiated: a repeated CreateUpload finds it by its op  |
 * | p/<upload>0xfffe<op>       | a part that another has replaced: a repeat of `op` must not bring it back  |
 * | p/<upload>0xffff<map>      | a map that part copies borrow, kept alive by `r/<map>/<upload>`            |
 */
import { integer, type Message, message, type OpId, PART_NUMBER_MAX, required } from '@cairn/protocol'
import type { StoreKey, StoreRange } from '../../ports.js'
import { partKey, rangeOfPrefix } from './keys.js'

const INITIATION = 0xfffd
const REPLACED = 0xfffe
const BORROWED = 0xffff

/** `p/<upload>0xfffd`. */
export interface InitiationRow {
  readonly initiatedMicros: number
}
export const InitiationRow: Message<InitiationRow> = message<InitiationRow>('InitiationRow', 1, {
  initiatedMicros: required(1, integer),
})

export function initiationKey(upload: OpId): StoreKey {
  return partKey(upload, INITIATION)
}

/** Holds the `PartRow` that was replaced, without its map. */
export function replacedPartKey(upload: OpId, op: OpId): StoreKey {
  return Buffer.concat([partKey(upload, REPLACED), op])
}

/** Holds a `MapReference`. */
export function borrowKey(upload: OpId, map: OpId): StoreKey {
  return Buffer.concat([partKey(upload, BORROWED), map])
}
export function borrowRange(upload: OpId): StoreRange {
  return rangeOfPrefix(partKey(upload, BORROWED))
}

/** Real parts with numbers above `afterPart`. */
export function partsAfter(upload: OpId, afterPart: number): StoreRange {
  return { from: partKey(upload, afterPart + 1), to: partKey(upload, PART_NUMBER_MAX + 1) }
}

/** Everything but the real parts and the borrowed maps: proofs only. */
export function partProofRange(upload: OpId): StoreRange {
  return { from: partKey(upload, INITIATION), to: partKey(upload, BORROWED) }
}
