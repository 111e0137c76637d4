/** BLAKE3-256 of whole blocks (https://github.com/BLAKE3-team/BLAKE3-specs). */
import { createHash, hash } from 'blake3'

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
      state.update(bytes)
    },
    digest: () => state.digest(),
  }
}

/** BLAKE3-256 of a block that is at hand as a whole. */
export function hashBlock(bytes: Uint8Array): Uint8Array {
  return hash(bytes)
}
