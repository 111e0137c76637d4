/** Query parameters that several operations read the same way. */
import { LIST_PAGE_MAX, PART_NUMBER_MAX } from '@cairn/protocol'
import { S3Error } from '../errors.js'
import type { Query } from '../http/query.js'

/** A part number from 1 to 10,000, if there is one. Throws `InvalidArgument`. */
export function readPartNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= PART_NUMBER_MAX) return number
  throw new S3Error(
    'InvalidArgument',
    `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive`,
    {
      elements: { ArgumentName: 'partNumber', ArgumentValue: text },
    },
  )
}

/** `max-keys` and its siblings: absent is 1,000, more is capped, what is no number is `InvalidArgument`. */
export function readPageSize(query: Query, name: string): number {
  const text = query.find(name)
  if (text === undefined || text === '') return LIST_PAGE_MAX
  if (!/^\d{1,10}$/.test(text) || Number(text) > 2 ** 31 - 1) {
    throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`, {
      elements: { ArgumentName: name, ArgumentValue: text },
    })
  }
  return Math.min(Number(text), LIST_PAGE_MAX)
}

/** How keys are written in a listing: as they are, or percent-encoded when `encoding-type=url` was asked for. */
export interface KeyEncoding {
  readonly name: 'url' | undefined
  encode(key: string): string
}

/** Reads `encoding-type`; anything but `url` is `InvalidArgument`. */
export function readEncoding(query: Query): KeyEncoding {
  const wanted = query.find('encoding-type')
  if (wanted === undefined) return { name: undefined, encode: (key) => key }
  if (wanted !== 'url') {
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request', {
      elements: { ArgumentName: 'encoding-type', ArgumentValue: wanted },
    })
  }
  return { name: 'url', encode: encodeKey }
}

/** Percent-encodes the UTF-8 bytes; `/` and the unreserved characters of RFC 3986 stay. */
function encodeKey(key: string): string {
  if (/^[A-Za-z0-9\-._~/]*$/.test(key)) return key
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The version that is named, if one is. Throws `InvalidArgument` for an empty name. */
export function readVersionId(query: Query): string | undefined {
  const versionId = query.find('versionId')
  if (versionId !== '') return versionId
  throw new S3Error('InvalidArgument', 'Version id cannot be the empty string', {
    elements: { ArgumentName: 'versionId', ArgumentValue: '' },
  })
}

/** An upload id, which must be there. */
export function readUploadId(query: Query): string {
  const id = query.find('uploadId')
  if (id !== undefined && id !== '') return id
  throw new S3Error('InvalidArgument', 'This operation does not accept a query-string without an upload id.')
}
