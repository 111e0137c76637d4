/**
 * Units whose check this process has verified or computed over this very memory. A reader beside the drive that
 * verified a unit as it read it need not do it again, nor a drive beside the writer that made it. Units that came over
 * a connection are objects of their own, which are not marked.
 */
import { type BlockId, sameBytes } from '../ids.js'
import type { Unit } from '../rpc/types.js'

/** The mark is a private field: no copy of a unit has it, and reading it costs less than any table of units. */
class VerifiedUnit implements Unit {
  readonly bytes: Uint8Array
  readonly check: number
  readonly #block: BlockId
  readonly #index: number

  constructor(unit: Unit, block: BlockId, index: number) {
    this.bytes = unit.bytes
    this.check = unit.check
    this.#block = block
    this.#index = index
  }

  static isOf(unit: Unit, block: BlockId, index: number): boolean {
    return #block in unit && unit.#index === index && sameBytes(unit.#block, block)
  }
}

/**
 * The unit with a mark: its bytes match its check as unit `index` of the block, and nobody changes them from now on.
 */
export function markVerified({ bytes, check }: Unit, block: BlockId, index: number): Unit {
  return new VerifiedUnit({ bytes, check }, block, index)
}

/** Whether that was said of this unit. */
export function isMarkedVerified(unit: Unit, block: BlockId, index: number): boolean {
  return VerifiedUnit.isOf(unit, block, index)
}
