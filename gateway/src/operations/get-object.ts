import type { OpenedObject } from '@cairn/client'
import { createDigest, type ObjectChecksum, type PartRun } from '@cairn/protocol'
import { S3Error } from '../errors.js'
import { checksumHeaders, overrideHeaders } from './attributes.js'
import { evaluate, holdsIfRange, readConditions } from './conditions.js'
import { objectHeaders } from './object-headers.js'
import { readPartNumber, readVersionId } from './parameters.js'
import { type ByteRange, contentRange, parseRange } from './ranges.js'
import type { Operation, OperationContext, ResponseHeaders, S3Response } from './types.js'

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

async function answer(context: OperationContext): Promise<S3Response> {
  const versionId = readVersionId(context.query)
  const opened = await context.client.openObject(context.bucket, context.key, {
    signal: context.signal,
    ...(versionId === undefined ? {} : { versionId }),
  })
  const { object, versioning } = opened
  const outcome = evaluate(readConditions(context.headers), object, context.nowMs)
  if (outcome === 'failed') throw new S3Error('PreconditionFailed')
  const described = objectHeaders(object, versioning, context.config.compatibility)
  if (outcome === 'not-modified') {
    return { status: 304, headers: { ...described, 'Content-Type': undefined } }
  }
  const selection = await select(context, opened)
  const headers = { ...described, ...selection.headers, ...overrideHeaders(context.query) }
  return stream(context, opened, { ...selection, headers })
}

function stream(context: OperationContext, opened: OpenedObject, selection: Selection): S3Response {
  const { range, headers } = selection
  const length = range?.length ?? opened.object.sizeBytes
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      'Content-Length': length,
      ...(range === undefined ? {} : { 'Content-Range': contentRange(range, opened.object.sizeBytes) }),
      ...headers,
    },
    ...(context.method === 'HEAD' || length === 0
      ? {}
      : { body: opened.read(range, { signal: context.signal }) }),
  }
}

async function select(context: OperationContext, opened: OpenedObject): Promise<Selection> {
  const { object } = opened
  const range = context.headers.range
  const partNumber = readPartNumber(context.query.find('partNumber'))
  if (partNumber !== undefined) {
    if (range !== undefined) throw new S3Error('InvalidRequest', 'Cannot specify both Range and partNumber.')
    return selectPart(context, opened, partNumber)
  }
  const wanted = holdsIfRange(context.headers['if-range'], object) ? range : undefined
  const parsed = parseRange(wanted, object.sizeBytes)
  if (parsed !== undefined) return { range: parsed, headers: {} }
  return { headers: wantsChecksum(context) ? checksumHeaders(object.checksum) : {} }
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
    if (partNumber !== 1) throw noSuchPart(context)
    const checksum = wantsChecksum(context) ? checksumHeaders(object.checksum) : {}
    if (object.sizeBytes === 0) return { headers: checksum }
    return { range: { offset: 0, length: object.sizeBytes }, headers: checksum }
  }
  const range = findPart(object.parts, partNumber)
  if (range === undefined) throw noSuchPart(context)
  const count = object.parts.reduce((sum, run) => sum + run.count, 0)
  const checksum = wantsChecksum(context) ? await partChecksum(context, opened, range) : undefined
  return { range, headers: { 'x-amz-mp-parts-count': count, ...checksumHeaders(checksum) } }
}

/**
 * The checksum of one part. The parts' own are not kept with the object, so it is made of the bytes, for parts that
 * are read quickly; larger ones are answered without it rather than late.
 */
async function partChecksum(
  { signal }: OperationContext,
  { object, read }: OpenedObject,
  range: ByteRange,
): Promise<ObjectChecksum | undefined> {
  if (object.checksum === undefined || range.length > PART_CHECKSUM_BYTES_MAX) return undefined
  const { algorithm, type } = object.checksum
  const digest = createDigest(algorithm)
  for await (const bytes of read(range, { signal })) digest.update(bytes)
  return { algorithm, type, value: Buffer.from(digest.digest()).toString('base64') }
}

function findPart(runs: readonly PartRun[], partNumber: number): ByteRange | undefined {
  let offset = 0
  for (const run of runs) {
    const index = partNumber - run.firstNumber
    if (index >= 0 && index < run.count)
      return { offset: offset + index * run.sizeBytes, length: run.sizeBytes }
    offset += run.count * run.sizeBytes
  }
  return undefined
}

function noSuchPart(context: OperationContext): S3Error {
  return context.config.compatibility.invalidPartNumber
    ? new S3Error('InvalidPart')
    : new S3Error('InvalidPartNumber', undefined, {
        elements: { PartNumberRequested: context.query.find('partNumber') ?? '' },
      })
}
