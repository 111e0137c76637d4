/** CRC-64/NVME (NVM Express base specification 2.0, 5.2.1.3.4): reflected, begins and ends inverted. */
import { stateAfterZeros } from './combine-crc.js'
import {
  crc64Module,
  DATA_AT,
  DATA_BYTES,
  LANE_BYTES,
  LANES_BYTES,
  MOVES_AT,
  STATE_AT,
  TABLES_AT,
} from './crc64-module.js'

/** Reversed polynomial. */
const REVERSED = 0x9a6c9329ac4bc9b5n
const ONES = 0xffff_ffff_ffff_ffffn
const LAST_WORD = 7

/** What is used of the global `WebAssembly`, which Node's types leave to those of browsers. */
interface WebAssemblyGlobal {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

/** What the module exports. */
interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer }
  lanes(sizeBytes: number): void
  tail(sizeBytes: number, start: number): void
}

/** The module with its tables, and views of its memory. */
interface Engine {
  readonly kernel: Kernel
  readonly memory: Buffer
  readonly state: DataView
}

/** One serves all running CRCs, since each step runs synchronously; made by the first, since the tables take 25 ms. */
let shared: Engine | undefined

/** A running CRC-64/NVME. */
export class Crc64Nvme {
  /** The two halves of the state: numbers, since a big integer would be made anew with each step. */
  private low = 0xffff_ffff
  private high = 0xffff_ffff
  private readonly engine = sharedEngine()

  update(bytes: Uint8Array): void {
    const { kernel, memory, state } = this.engine
    state.setUint32(0, this.low, true)
    state.setUint32(4, this.high, true)
    for (let at = 0; at < bytes.length; at += DATA_BYTES) {
      const size = Math.min(DATA_BYTES, bytes.length - at)
      memory.set(size === bytes.length ? bytes : bytes.subarray(at, at + size), DATA_AT)
      const tail = size % LANES_BYTES
      if (tail < size) kernel.lanes(size - tail)
      if (tail > 0) kernel.tail(tail, size - tail)
    }
    this.low = state.getUint32(0, true)
    this.high = state.getUint32(4, true)
  }

  /** 8 bytes, big endian. */
  digest(): Uint8Array {
    const out = Buffer.alloc(8)
    out.writeUInt32BE(~this.high >>> 0, 0)
    out.writeUInt32BE(~this.low >>> 0, 4)
    return out
  }
}

function sharedEngine(): Engine {
  shared ??= createEngine()
  return shared
}

function createEngine(): Engine {
  const { Instance, Module } = (globalThis as unknown as { WebAssembly: WebAssemblyGlobal }).WebAssembly
  const kernel = new Instance(new Module(crc64Module())).exports as Kernel
  const memory = Buffer.from(kernel.memory.buffer)
  fillTables(memory)
  return { kernel, memory, state: new DataView(kernel.memory.buffer, STATE_AT, 8) }
}

function fillTables(memory: Buffer): void {
  const first = Array.from({ length: 256 }, (_, byte) => stepBits(BigInt(byte)))
  let table = first
  for (let index = 0; index <= LAST_WORD; index++) {
    for (const [byte, value] of table.entries())
      memory.writeBigUInt64LE(value, TABLES_AT + (index * 256 + byte) * 8)
    table = table.map((value) => (value >> 8n) ^ (first[Number(value & 0xffn)] ?? 0n))
  }
  for (let index = 0; index <= LAST_WORD; index++) fillMoves(memory, index)
}

function stepBits(byte: bigint): bigint {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ REVERSED : value >> 1n
  return value
}

/** The state is a linear function of its bits: the moves of single bits make up those of all bytes. */
function fillMoves(memory: Buffer, index: number): void {
  const bits = Array.from({ length: 8 }, (_, bit) =>
    stateAfterZeros('CRC64NVME', 1n << BigInt(8 * index + bit), LANE_BYTES),
  )
  for (let byte = 0; byte < 256; byte++) {
    const moved = bits.reduce((sum, value, bit) => ((byte >> bit) & 1 ? sum ^ value : sum), 0n)
    memory.writeBigUInt64LE(moved & ONES, MOVES_AT + (index * 256 + byte) * 8)
  }
}
