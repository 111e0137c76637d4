/** Messages of listings. */
import { boolean, integer, list, type Message, message, required, text } from '../message.js'
import { type ListedObject, type ListedVersion, listedObjects, listedVersions } from './listed-entries.js'

/**
 * A page of current versions in byte order. `after` is exclusive; if it ends in the delimiter and is a common
 * prefix of this listing, everything below it is skipped too.
 */
export interface ListObjectsRequest {
  readonly bucket: string
  readonly prefix: string
  /** Empty for none. */
  readonly delimiter: string
  readonly after: string
  /** 0 to LIST_PAGE_MAX; counts keys plus common prefixes. */
  readonly limit: number
}
export const ListObjectsRequest: Message<ListObjectsRequest> = message<ListObjectsRequest>(
  'ListObjectsRequest',
  1,
  {
    bucket: required(1, text),
    prefix: required(2, text),
    delimiter: required(3, text),
    after: required(4, text),
    limit: required(5, integer),
  },
)
export interface ListObjectsResponse {
  readonly objects: readonly ListedObject[]
  readonly commonPrefixes: readonly string[]
  readonly truncated: boolean
  /** Last key or common prefix of the page, where the next one starts. */
  readonly next: string
}
export const ListObjectsResponse: Message<ListObjectsResponse> = message<ListObjectsResponse>(
  'ListObjectsResponse',
  1,
  {
    commonPrefixes: list(2, text),
    truncated: required(3, boolean),
    next: required(4, text),
    objects: required(5, listedObjects),
  },
)
/** Versions and markers, newest first within a key. Markers are exclusive; `afterVersionId` needs `afterKey`. */
export interface ListVersionsRequest {
  readonly bucket: string
  readonly prefix: string
  readonly delimiter: string
  readonly afterKey: string
  readonly afterVersionId: string
  readonly limit: number
}
export const ListVersionsRequest: Message<ListVersionsRequest> = message<ListVersionsRequest>(
  'ListVersionsRequest',
  1,
  {
    bucket: required(1, text),
    prefix: required(2, text),
    delimiter: required(3, text),
    afterKey: required(4, text),
    afterVersionId: required(5, text),
    limit: required(6, integer),
  },
)
export interface ListVersionsResponse {
  readonly versions: readonly ListedVersion[]
  readonly commonPrefixes: readonly string[]
  readonly truncated: boolean
  readonly nextKey: string
  readonly nextVersionId: string
}
export const ListVersionsResponse: Message<ListVersionsResponse> = message<ListVersionsResponse>(
  'ListVersionsResponse',
  1,
  {
    commonPrefixes: list(2, text),
    truncated: required(3, boolean),
    nextKey: required(4, text),
    nextVersionId: required(5, text),
    versions: required(6, listedVersions),
  },
)
