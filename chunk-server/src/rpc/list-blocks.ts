import { listBlocks, type RpcRouter } from '@cairn/protocol'
import type { DriveSet } from '../core/drive-set.js'
import { ownedBlockId, pageLimit } from './arguments.js'

/** One page of a drive's live blocks. */
export function handleListBlocks(router: RpcRouter, drives: DriveSet): void {
  router.handle(listBlocks, async (request) => {
    const drive = drives.get(request.drive)
    const after = request.after === undefined ? undefined : ownedBlockId(request.after)
    try {
      return { response: await drive.readable().list(after, pageLimit(request.limit), request.withOwner) }
    } catch (error) {
      throw drive.noted(error)
    }
  })
}
