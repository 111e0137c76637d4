/** Entries of listings, by string building: a thousand of them stand in one answer. */
import type { ListedObject, ListedVersion } from '@cairn/protocol'
import type { Principal } from '../../authentication/principal.js'
import { element, escapeXml, formatTime, parent } from '../../xml/writer.js'
import { checksumKindXml } from '../objects/checksum-xml.js'
import { ownerXml } from '../owner-xml.js'
import type { KeyEncoding } from '../parameters.js'
import type { OperationContext } from '../types.js'

/** Whoever began an upload, and owns it, with a name if it is the account that asks. */
export function initiatorXml(canonicalId: string, principal: Principal): string {
  const isOwn = principal.kind === 'account' && principal.account.canonicalId === canonicalId
  const name = element('DisplayName', isOwn ? principal.account.displayName : undefined)
  const content = element('ID', canonicalId) + name
  return parent('Initiator', content) + parent('Owner', content)
}

/** The objects of ListObjects and ListObjectsV2, with their owners as `context` may see them; without it without. */
export function objectsXml(
  objects: readonly ListedObject[],
  encoding: KeyEncoding,
  context: OperationContext | undefined,
): string {
  const owners = context === undefined ? noOwner : rememberLast((id) => ownerXml(id, context))
  let xml = ''
  for (const object of objects) {
    const { key, modifiedMs, etag, checksum, sizeBytes, owner, storageClass } = object
    xml += `<Contents><Key>${escapeXml(encoding.encode(key))}</Key><LastModified>${formatTime(modifiedMs)}</LastModified>${etagXml(etag)}${checksumKindXml(checksum)}<Size>${sizeBytes}</Size>${owners(owner)}${storageClassXml(storageClass)}</Contents>`
  }
  return xml
}

/** The versions and delete markers of ListObjectVersions. */
export function versionsXml(
  versions: readonly ListedVersion[],
  encoding: KeyEncoding,
  context: OperationContext,
): string {
  const owners = rememberLast((id) => ownerXml(id, context))
  let xml = ''
  for (const version of versions) {
    const { key, versionId, isLatest, modifiedMs, deleteMarker, owner } = version
    const head = `<Key>${escapeXml(encoding.encode(key))}</Key><VersionId>${versionId}</VersionId><IsLatest>${isLatest}</IsLatest><LastModified>${formatTime(modifiedMs)}</LastModified>`
    xml += deleteMarker
      ? `<DeleteMarker>${head}${owners(owner)}</DeleteMarker>`
      : `<Version>${head}${contentXml(version)}${owners(owner)}</Version>`
  }
  return xml
}

function contentXml({ etag, checksum, sizeBytes, storageClass }: ListedVersion): string {
  return `${etagXml(etag)}${checksumKindXml(checksum)}<Size>${sizeBytes}</Size>${storageClassXml(storageClass)}`
}

function etagXml(etag: string): string {
  return `<ETag>&quot;${escapeXml(etag)}&quot;</ETag>`
}

function storageClassXml(storageClass: string | undefined): string {
  return storageClass === undefined ? STANDARD : element('StorageClass', storageClass)
}

const STANDARD = element('StorageClass', 'STANDARD')

function noOwner(): string {
  return ''
}

/** Most entries of a page have the owner of the one before. */
function rememberLast(make: (text: string) => string): (text: string) => string {
  let last = ''
  let made = make(last)
  return (text) => {
    if (text === last) return made
    last = text
    made = make(text)
    return made
  }
}

export function commonPrefixesXml(prefixes: readonly string[], encoding: KeyEncoding): string {
  return prefixes
    .map((prefix) => parent('CommonPrefixes', element('Prefix', encoding.encode(prefix))))
    .join('')
}
