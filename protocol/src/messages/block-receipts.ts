/** What a writer shows of the blocks that its commit names: see `block-receipt.ts`. */
import type { BlockId } from '../ids.js'
import { bytes, list, type Message, message, required } from '../message.js'

/** The receipts of one block, one of each drive that has stored it. */
export interface BlockReceipts {
  readonly block: BlockId
  readonly receipts: readonly Uint8Array[]
}
export const BlockReceipts: Message<BlockReceipts> = message<BlockReceipts>('BlockReceipts', 1, {
  block: required(1, bytes<BlockId>()),
  receipts: list(2, bytes()),
})

/** All receipts of one commit, its map's pages included. A message holds those of some 20,000 blocks. */
export interface ShownReceipts {
  readonly blocks: readonly BlockReceipts[]
}
export const ShownReceipts: Message<ShownReceipts> = message<ShownReceipts>('ShownReceipts', 1, {
  blocks: list(1, BlockReceipts),
})
