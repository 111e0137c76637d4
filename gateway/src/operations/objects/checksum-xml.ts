/** Checksums as they stand in XML documents. */
import type { ChecksumAlgorithm, ChecksumKind, ObjectChecksum, PartInfo, UploadInfo } from '@cairn/protocol'
import { element } from '../../xml/writer.js'

/** `ChecksumCRC32`, `ChecksumCRC64NVME`, … */
export function checksumElement(algorithm: ChecksumAlgorithm): string {
  return `Checksum${algorithm}`
}

/** The value and its type; nothing without a checksum. */
export function checksumXml(checksum: ObjectChecksum | undefined): string {
  if (checksum === undefined) return ''
  return element(checksumElement(checksum.algorithm), checksum.value) + element('ChecksumType', checksum.type)
}

/** Algorithm and type, as listings name them. */
export function checksumKindXml(checksum: ChecksumKind | undefined): string {
  if (checksum === undefined) return ''
  return element('ChecksumAlgorithm', checksum.algorithm) + element('ChecksumType', checksum.type)
}

/** A part's checksum; as in S3, none unless its upload declares an algorithm. */
export function partChecksumXml({ checksum }: PartInfo, { checksumAlgorithm }: UploadInfo): string {
  if (checksum === undefined || checksumAlgorithm === undefined) return ''
  return element(checksumElement(checksum.algorithm), checksum.value)
}
