import { deleteBlocks, type RpcRouter } from '@cairn/protocol'
import type { DriveSet } from '../core/drives/drive-set.js'
import { ownedBlockIds } from './arguments.js'

/** Deletes up to LIST_PAGE_MAX blocks of one drive, if the caller's map is not older than what the drives have seen. */
export function handleDeleteBlocks(router: RpcRouter, drives: DriveSet): void {
  router.handle(deleteBlocks, async (request) => {
    const blocks = ownedBlockIds(request.blocks)
    const drive = drives.get(request.drive)
    drive.foreground++
    const { placedBy } = request
    try {
      if (placedBy !== undefined) await drives.admit(drive, placedBy.pool, placedBy.epoch)
      return { response: await drive.writable().delete(blocks) }
    } catch (error) {
      throw drive.noted(error)
    } finally {
      drive.foreground--
    }
  })
}
