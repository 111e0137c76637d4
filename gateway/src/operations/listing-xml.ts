/** Entries of listings, by string building: a thousand of them stand in one answer. */
import type { ObjectVersion } from '@cairn/protocol'
import type { Principal } from '../authentication/principal.js'
import { element, escapeXml, formatTime, parent } from '../xml/writer.js'
import { checksumKindXml } from './checksum-xml.js'
import { quoted } from './object-headers.js'
import type { KeyEncoding } from './parameters.js'

export function ownerXml(canonicalId: string): string {
  return `<Owner><ID>${escapeXml(canonicalId)}</ID></Owner>`
}

/** Whoever began an upload, and owns it, with a name if it is the account that asks. */
export function initiatorXml(canonicalId: string, principal: Principal): string {
  const isOwn = principal.kind === 'account' && principal.account.canonicalId === canonicalId
  const name = element('DisplayName', isOwn ? principal.account.displayName : undefined)
  const content = element('ID', canonicalId) + name
  return parent('Initiator', content) + parent('Owner', content)
}

/** One object of ListObjects and ListObjectsV2. */
export function contentsXml(object: ObjectVersion, encoding: KeyEncoding, withOwner: boolean): string {
  return parent(
    'Contents',
    element('Key', encoding.encode(object.key)) +
      element('LastModified', formatTime(object.modifiedMs)) +
      element('ETag', quoted(object.etag)) +
      checksumKindXml(object.checksum) +
      element('Size', object.sizeBytes) +
      (withOwner ? ownerXml(object.owner) : '') +
      element('StorageClass', object.attributes.storageClass ?? 'STANDARD'),
  )
}

/** One version or delete marker of ListObjectVersions. */
export function versionXml(version: ObjectVersion, encoding: KeyEncoding): string {
  const head =
    element('Key', encoding.encode(version.key)) +
    element('VersionId', version.versionId) +
    element('IsLatest', version.isLatest) +
    element('LastModified', formatTime(version.modifiedMs))
  if (version.deleteMarker) return parent('DeleteMarker', head + ownerXml(version.owner))
  return parent(
    'Version',
    head +
      element('ETag', quoted(version.etag)) +
      checksumKindXml(version.checksum) +
      element('Size', version.sizeBytes) +
      element('StorageClass', version.attributes.storageClass ?? 'STANDARD') +
      ownerXml(version.owner),
  )
}

export function commonPrefixesXml(prefixes: readonly string[], encoding: KeyEncoding): string {
  return prefixes
    .map((prefix) => parent('CommonPrefixes', element('Prefix', encoding.encode(prefix))))
    .join('')
}
