import type { CopySource, OpenedObject } from '@cairn/client'
import {
  CairnError,
  type ChecksumAlgorithm,
  type CopyObjectResponse,
  hasCode,
  type ObjectAttributes,
  type WritePreconditions,
} from '@cairn/protocol'
import { canonicalIdOf, requireOwner } from '../../authentication/principal.js'
import { S3Error, toS3Error } from '../../errors.js'
import { document, element, formatTime } from '../../xml/writer.js'
import { answerInTime } from '../early-answer.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, RequestHeaders, S3Response } from '../types.js'
import { readAttributes } from './attributes.js'
import { readChecksumAlgorithm } from './checksum-algorithm.js'
import { checksumXml } from './checksum-xml.js'
import { copySourceConditions, decisiveCondition, evaluate, writePreconditions } from './conditions.js'
import { digestCopy, digestsAnew } from './copy-digests.js'
import { type CopySourceHeader, readCopySource } from './copy-source.js'
import { quoted, writtenVersionId } from './object-headers.js'

/** Largest source of one CopyObject, as in S3. */
const COPY_BYTES_MAX = 5 * 1024 ** 3

/** `PUT /B/K` with `x-amz-copy-source`: the copy refers to the source's blocks; as a rule no bytes move. */
export const copyObject: Operation = { name: 'CopyObject', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const header = readCopySource(context.headers)
  const asked = readChange(context, header)
  const algorithm = readChecksumAlgorithm(context.headers)
  const preconditions = writePreconditions(context.headers, context.config.compatibility)
  const first = await openSource(context, header)
  return answerInTime(context, () =>
    copyFrom(context, header, first, (source) =>
      copyOpened(context, { ...source, asked, algorithm, preconditions }),
    ),
  )
}

/** A source, and how a copy of it names it. */
export interface OpenedSource {
  readonly opened: OpenedObject
  readonly reference: CopySource
}

interface Copy extends OpenedSource {
  readonly asked: AskedChange
  readonly algorithm: ChecksumAlgorithm | undefined
  readonly preconditions: WritePreconditions | undefined
}

async function copyOpened(context: OperationContext, copy: Copy): Promise<S3Response> {
  const { opened } = copy
  checkCopySize(opened.object.sizeBytes)
  const written = await writeCopy(context, copy)
  const content =
    element('LastModified', formatTime(written.modifiedMs)) +
    element('ETag', quoted(written.etag)) +
    checksumXml(written.checksum)
  return xmlResponse(document('CopyObjectResult', content), {
    'x-amz-version-id': writtenVersionId(written.versionId, context.config.compatibility),
    ...sourceVersionHeader(opened),
  })
}

/** A source that is made of more objects than one copy can refer to is stored anew. */
async function writeCopy(
  { client, bucket, key, principal, signal }: OperationContext,
  { opened, reference, asked, algorithm, preconditions }: Copy,
): Promise<CopyObjectResponse> {
  const { object } = opened
  const attributes = changedAttributes(asked, object.attributes)
  const options = {
    owner: canonicalIdOf(principal),
    signal,
    ...(preconditions === undefined ? {} : { preconditions }),
  }
  try {
    return await client.copyObject(reference, bucket, key, {
      ...options,
      ...(await digestCopy(opened, algorithm)),
      ...(attributes === undefined ? {} : { attributes }),
    })
  } catch (error) {
    if (!hasCode(error, 'MessageTooLarge')) throw error
    return client.putObject(bucket, key, opened.read(), {
      ...options,
      ...digestsAnew(object, algorithm),
      sizeBytes: object.sizeBytes,
      attributes: attributes ?? object.attributes,
    })
  }
}

/** `InvalidRequest` for more bytes than one copy may have. */
export function checkCopySize(sizeBytes: number): void {
  if (sizeBytes <= COPY_BYTES_MAX) return
  throw new S3Error(
    'InvalidRequest',
    `The specified copy source is larger than the maximum allowable size for a copy source: ${COPY_BYTES_MAX}`,
  )
}

/** The version that was copied, where versioning was ever on. */
export function sourceVersionHeader(opened: OpenedObject): { 'x-amz-copy-source-version-id'?: string } {
  return opened.versioning === 'unset' ? {} : { 'x-amz-copy-source-version-id': opened.object.versionId }
}

/** Opens a copy source and checks the caller's conditions on it; both failures are 412, never 304. */
export async function openSource(context: OperationContext, header: CopySourceHeader): Promise<OpenedSource> {
  await checkSourceOwner(context, header)
  const opened = await openVersion(context, header)
  const conditions = copySourceConditions(context.headers)
  const outcome = evaluate(conditions, opened.object, context.nowMs)
  if (outcome !== 'proceed') {
    const elements = decisiveCondition(conditions, outcome, 'x-amz-copy-source-')
    throw new S3Error('PreconditionFailed', undefined, { elements })
  }
  const { etag, versionId } = opened.object
  // A version that has an id of its own is copied though others write the key meanwhile.
  const named = versionId === 'null' ? header : { ...header, versionId }
  return { opened, reference: { ...named, etag } }
}

/** Copies that are begun while others keep writing their source. */
const COPY_ATTEMPTS_MAX = 4

/**
 * Copies the source as it was opened, or again as it is by then if somebody has written it meanwhile: that is no
 * condition of the caller's. `Busy` if it keeps changing.
 */
export async function copyFrom<Result>(
  context: OperationContext,
  header: CopySourceHeader,
  first: OpenedSource,
  copy: (source: OpenedSource) => Promise<Result>,
): Promise<Result> {
  let source = first
  for (let attempt = 1; ; attempt++) {
    try {
      return await copy(source)
    } catch (cause) {
      if (!isOvertaken(cause, header)) throw cause
      if (attempt === COPY_ATTEMPTS_MAX) throw new CairnError('Busy', 'the source keeps changing', { cause })
    }
    source = await openSource(context, header)
  }
}

function isOvertaken(error: unknown, { versionId }: CopySourceHeader): boolean {
  if (hasCode(error, 'NoSuchVersion')) return versionId === undefined
  return hasCode(error, 'PreconditionFailed') && error.details.sourceChanged === 'true'
}

/** Guards against a source bucket that somebody else has made under the name meanwhile. */
async function checkSourceOwner(context: OperationContext, { bucket }: CopySourceHeader): Promise<void> {
  const expected = context.headers['x-amz-source-expected-bucket-owner']
  if (expected === undefined) return
  const { owner } = await context.client.getBucket(bucket, { signal: context.signal })
  requireOwner(expected, owner)
}

async function openVersion(context: OperationContext, header: CopySourceHeader): Promise<OpenedObject> {
  const { bucket, key, versionId } = header
  const named = versionId === undefined ? {} : { versionId }
  try {
    return await context.client.openObject(bucket, key, { signal: context.signal, ...named })
  } catch (cause) {
    if (hasCode(cause, 'NoSuchBucket')) throw toS3Error(cause, { BucketName: bucket })
    if (hasCode(cause, 'NoSuchKey', 'NoSuchVersion')) throw toS3Error(cause, { Key: key })
    if (!hasCode(cause, 'VersionIsDeleteMarker')) throw cause
    throw new S3Error(
      'InvalidRequest',
      'The source of a copy request may not specifically refer to a delete marker by version id.',
      { cause },
    )
  }
}

type Directive = 'COPY' | 'REPLACE'

/** What the request says of the copy's attributes. */
interface AskedChange {
  readonly directive: Directive
  readonly tagging: Directive
  readonly attributes: ObjectAttributes
}

/** Throws `InvalidRequest` for a copy of an object onto itself that would change nothing. */
function readChange(context: OperationContext, source: CopySourceHeader): AskedChange {
  const { headers } = context
  const directive = readDirective(headers, 'metadata')
  const tagging = readDirective(headers, 'tagging')
  // Read in both cases: what is not built is refused even where its value would not be used.
  const attributes = readAttributes(headers)
  const ontoItself =
    source.bucket === context.bucket && source.key === context.key && source.versionId === undefined
  const changes =
    directive === 'REPLACE' ||
    headers['x-amz-storage-class'] !== undefined ||
    attributes.websiteRedirectLocation !== undefined
  if (ontoItself && !changes) {
    throw new S3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    )
  }
  return { directive, tagging, attributes }
}

function readDirective(headers: RequestHeaders, of: 'metadata' | 'tagging'): Directive {
  const name = `x-amz-${of}-directive`
  const directive = headers[name] ?? 'COPY'
  if (directive === 'COPY' || directive === 'REPLACE') return directive
  throw new S3Error('InvalidArgument', `Unknown ${of} directive.`, {
    elements: { ArgumentName: name, ArgumentValue: directive },
  })
}

/**
 * The attributes of the copy, or `undefined` to keep the source's. Redirect and storage class are never taken over, as
 * in S3.
 */
function changedAttributes(asked: AskedChange, source: ObjectAttributes): ObjectAttributes | undefined {
  const { websiteRedirectLocation, storageClass, tags: given, ...fresh } = asked.attributes
  const { websiteRedirectLocation: before, storageClass: classBefore, tags: ofSource, ...kept } = source
  const keepsAll = asked.directive === 'COPY' && asked.tagging === 'COPY'
  if (keepsAll && websiteRedirectLocation === before && storageClass === classBefore) return undefined
  const tags = asked.tagging === 'COPY' ? ofSource : given
  return {
    ...(asked.directive === 'COPY' ? kept : fresh),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(websiteRedirectLocation === undefined ? {} : { websiteRedirectLocation }),
    ...(tags === undefined ? {} : { tags }),
  }
}
