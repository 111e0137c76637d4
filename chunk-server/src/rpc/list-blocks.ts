import { listBlocks, type RpcRouter } from '@cairn/protocol'
import type { DriveSet } from '../core/drive-set.js'
import { groupSet, ownedBlockId, pageLimit } from './arguments.js'

/** One page of a drive's live blocks. */
export function handleListBlocks(router: RpcRouter, drives: DriveSet): void {
  router.handle(listBlocks, async (request) => {
    const drive = drives.get(request.drive)
    const after = request.after === undefined ? undefined : ownedBlockId(request.after)
    const { withOwner, groups, damagedOnly = false } = request
    const filter = { damagedOnly, ...(groups === undefined ? {} : { groups: groupSet(groups) }) }
    try {
      return { response: await drive.readable().list(after, pageLimit(request.limit), withOwner, filter) }
    } catch (error) {
      throw drive.noted(error)
    }
  })
}
