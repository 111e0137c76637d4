/** The parts that a completed upload remembers: where each lies and, if kept, its checksum. */
import type { ChecksumAlgorithm, ObjectVersion, PartRun } from '@cairn/protocol'
import { digestBytes } from '../../payload/checksum.js'
import type { ByteRange } from './ranges.js'

/** One part of an object. */
export interface ObjectPart extends ByteRange {
  readonly partNumber: number
  /** Base64, in the algorithm of the object's checksum. */
  readonly checksum?: string
}

type WithParts = Pick<ObjectVersion, 'parts' | 'checksum' | 'partChecksums'>

/** How many parts the object has; 0 unless it was a multipart upload. */
export function countParts(runs: readonly PartRun[]): number {
  return runs.reduce((sum, run) => sum + run.count, 0)
}

/** The part of that number. */
export function findPart(object: WithParts, partNumber: number): ObjectPart | undefined {
  const [part] = partsAfter(object, partNumber - 1, 1)
  return part?.partNumber === partNumber ? part : undefined
}

/** At most `limit` parts with numbers above `afterNumber`, in order. */
export function partsAfter(object: WithParts, afterNumber: number, limit: number): ObjectPart[] {
  const found: ObjectPart[] = []
  let offset = 0
  let index = 0
  for (const { firstNumber, count, sizeBytes } of object.parts) {
    const skipped = Math.min(Math.max(afterNumber + 1 - firstNumber, 0), count)
    for (let at = skipped; at < count && found.length < limit; at++) {
      const place = { partNumber: firstNumber + at, offset: offset + at * sizeBytes, length: sizeBytes }
      found.push({ ...place, ...checksumOf(object, index + at) })
    }
    offset += count * sizeBytes
    index += count
  }
  return found
}

function checksumOf({ checksum, partChecksums }: WithParts, index: number): { checksum?: string } {
  if (checksum === undefined || partChecksums === undefined) return {}
  const bytes = sliceOf(partChecksums, checksum.algorithm, index)
  return bytes === undefined ? {} : { checksum: bytes.toString('base64') }
}

function sliceOf(all: Uint8Array, algorithm: ChecksumAlgorithm, index: number): Buffer | undefined {
  const size = digestBytes(algorithm)
  const end = (index + 1) * size
  if (end > all.length) return undefined
  return Buffer.from(all.buffer, all.byteOffset + end - size, size)
}
