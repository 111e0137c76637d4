/** Which bytes occur in the keys of a range, and where: what a look at some of them tells about all. */
import { commonLength } from '../../core/rows/keys.js'
import type { StoreKey } from '../../ports.js'

/** Bytes beyond the end of a key are below all others. */
const BYTES = 256

export class KeyBytes {
  /** For each place: the bytes that were seen there. */
  private readonly seen: ByteSet[] = []
  /** The bytes by which neighbours differed, at any place. */
  private readonly telling = new ByteSet()
  private last: StoreKey = new Uint8Array()

  /** Neighbours one after the other. */
  note(key: StoreKey): void {
    const shared = commonLength(this.last, key)
    for (let place = shared; place < key.length; place++) {
      const bytes = this.seen[place] ?? new ByteSet()
      this.seen[place] = bytes
      bytes.add(key[place] ?? 0)
    }
    if (shared > 0 && shared < key.length) this.telling.add(key[shared] ?? 0)
    this.last = key
  }

  /** How many bytes of a key were seen where it has them. */
  knownLength(key: StoreKey): number {
    let length = 0
    while (length < key.length && this.seen[length]?.has(key[length] ?? 0) === true) length++
    return length
  }

  /**
   * The `count`th byte above `byte` that keys have at this place, or the last one of fewer; where keys differ, or have one of
   * the bytes by which they differ elsewhere, any of those.
   */
  after(byte: number, place: number, count: number): number | undefined {
    const here = this.seen[place]
    if (here === undefined) return undefined
    const isOpen = here.size > 1 || this.telling.has(here.least ?? 0)
    return here.after(byte, count) ?? (isOpen ? this.telling.after(byte, count) : undefined)
  }

  /** A prefix, filled up to `length` by the least bytes that were seen. */
  least(prefix: StoreKey, length: number): Buffer {
    const key = Buffer.alloc(Math.max(length, prefix.length))
    key.set(prefix)
    for (let place = prefix.length; place < length; place++) key[place] = this.seen[place]?.least ?? 0
    return key
  }
}

/** 32 bytes. */
class ByteSet {
  private readonly bits = new Uint32Array(BYTES / 32)
  size = 0

  add(byte: number): void {
    if (this.has(byte)) return
    this.bits[byte >> 5] = (this.bits[byte >> 5] ?? 0) | (1 << (byte & 31))
    this.size++
  }

  has(byte: number): boolean {
    return (((this.bits[byte >> 5] ?? 0) >>> (byte & 31)) & 1) === 1
  }

  get least(): number | undefined {
    return this.after(-1, 1)
  }

  /** The `count`th byte above `byte`, or the last one of fewer. */
  after(byte: number, count: number): number | undefined {
    let found: number | undefined
    let left = count
    for (let next = byte + 1; next < BYTES && left > 0; next++) {
      if (!this.has(next)) continue
      found = next
      left--
    }
    return found
  }
}
