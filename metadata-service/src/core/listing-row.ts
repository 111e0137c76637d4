/** Decodes of a version's row only what a listing shows: a page has a thousand of them. */
import { CairnError, ObjectChecksum, type ObjectVersion, type OpId, Reader } from '@cairn/protocol'
import { NULL_VERSION_ID } from './keys-version-id.js'
import { VERSION_FIELDS } from './rows.js'

/** The part of a `VersionRow` that listings use. */
export interface ListedRow {
  seq: number
  op: OpId
  isNull: boolean
  deleteMarker: boolean
  modifiedMs: number
  sizeBytes: number
  etag: string
  owner: string
  storageClass: string | undefined
  checksum: ObjectChecksum | undefined
}

const VERSION_ROW_FORMAT = 1
const ATTRIBUTES_FORMAT = 1
/** Field 8 of `ObjectAttributes`, length-delimited. */
const STORAGE_CLASS_TAG = 8 * 8 + 2
const NO_OP = new Uint8Array(0) as OpId
const LAST_FIELD = VERSION_FIELDS.checksum

/** Reads up to the last field shown: the codec writes fields in the order of their numbers. */
export function readListedRow(value: Uint8Array): ListedRow {
  const reader = openMessage(value, VERSION_ROW_FORMAT, 'VersionRow')
  const row: ListedRow = {
    seq: 0,
    op: NO_OP,
    isNull: false,
    deleteMarker: false,
    modifiedMs: 0,
    sizeBytes: 0,
    etag: '',
    owner: '',
    storageClass: undefined,
    checksum: undefined,
  }
  while (!reader.done) {
    const tag = reader.varint()
    const field = tag >>> 3
    if (field > LAST_FIELD) break
    readField(reader, row, field, tag)
  }
  return row
}

/** Whether the row is a delete marker: the first bytes tell. */
export function isDeleteMarker(value: Uint8Array): boolean {
  const reader = openMessage(value, VERSION_ROW_FORMAT, 'VersionRow')
  while (!reader.done) {
    const tag = reader.varint()
    if (tag >>> 3 === VERSION_FIELDS.deleteMarker) return reader.varint() !== 0
    reader.skip(tag & 7)
  }
  throw new CairnError('MessageCorrupt', 'VersionRow.deleteMarker is missing')
}

/** The version as a listing shows it, without its block map. */
export function showListedRow(row: ListedRow, key: string, isLatest: boolean): ObjectVersion {
  const shown: ObjectVersion = {
    key,
    versionId: row.isNull ? NULL_VERSION_ID : hexVersionId(row),
    isLatest,
    deleteMarker: row.deleteMarker,
    modifiedMs: row.modifiedMs,
    sizeBytes: row.sizeBytes,
    etag: row.etag,
    owner: row.owner,
    attributes: row.storageClass === undefined ? NO_ATTRIBUTES : { storageClass: row.storageClass },
    parts: NO_PARTS,
  }
  return row.checksum === undefined ? shown : { ...shown, checksum: row.checksum }
}

const NO_ATTRIBUTES: ObjectVersion['attributes'] = {}
const NO_PARTS: ObjectVersion['parts'] = []

function openMessage(value: Uint8Array, format: number, name: string): Reader {
  const reader = new Reader(value)
  const found = reader.byte()
  if (found > format) {
    throw new CairnError('FormatTooNew', `${name} has format ${found}; this version knows ${format}`)
  }
  return reader
}

function readField(reader: Reader, row: ListedRow, field: number, tag: number): void {
  switch (field) {
    case VERSION_FIELDS.seq:
      row.seq = reader.varint()
      break
    case VERSION_FIELDS.op:
      row.op = reader.bytes() as Uint8Array as OpId
      break
    case VERSION_FIELDS.isNull:
      row.isNull = reader.varint() !== 0
      break
    case VERSION_FIELDS.deleteMarker:
      row.deleteMarker = reader.varint() !== 0
      break
    case VERSION_FIELDS.modifiedMs:
      row.modifiedMs = reader.varint()
      break
    case VERSION_FIELDS.sizeBytes:
      row.sizeBytes = reader.varint()
      break
    case VERSION_FIELDS.etag:
      row.etag = reader.text()
      break
    case VERSION_FIELDS.owner:
      row.owner = reader.text()
      break
    case VERSION_FIELDS.attributes:
      row.storageClass = readStorageClass(reader.bytes())
      break
    case VERSION_FIELDS.checksum:
      row.checksum = ObjectChecksum.decode(reader.bytes())
      break
    default:
      reader.skip(tag & 7)
  }
}

function readStorageClass(attributes: Uint8Array): string | undefined {
  const reader = openMessage(attributes, ATTRIBUTES_FORMAT, 'ObjectAttributes')
  while (!reader.done) {
    const tag = reader.varint()
    if (tag === STORAGE_CLASS_TAG) return reader.text()
    reader.skip(tag & 7)
  }
  return undefined
}

function hexVersionId({ seq, op }: ListedRow): string {
  const hex = Buffer.from(op.buffer, op.byteOffset, op.byteLength).toString('hex')
  return seq.toString(16).padStart(16, '0') + hex
}
