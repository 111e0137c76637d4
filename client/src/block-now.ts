/**
 * Reads of one unit that a replica in this process has in memory: in the turn that wants it.
 *
 * Promise: what is handed out has passed the same checks as in `BlockReader`: what the replica says of the block, the
 * unit's check word, and the hash of a block read whole. Whatever is odd is no answer: the reader then asks in the
 * ordinary way, and it is the reader that judges replicas, reports damage and turns to others.
 */
import { getBlock, groupOf, hashBlock, sameBytes, UNIT_BYTES, unitCheck } from '@cairn/protocol'
import type { Target } from './cluster-view.js'
import { AFFINE_BLOCK_BYTES_MIN, HEDGE_SHARE_MAX, HEDGE_TOKENS_MAX } from './limits.js'
import type { ReadParts } from './parts.js'
import { chooseReplica } from './replica-choice.js'
import type { BlockRead } from './replica-read.js'

/** The bytes of a read within one unit, or `undefined` if they are not at hand or not right. */
export function readBlockNow(parts: ReadParts, read: BlockRead): Uint8Array | undefined {
  const target = chooseReplica(parts.view.findGroup(read.pool, groupOf(read.block))?.targets ?? [])
  if (target === undefined) return undefined
  const index = Math.floor(read.from / UNIT_BYTES)
  const bytes = askNow(parts, target, read, index)
  if (bytes === undefined) return undefined
  if (read.to - read.from === read.blockBytes) {
    return sameBytes(hashBlock(bytes), read.hash) ? bytes : undefined
  }
  return bytes.subarray(read.from - index * UNIT_BYTES, read.to - index * UNIT_BYTES)
}

/** The unit, if its check holds. It counts as a read of its replica. */
function askNow(
  { clock, hedges }: ReadParts,
  { drive, peer }: Target,
  { block, blockBytes, hash, to }: BlockRead,
  index: number,
): Uint8Array | undefined {
  const startedMs = clock.monotonicMs()
  const offset = index * UNIT_BYTES
  const answer = peer.rpc.callNow?.(getBlock, { drive, block, offset, length: to - offset })
  const unit = answer?.units[0]
  if (answer === undefined || unit === undefined || answer.units.length > 1) return undefined
  const { response } = answer
  const right =
    response.blockBytes === blockBytes &&
    response.firstUnit === index &&
    sameBytes(response.hash, hash) &&
    unit.bytes.length === Math.min(UNIT_BYTES, blockBytes - offset) &&
    unit.check === unitCheck(block, index, unit.bytes)
  if (!right) return undefined
  peer.readsBegun++
  peer.reads.add(clock.monotonicMs() - startedMs)
  hedges.tokens = Math.min(HEDGE_TOKENS_MAX, hedges.tokens + HEDGE_SHARE_MAX)
  return unit.bytes
}
