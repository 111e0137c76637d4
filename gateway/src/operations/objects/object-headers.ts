/** Headers that describe one version, shared by GET, HEAD and their conditional answers. */
import type { ObjectVersion, VersioningState } from '@cairn/protocol'
import type { Compatibility } from '../../compatibility.js'
import { formatHttpDate } from '../../http/dates.js'
import type { MutableHeaders, ResponseHeaders } from '../types.js'
import { addAttributeHeaders } from './attributes.js'

/** The version id header: only where versioning was ever on. */
export function versionHeader(versioning: VersioningState, versionId: string | undefined): ResponseHeaders {
  return versioning === 'unset' ? {} : { 'x-amz-version-id': versionId }
}

/** The `x-amz-version-id` of what was just written; suites expect none for a null version, AWS shows `null`. */
export function writtenVersionId(
  versionId: string | undefined,
  compatibility: Compatibility,
): string | undefined {
  return compatibility.hideNullVersion && versionId === 'null' ? undefined : versionId
}

/** RFC 1123 time of the version, whole seconds. */
export function lastModified(object: { readonly modifiedMs: number }): string {
  return formatHttpDate(object.modifiedMs)
}

export function quoted(etag: string): string {
  return `"${etag}"`
}

/** Adds ETag, times, attributes and version of an object, without lengths. */
export function addObjectHeaders(
  headers: MutableHeaders,
  object: ObjectVersion,
  shown: { readonly versioning: VersioningState; readonly compatibility: Compatibility },
): void {
  headers['Accept-Ranges'] = 'bytes'
  headers['Last-Modified'] = lastModified(object)
  headers.ETag = quoted(object.etag)
  addAttributeHeaders(headers, object.attributes, shown.compatibility.rawMetadata)
  if (shown.versioning !== 'unset') headers['x-amz-version-id'] = object.versionId
}
