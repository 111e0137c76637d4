/**
 * Whether a commit shows that its new blocks are stored: see `block-receipt.ts`. A block counts as stored where its
 * group is, at the epoch that the commit compares, and where a drive has said so by a receipt of that epoch or an
 * earlier one.
 * ● A quorum of the members as they are, and of the members as they will be, must have stored each block.
 */
import {
  BLOCK_BYTES_MAX,
  BLOCK_ID_BYTES,
  type BlockId,
  type BlockOwner,
  type BlockSlice,
  CairnError,
  type DriveId,
  drivesOfGroup,
  formatId,
  groupOf,
  isReceiptOf,
  joinersOfGroup,
  type Pool,
  type ReceiptClaim,
  type ReceiptPlace,
  readReceipt,
  sameBytes,
  sessionOf,
  type TokenKey,
  type WriteContext,
  writeQuorum,
} from '@cairn/protocol'
import type { ClusterState } from '../cluster/cluster-state.js'

/** BLAKE3-256. */
const HASH_BYTES = 32

/** What receipts are judged by. */
export interface ReceiptCheckOptions {
  readonly cluster: Pick<ClusterState, 'known' | 'poolCompare'>
  /** All keys by which receipts may have been made. */
  keys(): Promise<readonly TokenKey[]>
}

/** Where the new blocks of a commit lie, and for whom they were stored. */
export interface NewBlocks {
  readonly pool: number
  readonly owner: BlockOwner
}

/** Judges one block: `ReceiptMissing` unless enough good receipts of it were shown. */
export type RequireStored = (slice: Pick<BlockSlice, 'block' | 'blockBytes' | 'hash'>) => void

export class ReceiptCheck {
  private readonly options: ReceiptCheckOptions

  constructor(options: ReceiptCheckOptions) {
    this.options = options
  }

  /** The judge of one commit. `StaleClusterMap` if the pool is not at the epoch by which the commit was placed. */
  async judge(context: WriteContext, { pool: id, owner }: NewBlocks): Promise<RequireStored> {
    const keys = new Map((await this.options.keys()).map((key) => [key.id, key.secret]))
    const pool = await this.poolAt(id, context.poolEpoch)
    const shown = new Map(context.receipts?.blocks.map(({ block, receipts }) => [formatId(block), receipts]))
    return ({ block, blockBytes: sizeBytes, hash }) => {
      requireShape(block, sizeBytes, hash)
      requireOfSession(block, context)
      const claim = { pool: id, block, sizeBytes, hash, owner }
      const drives = new Set<DriveId>()
      for (const receipt of shown.get(formatId(block)) ?? []) {
        const place = placeOf(receipt, claim, keys)
        if (place !== undefined && place.epoch <= pool.epoch) drives.add(place.drive)
      }
      requireQuorum(pool, block, drives)
    }
  }

  private async poolAt(id: number, epoch: number): Promise<Pool> {
    const { cluster } = this.options
    await cluster.poolCompare(id, epoch)
    const pool = cluster.known.pools.find((known) => known.id === id)
    if (pool?.epoch === epoch) return pool
    throw new CairnError('StaleClusterMap', `pool ${id} has just moved on from epoch ${epoch}`)
  }
}

/** Where the copy is that a receipt is of; `undefined` if it is not genuine, or not of this block. */
function placeOf(
  receipt: Uint8Array,
  claim: ReceiptClaim,
  keys: ReadonlyMap<number, Uint8Array>,
): ReceiptPlace | undefined {
  const head = readReceipt(receipt)
  const secret = head === undefined ? undefined : keys.get(head.key)
  return secret !== undefined && isReceiptOf(receipt, claim, secret) ? head : undefined
}

/** `NotAllowed` unless the operation is of the session under which its blocks were stored. */
export function requireOwnOp({ session, op }: WriteContext): void {
  if (sameBytes(sessionOf(op), session)) return
  throw new CairnError('NotAllowed', `operation ${formatId(op)} is not of session ${formatId(session)}`)
}

function requireShape(block: BlockId, sizeBytes: number, hash: Uint8Array): void {
  if (block.length === BLOCK_ID_BYTES && sizeBytes <= BLOCK_BYTES_MAX && hash.length === HASH_BYTES) return
  throw new CairnError('InvalidArgument', 'the map names what can be no block')
}

function requireOfSession(block: BlockId, { session }: WriteContext): void {
  if (sameBytes(sessionOf(block), session)) return
  throw new CairnError('NotAllowed', `block ${formatId(block)} was not made in session ${formatId(session)}`)
}

function requireQuorum(pool: Pool, block: BlockId, drives: ReadonlySet<DriveId>): void {
  const members = drivesOfGroup(pool, groupOf(block))
  const joiners = joinersOfGroup(pool, groupOf(block))
  const countOf = (group: readonly (DriveId | undefined)[]): number =>
    group.filter((drive) => drive !== undefined && drives.has(drive)).length
  const after = members.map((drive, at) => joiners[at] ?? drive)
  const count = Math.min(countOf(members), countOf(after))
  const quorum = writeQuorum(pool.replicas)
  if (count >= quorum) return
  const message = `block ${formatId(block)} is shown to be on ${count} drives of its group; ${quorum} are needed`
  throw new CairnError('ReceiptMissing', message)
}
