/**
 * MurmurHash3 x86 32-bit, as published by Austin Appleby (public domain): https://github.com/aappleby/smhasher.
 * A fast hash with good mixing, not a secret one. Placement depends on its values for ever.
 */

const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/** The unsigned 32-bit hash of `bytes`. */
export function murmur3(bytes: Uint8Array, seed = 0): number {
  const wholeBytes = bytes.length & ~3
  let hash = seed | 0
  for (let at = 0; at < wholeBytes; at += 4) {
    hash ^= scramble(littleEndian(bytes, at, 4))
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  if (wholeBytes < bytes.length) hash ^= scramble(littleEndian(bytes, wholeBytes, bytes.length - wholeBytes))
  return finish(hash ^ bytes.length)
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  let word = 0
  for (let index = 0; index < count; index++) word |= (bytes[at + index] ?? 0) << (8 * index)
  return word
}

function scramble(word: number): number {
  const mixed = Math.imul(word, C1)
  return Math.imul((mixed << 15) | (mixed >>> 17), C2)
}

function finish(hash: number): number {
  let mixed = hash ^ (hash >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
