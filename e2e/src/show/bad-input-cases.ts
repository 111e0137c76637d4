/** The requests of `show bad-input`, each with the answer that S3 documents. */
import { createHash } from 'node:crypto'
import { ALGORITHMS, base64Digest } from '../../test/s3/support/digests.js'
import {
  type Identity,
  type RequestOptions,
  type SignedRequest,
  type Signing,
  signedFrames,
  signRequest,
  unsignedFrames,
} from '../../test/s3/support/signing.js'

/** What is there before. */
export interface Prepared {
  readonly bucket: string
  /** Of the key `upload`: two parts of six bytes. */
  readonly uploadId: string
  readonly etags: readonly string[]
}

/** One wrong request. */
export interface BadCase {
  readonly name: string
  readonly status: number
  readonly code: string
  /** Signed when it is sent. */
  readonly request: () => SignedRequest
}

const MINUTE_MS = 60_000
const CONTENT = Buffer.from('content')

/** A table of all of them. */
export function badCases(server: Identity, prepared: Prepared): BadCase[] {
  const path = `/${prepared.bucket}/bad`
  const put = (options: Partial<RequestOptions>): SignedRequest =>
    signRequest(server, { method: 'PUT', path, body: CONTENT, ...options })
  return [
    ...ofSignatures(server, path, put),
    ...ofBodies(put),
    ...ofFrames(server, path),
    ...ofTargets(prepared, put),
    ...ofCompletes(server, prepared),
    ...ofDocuments(server, prepared),
  ]
}

type Put = (options: Partial<RequestOptions>) => SignedRequest

function bad(name: string, status: number, code: string, request: () => SignedRequest): BadCase {
  return { name, status, code, request }
}

function ofSignatures(server: Identity, path: string, put: Put): BadCase[] {
  const method = 'PUT'
  const wrong = { ...server, secretKey: 'wrong' }
  const unknown = { ...server, accessKey: 'AKIANOBODY' }
  const shifted = (minutes: number) => () => put({ atMs: Date.now() + minutes * MINUTE_MS })
  return [
    bad('a wrong secret', 403, 'SignatureDoesNotMatch', () =>
      signRequest(wrong, { method, path, body: CONTENT }),
    ),
    bad('an unknown access key', 403, 'InvalidAccessKeyId', () =>
      signRequest(unknown, { method, path, body: CONTENT }),
    ),
    bad('a clock 16 minutes ahead', 403, 'RequestTimeTooSkewed', shifted(16)),
    bad('a clock 16 minutes behind', 403, 'RequestTimeTooSkewed', shifted(-16)),
    ...['x-amz-meta-late', 'x-amz-acl', 'x-amz-copy-source', 'x-amz-tagging'].map((name) =>
      bad(`an unsigned ${name}`, 403, 'AccessDenied', () => put({ unsigned: { [name]: 'a' } })),
    ),
  ]
}

function ofBodies(put: Put): BadCase[] {
  const tampered = createHash('sha256').update('other').digest('hex')
  const other = Buffer.from('other')
  return [
    bad('a tampered body', 400, 'XAmzContentSHA256Mismatch', () => put({ payload: tampered })),
    ...ALGORITHMS.map((algorithm) =>
      bad(`a wrong ${algorithm}`, 400, 'BadDigest', () =>
        put({ headers: { [`x-amz-checksum-${algorithm.toLowerCase()}`]: base64Digest(algorithm, other) } }),
      ),
    ),
    bad('a checksum that is none', 400, 'InvalidRequest', () =>
      put({ headers: { 'x-amz-checksum-crc32': 'AAAA' } }),
    ),
    bad('a wrong Content-MD5', 400, 'BadDigest', () =>
      put({ headers: { 'content-md5': base64Digest('MD5', other) } }),
    ),
    bad('a Content-MD5 that is none', 400, 'InvalidDigest', () =>
      put({ headers: { 'content-md5': 'nonsense' } }),
    ),
  ]
}

/** Framed bodies of which one byte was changed on the way. */
function ofFrames(server: Identity, path: string): BadCase[] {
  const signed = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
  const name = 'x-amz-checksum-crc32'
  const good = { [name]: base64Digest('CRC32', CONTENT) }
  const wrong = { [name]: base64Digest('CRC32', Buffer.from('other')) }
  const framed = (payload: string, frame: (signing: Signing) => Buffer) => () =>
    framedPut(server, path, { payload, frame, trailer: payload.endsWith('TRAILER') ? name : undefined })
  return [
    bad(
      'a tampered chunk',
      403,
      'SignatureDoesNotMatch',
      framed(signed, (signing) => flip(signedFrames(signing, [CONTENT]), 'content', 0)),
    ),
    bad(
      'a tampered chunk signature',
      403,
      'SignatureDoesNotMatch',
      framed(signed, (signing) => flip(signedFrames(signing, [CONTENT]), 'signature=', 10)),
    ),
    bad(
      'a tampered trailer signature',
      403,
      'SignatureDoesNotMatch',
      framed(`${signed}-TRAILER`, (signing) =>
        flip(signedFrames(signing, [CONTENT], good), 'trailer-signature:', 20),
      ),
    ),
    bad(
      'a wrong checksum in a signed trailer',
      400,
      'BadDigest',
      framed(`${signed}-TRAILER`, (signing) => signedFrames(signing, [CONTENT], wrong)),
    ),
    bad(
      'a wrong checksum in an unsigned trailer',
      400,
      'BadDigest',
      framed('STREAMING-UNSIGNED-PAYLOAD-TRAILER', () => unsignedFrames([CONTENT], wrong)),
    ),
  ]
}

interface Framed {
  readonly payload: string
  readonly frame: (signing: Signing) => Buffer
  readonly trailer: string | undefined
}

function framedPut(server: Identity, path: string, { payload, frame, trailer }: Framed): SignedRequest {
  const headers = {
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': String(CONTENT.length),
    ...(trailer === undefined ? {} : { 'x-amz-trailer': trailer }),
  }
  const options = { method: 'PUT', path, headers, payload, atMs: Date.now() }
  const unsigned = { 'content-length': String(frame(signRequest(server, options).signing).length) }
  const request = signRequest(server, { ...options, unsigned })
  return { ...request, body: frame(request.signing) }
}

function flip(frames: Buffer, marker: string, offset: number): Buffer {
  const at = frames.indexOf(marker) + offset
  frames[at] = (frames[at] ?? 0) ^ 1
  return frames
}

function ofTargets({ bucket, uploadId }: Prepared, put: Put): BadCase[] {
  const part = (number: number) => () =>
    put({ path: `/${bucket}/upload`, query: `partNumber=${number}&uploadId=${uploadId}` })
  return [
    bad('a key of 1,025 bytes', 400, 'KeyTooLongError', () =>
      put({ path: `/${bucket}/${'k'.repeat(1025)}` }),
    ),
    bad('a key that is not UTF-8', 400, 'InvalidURI', () => put({ path: `/${bucket}/%AE%8A` })),
    bad('9 KiB of headers', 400, 'RequestHeaderSectionTooLarge', () =>
      put({ headers: { 'x-amz-meta-large': 'm'.repeat(9 * 1024) } }),
    ),
    bad('3 KiB of metadata', 400, 'MetadataTooLarge', () =>
      put({ headers: { 'x-amz-meta-large': 'm'.repeat(3 * 1024) } }),
    ),
    bad('part number 10,001', 400, 'InvalidArgument', part(10_001)),
    bad('part number 0', 400, 'InvalidArgument', part(0)),
    bad('11 tags', 400, 'BadRequest', () =>
      put({ headers: { 'x-amz-tagging': Array.from({ length: 11 }, (_, at) => `k${at}=v`).join('&') } }),
    ),
  ]
}

function ofCompletes(server: Identity, { bucket, uploadId, etags }: Prepared): BadCase[] {
  const complete = (body: string) => () =>
    signRequest(server, { method: 'POST', path: `/${bucket}/upload`, query: `uploadId=${uploadId}`, body })
  const list = (...numbers: number[]): string => {
    const parts = numbers.map((number) => {
      const etag = etags[number - 1] ?? '"00000000000000000000000000000000"'
      return `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`
    })
    return `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
  }
  return [
    bad('a part below 5 MiB', 400, 'EntityTooSmall', complete(list(1, 2))),
    bad('parts out of order', 400, 'InvalidPartOrder', complete(list(2, 1))),
    bad('a part that is not there', 400, 'InvalidPart', complete(list(3))),
    bad('an empty list of parts', 400, 'MalformedXML', complete(list())),
    bad('a Complete without a body', 400, 'MalformedXML', complete('')),
  ]
}

/** XML that would grow, nest or run on without end. */
function ofDocuments(server: Identity, { bucket }: Prepared): BadCase[] {
  const entities = Array.from({ length: 9 }, (_, at) => `<!ENTITY e${at + 1} "${`&e${at};`.repeat(10)}">`)
  const billion = `<!DOCTYPE Delete [<!ENTITY e0 "bomb">${entities.join('')}]><Delete><Object><Key>&e9;</Key></Object></Delete>`
  const external = '<!DOCTYPE Delete [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete>&x;</Delete>'
  const deep = `${'<Delete>'.repeat(50_000)}${'</Delete>'.repeat(50_000)}`
  const wide = `<Delete>${'<Object/>'.repeat(30_000)}</Delete>`
  const long = `<Delete><Object><Key>${'k'.repeat(8 * 1024 * 1024)}</Key></Object></Delete>`
  const tags = `<Tagging><TagSet><Tag><Key>${'k'.repeat(1024 * 1024)}</Key></Tag></TagSet></Tagging>`
  const many = `<Delete>${'<Object><Key>k</Key></Object>'.repeat(1001)}</Delete>`
  const remove = (body: string) => () =>
    signRequest(server, { method: 'POST', path: `/${bucket}`, query: 'delete', body })
  const tag = (body: string) => () =>
    signRequest(server, { method: 'PUT', path: `/${bucket}`, query: 'tagging', body })
  return [
    bad('entities within entities', 400, 'MalformedXML', remove(billion)),
    bad('an external entity', 400, 'MalformedXML', remove(external)),
    bad('50,000 elements within each other', 400, 'MalformedXML', remove(deep)),
    bad('30,000 elements', 400, 'MalformedXML', remove(wide)),
    bad('more than 8 MiB of keys to delete', 400, 'MaxMessageLengthExceeded', remove(long)),
    bad('more than 1 MiB of other XML', 400, 'MaxMessageLengthExceeded', tag(tags)),
    bad('1,001 keys to delete', 400, 'MalformedXML', remove(many)),
    bad('a document that ends early', 400, 'MalformedXML', remove('<Delete><Object>')),
  ]
}
