import { listBlocks, type PlacedBy, type RpcRouter } from '@cairn/protocol'
import type { ServedDrive } from '../core/drives/drive.js'
import type { DriveSet } from '../core/drives/drive-set.js'
import { groupSet, ownedBlockId, pageLimit } from './arguments.js'

/** One page of a drive's live blocks. */
export function handleListBlocks(router: RpcRouter, drives: DriveSet): void {
  router.handle(listBlocks, async (request) => {
    const drive = drives.get(request.drive)
    const after = request.after === undefined ? undefined : ownedBlockId(request.after)
    const { withOwner, groups, damagedOnly = false } = request
    const filter = { damagedOnly, ...(groups === undefined ? {} : { groups: groupSet(groups) }) }
    try {
      admit(drives, drive, request.placedBy)
      return { response: await drive.readable().list(after, pageLimit(request.limit), withOwner, filter) }
    } catch (error) {
      throw drive.noted(error)
    }
  })
}

/**
 * Remembers the epoch as long as this process runs, which is as long as anything late can still arrive; a disk that
 * cannot keep it lists all the same.
 */
function admit(drives: DriveSet, drive: ServedDrive, placedBy: PlacedBy | undefined): void {
  if (placedBy === undefined) return
  drives.admit(drive, placedBy.pool, placedBy.epoch)?.catch(() => undefined)
}
