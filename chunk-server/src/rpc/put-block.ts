import {
  BLOCK_ID_BYTES,
  CairnError,
  type PutBlockRequest,
  type PutBlockResponse,
  putBlock,
  type RpcRouter,
  type RpcTaker,
  toCairnError,
} from '@cairn/protocol'
import type { DriveSet } from '../core/drive-set.js'
import { ownedBlockId } from './arguments.js'

/** Stores one block on one drive, if the writer's map is not older than what the drives have seen. */
export function handlePutBlock(router: RpcRouter, drives: DriveSet): void {
  router.handle(
    putBlock,
    async (request, call) => {
      const block = ownedBlockId(request.block)
      const drive = drives.get(request.drive)
      drive.writable()
      drive.foreground++
      try {
        const admitted = drives.admit(drive, request.pool, request.epoch)
        if (admitted !== undefined) await admitted
        const stored = await drive.writable().put(block, request.owner, call.body, call)
        return { response: { sizeBytes: stored.sizeBytes, hash: stored.hash } }
      } catch (error) {
        throw drive.noted(error)
      } finally {
        drive.foreground--
      }
    },
    undefined,
    takerOf(drives),
  )
}

/** Blocks of one unit, by writers of an epoch that is durable on the drive. */
function takerOf(drives: DriveSet): RpcTaker<PutBlockRequest, PutBlockResponse> {
  return ({ drive: id, block, owner, pool, epoch }, units, settle) => {
    const unit = units[0]
    const drive = drives.get(id)
    const store = drive.writable()
    if (store.putNow === undefined || unit === undefined || units.length > 1) return false
    if (block.length !== BLOCK_ID_BYTES || !drives.isAdmitted(drive, pool, epoch)) return false
    drive.foreground++
    let isBegun = false
    try {
      isBegun = store.putNow(block, owner, unit, (outcome) => {
        drive.foreground--
        settle(outcome instanceof CairnError ? toCairnError(drive.noted(outcome)) : outcome)
      })
    } finally {
      if (!isBegun) drive.foreground--
    }
    return isBegun
  }
}
