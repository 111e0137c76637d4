import { type RpcRouter, verifyBlocks } from '@cairn/protocol'
import type { DriveSet } from '../core/drives/drive-set.js'
import { ownedBlockIds } from './arguments.js'

/** Reads up to LIST_PAGE_MAX blocks of one drive whole and names the damaged ones. */
export function handleVerifyBlocks(router: RpcRouter, drives: DriveSet): void {
  router.handle(verifyBlocks, async (request, { signal }) => {
    const drive = drives.get(request.drive)
    try {
      return { response: await drive.readable().verify(ownedBlockIds(request.blocks), { signal }) }
    } catch (error) {
      throw drive.noted(error)
    }
  })
}
