/**
 * A WebAssembly module that steps a reflected 64-bit CRC, written out here because no library at hand does it faster
 * than 2 GB/s: one chain of table look-ups waits for memory most of the time, four side by side do not.
 *
 * `lanes(size)` takes so many bytes at DATA_AT, a multiple of LANES_BYTES: of each such run a quarter in each chain,
 * and joins them. `tail(size, start)` takes those from `start` on in one chain. Both step the state at STATE_AT. The
 * tables are filled in by whoever makes the instance.
 */

/** Where eight look-up tables of 256 × 8 bytes lie: byte k of a word is looked up in table 7 - k. */
export const TABLES_AT = 0
/** Where eight tables lie that move a state over LANE_BYTES zeros: byte k is looked up in table k. */
export const MOVES_AT: number = 16 * 1024
/** Where the state lies, 8 bytes, little endian. */
export const STATE_AT: number = 32 * 1024
/** Where the bytes lie. */
export const DATA_AT: number = 64 * 1024
/** How many there may be. */
export const DATA_BYTES: number = 64 * 1024
/** Bytes of one chain: to join four costs a hundredth of stepping over so many, and small objects have no more. */
export const LANE_BYTES = 1024
const LANES = 4
/** Bytes of four chains. */
export const LANES_BYTES: number = LANES * LANE_BYTES
/** Memory in pages of 64 KiB. */
const PAGES = 2
const TABLE_BYTES = 2048

const I32 = 0x7f
const I64 = 0x7e
/** Opcodes of the WebAssembly core specification, 5.4. */
const OP = {
  block: 0x02,
  loop: 0x03,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  get: 0x20,
  set: 0x21,
  load64: 0x29,
  load8: 0x31,
  store64: 0x37,
  const32: 0x41,
  eqz32: 0x45,
  ltU32: 0x49,
  add32: 0x6a,
  sub32: 0x6b,
  and32: 0x71,
  shl64: 0x86,
  shrU64: 0x88,
  xor64: 0x85,
  wrap: 0xa7,
  const64: 0x42,
} as const
const VOID = 0x40

/** The module, as `WebAssembly.Module` takes it. */
export function crc64Module(): Uint8Array<ArrayBuffer> {
  const types = [
    [0x60, 1, I32, 0],
    [0x60, 2, I32, I32, 0],
  ]
  const names = [
    [...text('memory'), 2, 0],
    [...text('lanes'), 0, 0],
    [...text('tail'), 0, 1],
  ]
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(3, vector([[0], [1]])),
    ...section(5, vector([[0, PAGES]])),
    ...section(7, vector(names)),
    ...section(10, vector([sized(lanesBody()), sized(tailBody())])),
  ])
}

/** Locals: 0 the size (the argument), 1 the position, 2 to 5 the chains, of which the first has the state. */
function lanesBody(): number[] {
  const [first, ...others] = [2, 3, 4, 5] as const
  const steps = [first, ...others].flatMap((chain, lane) => stepWord(chain, 1, DATA_AT + lane * LANE_BYTES))
  const cleared = others.flatMap((chain) => [OP.const64, 0, OP.set, chain])
  const joined = others.flatMap((chain) => [...move(first), OP.get, chain, OP.xor64, OP.set, first])
  return [
    ...vector([
      [1, I32],
      [LANES, I64],
    ]),
    ...loadState(first),
    ...[OP.loop, VOID, ...cleared, OP.loop, VOID, ...steps, ...add(1, 8)],
    ...[OP.get, 1, OP.const32, ...signed(LANE_BYTES - 1), OP.and32, OP.brIf, 0, OP.end],
    ...[...joined, ...add(1, LANES_BYTES - LANE_BYTES)],
    ...[OP.get, 1, OP.get, 0, OP.ltU32, OP.brIf, 0, OP.end],
    ...storeState(first),
    OP.end,
  ]
}

/** Locals: 0 the bytes left and 1 the position (the arguments), 2 the chain. */
function tailBody(): number[] {
  const words = [
    ...[OP.get, 0, OP.const32, 8, OP.ltU32, OP.brIf, 1],
    ...stepWord(2, 1, DATA_AT),
    ...advance(8),
  ]
  const bytes = [...[OP.get, 0, OP.eqz32, OP.brIf, 1], ...stepByte(2, 1), ...advance(1)]
  return [
    ...vector([[1, I64]]),
    ...loadState(2),
    ...[OP.block, VOID, OP.loop, VOID, ...words, OP.br, 0, OP.end, OP.end],
    ...[OP.block, VOID, OP.loop, VOID, ...bytes, OP.br, 0, OP.end, OP.end],
    ...storeState(2),
    OP.end,
  ]
}

function advance(bytes: number): number[] {
  return [...[OP.get, 0, OP.const32, bytes, OP.sub32, OP.set, 0], ...add(1, bytes)]
}

function add(local: number, value: number): number[] {
  return [OP.get, local, OP.const32, ...signed(value), OP.add32, OP.set, local]
}

function stepWord(chain: number, position: number, offset: number): number[] {
  const word = [OP.get, chain, OP.get, position, OP.load64, 0, ...unsigned(offset), OP.xor64, OP.set, chain]
  return [...word, ...lookUp(chain, (byte) => TABLES_AT + (7 - byte) * TABLE_BYTES), OP.set, chain]
}

function stepByte(chain: number, position: number): number[] {
  return [
    ...[OP.get, chain, OP.get, position, OP.load8, 0, ...unsigned(DATA_AT), OP.xor64, OP.set, chain],
    ...tableIndex(chain, 0),
    ...[OP.load64, 0, ...unsigned(TABLES_AT)],
    // The byte has been looked up, and leaves the chain.
    ...[OP.get, chain, OP.const64, 8, OP.shrU64, OP.xor64, OP.set, chain],
  ]
}

function move(chain: number): number[] {
  return lookUp(chain, (byte) => MOVES_AT + byte * TABLE_BYTES)
}

/** Leaves the xor of one table entry for each byte of the chain on the stack. */
function lookUp(chain: number, tableAt: (byte: number) => number): number[] {
  const looked: number[] = []
  for (let byte = 0; byte < 8; byte++) {
    looked.push(...tableIndex(chain, byte), OP.load64, 0, ...unsigned(tableAt(byte)))
    if (byte > 0) looked.push(OP.xor64)
  }
  return looked
}

/** Eight times the value of a byte of the chain. */
function tableIndex(chain: number, byte: number): number[] {
  const shift = byte === 0 ? [OP.const64, 3, OP.shl64] : [OP.const64, ...signed(8 * byte - 3), OP.shrU64]
  return [OP.get, chain, ...shift, OP.wrap, OP.const32, ...signed(0xff * 8), OP.and32]
}

function loadState(chain: number): number[] {
  return [OP.const32, 0, OP.load64, 0, ...unsigned(STATE_AT), OP.set, chain]
}

function storeState(chain: number): number[] {
  return [OP.const32, 0, OP.get, chain, OP.store64, 0, ...unsigned(STATE_AT)]
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...sized(content)]
}

function sized(content: readonly number[]): number[] {
  return [...unsigned(content.length), ...content]
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()]
}

function text(name: string): number[] {
  return sized([...Buffer.from(name)])
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

/** LEB128 of a number that is not negative, where a signed one is expected. */
function signed(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)]
}
