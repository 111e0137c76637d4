import type { BlockId } from '@cairn/protocol'
import type { IndexedBlock } from '../../ports.js'

/**
 * Where the record of a live block lies. All are of one class: literals that are alike, but come from several places,
 * are each brought into a common shape when they are first read, at 0.7 µs.
 */
export class PlacedBlock implements IndexedBlock {
  readonly block: BlockId
  readonly segment: number
  readonly offset: number
  readonly ownerBytes: number
  readonly sizeBytes: number
  readonly hash: Uint8Array
  readonly storedAtMs: number
  readonly order: number
  readonly damaged: boolean

  constructor(
    block: BlockId,
    content: Pick<IndexedBlock, 'ownerBytes' | 'sizeBytes' | 'hash' | 'storedAtMs'>,
    { segment, offset, order }: Pick<IndexedBlock, 'segment' | 'offset' | 'order'>,
    { damaged }: Pick<IndexedBlock, 'damaged'> = INTACT,
  ) {
    this.block = block
    this.segment = segment
    this.offset = offset
    this.ownerBytes = content.ownerBytes
    this.sizeBytes = content.sizeBytes
    this.hash = content.hash
    this.storedAtMs = content.storedAtMs
    this.order = order
    this.damaged = damaged
  }
}

const INTACT = { damaged: false }
