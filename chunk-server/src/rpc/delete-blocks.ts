import { CairnError, deleteBlocks, LIST_PAGE_MAX, type RpcRouter } from '@cairn/protocol'
import type { DriveSet } from '../core/drive-set.js'
import { ownedBlockId } from './arguments.js'

/** Deletes up to LIST_PAGE_MAX blocks of one drive. */
export function handleDeleteBlocks(router: RpcRouter, drives: DriveSet): void {
  router.handle(deleteBlocks, async (request) => {
    if (request.blocks.length > LIST_PAGE_MAX) {
      throw new CairnError('InvalidArgument', `more than ${LIST_PAGE_MAX} blocks to delete at once`)
    }
    const drive = drives.get(request.drive)
    try {
      return { response: await drive.writable().delete(request.blocks.map(ownedBlockId)) }
    } catch (error) {
      throw drive.noted(error)
    }
  })
}
