/**
 * A WebAssembly module that hashes up to four chunks of BLAKE3 at once, one in each quarter of a 128-bit word. Libraries
 * at hand take one chunk after the other, or have faster code behind a call that costs more than it saves.
 *
 * `chunks()` steps four chaining values over ROWS rows: a row is one block of 64 bytes of each chunk. What it needs of
 * each row, but for the bytes, lies at ROWS_AT. `parent(left, right, row)` replaces the chaining value of `left` by that of
 * the node above both; chunks are given as four times their numbers.
 */
import { magic, section, signed, sized, text, unsigned, vector } from './wasm-bytes.js'

export const CHUNK_BYTES = 1024
export const BLOCK_BYTES = 64
export const CHUNKS = 4
/** Blocks of a chunk. */
export const ROWS: number = CHUNK_BYTES / BLOCK_BYTES
/** Bytes of a word of all four chunks. */
const WIDE_BYTES = 16
/** Where the bytes lie, chunk after chunk. */
export const DATA_AT = 0
/** Where rows lie: counters, sizes, flags, and a mask of those chunks that have so many blocks, four words each. */
export const ROWS_AT: number = CHUNKS * CHUNK_BYTES
export const ROW_BYTES: number = 4 * WIDE_BYTES
/** Rows for parents: of a node that is not the root, and of the root. */
export const PARENT_ROW: number = ROWS
export const ROOT_ROW: number = ROWS + 1
/** Where the chaining values lie: word after word, each of all four chunks. */
export const VALUES_AT: number = ROWS_AT + (ROWS + 2) * ROW_BYTES
/** Where the initial chaining value lies in the same way. */
export const INITIAL_AT: number = VALUES_AT + 8 * WIDE_BYTES
const MESSAGE_AT = INITIAL_AT + 8 * WIDE_BYTES
const RESULT_AT = MESSAGE_AT + 16 * WIDE_BYTES

const ROUNDS = 7
/** Which word of the message each round takes where the round before took the word of this index. */
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
/** The words that the steps of a round mix: columns, then diagonals. */
const MIXED = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const

const I32 = 0x7f
const V128 = 0x7b
const VOID = 0x40
/** Opcodes of the WebAssembly core specification, 5.4. */
const OP = {
  loop: 0x03,
  end: 0x0b,
  brIf: 0x0d,
  call: 0x10,
  get: 0x20,
  set: 0x21,
  const32: 0x41,
  ltU32: 0x49,
  add32: 0x6a,
} as const
/** Those that work on four words at once. */
const WIDE = {
  load: wide(0),
  loadSplat32: wide(9),
  store: wide(11),
  shuffle: wide(13),
  select: wide(82),
  or: wide(80),
  xor: wide(81),
  storeLane32: wide(90),
  shiftLeft32: wide(171),
  shiftRight32: wide(173),
  add32: wide(174),
} as const

/** The module, as `instantiate` takes it. */
export function blake3Module(): Uint8Array<ArrayBuffer> {
  const types = [
    [0x60, 3, I32, I32, I32, 0],
    [0x60, 0, 0],
  ]
  const names = [
    [...text('memory'), 2, 0],
    [...text('chunks'), 0, 1],
    [...text('parent'), 0, 2],
  ]
  return Uint8Array.from([
    ...magic,
    ...section(1, vector(types)),
    ...section(3, vector([[0], [1], [0]])),
    ...section(5, vector([[0, 1]])),
    ...section(7, vector(names)),
    ...section(10, vector([sized(compressBody()), sized(chunksBody()), sized(parentBody())])),
  ])
}

/** Function 0. Locals: where the row, the chaining values and the result lie (the arguments), from 3 on the state. */
function compressBody(): number[] {
  const state = Array.from({ length: 16 }, (_, word) => word + 3)
  const values = state.slice(0, 8).flatMap((local, word) => [...loadAt(1, word * WIDE_BYTES), OP.set, local])
  const initial = state.slice(8, 12).flatMap((local, word) => [...load(INITIAL_AT, word), OP.set, local])
  // The upper half of the counter is 0: no chunk here is beyond the fourth.
  const row = [12, 14, 15].flatMap((word, at) => [...loadAt(0, at * WIDE_BYTES), OP.set, word + 3])
  const result = state
    .slice(0, 8)
    .flatMap((local, word) => [OP.get, 2, OP.get, local, OP.get, local + 8, ...WIDE.xor, ...storeTo(word)])
  return [...vector([[16, V128]]), ...values, ...initial, ...row, ...rounds(), ...result, OP.end]
}

function rounds(): number[] {
  const code: number[] = []
  let order = PERMUTATION.map((_, word) => word)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, mixed] of MIXED.entries()) code.push(...mix(mixed, order[2 * at], order[2 * at + 1]))
    order = PERMUTATION.map((word) => order[word] ?? 0)
  }
  return code
}

/** G of the paper, with two words of the message. */
function mix([a, b, c, d]: (typeof MIXED)[number], first = 0, second = 0): number[] {
  const add = (to: number, ...added: readonly number[][]): number[] => [
    ...[OP.get, to + 3],
    ...added.flatMap((value) => [...value, ...WIDE.add32]),
    ...[OP.set, to + 3],
  ]
  const turn = (to: number, by: number, bits: number): number[] => [
    ...[OP.get, to + 3, OP.get, by + 3, ...WIDE.xor, OP.set, to + 3],
    ...[...rotated(to + 3, bits), OP.set, to + 3],
  ]
  return [
    ...[...add(a, [OP.get, b + 3], load(MESSAGE_AT, first)), ...turn(d, a, 16)],
    ...[...add(c, [OP.get, d + 3]), ...turn(b, c, 12)],
    ...[...add(a, [OP.get, b + 3], load(MESSAGE_AT, second)), ...turn(d, a, 8)],
    ...[...add(c, [OP.get, d + 3]), ...turn(b, c, 7)],
  ]
}

/** Each word rotated to the right: by whole bytes in one step. */
function rotated(local: number, bits: number): number[] {
  if (bits % 8 === 0) {
    const from = (byte: number): number => (byte & ~3) | ((byte + bits / 8) & 3)
    return [OP.get, local, OP.get, local, ...shuffle(from)]
  }
  const right = [OP.get, local, OP.const32, bits, ...WIDE.shiftRight32]
  const left = [OP.get, local, OP.const32, 32 - bits, ...WIDE.shiftLeft32]
  return [...right, ...left, ...WIDE.or]
}

/** Function 1. Locals: 0 where the blocks of the row lie, 1 where the row lies, 2 to 9 words. */
function chunksBody(): number[] {
  const message = [0, 1, 2, 3].flatMap((quarter) => transposed(quarter))
  const kept = Array.from({ length: 8 }, (_, word) => [
    ...[OP.const32, 0, ...load(RESULT_AT, word), ...load(VALUES_AT, word)],
    ...[...loadAt(1, 3 * WIDE_BYTES), ...WIDE.select, ...storeTo(word, VALUES_AT)],
  ])
  return [
    ...vector([
      [2, I32],
      [8, V128],
    ]),
    ...[...constant(ROWS_AT), OP.set, 1, OP.loop, VOID, ...message],
    ...[OP.get, 1, ...constant(VALUES_AT), ...constant(RESULT_AT), OP.call, 0, ...kept.flat()],
    ...[OP.get, 1, ...constant(ROW_BYTES), OP.add32, OP.set, 1],
    ...[OP.get, 0, ...constant(BLOCK_BYTES), OP.add32, OP.set, 0],
    ...[OP.get, 0, ...constant(CHUNK_BYTES), OP.ltU32, OP.brIf, 0, OP.end],
    OP.end,
  ]
}

/** Four words of the block of each chunk become four words of the message, each of all chunks. */
function transposed(quarter: number): number[] {
  const rows = [2, 3, 4, 5].flatMap((local, chunk) => {
    return [...loadAt(0, DATA_AT + chunk * CHUNK_BYTES + quarter * WIDE_BYTES), OP.set, local]
  })
  const low = (byte: number): number => (byte & 3) + (byte & 8) / 2 + (byte & 4) * 4
  const high = (byte: number): number => low(byte) + 8
  const pairs = [
    ...[OP.get, 2, OP.get, 3, ...shuffle(low), OP.set, 6, OP.get, 2, OP.get, 3, ...shuffle(high), OP.set, 7],
    ...[OP.get, 4, OP.get, 5, ...shuffle(low), OP.set, 8, OP.get, 4, OP.get, 5, ...shuffle(high), OP.set, 9],
  ]
  const words = [6, 6, 7, 7].flatMap((local, word) => {
    const half = (byte: number): number => (byte & 7) + (byte & 8) * 2 + (word & 1) * 8
    const store = storeTo(4 * quarter + word, MESSAGE_AT)
    return [OP.const32, 0, OP.get, local, OP.get, local + 2, ...shuffle(half), ...store]
  })
  return [...rows, ...pairs, ...words]
}

/** Function 2. Locals: four times the numbers of both chunks, and where the row lies (the arguments). */
function parentBody(): number[] {
  const words = Array.from({ length: 8 }, (_, word) => word)
  const of = (child: number): number[] =>
    words.flatMap((word) => [
      ...[OP.const32, 0, OP.get, child, ...WIDE.loadSplat32, 2, ...unsigned(VALUES_AT + word * WIDE_BYTES)],
      ...storeTo(word + 8 * child, MESSAGE_AT),
    ])
  const stored = words.flatMap((word) => [
    ...[OP.get, 0, ...load(RESULT_AT, word), ...WIDE.storeLane32, 2],
    ...[...unsigned(VALUES_AT + word * WIDE_BYTES), 0],
  ])
  const call = [OP.get, 2, ...constant(INITIAL_AT), ...constant(RESULT_AT), OP.call, 0]
  return [...vector([]), ...of(0), ...of(1), ...call, ...stored, OP.end]
}

function wide(opcode: number): number[] {
  return [0xfd, ...unsigned(opcode)]
}

/** Each byte of the result is that byte of two values, the second of which follows the first. */
function shuffle(from: (byte: number) => number): number[] {
  return [...WIDE.shuffle, ...Array.from({ length: WIDE_BYTES }, (_, byte) => from(byte))]
}

function constant(value: number): number[] {
  return [OP.const32, ...signed(value)]
}

/** A word at a fixed place. */
function load(start: number, word: number): number[] {
  return [OP.const32, 0, ...WIDE.load, 4, ...unsigned(start + word * WIDE_BYTES)]
}

/** A word behind the place that a local has. */
function loadAt(local: number, offset: number): number[] {
  return [OP.get, local, ...WIDE.load, 4, ...unsigned(offset)]
}

/** Takes a place and a word from the stack. */
function storeTo(word: number, start = 0): number[] {
  return [...WIDE.store, 4, ...unsigned(start + word * WIDE_BYTES)]
}
