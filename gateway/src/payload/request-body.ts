/**
 * The body of a request as the client library takes it: decoded bytes that flow, the digests to compute over
 * them, and a seal that compares everything the sender declared before anything is committed.
 */
import type { DigestAlgorithm, Digests, ReleasableBody, WriteSeal } from '@cairn/client'
import type { ChecksumAlgorithm, Draft, ObjectChecksum } from '@cairn/protocol'
import type { ChunkSigning } from '../authentication/authenticate.js'
import { S3Error } from '../errors.js'
import { PUT_BYTES_MAX } from '../limits.js'
import type { OpenBodyOptions, RequestBody, RequestHeaders } from '../operations/types.js'
import {
  checksumHeader,
  type DeclaredChecksum,
  isChecksumTrailer,
  type MalformedChecksumCode,
  parseChecksum,
  readContentMd5,
  readDeclaredChecksum,
  requireContentMd5,
  requireSameDigest,
} from './checksum.js'
import { ChunkDecoder } from './chunk-decoder.js'
import { ChunkVerifier } from './chunk-verifier.js'
import { DecodedBody } from './decoded-body.js'
import { isFraming, type PayloadKind, readPayloadKind } from './payload-kind.js'

/** What a body is decoded from. */
export interface BodySource {
  readonly headers: RequestHeaders
  /** The body as it comes from the connection. */
  readonly bytes: AsyncIterable<Uint8Array> | ReleasableBody
  /** The signed `x-amz-content-sha256`; `undefined` if the request is anonymous. */
  readonly payloadHash: string | undefined
  readonly signing: ChunkSigning | undefined
  /** A presigned URL carried the checksum: see `isEmptyBodyChecksum`. */
  readonly presigned: boolean
  /** Unframed `Transfer-Encoding: chunked` is refused. */
  readonly strictChunkedPut: boolean
  /** The checksum of the empty body in a presigned query is verified like any other. */
  readonly strictPresignedChecksum: boolean
  /** How a checksum that is none of its algorithm is told; `InvalidRequest` unless given. */
  readonly malformedChecksum?: MalformedChecksumCode | undefined
}

/** Base64 of the digests of no bytes that begin with zeros, as one SDK signs them into every presigned PUT. */
const EMPTY_CRCS: ReadonlySet<string> = new Set(['AAAAAA==', 'AAAAAAAAAAA='])

/** All that is known of a body before its first byte. */
interface BodyPlan {
  readonly source: BodySource
  readonly payload: PayloadKind
  readonly sizeBytes: number | undefined
  readonly md5: Uint8Array | undefined
  readonly checksum: DeclaredChecksum | undefined
  readonly decoder: ChunkDecoder | undefined
}

/** A body that is still to be fitted to its reader. */
export type OpenedBody = Draft<RequestBody>

/** Throws `S3Error` for headers that are contradictory, missing or not usable. */
export function openRequestBody(source: BodySource, options: OpenBodyOptions = {}): OpenedBody {
  const sizeBytesMax = options.sizeBytesMax ?? PUT_BYTES_MAX
  const payload = readPayloadKind(source.payloadHash)
  const trailerNames = readTrailerNames(source.headers, payload)
  const sizeBytes = readSize(source, payload, options)
  const md5 = readContentMd5(source.headers)
  const checksum = chooseChecksum(source, trailerNames, options)
  const decoder =
    payload.kind === 'chunked' ? createDecoder(source, payload, sizeBytes, trailerNames) : undefined
  const plan: BodyPlan = { source, payload, sizeBytes, md5, checksum, decoder }
  const opened: OpenedBody = {
    body: chooseBody(source, decoder, sizeBytes, sizeBytesMax),
    digests: digestsOf(payload, checksum),
    seal: (digests, sealedBytes) => sealBody(plan, digests, sealedBytes),
  }
  if (sizeBytes !== undefined) opened.sizeBytes = sizeBytes
  return opened
}

function sealBody(plan: BodyPlan, digests: Digests, sealedBytes: number): WriteSeal {
  const { payload, sizeBytes, md5, checksum } = plan
  if (sizeBytes !== undefined && sealedBytes !== sizeBytes) throw new S3Error('IncompleteBody')
  if (payload.kind === 'literal') requireSha256(payload.sha256, digests.SHA256)
  if (md5 !== undefined) requireContentMd5(md5, digests.MD5)
  return checksum === undefined ? {} : { checksum: sealChecksum(plan, checksum, digests, sealedBytes) }
}

function sealChecksum(
  plan: BodyPlan,
  checksum: DeclaredChecksum,
  digests: Digests,
  sealedBytes: number,
): ObjectChecksum {
  const { algorithm } = checksum
  const computed = digests[algorithm]
  if (computed === undefined) throw new S3Error('InternalError', `No ${algorithm} was computed.`)
  const expected = expectedChecksum(checksum, plan.decoder, sealedBytes, plan.source)
  if (expected !== undefined) requireSameDigest(algorithm, expected, computed)
  return { algorithm, type: 'FULL_OBJECT', value: Buffer.from(computed).toString('base64') }
}

function digestsOf(payload: PayloadKind, checksum: DeclaredChecksum | undefined): DigestAlgorithm[] {
  const digests: DigestAlgorithm[] = payload.kind === 'literal' ? ['SHA256'] : []
  if (checksum !== undefined && !digests.includes(checksum.algorithm)) digests.push(checksum.algorithm)
  return digests
}

function readTrailerNames(headers: RequestHeaders, payload: PayloadKind): readonly string[] {
  const list = headers['x-amz-trailer']
  if (list === undefined) return []
  if (payload.kind !== 'chunked' || !payload.trailer) {
    throw new S3Error('InvalidRequest', 'x-amz-trailer was sent, but the body carries no trailer.')
  }
  const names = list.split(',').map((name) => name.trim().toLowerCase())
  if (names.every(isChecksumTrailer)) return names
  throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported')
}

function readSize(source: BodySource, payload: PayloadKind, options: OpenBodyOptions): number | undefined {
  const { headers } = source
  const decoded = headers['x-amz-decoded-content-length']
  const framed = payload.kind === 'chunked'
  // Taken as it is, the framing would become part of the object.
  if (!framed && decoded !== undefined) {
    throw new S3Error('InvalidRequest', 'x-amz-decoded-content-length was sent, but the body is not framed.')
  }
  if (payload.kind === 'unsigned' && source.payloadHash !== undefined && saysFramed(headers)) {
    throw new S3Error(
      'InvalidArgument',
      'aws-chunked encoding is not supported when x-amz-content-sha256 UNSIGNED-PAYLOAD is supplied.',
    )
  }
  const text = framed ? decoded : headers['content-length']
  if (text === undefined) return sizeWithoutLength(source, { framed, options })
  if (!/^\d{1,15}$/.test(text)) {
    if (framed) throw new S3Error('MissingContentLength')
    throw new S3Error('InvalidArgument', 'The content length is not valid.')
  }
  const sizeBytes = Number(text)
  const sizeBytesMax = options.sizeBytesMax ?? PUT_BYTES_MAX
  if (sizeBytes > sizeBytesMax) throw tooLarge(sizeBytes, sizeBytesMax)
  return sizeBytes
}

function saysFramed({ 'content-encoding': encoding }: RequestHeaders): boolean {
  return encoding?.split(',').some(isFraming) ?? false
}

function sizeWithoutLength(
  source: BodySource,
  { framed, options }: { framed: boolean; options: OpenBodyOptions },
): number | undefined {
  const chunked = source.headers['transfer-encoding'] !== undefined
  if (!framed && !chunked && options.emptyWithoutLength === true) return 0
  if (framed || !chunked) throw new S3Error('MissingContentLength')
  if (source.strictChunkedPut) {
    throw new S3Error('NotImplemented', 'Transfer-Encoding: chunked is only taken with aws-chunked.')
  }
  return undefined
}

function chooseChecksum(
  source: BodySource,
  trailerNames: readonly string[],
  options: OpenBodyOptions,
): DeclaredChecksum | undefined {
  if (options.checksumOfObject) return undefined
  const declared = readDeclaredChecksum(source.headers, trailerNames, source.malformedChecksum)
  if (declared !== undefined) {
    requireChecksum(declared, source)
    return declared
  }
  const fallback: ChecksumAlgorithm | 'none' = options.checksumDefault ?? 'CRC64NVME'
  return fallback === 'none' ? undefined : { algorithm: fallback, inTrailer: false }
}

/**
 * As in S3, an algorithm named in a signed header must come with its checksum; presigners and forms may only name it.
 */
function requireChecksum({ value, inTrailer }: DeclaredChecksum, source: BodySource): void {
  if (value !== undefined || inTrailer || source.presigned || source.payloadHash === undefined) return
  throw new S3Error(
    'InvalidRequest',
    'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
  )
}

function expectedChecksum(
  checksum: DeclaredChecksum,
  decoder: ChunkDecoder | undefined,
  sealedBytes: number,
  source: BodySource,
): Uint8Array | undefined {
  if (checksum.inTrailer) {
    const text = decoder?.trailers.get(checksumHeader(checksum.algorithm))
    if (text === undefined) throw new S3Error('MalformedTrailerError')
    return parseChecksum(checksum.algorithm, text, source.malformedChecksum)
  }
  return isEmptyBodyChecksum(checksum, sealedBytes, source) ? undefined : checksum.value
}

/**
 * A presigner that knows no body signs the checksum of the empty one; uploads through such URLs must work.
 * Any other value is verified.
 */
function isEmptyBodyChecksum(checksum: DeclaredChecksum, sealedBytes: number, source: BodySource): boolean {
  if (!source.presigned || source.strictPresignedChecksum || sealedBytes === 0) return false
  return EMPTY_CRCS.has(source.headers[checksumHeader(checksum.algorithm)] ?? '')
}

function createDecoder(
  source: BodySource,
  payload: PayloadKind & { kind: 'chunked' },
  decodedBytes: number | undefined,
  trailerNames: readonly string[],
): ChunkDecoder {
  if (decodedBytes === undefined) throw new S3Error('MissingContentLength')
  const options = { decodedBytes, trailer: payload.trailer, trailerNames }
  if (!payload.signed) return new ChunkDecoder(options)
  if (source.signing === undefined) throw new S3Error('AccessDenied', 'Signed chunks need a signed request.')
  return new ChunkDecoder({ ...options, verifier: new ChunkVerifier(source.signing) })
}

function chooseBody(
  source: BodySource,
  decoder: ChunkDecoder | undefined,
  sizeBytes: number | undefined,
  sizeBytesMax: number,
): AsyncIterable<Uint8Array> {
  if (decoder !== undefined) return new DecodedBody(source.bytes, decoder)
  return sizeBytes === undefined ? limit(source.bytes, sizeBytesMax) : source.bytes
}

async function* limit(bytes: AsyncIterable<Uint8Array>, sizeBytesMax: number): AsyncIterable<Uint8Array> {
  let sizeBytes = 0
  for await (const received of bytes) {
    sizeBytes += received.length
    if (sizeBytes > sizeBytesMax) throw tooLarge(sizeBytes, sizeBytesMax)
    yield received
  }
}

function requireSha256(expected: Uint8Array, computed: Uint8Array | undefined): void {
  if (computed !== undefined && Buffer.compare(expected, computed) === 0) return
  throw new S3Error('XAmzContentSHA256Mismatch', undefined, {
    elements: {
      ClientComputedContentSHA256: Buffer.from(expected).toString('hex'),
      S3ComputedContentSHA256: computed === undefined ? '' : Buffer.from(computed).toString('hex'),
    },
  })
}

function tooLarge(sizeBytes: number, sizeBytesMax: number): S3Error {
  return new S3Error('EntityTooLarge', undefined, {
    elements: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(sizeBytesMax) },
  })
}
