/** Receipts written down once more from their description, without the code that makes them. */
import { createHmac } from 'node:crypto'
import { BlockOwner, type ReceiptClaim } from '../src/index.js'

/** What a receipt by that key must be. */
export function expectedReceipt(
  { pool, block, sizeBytes, hash, owner }: ReceiptClaim,
  { drive, epoch }: { readonly drive: string; readonly epoch: number },
  key: { readonly id: number; readonly secret: Uint8Array },
): Buffer {
  const hex = (value: number, bytes: number): string => value.toString(16).padStart(bytes * 2, '0')
  const head = Buffer.from(`01${hex(key.id, 4)}${hex(epoch, 6)}`, 'hex')
  const lengths = `${hex(block.length, 2)}${hex(hash.length, 2)}${hex(drive.length, 4)}`
  const signed = Buffer.concat([
    Buffer.from('cairn-block-receipt\0'),
    head,
    Buffer.from(`${hex(pool, 4)}${hex(sizeBytes, 4)}${lengths}`, 'hex'),
    block,
    hash,
    Buffer.from(drive),
    BlockOwner.encode(owner),
  ])
  const mac = createHmac('sha256', key.secret).update(signed).digest()
  return Buffer.concat([head, mac, Buffer.from(drive)])
}
