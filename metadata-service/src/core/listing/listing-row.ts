/** Decodes of a version's row only what a listing shows: a page has a thousand of them. */
import {
  CairnError,
  type ChecksumKind,
  type ChecksumType,
  checksumKind,
  type ListedObject,
  type ListedVersion,
} from '@cairn/protocol'
import { NULL_VERSION_ID } from '../rows/keys-version-id.js'
import { VERSION_FIELDS } from '../rows/rows.js'
import { Cursor } from './listing-cursor.js'

/** The part of a `VersionRow` that listings use. */
export interface ListedRow {
  seq: number
  /** In hex; empty where it was not asked for. */
  op: string
  isNull: boolean
  deleteMarker: boolean
  modifiedMs: number
  sizeBytes: number
  etag: string
  owner: string
  storageClass: string | undefined
  checksum: ChecksumKind | undefined
}

const FORMAT = 1
/** The last field to read, and the last one that has to be there. */
interface FieldsRead {
  readonly last: number
  readonly required: number
}
const SHOWN: FieldsRead = { last: VERSION_FIELDS.checksum, required: VERSION_FIELDS.attributes }
const ROLLED_UP: FieldsRead = { last: VERSION_FIELDS.deleteMarker, required: VERSION_FIELDS.deleteMarker }
/** Field 8 of `ObjectAttributes`, length-delimited. */
const STORAGE_CLASS_TAG = 8 * 8 + 2
/** Fields 1 to 3 of `ObjectChecksum`. */
const ALGORITHM_TAG = 8
const TYPE_TAG = 2 * 8
const CHECKSUM_TYPES: readonly ChecksumType[] = ['FULL_OBJECT', 'COMPOSITE']

/** Reads a row with all that tells a version from the others of its key. */
export function readListedVersion(value: Uint8Array): ListedRow {
  return readRow(value, readVersionField, SHOWN)
}

/** Reads a row for a listing of objects, which shows no version ids: without `seq`, `op` and `isNull`. */
export function readListedObject(value: Uint8Array): ListedRow {
  return readRow(value, readField, SHOWN)
}

/** Reads no more of a row than whether it is a delete marker: an object that is rolled up shows nothing of itself. */
export function readRolledUp(value: Uint8Array): ListedRow {
  return readRow(value, readField, ROLLED_UP)
}

/** The codec writes fields in the order of their numbers. */
function readRow(
  value: Uint8Array,
  read: (cursor: Cursor, row: ListedRow, tag: number) => void,
  { last, required }: FieldsRead,
): ListedRow {
  const cursor = new Cursor(value)
  cursor.format(FORMAT, 'VersionRow')
  const row: ListedRow = {
    seq: 0,
    op: '',
    isNull: false,
    deleteMarker: false,
    modifiedMs: 0,
    sizeBytes: 0,
    etag: '',
    owner: '',
    storageClass: undefined,
    checksum: undefined,
  }
  let field = 0
  while (!cursor.done) {
    const tag = cursor.varint()
    field = tag >>> 3
    if (field > last) break
    read(cursor, row, tag)
  }
  if (field < required) throw new CairnError('MessageCorrupt', 'a VersionRow ends early')
  return row
}

/** The object as a listing shows it. */
export function showListedObject(row: ListedRow, key: string): ListedObject {
  const { modifiedMs, sizeBytes, etag, owner, storageClass, checksum } = row
  return { key, modifiedMs, sizeBytes, etag, owner, storageClass, checksum }
}

/** The version as a listing shows it. The row was read with its stamp. */
export function showListedVersion(row: ListedRow, key: string, isLatest: boolean): ListedVersion {
  const { deleteMarker, modifiedMs, sizeBytes, etag, owner, storageClass, checksum } = row
  const versionId = row.isNull ? NULL_VERSION_ID : row.seq.toString(16).padStart(16, '0') + row.op
  return {
    key,
    modifiedMs,
    sizeBytes,
    etag,
    owner,
    storageClass,
    checksum,
    versionId,
    isLatest,
    deleteMarker,
  }
}

function readVersionField(cursor: Cursor, row: ListedRow, tag: number): void {
  switch (tag >>> 3) {
    case VERSION_FIELDS.seq:
      row.seq = cursor.varint()
      break
    case VERSION_FIELDS.op:
      row.op = cursor.hex()
      break
    case VERSION_FIELDS.isNull:
      row.isNull = cursor.varint() !== 0
      break
    default:
      readField(cursor, row, tag)
  }
}

function readField(cursor: Cursor, row: ListedRow, tag: number): void {
  switch (tag >>> 3) {
    case VERSION_FIELDS.deleteMarker:
      row.deleteMarker = cursor.varint() !== 0
      break
    case VERSION_FIELDS.modifiedMs:
      row.modifiedMs = cursor.varint()
      break
    case VERSION_FIELDS.sizeBytes:
      row.sizeBytes = cursor.varint()
      break
    case VERSION_FIELDS.etag:
      row.etag = cursor.text()
      break
    case VERSION_FIELDS.owner:
      row.owner = cursor.text()
      break
    case VERSION_FIELDS.attributes:
      row.storageClass = readStorageClass(cursor)
      break
    case VERSION_FIELDS.checksum:
      row.checksum = readChecksum(cursor)
      break
    default:
      cursor.skip(tag & 7)
  }
}

function readStorageClass(cursor: Cursor): string | undefined {
  const outerEnd = cursor.enter()
  cursor.format(FORMAT, 'ObjectAttributes')
  let storageClass: string | undefined
  while (!cursor.done) {
    const tag = cursor.varint()
    if (tag === STORAGE_CLASS_TAG) storageClass = cursor.text()
    else cursor.skip(tag & 7)
  }
  cursor.leave(outerEnd)
  return storageClass
}

function readChecksum(cursor: Cursor): ChecksumKind {
  const outerEnd = cursor.enter()
  cursor.format(FORMAT, 'ObjectChecksum')
  let algorithm = -1
  let type = -1
  while (!cursor.done) {
    const tag = cursor.varint()
    if (tag === ALGORITHM_TAG) algorithm = cursor.varint()
    else if (tag === TYPE_TAG) type = cursor.varint()
    else cursor.skip(tag & 7)
  }
  cursor.leave(outerEnd)
  const typeName = CHECKSUM_TYPES[type]
  if (typeName === undefined) throw new CairnError('MessageCorrupt', 'a checksum is of no known kind')
  return checksumKind(algorithm, typeName)
}
