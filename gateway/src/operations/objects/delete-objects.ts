import type { DeleteTarget } from '@cairn/client'
import {
  type DeleteOutcome,
  ERROR_CODES,
  type ErrorCode,
  KEY_BYTES_MAX,
  LIST_PAGE_MAX,
} from '@cairn/protocol'
import { canonicalIdOf } from '../../authentication/principal.js'
import { S3_CODE_OF, S3_ERRORS, S3Error, type S3ErrorCode } from '../../errors.js'
import { DELETE_LIST_BOUNDS } from '../../limits.js'
import { readDocument } from '../../payload/read-document.js'
import { childrenOf, findText, getText, parseXml, type XmlElement } from '../../xml/reader.js'
import { document, element, parent } from '../../xml/writer.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { deletePreconditions } from './conditions.js'

/** `POST /B?delete`: up to 1,000 keys or versions, each with an outcome of its own in a 200. */
export const deleteObjects: Operation = { name: 'DeleteObjects', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  requireDigest(context)
  const request = parseXml(await readDocument(context, DELETE_LIST_BOUNDS), 'Delete', DELETE_LIST_BOUNDS)
  const targets = childrenOf(request, 'Object').map((object) => readTarget(context, object))
  if (targets.length === 0 || targets.length > LIST_PAGE_MAX) throw new S3Error('MalformedXML')
  const quiet = findText(request, 'Quiet')?.trim().toLowerCase() === 'true'
  const outcomes = await context.client.deleteObjects(context.bucket, targets, {
    owner: canonicalIdOf(context.principal),
    signal: context.signal,
  })
  const content = targets.map((target, index) => outcomeXml(target, outcomes[index], quiet)).join('')
  return xmlResponse(document('DeleteResult', content))
}

function requireDigest(context: OperationContext): void {
  if (!context.config.compatibility.strictDeleteDigest) return
  const digested = Object.keys(context.headers).some(
    (name) => name === 'content-md5' || name.startsWith('x-amz-checksum-'),
  )
  if (!digested && context.headers['x-amz-trailer'] === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'Missing required header for this request: Content-MD5 OR x-amz-checksum-*',
    )
  }
}

function readTarget(context: OperationContext, object: XmlElement): DeleteTarget {
  const key = getText(object, 'Key')
  if (key === '' || key.includes('\0')) throw new S3Error('MalformedXML')
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new S3Error('KeyTooLongError')
  const versionId = findText(object, 'VersionId') || undefined
  const texts = {
    etag: findText(object, 'ETag'),
    size: findText(object, 'Size'),
    lastModified: findText(object, 'LastModifiedTime'),
  }
  const { compatibility } = context.config
  const preconditions = deletePreconditions(texts, CONDITION_NAMES, { compatibility, versionId })
  return {
    key,
    ...(versionId === undefined ? {} : { versionId }),
    ...(preconditions === undefined ? {} : { preconditions }),
  }
}

const CONDITION_NAMES = { etag: 'ETag', size: 'Size', lastModified: 'LastModifiedTime' }

function outcomeXml(target: DeleteTarget, outcome: DeleteOutcome | undefined, quiet: boolean): string {
  const head = element('Key', target.key) + element('VersionId', target.versionId)
  if (outcome?.errorCode !== undefined) return errorXml(head, codeOf(target, outcome.errorCode))
  if (quiet) return ''
  if (outcome?.deleteMarker !== true) return parent('Deleted', head)
  const marker = element('DeleteMarker', true) + element('DeleteMarkerVersionId', outcome.versionId)
  return parent('Deleted', head + marker)
}

/** A version id that is none is, among others, only one that is not there, as in S3. */
function codeOf({ versionId }: DeleteTarget, name: string): S3ErrorCode {
  const code = S3_CODE_OF[(Object.hasOwn(ERROR_CODES, name) ? name : 'Internal') as ErrorCode]
  return code === 'InvalidArgument' && versionId !== undefined ? 'NoSuchVersion' : code
}

function errorXml(head: string, code: S3ErrorCode): string {
  return parent('Error', head + element('Code', code) + element('Message', S3_ERRORS[code][1]))
}
