/**
 * CRC of a concatenation from the CRCs of its halves, without the bytes: crc(A ‖ B) = crc(A) · x^(8·|B|) mod P
 * ⊕ crc(B), in the reflected bit order of all three CRCs (the method of zlib's crc32_combine).
 */
import type { ChecksumAlgorithm } from '../messages/object.js'

/** Algorithms whose full-object checksum can be combined from parts. */
export type CombinableAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME'

const PARAMETERS: Record<CombinableAlgorithm, { readonly width: bigint; readonly reversed: bigint }> = {
  CRC32: { width: 32n, reversed: 0xedb88320n },
  CRC32C: { width: 32n, reversed: 0x82f63b78n },
  CRC64NVME: { width: 64n, reversed: 0x9a6c9329ac4bc9b5n },
}

/** True for CRC32, CRC32C and CRC64NVME. */
export function isCombinable(algorithm: ChecksumAlgorithm): algorithm is CombinableAlgorithm {
  return Object.hasOwn(PARAMETERS, algorithm)
}

/** Product of two polynomials modulo P; the highest bit is x^0. */
function multiply(algorithm: CombinableAlgorithm, a: bigint, b: bigint): bigint {
  const { width, reversed } = PARAMETERS[algorithm]
  const top = 1n << (width - 1n)
  let product = 0n
  let shifted = b
  for (let bit = top; bit !== 0n; bit >>= 1n) {
    if (a & bit) product ^= shifted
    shifted = shifted & 1n ? (shifted >> 1n) ^ reversed : shifted >> 1n
  }
  return product
}

/** x^(8·sizeBytes) modulo P. */
function shiftOf(algorithm: CombinableAlgorithm, sizeBytes: number): bigint {
  const { width } = PARAMETERS[algorithm]
  let power = 1n << (width - 1n - 8n)
  let result = 1n << (width - 1n)
  for (let rest = sizeBytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(algorithm, result, power)
    power = multiply(algorithm, power, power)
  }
  return result
}

/** The state of a CRC after `sizeBytes` zeros, from its state before them. */
export function stateAfterZeros(algorithm: CombinableAlgorithm, state: bigint, sizeBytes: number): bigint {
  return multiply(algorithm, state, shiftOf(algorithm, sizeBytes))
}

/** Combines the parts of one object in order; parts of equal size share their shift. Raw big-endian CRCs. */
export function combineCrcs(
  algorithm: CombinableAlgorithm,
  parts: Iterable<{ readonly crc: Uint8Array; readonly sizeBytes: number }>,
): Uint8Array {
  const shifts = new Map<number, bigint>()
  let total = 0n
  for (const part of parts) {
    let shift = shifts.get(part.sizeBytes)
    if (shift === undefined) {
      shift = shiftOf(algorithm, part.sizeBytes)
      if (shifts.size < 64) shifts.set(part.sizeBytes, shift)
    }
    total = multiply(algorithm, total, shift) ^ BigInt(`0x${Buffer.from(part.crc).toString('hex')}`)
  }
  const bytes = Number(PARAMETERS[algorithm].width) / 8
  return Buffer.from(total.toString(16).padStart(bytes * 2, '0'), 'hex')
}
