/** Fields of a form as the headers that they stand for, so that an upload by form is stored like any other. */
import { S3Error } from '../../errors.js'
import { FORM_FIELDS_BYTES_MAX } from '../../limits.js'
import type { RequestHeaders } from '../types.js'

/** Fields with the meaning of a header of the same name. */
const HEADERS: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-md5',
  'content-type',
  'expires',
  'x-amz-acl',
  'x-amz-sdk-checksum-algorithm',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
])
const HEADER_FAMILY = /^x-amz-(?:meta|checksum|server-side-encryption|object-lock|grant)-/

/** Fields of the form itself: other steps read them. */
const OWN: ReadonlySet<string> = new Set([
  'bucket',
  'key',
  'policy',
  'redirect',
  'success_action_redirect',
  'success_action_status',
  'tagging',
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-signature',
])

/** Other names of fields. */
const NAMES: Readonly<Record<string, string>> = {
  acl: 'x-amz-acl',
  'x-amz-checksum-algorithm': 'x-amz-sdk-checksum-algorithm',
  'x-amz-server-side-encryption': 'x-amz-server-side-encryption',
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: this is how S3 writes the variable.
const FILE_NAME = '${filename}'
/** What may stand in a header: unlike headers, fields can hold line ends. */
const SAFE = /^[\x20-\x7e\u0080-\u00ff]*$/
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/**
 * Puts the name of the file in wherever a field asks for it. Policies are compared with the outcome, which may be
 * no longer than what may be sent: `MaxPostPreDataLengthExceeded`.
 */
export function expandFileName(
  fields: ReadonlyMap<string, string>,
  fileName: string,
): ReadonlyMap<string, string> {
  const expanded = new Map<string, string>()
  let sizeBytes = 0
  for (const [name, value] of fields) {
    const [first = '', ...rest] = name === 'policy' ? [value] : value.split(FILE_NAME)
    sizeBytes += Buffer.byteLength(value) + rest.length * Buffer.byteLength(fileName)
    if (sizeBytes > FORM_FIELDS_BYTES_MAX) throw new S3Error('MaxPostPreDataLengthExceededError')
    expanded.set(name, [first, ...rest].join(fileName))
  }
  return expanded
}

/**
 * Headers for everything that is stored, latin1 as Node hands out real ones. Fields without a meaning in S3 are
 * left out; `NotImplemented` for an `x-amz-` field of unknown meaning; `InvalidArgument` for values that no
 * answer could carry.
 */
export function fieldHeaders(fields: ReadonlyMap<string, string>): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = Object.create(null)
  for (const [field, value] of fields) {
    const header = headerOf(field)
    if (header === undefined) continue
    const text = Buffer.from(value).toString('latin1').trim()
    if (!HEADER_NAME.test(header) || !SAFE.test(text)) throw unusable(field)
    if (headers[header] !== undefined) throw unusable(field)
    headers[header] = text
  }
  return headers
}

function headerOf(field: string): string | undefined {
  const renamed = Object.hasOwn(NAMES, field) ? NAMES[field] : undefined
  if (renamed !== undefined) return renamed
  if (HEADERS.has(field) || HEADER_FAMILY.test(field)) return field
  if (OWN.has(field) || !field.startsWith('x-amz-')) return undefined
  throw new S3Error(
    'NotImplemented',
    `The form field ${field} implies functionality that is not implemented.`,
    {
      elements: { Header: field },
    },
  )
}

function unusable(field: string): S3Error {
  return new S3Error('InvalidArgument', `The value of the form field ${field} cannot be stored.`, {
    elements: { ArgumentName: field },
  })
}

/** How a successful upload is answered. */
export type FormAnswer =
  | { readonly kind: 'redirect'; readonly url: URL }
  | { readonly kind: 'status'; readonly status: 200 | 201 | 204 }

/** Reads `success_action_redirect` and `success_action_status`. A URL that is none counts as absent, as in S3. */
export function readFormAnswer(fields: Pick<RequestHeaders, string>): FormAnswer {
  const redirect = fields.success_action_redirect ?? fields.redirect
  if (redirect !== undefined) {
    if (!/^[\x20-\x7e]*$/.test(redirect)) throw unusable('success_action_redirect')
    if (/^https?:\/\/./i.test(redirect) && URL.canParse(redirect)) {
      return { kind: 'redirect', url: new URL(redirect) }
    }
  }
  const status = fields.success_action_status
  if (status === '200') return { kind: 'status', status: 200 }
  return { kind: 'status', status: status === '201' ? 201 : 204 }
}
