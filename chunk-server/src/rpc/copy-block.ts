import { type Clock, copyBlock, type RpcRouter } from '@cairn/protocol'
import { type BlockCopier, isOfSource } from '../core/blocks/block-copier.js'
import type { DriveSet } from '../core/drives/drive-set.js'
import { blockHash, blockLength, ownedBlockId } from './arguments.js'

/** What copies need besides the drives. */
export interface CopyBlockParts {
  readonly copier: BlockCopier
  readonly clock: Clock
}

/** Fetches a block from another drive, if the caller's map is not older than what the drives have seen. */
export function handleCopyBlock(
  router: RpcRouter,
  drives: DriveSet,
  { copier, clock }: CopyBlockParts,
): void {
  router.handle(copyBlock, async (request, { signal, deadlineAtMs }) => {
    const copy = {
      block: ownedBlockId(request.block),
      owner: request.owner,
      sizeBytes: blockLength(request.sizeBytes),
      hash: blockHash(request.hash),
      sourceDrive: request.sourceDrive,
      sourceAddress: request.sourceAddress,
    }
    const drive = drives.get(request.drive)
    drive.writable()
    try {
      await drives.admit(drive, request.pool, request.epoch)
      const deadlineMs = Math.max(1, deadlineAtMs - clock.monotonicMs())
      const writtenBytes = await copier.copy(drive.writable(), copy, { signal, deadlineMs })
      return { response: { writtenBytes } }
    } catch (error) {
      throw isOfSource(error) ? error : drive.noted(error)
    }
  })
}
