/** Checksums as requests declare them: by header, by trailer, or only by the name of an algorithm. */
import type { DigestAlgorithm } from '@cairn/client'
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from '@cairn/protocol'
import type { Compatibility } from '../compatibility.js'
import { S3Error } from '../errors.js'
import type { RequestHeaders } from '../operations/types.js'

/** What a request says about the checksum of its body. */
export interface DeclaredChecksum {
  readonly algorithm: ChecksumAlgorithm
  /** Absent while the value is still to come in a trailer, or will not come at all. */
  readonly value?: Uint8Array
  readonly inTrailer: boolean
}

const PREFIX = 'x-amz-checksum-'
/** Headers with the prefix that carry no value of a checksum. */
const OTHER_HEADERS: ReadonlySet<string> = new Set([
  'x-amz-checksum-algorithm',
  'x-amz-checksum-mode',
  'x-amz-checksum-type',
])
const SIZE_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
  SHA512: 64,
  MD5: 16,
  XXHASH64: 8,
  XXHASH3: 8,
  XXHASH128: 16,
}

const HEADERS: ReadonlyMap<ChecksumAlgorithm, string> = new Map(
  CHECKSUM_ALGORITHMS.map((algorithm) => [algorithm, PREFIX + algorithm.toLowerCase()]),
)

const TRAILERS: ReadonlySet<string> = new Set(HEADERS.values())

/** How a value that is no digest of its algorithm is told. */
export type MalformedChecksumCode = 'InvalidRequest' | 'BadDigest'

/** The one that the switches ask for. */
export function malformedChecksumCode({
  malformedChecksum,
}: Pick<Compatibility, 'malformedChecksum'>): MalformedChecksumCode {
  return malformedChecksum ? 'BadDigest' : 'InvalidRequest'
}

/**
 * `undefined` if the request declares none. Throws `InvalidRequest` for several, for contradicting algorithm names, and
 * for algorithms that S3 does not have; `malformed` for values that are no digest of their algorithm.
 */
export function readDeclaredChecksum(
  headers: RequestHeaders,
  trailerNames: readonly string[],
  malformed?: MalformedChecksumCode,
): DeclaredChecksum | undefined {
  const inHeader: string[] = []
  for (const header in headers) if (isChecksumHeader(header)) inHeader.push(header)
  const inTrailer = trailerNames.filter(isChecksumHeader)
  if (inHeader.length + inTrailer.length > 1) {
    throw severalChecksums()
  }
  const name = inHeader[0] ?? inTrailer[0]
  const named = readAlgorithmName(headers['x-amz-sdk-checksum-algorithm'])
  if (name === undefined) return named === undefined ? undefined : { algorithm: named, inTrailer: false }
  const algorithm = algorithmOf(name)
  if (named !== undefined && named !== algorithm) {
    throw new S3Error('InvalidRequest', 'Value for x-amz-sdk-checksum-algorithm header is invalid.')
  }
  if (inHeader.length === 0) return { algorithm, inTrailer: true }
  return { algorithm, value: parseChecksum(algorithm, headers[name] ?? '', malformed), inTrailer: false }
}

/** The refusal of a request that declares more than one. */
export function severalChecksums(): S3Error {
  return new S3Error(
    'InvalidRequest',
    'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
  )
}

/** The header, and the trailer, that carries a checksum of that algorithm. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return HEADERS.get(algorithm) ?? PREFIX + algorithm.toLowerCase()
}

/** Whether a trailer of that name, in lower case, carries a checksum: S3 has no others. */
export function isChecksumTrailer(name: string): boolean {
  return TRAILERS.has(name)
}

/** Raw bytes of a base64 checksum; throws `malformed` unless it has exactly the algorithm's size. */
export function parseChecksum(
  algorithm: ChecksumAlgorithm,
  text: string,
  malformed: MalformedChecksumCode = 'InvalidRequest',
): Uint8Array {
  const bytes = decodeChecksum(algorithm, text)
  if (bytes !== undefined) return bytes
  throw new S3Error(malformed, `Value for ${checksumHeader(algorithm)} header is invalid.`)
}

/** The same, but `undefined` for what is no checksum of the algorithm. */
export function decodeChecksum(algorithm: ChecksumAlgorithm, text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === SIZE_BYTES[algorithm] && bytes.toString('base64') === text ? bytes : undefined
}

/** Bytes of a digest of that algorithm. */
export function digestBytes(algorithm: ChecksumAlgorithm): number {
  return SIZE_BYTES[algorithm]
}

/** The `Content-MD5` header as bytes; `InvalidDigest` unless it is base64 of 16 bytes. */
export function readContentMd5(headers: RequestHeaders): Uint8Array | undefined {
  const text = headers['content-md5']
  if (text === undefined) return undefined
  const bytes = decodeChecksum('MD5', text)
  if (bytes !== undefined) return bytes
  throw new S3Error('InvalidDigest', undefined, { elements: { 'Content-MD5': text } })
}

/** Throws `BadDigest` unless both are the same bytes. */
export function requireSameDigest(
  algorithm: DigestAlgorithm,
  expected: Uint8Array,
  computed: Uint8Array | undefined,
): void {
  if (computed !== undefined && Buffer.compare(expected, computed) === 0) return
  throw new S3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`)
}

/** The same for `Content-MD5`, in the words that S3 has for it. */
export function requireContentMd5(expected: Uint8Array, computed: Uint8Array | undefined): void {
  if (computed !== undefined && Buffer.compare(expected, computed) === 0) return
  throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.', {
    elements: {
      ExpectedDigest: Buffer.from(expected).toString('base64'),
      CalculatedDigest: Buffer.from(computed ?? []).toString('base64'),
    },
  })
}

function isChecksumHeader(name: string): boolean {
  return name.startsWith(PREFIX) && !OTHER_HEADERS.has(name)
}

function algorithmOf(header: string): ChecksumAlgorithm {
  const name = header.slice(PREFIX.length).toUpperCase()
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === name)
  if (algorithm !== undefined) return algorithm
  throw new S3Error(
    'InvalidRequest',
    'The algorithm type you specified in x-amz-checksum- header is invalid.',
  )
}

function readAlgorithmName(text: string | undefined): ChecksumAlgorithm | undefined {
  if (text === undefined) return undefined
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === text.toUpperCase())
  if (algorithm !== undefined) return algorithm
  throw new S3Error(
    'InvalidRequest',
    `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
  )
}
