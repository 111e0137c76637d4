/** Preconditions: RFC 9110, section 13, in the order and with the exceptions that S3 documents. */
import type { ObjectVersion, WritePreconditions } from '@cairn/protocol'
import type { Compatibility } from '../../compatibility.js'
import { S3Error } from '../../errors.js'
import type { RequestHeaders } from '../types.js'

/** ETags of a header: quotes and weak marks removed, lists split, `*` kept. */
export function parseEtags(header: string | undefined): string[] {
  if (header === undefined) return []
  return header
    .split(',')
    .map((tag) =>
      tag
        .trim()
        .replace(/^W\//, '')
        .replace(/^"(.*)"$/, '$1'),
    )
    .filter((tag) => tag !== '')
}

function parseTime(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const time = Date.parse(header)
  return Number.isNaN(time) ? undefined : Math.floor(time / 1000)
}

function matches(tags: readonly string[], etag: string): boolean {
  return tags.includes('*') || tags.includes(etag)
}

export type ConditionOutcome = 'proceed' | 'not-modified' | 'failed'

/** The four header values of one side, so that GET and copy sources share the rules. */
export interface ReadConditions {
  readonly ifMatch: string | undefined
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
  readonly ifUnmodifiedSince: string | undefined
}

/** The conditions of a GET or HEAD. */
export function readConditions(headers: RequestHeaders): ReadConditions {
  return {
    ifMatch: headers['if-match'],
    ifNoneMatch: headers['if-none-match'],
    ifModifiedSince: headers['if-modified-since'],
    ifUnmodifiedSince: headers['if-unmodified-since'],
  }
}

/** The conditions that a copy puts on its source. */
export function copySourceConditions(headers: RequestHeaders): ReadConditions {
  return {
    ifMatch: headers['x-amz-copy-source-if-match'],
    ifNoneMatch: headers['x-amz-copy-source-if-none-match'],
    ifModifiedSince: headers['x-amz-copy-source-if-modified-since'],
    ifUnmodifiedSince: headers['x-amz-copy-source-if-unmodified-since'],
  }
}

/** `If-Match` true beats `If-Unmodified-Since` false; `If-None-Match` false beats `If-Modified-Since` true. */
export function evaluate(conditions: ReadConditions, object: ObjectVersion, nowMs: number): ConditionOutcome {
  const modified = Math.floor(object.modifiedMs / 1000)
  if (isFailed(conditions, object.etag, modified)) return 'failed'
  if (conditions.ifNoneMatch !== undefined) {
    return matches(parseEtags(conditions.ifNoneMatch), object.etag) ? 'not-modified' : 'proceed'
  }
  const since = parseTime(conditions.ifModifiedSince)
  // A date in the future is ignored.
  if (since === undefined || since > nowMs / 1000) return 'proceed'
  return modified <= since ? 'not-modified' : 'proceed'
}

/** The header that has decided so. `prefix` stands before those of a copy's source. */
export function decisiveCondition(
  { ifMatch, ifNoneMatch }: ReadConditions,
  outcome: ConditionOutcome,
  prefix = '',
): { readonly Condition: string } {
  const failed = ifMatch === undefined ? 'If-Unmodified-Since' : 'If-Match'
  const notModified = ifNoneMatch === undefined ? 'If-Modified-Since' : 'If-None-Match'
  return { Condition: prefix + (outcome === 'failed' ? failed : notModified) }
}

/**
 * Whether `If-Range` lets the range stand: only for the very version it names. Weak ETags never do (RFC 9110, 13.1.5).
 */
export function holdsIfRange(header: string | undefined, object: ObjectVersion): boolean {
  if (header === undefined || header === `"${object.etag}"` || header === object.etag) return true
  return parseTime(header) === Math.floor(object.modifiedMs / 1000)
}

function isFailed(conditions: ReadConditions, etag: string, modified: number): boolean {
  if (conditions.ifMatch !== undefined) return !matches(parseEtags(conditions.ifMatch), etag)
  const since = parseTime(conditions.ifUnmodifiedSince)
  return since !== undefined && modified > since
}

/**
 * Preconditions of PutObject, CopyObject and CompleteMultipartUpload. AWS takes `If-Match: <etag>` or
 * `If-None-Match: *`, one at a time, and answers 501 to the rest; a switch evaluates all of them.
 */
export function writePreconditions(
  headers: RequestHeaders,
  compatibility: Compatibility,
): WritePreconditions | undefined {
  const ifMatch = demandedEtags(headers['if-match'])
  const ifNoneMatch = demandedEtags(headers['if-none-match'])
  refuseReadConditions(headers)
  if (ifMatch.length === 0 && ifNoneMatch.length === 0) return undefined
  if (!compatibility.writeConditions) {
    if (ifMatch.length > 0 && ifNoneMatch.length > 0) throw unbuilt('If-Match with If-None-Match')
    if (ifNoneMatch.some((tag) => tag !== '*')) throw unbuilt('If-None-Match')
  }
  return { ifMatch, ifNoneMatch }
}

/** A condition that names no ETag is still one: it holds for no object. Ignored, it would let an overwrite pass. */
function demandedEtags(header: string | undefined): readonly string[] {
  const tags = parseEtags(header)
  return header !== undefined && tags.length === 0 ? [''] : tags
}

/** What a delete may ask of the version it removes, as headers or elements give it. */
export interface DeleteConditionTexts {
  readonly etag: string | undefined
  readonly size: string | undefined
  /** Any date that JavaScript reads: HTTP's and ISO 8601. */
  readonly lastModified: string | undefined
}

/** How an error names the conditions: by header or by element. */
export type DeleteConditionNames = Readonly<Record<keyof DeleteConditionTexts, string>>

/**
 * Preconditions of a delete. AWS takes an ETag, without a version id; the rest is for directory buckets and 501
 * here. A switch evaluates all of them as Ceph does.
 */
export function deletePreconditions(
  texts: DeleteConditionTexts,
  names: DeleteConditionNames,
  options: { readonly compatibility: Compatibility; readonly versionId: string | undefined },
): WritePreconditions | undefined {
  const ifMatch = demandedEtags(texts.etag)
  const isAsked = ifMatch.length > 0 || texts.size !== undefined || texts.lastModified !== undefined
  if (!isAsked) return undefined
  const { compatibility, versionId } = options
  if (!compatibility.deleteConditions) {
    if (texts.size !== undefined) throw unbuilt(names.size)
    if (texts.lastModified !== undefined) throw unbuilt(names.lastModified)
    if (versionId !== undefined) throw unbuilt(names.etag)
    return { ifMatch, ifNoneMatch: [] }
  }
  const ifSizeBytes = readSize(texts.size, names.size)
  const ifModifiedSeconds = readSeconds(texts.lastModified, names.lastModified)
  return {
    ifMatch,
    ifNoneMatch: [],
    missingIsFine: true,
    ...(ifSizeBytes === undefined ? {} : { ifSizeBytes }),
    ...(ifModifiedSeconds === undefined ? {} : { ifModifiedSeconds }),
  }
}

function readSize(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text.trim())) return Number(text)
  throw new S3Error('InvalidArgument', `The value of ${name} is no size.`)
}

/** A date as whole seconds since 1970. Throws `InvalidArgument` for what is none. */
export function readSeconds(text: string | undefined, name: string): number | undefined {
  const seconds = parseTime(text)
  if (text !== undefined && seconds === undefined) {
    throw new S3Error('InvalidArgument', `The value of ${name} is no date.`)
  }
  return seconds
}

function refuseReadConditions(headers: RequestHeaders): void {
  for (const header of ['if-modified-since', 'if-unmodified-since']) {
    if (headers[header] !== undefined) throw unbuilt(header)
  }
}

/** No condition is ignored: those that a delete does not have are 501. */
export function refuseConditions(headers: RequestHeaders): void {
  if (headers['if-none-match'] !== undefined) throw unbuilt('If-None-Match')
  refuseReadConditions(headers)
}

function unbuilt(header: string): S3Error {
  return new S3Error('NotImplemented', `${header} is not implemented for this request.`, {
    elements: { Header: header },
  })
}
