/**
 * Reads of one unit that a replica in this process has in memory: in the turn that wants it.
 *
 * Promise: what is handed out has passed the same checks as in `BlockReader`: what the replica says of the block, the
 * unit's check word, and the hash of a block read whole (by way of `KnownBlocks`). Whatever is odd is no answer: the
 * reader then asks in the ordinary way, and it is the reader that judges replicas, reports damage and turns to others.
 */
import {
  getBlock,
  groupOf,
  hashBlock,
  isMarkedVerified,
  sameBytes,
  UNIT_BYTES,
  type Unit,
  unitCheck,
} from '@cairn/protocol'
import type { Target } from '../cluster/cluster-view.js'
import { AFFINE_BLOCK_BYTES_MIN, HEDGE_SHARE_MAX, HEDGE_TOKENS_MAX } from '../limits.js'
import type { ReadParts } from '../parts.js'
import type { KnownBlocks } from './known-blocks.js'
import { chooseReplica } from './replica-choice.js'
import type { BlockRead } from './replica-read.js'

/** The bytes of a read within one unit, or `undefined` if they are not at hand or not right. */
export function readBlockNow(parts: ReadParts, read: BlockRead): Uint8Array | undefined {
  const { clock, view } = parts
  const group = groupOf(read.block)
  const targets = view.findGroup(read.pool, group)?.targets ?? []
  const target = chooseReplica(targets, { affine: read.blockBytes >= AFFINE_BLOCK_BYTES_MIN, clock })
  if (target === undefined) return undefined
  const startedMs = clock.monotonicMs()
  const token = view.tokens.tokenOf(group)
  if (token instanceof Promise) return undefined
  const bytes = askNow(parts, target, read, token)
  if (bytes === undefined) return undefined
  // Only now: a replica that gave wrong bytes must be the one that the ordinary way asks next, and judges.
  noteRead(parts, target, clock.monotonicMs() - startedMs)
  const start = read.from - (read.from % UNIT_BYTES)
  return bytes.subarray(read.from - start, read.to - start)
}

/** The unit, if all that is known of it holds. */
function askNow(
  { known }: ReadParts,
  { drive, peer }: Target,
  read: BlockRead,
  token: Uint8Array | undefined,
): Uint8Array | undefined {
  const { block, blockBytes, hash, from, to } = read
  const index = Math.floor(from / UNIT_BYTES)
  const offset = index * UNIT_BYTES
  const length = to - offset
  // Literals: a message that is copied and added to gets a hidden class of its own each time.
  const request =
    token === undefined ? { drive, block, offset, length } : { drive, block, offset, length, token }
  const answer = peer.rpc.callNow?.(getBlock, request)
  const unit = answer?.units[0]
  if (answer === undefined || unit === undefined || answer.units.length > 1) return undefined
  const { response } = answer
  const isRight =
    response.blockBytes === blockBytes &&
    response.firstUnit === index &&
    sameBytes(response.hash, hash) &&
    unit.bytes.length === Math.min(UNIT_BYTES, blockBytes - offset) &&
    (isMarkedVerified(unit, block, index) || unit.check === unitCheck(block, index, unit.bytes))
  if (!isRight) return undefined
  const isWhole = from === 0 && to === blockBytes
  return isWhole && !hasHash(known, read, unit) ? undefined : unit.bytes
}

/** Whether the one unit of a block is its content: by its check word if that is known, else by its hash. */
function hasHash(known: KnownBlocks, { block, hash }: BlockRead, { bytes, check }: Unit): boolean {
  const checks = known.find(block, hash)
  if (checks !== undefined) return checks.length === 1 && checks[0] === check
  if (!sameBytes(hashBlock(bytes), hash)) return false
  known.remember(block, hash, [check])
  return true
}

/** Counts as any other read. */
function noteRead({ hedges }: ReadParts, { peer }: Target, durationMs: number): void {
  peer.readsBegun++
  peer.reads.add(durationMs)
  hedges.tokens = Math.min(HEDGE_TOKENS_MAX, hedges.tokens + HEDGE_SHARE_MAX)
}
