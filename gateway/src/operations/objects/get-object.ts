import type { OpenedObject } from '@cairn/client'
import { createDigest, type ObjectChecksum, type ObjectVersion } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import { readPartNumber, readVersionId } from '../parameters.js'
import type { MutableHeaders, Operation, OperationContext, ResponseHeaders, S3Response } from '../types.js'
import { checksumHeaders, overrideHeaders, refuseUnbuilt } from './attributes.js'
import { decisiveCondition, evaluate, holdsIfRange, readConditions } from './conditions.js'
import { addObjectHeaders } from './object-headers.js'
import { countParts, findPart, type ObjectPart } from './object-parts.js'
import { type ByteRange, contentRange, parseRange } from './ranges.js'

/** Largest part whose checksum is computed for a GET of it: some 0.1 s, and above what clients upload as one part. */
const PART_CHECKSUM_BYTES_MAX = 64 * 1024 * 1024

/** `GET /B/K`: a version, a range of it, or one of its parts. */
export const getObject: Operation = { name: 'GetObject', handle: (context) => answer(context) }

/** `HEAD /B/K`: what GET would answer, without the bytes. */
export const headObject: Operation = { name: 'HeadObject', handle: (context) => answer(context) }

/** Which bytes of the object, and how the answer says so. */
interface Selection {
  readonly range?: ByteRange
  readonly headers: ResponseHeaders
}

const NO_HEADERS: ResponseHeaders = {}
const WHOLE: Selection = { headers: NO_HEADERS }

function answer(context: OperationContext): S3Response | Promise<S3Response> {
  refuseUnbuilt(context.headers)
  const versionId = readVersionId(context.query)
  const { client, bucket, key } = context
  const atHand = versionId === undefined ? client.openObjectNow?.(bucket, key) : undefined
  if (atHand !== undefined) return answerOpened(context, atHand)
  const version = versionId === undefined ? {} : { versionId }
  return client
    .openObject(bucket, key, { signal: context.signal, ...version })
    .then((opened) => answerOpened(context, opened))
}

function answerOpened(context: OperationContext, opened: OpenedObject): S3Response | Promise<S3Response> {
  const { object, versioning } = opened
  const conditions = readConditions(context.headers)
  const outcome = evaluate(conditions, object, context.nowMs)
  if (outcome === 'failed') {
    throw new S3Error('PreconditionFailed', undefined, { elements: decisiveCondition(conditions, outcome) })
  }
  if (outcome === 'not-modified') {
    const headers: MutableHeaders = {}
    addObjectHeaders(headers, object, { versioning, compatibility: context.config.compatibility })
    headers['Content-Type'] = undefined
    return { status: 304, headers }
  }
  const selecting = select(context, opened)
  return selecting instanceof Promise
    ? selecting.then((selection) => answerSelected(context, opened, selection))
    : answerSelected(context, opened, selecting)
}

function answerSelected(
  context: OperationContext,
  opened: OpenedObject,
  selection: Selection,
): S3Response | Promise<S3Response> {
  const length = selection.range?.length ?? opened.object.sizeBytes
  const response = respond(context, opened, selection)
  if (context.method === 'HEAD' || length === 0) return response
  const body = bodyOf(context, opened, selection.range)
  return body instanceof Promise
    ? body.then((bytes) => ({ ...response, body: bytes }))
    : { status: response.status, headers: response.headers, body }
}

/** Status and headers. */
function respond(
  { query, config }: OperationContext,
  { object, versioning }: OpenedObject,
  { range, headers: chosen }: Selection,
): { readonly status: number; readonly headers: ResponseHeaders } {
  const headers: MutableHeaders = { 'Content-Length': range?.length ?? object.sizeBytes }
  if (range !== undefined) headers['Content-Range'] = contentRange(range, object.sizeBytes)
  addObjectHeaders(headers, object, { versioning, compatibility: config.compatibility })
  if (chosen !== NO_HEADERS) Object.assign(headers, chosen)
  if (query.parameters.length > 0) Object.assign(headers, overrideHeaders(query))
  return { status: range === undefined ? 200 : 206, headers }
}

/** A small body in one piece, so that head and body leave in one write; any other as it flows. */
function bodyOf(
  context: OperationContext,
  opened: OpenedObject,
  range: ByteRange | undefined,
): Uint8Array | Promise<Uint8Array> | AsyncIterable<Uint8Array> {
  return opened.readAtOnce?.(range, context) ?? opened.read(range, { signal: context.signal })
}

function select(context: OperationContext, opened: OpenedObject): Selection | Promise<Selection> {
  const { object } = opened
  const range = context.headers.range
  const partNumber = readPartNumber(context.query.find('partNumber'))
  if (partNumber !== undefined) {
    if (range !== undefined) throw new S3Error('InvalidRequest', 'Cannot specify both Range and partNumber.')
    return selectPart(context, opened, partNumber)
  }
  const wanted = holdsIfRange(context.headers['if-range'], object) ? range : undefined
  const parsed = parseRange(wanted, object.sizeBytes)
  if (parsed !== undefined) {
    // Whoever verifies it verifies the body: only that of all bytes, for all bytes.
    const isAll = parsed.length === object.sizeBytes && object.checksum?.type === 'FULL_OBJECT'
    return {
      range: parsed,
      headers: isAll && wantsChecksum(context) ? checksumHeaders(object.checksum) : NO_HEADERS,
    }
  }
  return wantsChecksum(context) ? { headers: checksumHeaders(object.checksum) } : WHOLE
}

function wantsChecksum(context: OperationContext): boolean {
  return context.headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED'
}

async function selectPart(
  context: OperationContext,
  opened: OpenedObject,
  partNumber: number,
): Promise<Selection> {
  const { object } = opened
  if (object.parts.length === 0) {
    if (partNumber !== 1) throw noSuchPart(context, object)
    const checksum = wantsChecksum(context) ? checksumHeaders(object.checksum) : {}
    if (object.sizeBytes === 0) return { headers: checksum }
    return { range: { offset: 0, length: object.sizeBytes }, headers: checksum }
  }
  const part = findPart(object, partNumber)
  if (part === undefined) throw noSuchPart(context, object)
  const checksum = wantsChecksum(context) ? await partChecksum(context, opened, part) : undefined
  const headers = { 'x-amz-mp-parts-count': countParts(object.parts), ...checksumHeaders(checksum) }
  return { range: part, headers }
}

/**
 * The checksum of one part: the one it was stored with. Objects that keep none of their parts (see
 * PART_CHECKSUMS_BYTES_MAX, or written by an earlier version) have it made of the bytes, for parts that are read
 * quickly; larger ones are answered without it rather than late. An upload that declared no algorithm ends as a
 * CRC64NVME without those of the parts: there, as in S3, a part has none.
 */
async function partChecksum(
  { signal }: OperationContext,
  { object, read }: OpenedObject,
  part: ObjectPart,
): Promise<ObjectChecksum | undefined> {
  if (object.checksum === undefined) return undefined
  const { algorithm, type } = object.checksum
  if (part.checksum !== undefined) return { algorithm, type, value: part.checksum }
  if (algorithm === 'CRC64NVME' || part.length > PART_CHECKSUM_BYTES_MAX) return undefined
  const digest = createDigest(algorithm)
  for await (const bytes of read(part, { signal })) digest.update(bytes)
  return { algorithm, type, value: Buffer.from(digest.digest()).toString('base64') }
}

function noSuchPart(context: OperationContext, { parts }: ObjectVersion): S3Error {
  return context.config.compatibility.invalidPartNumber
    ? new S3Error('InvalidPart')
    : new S3Error('InvalidPartNumber', undefined, {
        elements: {
          PartNumberRequested: context.query.find('partNumber') ?? '',
          ActualPartCount: String(Math.max(countParts(parts), 1)),
        },
      })
}
