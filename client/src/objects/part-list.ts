/** What the list of a Complete adds up to. Pure: no blocks, no calls. */
import { createHash } from 'node:crypto'
import {
  CairnError,
  type ChecksumAlgorithm,
  combineCrcs,
  digestOf,
  isCombinable,
  type ObjectChecksum,
  type PartInfo,
  type PartRun,
  type UploadInfo,
} from '@cairn/protocol'
import type { RequestedPart } from '../api.js'

/** `InvalidArgument` for an empty list, `InvalidPartOrder` unless the numbers ascend. */
export function assertOrder(requested: readonly RequestedPart[]): void {
  if (requested.length === 0) throw new CairnError('InvalidArgument', 'the list of parts is empty')
  for (const [index, part] of requested.entries()) {
    const before = requested[index - 1]
    if (before !== undefined && before.partNumber >= part.partNumber) {
      throw new CairnError('InvalidPartOrder', `part ${part.partNumber} comes after ${before.partNumber}`)
    }
  }
}

/** An ETag as it is stored: without the quotes of HTTP. */
function bareEtag(etag: string): string {
  return etag.replace(/^"(.*)"$/, '$1')
}

/** Hex SHA-256 of the list, by which a repeat of a completed upload is recognised. */
export function hashList(requested: readonly RequestedPart[]): string {
  const hash = createHash('sha256')
  for (const { partNumber, etag } of requested) hash.update(`${partNumber} ${bareEtag(etag)}\n`)
  return hash.digest('hex')
}

function invalidPart({ partNumber, etag }: RequestedPart, what: string): CairnError {
  const details = { partNumber: String(partNumber), etag: bareEtag(etag) }
  return new CairnError('InvalidPart', `part ${partNumber} ${what}`, { details })
}

/** Checks a stored part against its place in the list: `InvalidPart`, or `PartTooSmall`. */
export function assertPart(
  requested: RequestedPart,
  part: PartInfo | undefined,
  smallestBytes: number,
): asserts part is PartInfo {
  const name = `part ${requested.partNumber}`
  const { checksum } = requested
  if (part?.partNumber !== requested.partNumber) throw invalidPart(requested, 'is not there')
  if (part.etag !== bareEtag(requested.etag)) throw invalidPart(requested, 'has another ETag')
  if (checksum !== undefined && !hasChecksum(part, checksum)) {
    throw invalidPart(requested, 'has another checksum')
  }
  if (part.sizeBytes < smallestBytes) {
    const details = {
      partNumber: String(part.partNumber),
      sizeBytes: String(part.sizeBytes),
      sizeBytesMin: String(smallestBytes),
      etag: part.etag,
    }
    throw new CairnError('PartTooSmall', `${name} has less than ${smallestBytes} bytes`, { details })
  }
}

function hasChecksum(part: PartInfo, wanted: { algorithm: ChecksumAlgorithm; value: string }): boolean {
  return part.checksum?.algorithm === wanted.algorithm && part.checksum.value === wanted.value
}

/** Adds up parts in order. */
export class PartTotals {
  sizeBytes = 0
  readonly runs: PartRun[] = []
  private readonly etags: Buffer[] = []
  private readonly checksums: { readonly crc: Uint8Array; readonly sizeBytes: number }[] = []
  private readonly algorithms = new Set<ChecksumAlgorithm | undefined>()

  add(part: PartInfo): void {
    this.sizeBytes += part.sizeBytes
    this.etags.push(Buffer.from(part.etag, 'hex'))
    this.algorithms.add(part.checksum?.algorithm)
    const crc = Buffer.from(part.checksum?.value ?? '', 'base64')
    this.checksums.push({ crc, sizeBytes: part.sizeBytes })
    const run = this.runs.at(-1)
    if (run?.sizeBytes === part.sizeBytes && run.firstNumber + run.count === part.partNumber) {
      this.runs[this.runs.length - 1] = { ...run, count: run.count + 1 }
    } else this.runs.push({ firstNumber: part.partNumber, count: 1, sizeBytes: part.sizeBytes })
  }

  /** MD5 of the binary MD5s of the parts, and their number. */
  get etag(): string {
    const md5 = Buffer.from(digestOf('MD5', Buffer.concat(this.etags)))
    return `${md5.toString('hex')}-${this.etags.length}`
  }

  /**
   * The object's checksum in the upload's algorithm: combined from the parts' CRCs, or composite. Without a
   * declared algorithm there is one if all parts have a CRC64NVME, which only those of former versions may lack.
   * `InvalidArgument` if a part lacks the declared one.
   */
  checksum({ checksumAlgorithm, checksumType }: UploadInfo): ObjectChecksum | undefined {
    const [only] = this.algorithms
    const found = this.algorithms.size === 1 ? only : undefined
    const algorithm = checksumAlgorithm ?? (found === 'CRC64NVME' ? found : undefined)
    if (algorithm === undefined) return undefined
    if (found !== algorithm) {
      throw new CairnError('InvalidArgument', `a part lacks the ${algorithm} that the upload declares`)
    }
    const type = checksumType ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE')
    return type === 'COMPOSITE' ? this.composite(algorithm) : this.fullObject(algorithm)
  }

  /**
   * Digests of the parts for `ObjectVersion.partChecksums`; absent unless each has one of that algorithm. Those of an
   * upload that declares none are nothing that its caller knows of, and end with it.
   */
  partChecksums({ checksumAlgorithm }: UploadInfo, { algorithm }: ObjectChecksum): Uint8Array | undefined {
    if (checksumAlgorithm === undefined) return undefined
    if (this.algorithms.size !== 1 || !this.algorithms.has(algorithm)) return undefined
    return Buffer.concat(this.checksums.map(({ crc }) => crc))
  }

  private composite(algorithm: ChecksumAlgorithm): ObjectChecksum {
    const all = Buffer.concat(this.checksums.map(({ crc }) => crc))
    const value = Buffer.from(digestOf(algorithm, all)).toString('base64')
    return { algorithm, type: 'COMPOSITE', value: `${value}-${this.checksums.length}` }
  }

  private fullObject(algorithm: ChecksumAlgorithm): ObjectChecksum {
    if (!isCombinable(algorithm)) {
      throw new CairnError('InvalidArgument', `${algorithm} of an object cannot be made of its parts'`)
    }
    const value = Buffer.from(combineCrcs(algorithm, this.checksums)).toString('base64')
    return { algorithm, type: 'FULL_OBJECT', value }
  }
}
