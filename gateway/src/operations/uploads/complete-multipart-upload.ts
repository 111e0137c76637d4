import type { CairnClient, CompleteUploadOptions, RequestedPart } from '@cairn/client'
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumType,
  hasCode,
  type ObjectChecksum,
  PART_NUMBER_MAX,
  type UploadInfo,
} from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import { PART_LIST_BOUNDS } from '../../limits.js'
import {
  checksumHeader,
  decodeChecksum,
  malformedChecksumCode,
  parseChecksum,
  severalChecksums,
} from '../../payload/checksum.js'
import { readDocument } from '../../payload/read-document.js'
import { childrenOf, findText, getText, parseXml, type XmlElement } from '../../xml/reader.js'
import { document, element } from '../../xml/writer.js'
import { answerInTime } from '../early-answer.js'
import { refuseUnbuilt } from '../objects/attributes.js'
import { checksumElement, checksumXml } from '../objects/checksum-xml.js'
import { parseEtags, writePreconditions } from '../objects/conditions.js'
import { quoted, writtenVersionId } from '../objects/object-headers.js'
import { objectLocation } from '../objects/object-location.js'
import { readUploadId } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, RequestHeaders, S3Response } from '../types.js'
import { findUpload } from './find-upload.js'

/** `POST /B/K?uploadId`: makes the object of the listed parts. Repeated with the same list, the same answer. */
export const completeMultipartUpload: Operation = { name: 'CompleteMultipartUpload', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const { bucket, key } = context
  const uploadId = readUploadId(context.query)
  refuseUnbuilt(context.headers)
  const preconditions = writePreconditions(context.headers, context.config.compatibility)
  const sizeBytes = readObjectSize(context.headers)
  const parts = readParts(await readList(context))
  const given = readObjectChecksum(context, parts.length)
  const upload = await findUpload(context, { bucket, key, uploadId })
  if (upload !== undefined) checkAgainstUpload(upload, parts, readChecksumType(context.headers))
  const checksum = isComparable(given, upload) ? given : undefined
  const expected = {
    ...(preconditions === undefined ? {} : { preconditions }),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(checksum === undefined ? {} : { checksum }),
  }
  return answerInTime(context, async () => {
    const completed = await complete(context, uploadId, parts, expected)
    const content =
      element('Location', objectLocation(context)) +
      element('Bucket', bucket) +
      element('Key', key) +
      element('ETag', quoted(completed.etag)) +
      checksumXml(completed.checksum)
    return xmlResponse(document('CompleteMultipartUploadResult', content), {
      'x-amz-version-id': writtenVersionId(completed.versionId, context.config.compatibility),
    })
  })
}

async function complete(
  { client, bucket, key, signal }: OperationContext,
  uploadId: string,
  parts: readonly RequestedPart[],
  expected: CompleteUploadOptions,
): ReturnType<CairnClient['completeUpload']> {
  try {
    return await client.completeUpload({ bucket, key, uploadId }, parts, { ...expected, signal })
  } catch (cause) {
    if (!hasCode(cause, 'LengthMismatch')) throw cause
    throw new S3Error(
      'InvalidRequest',
      "The provided 'x-amz-mp-object-size' header value does not match what was computed.",
      { cause },
    )
  }
}

/**
 * A composite checksum is made of checksums that the caller knows, so each part of the list must name its own; and a
 * type that is given must be the upload's. Parts of an upload that declares no algorithm have no checksum to name. An
 * upload that is not there any more may have been completed already: then the list was looked at before.
 */
function checkAgainstUpload(
  { uploadId, checksumAlgorithm, checksumType }: UploadInfo,
  parts: readonly RequestedPart[],
  type: ChecksumType | undefined,
): void {
  if (type !== undefined && checksumType !== type) {
    throw new S3Error(
      'InvalidRequest',
      `The upload was created using the ${checksumType ?? null} checksum mode. The complete request must use the same checksum mode.`,
    )
  }
  const named = checksumAlgorithm === undefined && parts.find((part) => part.checksum !== undefined)
  if (named) {
    const elements = { UploadId: uploadId, PartNumber: String(named.partNumber), ETag: named.etag }
    throw new S3Error('InvalidPart', undefined, { elements })
  }
  const without = checksumType === 'COMPOSITE' && parts.find((part) => part.checksum === undefined)
  if (!without) return
  throw new S3Error(
    'InvalidRequest',
    `The upload was created using a ${checksumAlgorithm?.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${without.partNumber} in the request.`,
  )
}

/** As S3 ignores it, the checksum of an upload that declares none counts only in the algorithm that is then taken. */
function isComparable(given: ObjectChecksum | undefined, upload: UploadInfo | undefined): boolean {
  return upload?.checksumAlgorithm !== undefined || given?.algorithm === 'CRC64NVME'
}

/**
 * The part list. Checksum headers of this request describe the object, not the document, so the body is verified
 * by its payload hash alone.
 */
async function readList(context: OperationContext): Promise<XmlElement> {
  const bytes = await readDocument(context, { ...PART_LIST_BOUNDS, checksumOfObject: true })
  if (bytes.length === 0) throw new S3Error('MalformedXML')
  return parseXml(bytes, 'CompleteMultipartUpload', PART_LIST_BOUNDS)
}

function readParts(list: XmlElement): RequestedPart[] {
  const parts = childrenOf(list, 'Part').map(readPart)
  if (parts.length === 0 || parts.length > PART_NUMBER_MAX) throw new S3Error('MalformedXML')
  return parts
}

function readPart(part: XmlElement): RequestedPart {
  const number = getText(part, 'PartNumber').trim()
  const [etag] = parseEtags(getText(part, 'ETag').trim())
  if (!/^-?\d{1,9}$/.test(number) || etag === undefined) throw new S3Error('MalformedXML')
  if (Number(number) < 1 || Number(number) > PART_NUMBER_MAX) {
    throw new S3Error('InvalidArgument', `PartNumber must be between 1 and ${PART_NUMBER_MAX}, inclusive`)
  }
  const checksum = readPartChecksum(part)
  const requested = { partNumber: Number(number), etag }
  return checksum === undefined ? requested : { ...requested, checksum }
}

/** One at most, and of its algorithm's size. */
function readPartChecksum(part: XmlElement): RequestedPart['checksum'] {
  const found = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
    const value = findText(part, checksumElement(algorithm))?.trim() ?? ''
    return value === '' ? [] : [{ algorithm, value }]
  })
  const [first] = found
  if (first === undefined) return undefined
  if (found.length === 1 && decodeChecksum(first.algorithm, first.value) !== undefined) return first
  throw new S3Error('InvalidArgument', 'Invalid Base64 or multiple checksums present in request', {
    elements: { ArgumentName: 'PartNumber', ArgumentValue: found.map(({ value }) => value).join(',') },
  })
}

function readObjectSize(headers: RequestHeaders): number | undefined {
  const text = headers['x-amz-mp-object-size']
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new S3Error('InvalidRequest', `Value for x-amz-mp-object-size header is invalid: '${text}'`)
}

function readChecksumType(headers: RequestHeaders): ChecksumType | undefined {
  const type = headers['x-amz-checksum-type']?.toUpperCase()
  if (type === undefined || type === 'FULL_OBJECT' || type === 'COMPOSITE') return type
  throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.')
}

/** The checksum the caller expects of the whole object. */
function readObjectChecksum(
  { headers, config }: OperationContext,
  partCount: number,
): ObjectChecksum | undefined {
  const type = readChecksumType(headers)
  const given = CHECKSUM_ALGORITHMS.filter((algorithm) => headers[checksumHeader(algorithm)] !== undefined)
  const [algorithm] = given
  if (algorithm === undefined) return undefined
  if (given.length > 1) throw severalChecksums()
  const text = headers[checksumHeader(algorithm)] ?? ''
  const composite = /^(.*)-(\d{1,5})$/.exec(text)
  parseChecksum(algorithm, composite?.[1] ?? text, malformedChecksumCode(config.compatibility))
  const kind: ChecksumType = type ?? (composite === null ? 'FULL_OBJECT' : 'COMPOSITE')
  const value = kind === 'COMPOSITE' && composite === null ? `${text}-${partCount}` : text
  return { algorithm, type: kind, value }
}
