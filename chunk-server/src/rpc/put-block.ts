import {
  BLOCK_ID_BYTES,
  type BlockId,
  BlockOwner,
  CairnError,
  type PutBlockRequest,
  type PutBlockResponse,
  putBlock,
  type ReceiptMint,
  type RpcRouter,
  type RpcTaker,
  sameBytes,
  toCairnError,
} from '@cairn/protocol'
import type { ServedDrive } from '../core/drives/drive.js'
import type { DriveSet } from '../core/drives/drive-set.js'
import { ownedBlockId } from './arguments.js'

/**
 * Stores one block on one drive, if the writer's map is not older than what the drives have seen. Whoever is no gateway
 * gets a receipt, and `BlockConflict` if the drive had the block already, of another owner.
 */
export function handlePutBlock(router: RpcRouter, drives: DriveSet, receipts: ReceiptMint): void {
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
        const { sizeBytes, hash } = await drive.writable().put(block, request.owner, call.body, call)
        if (call.peer.role === 'gateway') return { response: { sizeBytes, hash } }
        await requireOwner(drive, block, request.owner)
        const claim = { pool: request.pool, block, sizeBytes, hash, owner: request.owner }
        const receipt = receipts.receiptOf(claim, request)
        return { response: { sizeBytes, hash, ...(receipt === undefined ? {} : { receipt }) } }
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

/** A block that was there already keeps its owner: nobody gets a receipt for what somebody else has stored. */
async function requireOwner(drive: ServedDrive, block: BlockId, owner: BlockOwner): Promise<void> {
  const [found] = await drive.readable().find([block])
  const isOwned =
    found?.owner !== undefined && sameBytes(BlockOwner.encode(found.owner), BlockOwner.encode(owner))
  if (!isOwned) throw new CairnError('BlockConflict', 'the drive has stored the block for another object')
}

/** Blocks of one unit, by gateways, of an epoch that is durable on the drive. */
function takerOf(drives: DriveSet): RpcTaker<PutBlockRequest, PutBlockResponse> {
  return ({ drive: id, block, owner, pool, epoch }, units, settle, peer) => {
    if (peer.role !== 'gateway') return false
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
