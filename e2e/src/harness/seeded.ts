/**
 * Reproducible choices and contents for random runs. The seed is printed, and can be given by CAIRN_TEST_SEED; 1
 * otherwise.
 */
import { createHash } from 'node:crypto'

export interface Seeded {
  readonly seed: number
  /** In [0, 1). */
  fraction(): number
  /** A whole number in [0, below). */
  below(limit: number): number
  pick<T>(items: readonly T[]): T
}

/** mulberry32 (public domain, T. Ettinger). */
export function createSeeded(seed: number = Number(process.env.CAIRN_TEST_SEED ?? 1)): Seeded {
  let state = seed >>> 0
  function fraction(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
  const below = (limit: number) => Math.floor(fraction() * limit)
  return { seed, fraction, below, pick: <T>(items: readonly T[]) => items[below(items.length)] as T }
}

/** `size` bytes that follow from the label alone, so that a ledger need not keep them. */
export function contentOf(label: string, size: number): Buffer {
  const block = createHash('sha256').update(label).digest()
  const out = Buffer.alloc(size)
  for (let at = 0; at < size; at += block.length) block.copy(out, at)
  if (size >= 40) out.write(label.slice(0, 32), 0)
  return out
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
