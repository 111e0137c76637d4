/** Reproducible randomness: splitmix32, seeded. Not for secrets; for simulated worlds and tests only. */
import type { Random } from '../ports.js'

export function createSeededRandom(seed: number): Random {
  let state = seed >>> 0
  function next(): number {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
  return {
    bytes(size: number): Uint8Array {
      const out = Buffer.allocUnsafe(size)
      for (let at = 0; at < size; at++) out[at] = next() & 0xff
      return out
    },
    fraction: () => next() / 0x1_0000_0000,
  }
}
