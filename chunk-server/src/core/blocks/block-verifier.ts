/**
 * Reads blocks whole and compares everything that can be: header, owner, unit checks, footer and hash. Damage is
 * marked in the table; a mark that turns out wrong (a read that went astray, a copy that took its place) is lifted.
 */
import { type BlockHasher, type BlockId, createBlockHasher, hasCode, sameBytes } from '@cairn/protocol'
import type { IndexedBlock, VerifiedBlocks } from '../../ports.js'
import type { BlockReader } from './block-reader.js'
import type { BlockTable } from './block-table.js'
import { cancelled } from './unit-intake.js'

/** `lost`: damaged, for its bytes are not on the disk; `absent`: it was deleted meanwhile. */
export type VerifyOutcome = 'right' | 'damaged' | 'lost' | 'absent'

/** Whether the block was read from the disk. */
export function wasRead(outcome: VerifyOutcome): boolean {
  return outcome === 'right' || outcome === 'damaged'
}

/** What a verifier works on. */
export interface BlockVerifierOptions {
  readonly table: BlockTable
  readonly reader: BlockReader
}

export class BlockVerifier {
  private readonly table: BlockTable
  private readonly reader: BlockReader

  constructor({ table, reader }: BlockVerifierOptions) {
    this.table = table
    this.reader = reader
  }

  /** See `BlockStore.verify`. One after the other: whoever wants more asks more often. */
  async verify(blocks: readonly BlockId[], signal: AbortSignal): Promise<VerifiedBlocks> {
    const damaged: BlockId[] = []
    let readBytes = 0
    for (const block of blocks) {
      if (signal.aborted) throw cancelled(signal)
      const entry = this.table.find(block)
      if (entry === undefined) continue
      const outcome = await this.verifyOne(entry, signal)
      if (outcome === 'damaged' || outcome === 'lost') damaged.push(block)
      if (wasRead(outcome)) readBytes += entry.sizeBytes
    }
    return { damaged, readBytes }
  }

  /** Compares one block, wherever it lies by the end. */
  async verifyOne(entry: IndexedBlock, signal: AbortSignal): Promise<VerifyOutcome> {
    try {
      await this.compare(entry, signal)
    } catch (error) {
      if (hasCode(error, 'NoSuchBlock')) return 'absent'
      if (!hasCode(error, 'BlockCorrupt')) throw error
      // Compaction, or a copy, may have taken it elsewhere while it was read.
      const current = this.table.find(entry.block)
      if (current === undefined) return 'absent'
      if (!isSamePlace(current, entry)) return this.verifyOne(current, signal)
      return error.details.reason === 'lost' ? 'lost' : 'damaged'
    }
    this.absolve(entry)
    return 'right'
  }

  /** Takes the mark from a block that was read whole and right at this place. */
  absolve(entry: IndexedBlock): void {
    const current = this.table.find(entry.block)
    if (current?.damaged === true && isSamePlace(current, entry))
      this.table.put({ ...current, damaged: false })
  }

  private async compare(entry: IndexedBlock, signal: AbortSignal): Promise<void> {
    const { reader } = this
    await reader.readOwner(entry)
    const whole = { offset: 0, length: entry.sizeBytes }
    const { units } = await reader.get(entry.block, whole, { signal })
    const hasher: BlockHasher = createBlockHasher()
    for await (const { bytes } of units) hasher.update(bytes)
    if (!sameBytes(hasher.digest(), entry.hash)) throw reader.corrupt(entry, 'its hash is another')
  }
}

function isSamePlace(a: IndexedBlock, b: IndexedBlock): boolean {
  return a.segment === b.segment && a.offset === b.offset
}
