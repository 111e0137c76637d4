/** Request headers to what is kept with an object, and back to response headers. */
import type { Draft, ObjectAttributes, ObjectChecksum } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import type { Query } from '../../http/query.js'
import { checksumHeader } from '../../payload/checksum.js'
import { isFraming } from '../../payload/payload-kind.js'
import type { MutableHeaders, RequestHeaders, ResponseHeaders } from '../types.js'
import { readTagHeader } from './tag-set.js'

/** Bytes of user metadata, names and values together, as in S3. */
const USER_METADATA_BYTES_MAX = 2048
const METADATA_PREFIX = 'x-amz-meta-'

/** Header by attribute; both directions. */
const HEADER_OF = {
  contentType: 'Content-Type',
  cacheControl: 'Cache-Control',
  contentDisposition: 'Content-Disposition',
  contentEncoding: 'Content-Encoding',
  contentLanguage: 'Content-Language',
  expires: 'Expires',
  websiteRedirectLocation: 'x-amz-website-redirect-location',
} as const

/** Overrides of a signed GET, by query parameter. */
const OVERRIDES = Object.entries({
  'response-content-type': 'Content-Type',
  'response-cache-control': 'Cache-Control',
  'response-content-disposition': 'Content-Disposition',
  'response-content-encoding': 'Content-Encoding',
  'response-content-language': 'Content-Language',
  'response-expires': 'Expires',
})

/** What S3 answers for an object that was stored without a content type. */
const CONTENT_TYPE_DEFAULT = 'binary/octet-stream'

type Attribute = keyof typeof HEADER_OF

/** The table above as a list, with the header names as requests are keyed by. */
const HEADER_LIST: readonly { readonly name: Attribute; readonly header: string; readonly lower: string }[] =
  (Object.entries(HEADER_OF) as [Attribute, string][]).map(([name, header]) => ({
    name,
    header,
    lower: header.toLowerCase(),
  }))

/** Reads everything S3 keeps with an object. Throws for what is not built, so that nothing is silently ignored. */
export function readAttributes(headers: RequestHeaders): ObjectAttributes {
  refuseUnbuilt(headers)
  const attributes: Draft<ObjectAttributes> = {}
  for (const { name, lower } of HEADER_LIST) {
    const value = name === 'contentEncoding' ? withoutFraming(headers[lower]) : headers[lower]
    if (value !== undefined && value !== '') attributes[name] = value
  }
  checkRedirect(attributes.websiteRedirectLocation)
  const userMetadata = readUserMetadata(headers)
  const storageClass = readStorageClass(headers)
  const tags = readTagHeader(headers)
  if (userMetadata !== undefined) attributes.userMetadata = userMetadata
  if (storageClass !== undefined) attributes.storageClass = storageClass
  if (tags !== undefined) attributes.tags = tags
  return attributes
}

function checkRedirect(location: string | undefined): void {
  if (location === undefined || /^(?:\/|https?:\/\/)/.test(location)) return
  throw new S3Error('InvalidRedirectLocation')
}

/** The framing is never stored, wherever it stands in the list. */
function withoutFraming(encoding: string | undefined): string | undefined {
  if (encoding === undefined) return undefined
  const kept = encoding
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '' && !isFraming(part))
  return kept.length === 0 ? undefined : kept.join(', ')
}

function readUserMetadata(headers: RequestHeaders): Record<string, string> | undefined {
  let found: Record<string, string> | undefined
  let bytes = 0
  for (const header in headers) {
    if (!header.startsWith(METADATA_PREFIX)) continue
    const value = headers[header]
    if (value === undefined) continue
    const name = header.slice(METADATA_PREFIX.length)
    if (name === '') throw new S3Error('InvalidArgument', 'A metadata header has no name.')
    found ??= Object.create(null) as Record<string, string>
    found[name] = value
    bytes += name.length + value.length
  }
  if (bytes > USER_METADATA_BYTES_MAX) {
    throw new S3Error('MetadataTooLarge', undefined, {
      elements: { Size: String(bytes), MaxSizeAllowed: String(USER_METADATA_BYTES_MAX) },
    })
  }
  return found
}

/**
 * Classes whose objects can be read at once, as all objects here: kept as a label. Those of the others (GLACIER,
 * DEEP_ARCHIVE, …) are restored first, or lie elsewhere, on AWS: a label alone would promise what is not so.
 */
const STORAGE_CLASSES: ReadonlySet<string> = new Set([
  'STANDARD_IA',
  'ONEZONE_IA',
  'REDUCED_REDUNDANCY',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
])

function readStorageClass(headers: RequestHeaders): string | undefined {
  const wanted = headers['x-amz-storage-class']
  if (wanted === undefined || wanted === '' || wanted === 'STANDARD') return undefined
  if (STORAGE_CLASSES.has(wanted)) return wanted
  throw new S3Error('InvalidStorageClass', undefined, { elements: { StorageClassRequested: wanted } })
}

/** Headers that would change what is stored, of features that are not built: named in the refusal. */
const UNBUILT = /^x-amz-((copy-source-)?server-side-encryption.*|object-lock-.*|write-offset-bytes)$/

/** Headers of every signed request. */
const OF_SIGNATURES: ReadonlySet<string> = new Set(['x-amz-date', 'x-amz-content-sha256'])

/** Canned ACLs that ask for nothing beyond what a bucket with enforced ownership gives. */
const NEUTRAL_ACLS: ReadonlySet<string> = new Set(['private', 'bucket-owner-full-control'])

/** The others that S3 has. */
const GRANTING_ACLS: ReadonlySet<string> = new Set([
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'log-delivery-write',
])

/**
 * Whether headers ask for an ACL beyond what enforced ownership gives. Throws `InvalidArgument` for a canned ACL that
 * S3 does not have, `InvalidRequest` for one beside grants.
 */
export function grantsAccess(headers: RequestHeaders): boolean {
  const canned = headers['x-amz-acl']
  let grants = false
  for (const header in headers) if (header.startsWith('x-amz-grant-')) grants = true
  if (canned === undefined) return grants
  if (!NEUTRAL_ACLS.has(canned) && !GRANTING_ACLS.has(canned)) {
    throw new S3Error('InvalidArgument', undefined, {
      elements: { ArgumentName: 'x-amz-acl', ArgumentValue: canned },
    })
  }
  if (grants) {
    throw new S3Error('InvalidRequest', 'Specifying both Canned ACLs and Header Grants is not allowed')
  }
  return !NEUTRAL_ACLS.has(canned)
}

/** Throws `NotImplemented` for headers that name a feature which is not built, and for ACLs as S3 does without them. */
export function refuseUnbuilt(headers: RequestHeaders): void {
  for (const header in headers) {
    const value = headers[header]
    if (value === undefined || !header.startsWith('x-amz-') || OF_SIGNATURES.has(header)) continue
    if (UNBUILT.test(header)) {
      throw new S3Error(
        'NotImplemented',
        `The header ${header} implies functionality that is not implemented.`,
        {
          elements: { Header: header },
        },
      )
    }
    const acl = header === 'x-amz-acl' || header.startsWith('x-amz-grant-')
    if (acl && grantsAccess(headers)) throw new S3Error('AccessControlListNotSupported')
  }
}

/** Non-ASCII metadata as AWS answers it: an encoded word of RFC 2047 over the stored bytes. */
function metadataValue(value: string, raw: boolean): string {
  if (raw || /^[\x20-\x7e]*$/.test(value)) return value
  return `=?UTF-8?B?${Buffer.from(value, 'latin1').toString('base64')}?=`
}

/** Adds the headers for the attributes of a version. `rawMetadata` answers non-ASCII metadata byte for byte. */
export function addAttributeHeaders(
  headers: MutableHeaders,
  attributes: ObjectAttributes,
  rawMetadata: boolean,
): void {
  headers['Content-Type'] = CONTENT_TYPE_DEFAULT
  // Most objects have few of them, if any.
  for (const name in attributes) {
    if (!isHeader(name)) continue
    const value = attributes[name]
    if (value !== undefined) headers[HEADER_OF[name]] = value
  }
  const { userMetadata } = attributes
  for (const name in userMetadata) {
    headers[METADATA_PREFIX + name] = metadataValue(userMetadata[name] ?? '', rawMetadata)
  }
  if (attributes.storageClass !== undefined) headers['x-amz-storage-class'] = attributes.storageClass
  if (attributes.tags !== undefined) headers['x-amz-tagging-count'] = String(attributes.tags.length)
}

function isHeader(name: string): name is Attribute {
  return Object.hasOwn(HEADER_OF, name)
}

/** The header that shows a checksum, with its type; none without one. */
export function checksumHeaders(checksum: ObjectChecksum | undefined): ResponseHeaders {
  const headers: MutableHeaders = {}
  addChecksumHeaders(headers, checksum)
  return headers
}

/** The same, among others. */
export function addChecksumHeaders(headers: MutableHeaders, checksum: ObjectChecksum | undefined): void {
  if (checksum === undefined) return
  headers[checksumHeader(checksum.algorithm)] = checksum.value
  headers['x-amz-checksum-type'] = checksum.type
}

const NO_HEADERS: ResponseHeaders = {}

/** `response-*` overrides of a GET. Values that could break the response head are refused. */
export function overrideHeaders(query: Query): ResponseHeaders {
  if (query.parameters.length === 0) return NO_HEADERS
  const headers: Record<string, string> = {}
  for (const [parameter, header] of OVERRIDES) {
    const value = query.find(parameter)
    if (value === undefined) continue
    if (!/^[\x20-\x7e\u0080-\u00ff]*$/.test(value)) {
      throw new S3Error('InvalidArgument', 'Header value cannot be represented using ISO-8859-1.', {
        elements: { ArgumentName: parameter, ArgumentValue: value },
      })
    }
    headers[header] = value
  }
  return headers
}
