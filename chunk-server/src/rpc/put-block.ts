import { putBlock, type RpcRouter } from '@cairn/protocol'
import type { DriveSet } from '../core/drive-set.js'
import { ownedBlockId } from './arguments.js'

/** Stores one block on one drive, if the writer's map is not older than what the drives have seen. */
export function handlePutBlock(router: RpcRouter, drives: DriveSet): void {
  router.handle(putBlock, async (request, call) => {
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
  })
}
