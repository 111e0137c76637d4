/** BLAKE3-256 (https://github.com/BLAKE3-team/BLAKE3-specs) of a few chunks, all at once. */
import {
  BLOCK_BYTES,
  blake3Module,
  CHUNK_BYTES,
  CHUNKS,
  DATA_AT,
  INITIAL_AT,
  PARENT_ROW,
  ROOT_ROW,
  ROW_BYTES,
  ROWS,
  ROWS_AT,
  VALUES_AT,
} from './blake3-module.js'
import { instantiate } from './wasm-bytes.js'

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer }
  chunks(): void
  parent(left: number, right: number, row: number): void
}

/** The first words of the fractional parts of the square roots of primes, as of SHA-256. */
const INITIAL = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]
const FLAG = { chunkStart: 1, chunkEnd: 2, parent: 4, root: 8 } as const
const WORD_BYTES = 4
const HASH_BYTES = 32
const PARENT_AT = ROWS_AT + PARENT_ROW * ROW_BYTES
const ROOT_AT = ROWS_AT + ROOT_ROW * ROW_BYTES

/** Three chunks, for two are hashed as fast one after the other, up to as many as are hashed at once. */
export const SMALL_BYTES_MIN: number = 2 * CHUNK_BYTES + 1
export const SMALL_BYTES_MAX: number = CHUNKS * CHUNK_BYTES

/** Hashes SMALL_BYTES_MIN to SMALL_BYTES_MAX. One serves all, since each hash is made in one synchronous go. */
export class SmallHasher {
  private readonly kernel: Kernel
  private readonly data: Uint8Array
  private readonly words: DataView
  private readonly values: Uint8Array
  private readonly initial: Uint8Array
  /** For which the rows were made. */
  private sizeBytes = 0

  /** `undefined` where the processor has no words of 128 bits. */
  static create(): SmallHasher | undefined {
    const kernel = instantiate<Kernel>(blake3Module())
    return kernel === undefined ? undefined : new SmallHasher(kernel)
  }

  private constructor(kernel: Kernel) {
    const { buffer } = kernel.memory
    this.kernel = kernel
    this.data = new Uint8Array(buffer, DATA_AT, SMALL_BYTES_MAX)
    this.words = new DataView(buffer)
    this.values = new Uint8Array(buffer, VALUES_AT, CHUNKS * HASH_BYTES)
    this.initial = new Uint8Array(buffer, INITIAL_AT, CHUNKS * HASH_BYTES)
    for (const [word, value] of INITIAL.entries()) this.setAll(INITIAL_AT + word * CHUNKS * WORD_BYTES, value)
    for (const [at, flags] of [
      [PARENT_AT, FLAG.parent],
      [ROOT_AT, FLAG.parent | FLAG.root],
    ] as const) {
      this.setAll(at + CHUNKS * WORD_BYTES, BLOCK_BYTES)
      this.setAll(at + 2 * CHUNKS * WORD_BYTES, flags)
    }
  }

  /** 32 bytes. */
  hash(bytes: Uint8Array): Uint8Array {
    const { kernel, words } = this
    if (bytes.length !== this.sizeBytes) this.prepare(bytes.length)
    this.data.set(bytes)
    this.values.set(this.initial)
    kernel.chunks()
    kernel.parent(0, WORD_BYTES, PARENT_AT)
    if (bytes.length > 3 * CHUNK_BYTES) kernel.parent(2 * WORD_BYTES, 3 * WORD_BYTES, PARENT_AT)
    kernel.parent(0, 2 * WORD_BYTES, ROOT_AT)
    const hash = Buffer.allocUnsafe(HASH_BYTES)
    for (let at = 0; at < HASH_BYTES; at += WORD_BYTES) {
      hash.writeInt32LE(words.getInt32(VALUES_AT + at * CHUNKS, true), at)
    }
    return hash
  }

  /** What the rows say of messages of this size. What is behind their bytes counts as zeros. */
  private prepare(sizeBytes: number): void {
    this.sizeBytes = sizeBytes
    this.data.fill(0, sizeBytes)
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      const chunkBytes = Math.min(CHUNK_BYTES, Math.max(0, sizeBytes - chunk * CHUNK_BYTES))
      const blocks = Math.ceil(chunkBytes / BLOCK_BYTES)
      for (let row = 0; row < ROWS; row++) {
        const start = row === 0 ? FLAG.chunkStart : 0
        const end = row === blocks - 1 ? FLAG.chunkEnd : 0
        const blockBytes = Math.min(BLOCK_BYTES, Math.max(0, chunkBytes - row * BLOCK_BYTES))
        this.setRow(row, chunk, [chunk, blockBytes, start | end, row < blocks ? -1 : 0])
      }
    }
  }

  private setRow(row: number, chunk: number, fields: readonly number[]): void {
    const at = ROWS_AT + row * ROW_BYTES + chunk * WORD_BYTES
    for (const [index, field] of fields.entries()) {
      this.words.setInt32(at + index * CHUNKS * WORD_BYTES, field, true)
    }
  }

  private setAll(at: number, value: number): void {
    for (let chunk = 0; chunk < CHUNKS; chunk++) this.words.setUint32(at + chunk * WORD_BYTES, value, true)
  }
}
