/**
 * Check words of blocks whose content this process has compared with their hash, or has hashed as it wrote them. A
 * later read compares each unit's check word with the one known, as the unit comes, and need not hash the block again:
 * the bytes are checked against that word in any case.
 */
import { AgingMap, type BlockId, mapKey, sameBytes } from '@cairn/protocol'
import { KNOWN_BLOCKS_MAX } from '../limits.js'

interface KnownBlock {
  readonly hash: Uint8Array
  readonly checks: Uint32Array
}

export class KnownBlocks {
  private readonly blocks = new AgingMap<string, KnownBlock>()

  /** Check words of the block with this hash, by unit. */
  find(block: BlockId, hash: Uint8Array): Uint32Array | undefined {
    const known = this.blocks.get(mapKey(block))
    return known !== undefined && sameBytes(known.hash, hash) ? known.checks : undefined
  }

  /** To be called only after the bytes with these check words were found to have this hash. */
  remember(block: BlockId, hash: Uint8Array, checks: readonly number[]): void {
    this.blocks.set(mapKey(block), { hash: new Uint8Array(hash), checks: Uint32Array.from(checks) })
    if (this.blocks.size > KNOWN_BLOCKS_MAX) this.blocks.takeOldest()
  }
}
