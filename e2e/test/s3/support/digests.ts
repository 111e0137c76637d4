/** Checksums computed without the product's code. */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { createXXHash3, createXXHash64, createXXHash128, type IHasher } from 'hash-wasm'

export const ALGORITHMS = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'SHA1',
  'SHA256',
  'SHA512',
  'MD5',
  'XXHASH64',
  'XXHASH3',
  'XXHASH128',
] as const
export type Algorithm = (typeof ALGORITHMS)[number]

const XXHASHES: Readonly<Partial<Record<Algorithm, IHasher>>> = {
  XXHASH64: await createXXHash64(),
  XXHASH3: await createXXHash3(),
  XXHASH128: await createXXHash128(),
}

function crcTable(polynomial: bigint): BigUint64Array {
  const table = new BigUint64Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let value = BigInt(byte)
    for (let bit = 0; bit < 8; bit++) value = (value & 1n) === 1n ? (value >> 1n) ^ polynomial : value >> 1n
    table[byte] = value
  }
  return table
}

const CRC32C = crcTable(0x82f63b78n)
const CRC64NVME = crcTable(0x9a6c9329ac4bc9b5n)

function reflectedCrc(bytes: Uint8Array, table: BigUint64Array, ones: bigint): bigint {
  let value = ones
  for (const byte of bytes) value = (table[Number((value ^ BigInt(byte)) & 0xffn)] ?? 0n) ^ (value >> 8n)
  return value ^ ones
}

/** Raw digest of the bytes. CRC32C and CRC64NVME are slow: give them kilobytes. */
export function digest(algorithm: Algorithm, bytes: Uint8Array): Buffer {
  const xxhash = XXHASHES[algorithm]
  if (xxhash !== undefined) return Buffer.from(xxhash.init().update(bytes).digest('binary'))
  const out = Buffer.alloc(algorithm === 'CRC64NVME' ? 8 : 4)
  switch (algorithm) {
    case 'CRC32':
      out.writeUInt32BE(crc32(bytes))
      return out
    case 'CRC32C':
      out.writeUInt32BE(Number(reflectedCrc(bytes, CRC32C, 0xffffffffn)))
      return out
    case 'CRC64NVME':
      out.writeBigUInt64BE(reflectedCrc(bytes, CRC64NVME, 0xffffffffffffffffn))
      return out
    default:
      return createHash(algorithm.toLowerCase()).update(bytes).digest()
  }
}

export function base64Digest(algorithm: Algorithm, bytes: Uint8Array): string {
  return digest(algorithm, bytes).toString('base64')
}

export function md5Hex(bytes: Uint8Array | string): string {
  return createHash('md5').update(bytes).digest('hex')
}

/** ETag of a multipart object, without quotes. */
export function multipartEtag(parts: readonly Uint8Array[]): string {
  const md5s = parts.map((part) => createHash('md5').update(part).digest())
  return `${md5Hex(Buffer.concat(md5s))}-${parts.length}`
}
