import { LIST_PAGE_MAX, type ObjectChecksum, type ObjectVersion, PART_NUMBER_MAX } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import { document, element, parent } from '../../xml/writer.js'
import { readVersionId } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, RequestHeaders, S3Response } from '../types.js'
import { checksumElement, checksumXml } from './checksum-xml.js'
import { lastModified, versionHeader } from './object-headers.js'
import { countParts, type ObjectPart, partsAfter } from './object-parts.js'

/** `GET /B/K?attributes`: what is asked for of one version, without its bytes. */
export const getObjectAttributes: Operation = { name: 'GetObjectAttributes', handle }

const ATTRIBUTES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const
type Attribute = (typeof ATTRIBUTES)[number]

async function handle(context: OperationContext): Promise<S3Response> {
  const wanted = readWanted(context.headers)
  const page = readPartPage(context.headers)
  const versionId = readVersionId(context.query)
  const { object, versioning } = await context.client.openObject(context.bucket, context.key, {
    signal: context.signal,
    ...(versionId === undefined ? {} : { versionId }),
  })
  const { attributesParts: always, attributesSuffix: suffixed } = context.config.compatibility
  const shown = { ...page, always, suffixed }
  const content = [...wanted].map((attribute) => attributeXml(attribute, object, shown))
  return xmlResponse(document('GetObjectAttributesResponse', content.join('')), {
    'Last-Modified': lastModified(object),
    ...versionHeader(versioning, object.versionId),
  })
}

interface PartPage {
  readonly after: number
  readonly limit: number
}

/**
 * `always`: also the parts of an object that keeps no checksums of theirs. `suffixed`: with the number of parts behind
 * a composite checksum, which stands in headers but not here.
 */
function attributeXml(
  attribute: Attribute,
  object: ObjectVersion,
  page: PartPage & { readonly always: boolean; readonly suffixed: boolean },
): string {
  switch (attribute) {
    case 'ETag':
      return element('ETag', object.etag)
    case 'Checksum':
      return object.checksum === undefined ? '' : parent('Checksum', shownChecksum(object.checksum, page))
    case 'ObjectParts':
      return object.parts.length === 0 ? '' : parent('ObjectParts', partsXml(object, page))
    case 'StorageClass':
      return element('StorageClass', object.attributes.storageClass ?? 'STANDARD')
    case 'ObjectSize':
      return element('ObjectSize', object.sizeBytes)
  }
}

function shownChecksum(checksum: ObjectChecksum, { suffixed }: { readonly suffixed: boolean }): string {
  return checksumXml(suffixed ? checksum : { ...checksum, value: checksum.value.replace(/-\d+$/, '') })
}

function partsXml(
  object: ObjectVersion,
  { after, limit, always }: PartPage & { readonly always: boolean },
): string {
  const count = element('PartsCount', countParts(object.parts))
  if (!always && object.partChecksums === undefined) return count
  const found = partsAfter(object, after, limit + 1)
  const parts = found.slice(0, limit)
  return (
    element('PartNumberMarker', after) +
    element('NextPartNumberMarker', parts.at(-1)?.partNumber ?? 0) +
    element('MaxParts', limit) +
    element('IsTruncated', limit > 0 && found.length > limit) +
    parts.map((part) => partXml(part, object)).join('') +
    count
  )
}

function partXml(part: ObjectPart, { checksum }: ObjectVersion): string {
  const value =
    checksum === undefined || part.checksum === undefined
      ? ''
      : element(checksumElement(checksum.algorithm), part.checksum)
  return parent('Part', element('PartNumber', part.partNumber) + element('Size', part.length) + value)
}

/** In S3's order, whatever the order of the request. */
function readWanted(headers: RequestHeaders): readonly Attribute[] {
  const names = (headers['x-amz-object-attributes'] ?? '').split(',').map((name) => name.trim())
  const given = new Set(names.filter((name) => name !== ''))
  if (given.size === 0) {
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty',
    )
  }
  const wanted = ATTRIBUTES.filter((name) => given.delete(name))
  if (given.size === 0) return wanted
  throw new S3Error('InvalidArgument', 'Invalid attribute name specified.', {
    elements: { ArgumentName: 'x-amz-object-attributes', ArgumentValue: [...given].join(',') },
  })
}

function readPartPage(headers: RequestHeaders): PartPage {
  return {
    after: readCount(headers, 'x-amz-part-number-marker', 0),
    limit: Math.min(readCount(headers, 'x-amz-max-parts', LIST_PAGE_MAX), LIST_PAGE_MAX),
  }
}

function readCount(headers: RequestHeaders, name: string, fallback: number): number {
  const text = headers[name]
  if (text === undefined || text === '') return fallback
  // What is no number is ignored, as S3 ignores it.
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), PART_NUMBER_MAX) : fallback
}
