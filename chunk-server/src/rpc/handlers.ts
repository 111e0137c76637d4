import type { ReceiptMint, RpcRouter, TokenCheck } from '@cairn/protocol'
import type { DriveSet } from '../core/drives/drive-set.js'
import { type CopyBlockParts, handleCopyBlock } from './copy-block.js'
import { handleDeleteBlocks } from './delete-blocks.js'
import { handleFindBlocks } from './find-blocks.js'
import { handleGetBlock } from './get-block.js'
import { handleListBlocks } from './list-blocks.js'
import { handleListWriters } from './list-writers.js'
import { handlePutBlock } from './put-block.js'
import { handleReportDrives } from './report-drives.js'
import { handleVerifyBlocks } from './verify-blocks.js'

/** What the operations need besides the drives. */
export interface HandlerParts extends CopyBlockParts {
  readonly tokens: TokenCheck
  readonly receipts: ReceiptMint
}

/** Enters all operations of a chunk server. */
export function registerChunkHandlers(router: RpcRouter, drives: DriveSet, parts: HandlerParts): void {
  handlePutBlock(router, drives, parts.receipts)
  handleGetBlock(router, drives, parts.tokens)
  handleDeleteBlocks(router, drives)
  handleListBlocks(router, drives)
  handleListWriters(router, drives)
  handleReportDrives(router, drives)
  handleFindBlocks(router, drives)
  handleVerifyBlocks(router, drives)
  handleCopyBlock(router, drives, parts)
}
