import { findBlocks, type RpcRouter } from '@cairn/protocol'
import type { DriveSet } from '../core/drives/drive-set.js'
import { ownedBlockIds } from './arguments.js'

/** Looks up to LIST_PAGE_MAX blocks of one drive up. */
export function handleFindBlocks(router: RpcRouter, drives: DriveSet): void {
  router.handle(findBlocks, async (request) => {
    const drive = drives.get(request.drive)
    try {
      return { response: { blocks: await drive.readable().find(ownedBlockIds(request.blocks)) } }
    } catch (error) {
      throw drive.noted(error)
    }
  })
}
