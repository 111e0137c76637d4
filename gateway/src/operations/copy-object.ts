import type { CopySource, OpenedObject } from '@cairn/client'
import type { ObjectAttributes } from '@cairn/protocol'
import { canonicalIdOf } from '../authentication/principal.js'
import { S3Error } from '../errors.js'
import { document, element, formatTime } from '../xml/writer.js'
import { readAttributes } from './attributes.js'
import { checksumXml } from './checksum-xml.js'
import { copySourceConditions, evaluate, writePreconditions } from './conditions.js'
import { type CopySourceHeader, readCopySource } from './copy-source.js'
import { quoted, writtenVersionHeader } from './object-headers.js'
import { xmlResponse } from './response.js'
import type { Operation, OperationContext, S3Response } from './types.js'

/** Largest source of one CopyObject, as in S3. */
const COPY_BYTES_MAX = 5 * 1024 ** 3

/** `PUT /B/K` with `x-amz-copy-source`: the copy refers to the source's blocks; no bytes move. */
export const copyObject: Operation = { name: 'CopyObject', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const header = readCopySource(context.headers)
  const attributes = readReplacement(context, header)
  const preconditions = writePreconditions(context.headers, context.config.compatibility)
  const source = await openSource(context, header)
  if (source.opened.object.sizeBytes > COPY_BYTES_MAX) {
    throw new S3Error(
      'InvalidRequest',
      'The specified copy source is larger than the maximum allowable size for a copy source: 5368709120',
    )
  }
  const copy = await context.client.copyObject(source.reference, context.bucket, context.key, {
    owner: canonicalIdOf(context.principal),
    signal: context.signal,
    ...(attributes === undefined ? {} : { attributes }),
    ...(preconditions === undefined ? {} : { preconditions }),
  })
  const content =
    element('LastModified', formatTime(copy.modifiedMs)) +
    element('ETag', quoted(copy.etag)) +
    checksumXml(copy.checksum)
  return xmlResponse(document('CopyObjectResult', content), {
    ...writtenVersionHeader(copy.versionId, context.config.compatibility),
    ...sourceVersionHeader(source.opened),
  })
}

/** The version that was copied, where versioning was ever on. */
export function sourceVersionHeader(opened: OpenedObject): { 'x-amz-copy-source-version-id'?: string } {
  return opened.versioning === 'unset' ? {} : { 'x-amz-copy-source-version-id': opened.object.versionId }
}

/** Opens a copy source and checks the caller's conditions on it; both failures are 412, never 304. */
export async function openSource(
  context: OperationContext,
  header: CopySourceHeader,
): Promise<{ opened: OpenedObject; reference: CopySource }> {
  const { versionId } = header
  const opened = await context.client.openObject(header.bucket, header.key, {
    signal: context.signal,
    ...(versionId === undefined ? {} : { versionId }),
  })
  const conditions = copySourceConditions(context.headers)
  if (evaluate(conditions, opened.object, context.nowMs) !== 'proceed')
    throw new S3Error('PreconditionFailed')
  return { opened, reference: { ...header, etag: opened.object.etag } }
}

/** The attributes that replace the source's, or `undefined` to keep them. */
function readReplacement(context: OperationContext, source: CopySourceHeader): ObjectAttributes | undefined {
  const directive = context.headers['x-amz-metadata-directive'] ?? 'COPY'
  if (directive !== 'COPY' && directive !== 'REPLACE') {
    throw new S3Error('InvalidArgument', 'Unknown metadata directive.', {
      elements: { ArgumentName: 'x-amz-metadata-directive', ArgumentValue: directive },
    })
  }
  // Read in both cases: what is not built is refused even where its value would not be used.
  const attributes = readAttributes(context.headers)
  if (directive === 'REPLACE') return attributes
  const ontoItself =
    source.bucket === context.bucket && source.key === context.key && source.versionId === undefined
  if (ontoItself) {
    throw new S3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    )
  }
  return undefined
}
