/**
 * The entries of a listing's page, as one field: a page has a thousand of them, so each is written in a fixed order
 * without tags, and an owner that is the one before costs nothing. A change of this layout takes a new field.
 */
import { CairnError } from '../errors.js'
import type { FieldCodec } from '../message.js'
import { type Reader, WIRE_BYTES, type Writer } from '../message-bytes.js'
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, type ChecksumType } from './object.js'

/** Which checksum a version has; a listing does not show its value. */
export interface ChecksumKind {
  readonly algorithm: ChecksumAlgorithm
  readonly type: ChecksumType
}

/** An object as a listing shows it. */
export interface ListedObject {
  readonly key: string
  readonly modifiedMs: number
  readonly sizeBytes: number
  /** Without quotes. */
  readonly etag: string
  /** Canonical id of the account that owns it. */
  readonly owner: string
  /** `STANDARD` when absent. */
  readonly storageClass: string | undefined
  readonly checksum: ChecksumKind | undefined
}

/** A version or delete marker as a listing shows it. */
export interface ListedVersion extends ListedObject {
  /** See `ObjectVersion`. */
  readonly versionId: string
  readonly isLatest: boolean
  readonly deleteMarker: boolean
}

/** Bits of an entry's first byte. */
const SAME_OWNER = 1
const HAS_STORAGE_CLASS = 2
const HAS_CHECKSUM = 4
const IS_COMPOSITE = 8
const IS_LATEST = 16
const IS_DELETE_MARKER = 32

/** By the number that stands for the algorithm; made once, shared by all entries. */
const FULL_OBJECT: readonly ChecksumKind[] = kindsOf('FULL_OBJECT')
const COMPOSITE: readonly ChecksumKind[] = kindsOf('COMPOSITE')

/** The objects of a page. */
export const listedObjects: FieldCodec<readonly ListedObject[]> = entries(writeObject, readObject)

/** The versions of a page. */
export const listedVersions: FieldCodec<readonly ListedVersion[]> = entries(writeVersion, readVersion)

/** The kind of checksum whose algorithm is written as this number; `MessageCorrupt` if none is. */
export function checksumKind(algorithm: number, type: ChecksumType): ChecksumKind {
  const kind = (type === 'COMPOSITE' ? COMPOSITE : FULL_OBJECT)[algorithm]
  if (kind === undefined) throw new CairnError('MessageCorrupt', 'a checksum is of no known kind')
  return kind
}

function entries<Entry extends ListedObject>(
  write: (writer: Writer, entry: Entry, flags: number) => void,
  read: (reader: Reader, flags: number, ownerBefore: string) => Entry,
): FieldCodec<readonly Entry[]> {
  return {
    wire: WIRE_BYTES,
    write(writer, page) {
      const mark = writer.beginDelimited()
      let owner: string | undefined
      for (const entry of page) {
        write(writer, entry, flagsOf(entry, owner))
        owner = entry.owner
      }
      writer.endDelimited(mark)
    },
    read(reader) {
      const outer = reader.enter()
      const page: Entry[] = []
      let owner = ''
      while (!reader.done) {
        const entry = read(reader, reader.byte(), owner)
        owner = entry.owner
        page.push(entry)
      }
      reader.leave(outer)
      return page
    },
  }
}

function flagsOf({ owner, storageClass, checksum }: ListedObject, ownerBefore: string | undefined): number {
  let flags = owner === ownerBefore ? SAME_OWNER : 0
  if (storageClass !== undefined) flags |= HAS_STORAGE_CLASS
  if (checksum !== undefined) flags |= HAS_CHECKSUM
  if (checksum?.type === 'COMPOSITE') flags |= IS_COMPOSITE
  return flags
}

function writeObject(writer: Writer, object: ListedObject, flags: number): void {
  writer.byte(flags)
  writer.text(object.key)
  writer.varint(object.modifiedMs)
  writer.varint(object.sizeBytes)
  writer.text(object.etag)
  if ((flags & SAME_OWNER) === 0) writer.text(object.owner)
  if (object.storageClass !== undefined) writer.text(object.storageClass)
  if (object.checksum !== undefined) writer.varint(CHECKSUM_ALGORITHMS.indexOf(object.checksum.algorithm))
}

function readObject(reader: Reader, flags: number, ownerBefore: string): ListedObject {
  return {
    key: reader.text(),
    modifiedMs: reader.varint(),
    sizeBytes: reader.varint(),
    etag: reader.text(),
    owner: (flags & SAME_OWNER) === 0 ? reader.text() : ownerBefore,
    storageClass: (flags & HAS_STORAGE_CLASS) === 0 ? undefined : reader.text(),
    checksum: (flags & HAS_CHECKSUM) === 0 ? undefined : readChecksum(reader, flags),
  }
}

function writeVersion(writer: Writer, version: ListedVersion, flags: number): void {
  const shown = (version.isLatest ? IS_LATEST : 0) | (version.deleteMarker ? IS_DELETE_MARKER : 0)
  writeObject(writer, version, flags | shown)
  writer.text(version.versionId)
}

function readVersion(reader: Reader, flags: number, ownerBefore: string): ListedVersion {
  const { key, modifiedMs, sizeBytes, etag, owner, storageClass, checksum } = readObject(
    reader,
    flags,
    ownerBefore,
  )
  return {
    key,
    modifiedMs,
    sizeBytes,
    etag,
    owner,
    storageClass,
    checksum,
    versionId: reader.text(),
    isLatest: (flags & IS_LATEST) !== 0,
    deleteMarker: (flags & IS_DELETE_MARKER) !== 0,
  }
}

function readChecksum(reader: Reader, flags: number): ChecksumKind {
  return checksumKind(reader.varint(), (flags & IS_COMPOSITE) === 0 ? 'FULL_OBJECT' : 'COMPOSITE')
}

function kindsOf(type: ChecksumType): readonly ChecksumKind[] {
  return CHECKSUM_ALGORITHMS.map((algorithm) => ({ algorithm, type }))
}
