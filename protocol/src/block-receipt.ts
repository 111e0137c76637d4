/**
 * Receipts: by which a writer proves to a metadata service that a drive has stored a block. A drive gives one for each
 * block that it has made durable for anybody but a gateway:
 *
 *     version u8 · key u32 · epoch u48 · HMAC-SHA256 · id of the drive
 *
 * The HMAC is over all of that and over pool, block, length, hash and owner of the block, which the commit names
 * anyway. So a receipt says nothing of any other block, bytes, object, pool or drive. The keys are those of block
 * tokens, which no program is told; the context keeps the two apart. A receipt does not end by itself: it names a block
 * of one session, and is worth something only to a commit of that session, as long as the metadata services keep its
 * key.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { BlockOwner } from './block-map.js'
import { keyInUse } from './block-token.js'
import type { DriveId } from './cluster-map.js'
import type { BlockId } from './ids.js'
import type { TokenKey, TokenKeys } from './messages/block-tokens.js'
import type { Clock } from './ports.js'

const VERSION = 1
const MAC_AT = 11
const MAC_BYTES = 32
const DRIVE_AT: number = MAC_AT + MAC_BYTES
const CONTEXT = 'cairn-block-receipt\0'

/** A block as its drive stored it and as its commit names it. */
export interface ReceiptClaim {
  readonly pool: number
  readonly block: BlockId
  readonly sizeBytes: number
  readonly hash: Uint8Array
  readonly owner: BlockOwner
}

/** Where a copy was stored, and by which epoch of its pool. */
export interface ReceiptPlace {
  readonly drive: DriveId
  readonly epoch: number
}

/** What a receipt says by itself: not yet that it is genuine. */
export interface ReceiptHead extends ReceiptPlace {
  /** Id of the key. */
  readonly key: number
}

/** Makes receipts with the key that is in use. */
export class ReceiptMint {
  private readonly clock: Clock
  private keys: readonly TokenKey[] = []

  constructor(clock: Clock) {
    this.clock = clock
  }

  learn(keys: TokenKeys | undefined): void {
    if (keys !== undefined) this.keys = keys.keys
  }

  /** `undefined` as long as no key is known. */
  receiptOf(claim: ReceiptClaim, { drive, epoch }: ReceiptPlace): Uint8Array | undefined {
    const key = keyInUse(this.keys, this.clock.wallMicros() / 1000)
    if (key === undefined) return undefined
    const receipt = Buffer.alloc(DRIVE_AT + Buffer.byteLength(drive))
    receipt.writeUInt8(VERSION, 0)
    receipt.writeUInt32BE(key.id, 1)
    receipt.writeUIntBE(epoch, 5, 6)
    receipt.write(drive, DRIVE_AT)
    sign(receipt, claim, key.secret).copy(receipt, MAC_AT)
    return receipt
  }
}

/** `undefined` for what can be no receipt. */
export function readReceipt(receipt: Uint8Array): ReceiptHead | undefined {
  if (receipt.length <= DRIVE_AT || receipt[0] !== VERSION) return undefined
  const view = Buffer.from(receipt.buffer, receipt.byteOffset, receipt.byteLength)
  return { key: view.readUInt32BE(1), epoch: view.readUIntBE(5, 6), drive: view.toString('utf8', DRIVE_AT) }
}

/** Whether a holder of this key has made the receipt for this very block. In constant time. */
export function isReceiptOf(receipt: Uint8Array, claim: ReceiptClaim, secret: Uint8Array): boolean {
  if (receipt.length <= DRIVE_AT) return false
  return timingSafeEqual(sign(receipt, claim, secret), receipt.subarray(MAC_AT, DRIVE_AT))
}

function sign(receipt: Uint8Array, claim: ReceiptClaim, secret: Uint8Array): Buffer {
  const { pool, block, sizeBytes, hash, owner } = claim
  const drive = receipt.subarray(DRIVE_AT)
  // All that has no fixed length is counted, so that nothing can pass for a part of its neighbour.
  const head = Buffer.alloc(16)
  head.writeUInt32BE(pool, 0)
  head.writeUInt32BE(sizeBytes, 4)
  head.writeUInt16BE(block.length, 8)
  head.writeUInt16BE(hash.length, 10)
  head.writeUInt32BE(drive.length, 12)
  return createHmac('sha256', secret)
    .update(CONTEXT)
    .update(receipt.subarray(0, MAC_AT))
    .update(head)
    .update(block)
    .update(hash)
    .update(drive)
    .update(BlockOwner.encode(owner))
    .digest()
}
