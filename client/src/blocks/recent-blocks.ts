/**
 * Blocks that this client wrote lately, in the frames they came in. Whoever reads an object soon after it was written
 * finds it here, so that drives in the same process need not keep a copy in the page cache for him. Blocks never
 * change and ids are never used again: what is here is right as long as a row names it.
 *
 * ● Its units are checked when they are read, as if a drive had sent them. A frame goes back to its pool only if
 * readers have released all that they were lent of it.
 */
import {
  AgingMap,
  type BlockId,
  isLent,
  lendMemory,
  mapKey,
  sameBytes,
  UNIT_BYTES,
  type Unit,
  unitCheck,
} from '@cairn/protocol'
import { LENT_UNITS_MAX } from '../limits.js'
import type { Frame, KeptFrames } from './frames.js'

/** A block that all its replicas have stored. */
export interface RecentBlock {
  readonly block: BlockId
  readonly hash: Uint8Array
  readonly units: readonly Unit[]
  /** Held for these units. */
  readonly frames: readonly Frame[]
}

export class RecentBlocks implements KeptFrames {
  frameCount = 0
  private readonly framesMax: number
  /** The one that was used last comes last. */
  private readonly blocks = new AgingMap<string, RecentBlock>()

  /** Keeps so many frames at most, at the expense of the blocks that were not used for longest. */
  constructor(framesMax: number) {
    this.framesMax = framesMax
  }

  /** Takes over the hold on the frames. */
  keep(recent: RecentBlock): void {
    this.blocks.set(mapKey(recent.block), recent)
    this.frameCount += recent.frames.length
    while (this.frameCount > this.framesMax) this.dropOldest()
  }

  /** Forgets the block that was not used for longest. */
  dropOldest(): void {
    const oldest = this.blocks.takeOldest()
    if (oldest !== undefined) this.letGo(oldest)
  }

  /** The block with this hash, if it is still here. */
  find(block: BlockId, hash: Uint8Array): RecentBlock | undefined {
    const key = mapKey(block)
    const found = this.blocks.get(key)
    if (found === undefined || !sameBytes(found.hash, hash)) return undefined
    this.blocks.set(key, found)
    return found
  }

  /**
   * The bytes from `from` on, before `to`: of LENT_UNITS_MAX units at most, as far as they lie in one piece, and at
   * least one unit's. They are lent to whoever gets them. `undefined` if the block is here no more, or not right.
   */
  lend(recent: RecentBlock, from: number, to: number): Uint8Array | undefined {
    if (this.blocks.get(mapKey(recent.block)) !== recent) return undefined
    const first = Math.floor(from / UNIT_BYTES)
    const piece = pieceOf(recent, first, Math.ceil(to / UNIT_BYTES))
    if (piece === undefined) {
      this.drop(recent)
      return undefined
    }
    const start = first * UNIT_BYTES
    const bytes = piece.subarray(from - start, to - start)
    lendMemory(bytes)
    return bytes
  }

  /** Forgets a block. */
  drop(recent: RecentBlock): void {
    if (this.blocks.delete(mapKey(recent.block))) this.letGo(recent)
  }

  private letGo(recent: RecentBlock): void {
    this.frameCount -= recent.frames.length
    for (const frame of recent.frames) {
      if (isLent(frame.bytes)) frame.abandon()
      else frame.release()
    }
  }
}

/** Units from `first` to before `last` that lie in one piece; `undefined` if one of them does not match its check. */
function pieceOf({ block, units }: RecentBlock, first: number, last: number): Uint8Array | undefined {
  let piece: Uint8Array | undefined
  for (let index = first; index < Math.min(last, first + LENT_UNITS_MAX); index++) {
    const unit = units[index]
    if (unit === undefined || unitCheck(block, index, unit.bytes) !== unit.check) return undefined
    if (piece !== undefined && !follows(piece, unit.bytes)) break
    const { buffer, byteOffset, length } = piece ?? unit.bytes.subarray(0, 0)
    piece = new Uint8Array(buffer, byteOffset, length + unit.bytes.length)
  }
  return piece
}

function follows(before: Uint8Array, bytes: Uint8Array): boolean {
  return before.buffer === bytes.buffer && before.byteOffset + before.length === bytes.byteOffset
}
