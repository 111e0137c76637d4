/**
 * Units whose check was verified in this process, over this very memory. A reader beside the drive that verified a unit
 * as it read it need not do it again. Units that came over a connection are objects of their own, which nobody marks.
 */
import { type BlockId, sameBytes } from '../ids.js'
import type { Unit } from '../rpc/types.js'

interface Place {
  readonly block: BlockId
  readonly index: number
}

const places = new WeakMap<Unit, Place>()

/** The unit's bytes match its check as unit `index` of the block, and nobody changes them from now on. */
export function markVerified(unit: Unit, block: BlockId, index: number): void {
  places.set(unit, { block, index })
}

/** Whether that was said of this unit. */
export function isMarkedVerified(unit: Unit, block: BlockId, index: number): boolean {
  const place = places.get(unit)
  return place !== undefined && place.index === index && sameBytes(place.block, block)
}
