/** BLAKE3-256 of whole blocks (https://github.com/BLAKE3-team/BLAKE3-specs). */
import { createHash, hash } from 'blake3'
import { createBLAKE3 } from 'hash-wasm'

/** A running BLAKE3-256. Once `digest` was called it must not be used again. */
export interface BlockHasher {
  update(bytes: Uint8Array): void
  /** 32 bytes. */
  digest(): Uint8Array
}

export function createBlockHasher(): BlockHasher {
  const state = createHash()
  return {
    update(bytes: Uint8Array): void {
      state.update(unshared(bytes))
    },
    digest: () => state.digest(),
  }
}

/** Up to this size the reused state below is cheaper: making a native one costs more than hashing so few bytes. */
const REUSED_BYTES_MAX = 4096

/** One state for all small blocks: each is hashed in one synchronous go. */
const reused = await createBLAKE3()

/** The native hash reads memory that is shared between threads as if it were not there, and the process dies. */
function unshared(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? Uint8Array.from(bytes) : bytes
}

/** BLAKE3-256 of a block that is at hand as a whole. */
export function hashBlock(bytes: Uint8Array): Uint8Array {
  if (bytes.length > REUSED_BYTES_MAX) return hash(unshared(bytes))
  return reused.init().update(bytes).digest('binary')
}
