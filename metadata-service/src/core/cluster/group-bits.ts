/** Sets of groups of a pool as bitmaps; see `ListBlocksRequest`. Pure. */
import { GROUPS_PER_POOL } from '@cairn/protocol'

/** The bitmap of these groups; what is no group of a pool is passed over. */
export function bitsOf(groups: Iterable<number>): Uint8Array {
  const bits = new Uint8Array(GROUPS_PER_POOL / 8)
  for (const group of groups) {
    if (group < GROUPS_PER_POOL) bits[group >> 3] = (bits[group >> 3] ?? 0) | (1 << (group & 7))
  }
  return bits
}

/** Whether the bit of this group is set. */
export function hasGroup(bits: Uint8Array, group: number): boolean {
  return ((bits[group >> 3] ?? 0) & (1 << (group & 7))) !== 0
}
