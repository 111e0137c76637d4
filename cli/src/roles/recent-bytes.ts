import { totalmem } from 'node:os'

/**
 * What a gateway may keep of the blocks it wrote lately, beside the frames that its writers leave idle: a server may
 * take 500 MiB for a file of 2 GiB that comes in ten parts at once, and takes some 420.
 */
const RECENT_BYTES_MAX = 64 * 1024 * 1024

/** Of the machine's memory; small machines need it for more than that. */
const MEMORY_SHARE = 1 / 32

/** Bytes of memory in which a gateway keeps blocks that it wrote lately, for those who read them soon. */
export function recentBytes(): number {
  // What a container may use; without a limit a number larger than any memory, or none.
  const limit = process.constrainedMemory() || Number.POSITIVE_INFINITY
  return Math.min(RECENT_BYTES_MAX, Math.floor(Math.min(limit, totalmem()) * MEMORY_SHARE))
}
