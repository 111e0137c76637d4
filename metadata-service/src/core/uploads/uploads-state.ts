/** An upload as it is read, shown and changed. */
import { CairnError, type OpId, sameBytes, type UploadInfo, type UploadRequest } from '@cairn/protocol'
import type { CommitProof, Compare, Put, Read, ReadResult, RowStore, StoreRow } from '../../ports.js'
import { parseUploadKey, uploadKey } from '../rows/keys.js'
import { formatVersionId, parseVersionId } from '../rows/keys-version-id.js'
import { UploadRow } from '../rows/rows.js'
import type { Resolver } from '../versions/resolve.js'
import type { KeyPlace } from '../versions/version-write-maps.js'
import type { StoredBucket } from '../versions/version-write-state.js'

/** What a look at uploads needs. */
export interface UploadReader {
  readonly store: RowStore
  readonly resolver: Resolver
}

/** An upload row with its revision. */
export interface StoredUploadRow {
  readonly place: KeyPlace
  readonly row: UploadRow
  readonly storeRow: StoreRow
}

/** An upload, its bucket, and what else was read with them. */
export interface StoredUpload extends StoredUploadRow {
  readonly bucket: StoredBucket
  readonly info: UploadInfo
  /** Results of the further reads, at the same revision. */
  readonly results: ReadResult['results']
}

/** Attempts of one change; then `Busy`. */
export const UPLOAD_ATTEMPTS_MAX = 16

/**
 * Reads the upload that a request names, in whatever state it is; `further` at the same revision. `NoSuchBucket`,
 * or `NoSuchUpload` if bucket, key and id do not fit.
 */
export async function loadUpload(
  { resolver }: UploadReader,
  request: UploadRequest,
  further: (place: KeyPlace, upload: OpId) => readonly Read[] = () => [],
): Promise<StoredUpload> {
  const { key } = request
  const stamp = parseVersionId(request.uploadId)
  if (stamp === undefined || key === '' || key.includes('\0')) {
    await resolver.bucket(request.bucket)
    throw noSuchUpload(request.uploadId)
  }
  const { bucket, results } = await resolver.read(request.bucket, (space) => [
    { kind: 'get', key: uploadKey(space, key, stamp.seq, stamp.op) },
    ...further({ space, key }, stamp.op),
  ])
  const storeRow = results[0]?.[0]
  if (storeRow === undefined) throw noSuchUpload(request.uploadId)
  return storedUpload(bucket, storeRow, results.slice(1))
}

/** An upload from its row. */
export function storedUpload(
  bucket: StoredBucket,
  storeRow: StoreRow,
  results: ReadResult['results'] = [],
): StoredUpload {
  const stored = uploadOfRow(storeRow)
  return { ...stored, bucket, info: showUpload(storeRow, stored.row), results }
}

/** Decodes an upload row. */
export function uploadOfRow(storeRow: StoreRow): StoredUploadRow {
  const { space, key } = parseUploadKey(storeRow.key)
  return { place: { space, key }, row: UploadRow.decode(storeRow.value), storeRow }
}

/** Like `loadUpload`; `NoSuchUpload` also when it is completed or aborted. */
export async function loadLiveUpload(
  reader: UploadReader,
  request: UploadRequest,
  further?: (place: KeyPlace, upload: OpId) => readonly Read[],
): Promise<StoredUpload> {
  const upload = await loadUpload(reader, request, further)
  if (!isLive(upload.row)) throw noSuchUpload(request.uploadId)
  return upload
}

/** Not completed and not aborted. */
export function isLive(row: UploadRow): boolean {
  return row.state === 'open' || row.state === 'frozen'
}

/** An upload as callers see it. */
export function showUpload({ key: rowKey }: StoreRow, row: UploadRow): UploadInfo {
  const { key, initiatedMicros, op } = parseUploadKey(rowKey)
  const { initiatedMs, owner, attributes, checksumAlgorithm, checksumType } = row
  return {
    uploadId: formatVersionId({ seq: initiatedMicros, op }),
    key,
    initiatedMs,
    owner,
    attributes,
    ...(checksumAlgorithm === undefined ? {} : { checksumAlgorithm }),
    ...(checksumType === undefined ? {} : { checksumType }),
  }
}

export function noSuchUpload(uploadId: string): CairnError {
  return new CairnError('NoSuchUpload', `no upload ${uploadId.slice(0, 80)}`)
}

/** The row must still be the one that was read. */
export function uploadCompare({ storeRow }: StoredUploadRow): Compare {
  return { kind: 'revision', key: storeRow.key, revision: storeRow.revision }
}

/** The upload's row with another state. */
export function uploadPut({ storeRow }: StoredUploadRow, row: UploadRow): Put {
  return { key: storeRow.key, value: UploadRow.encode(row) }
}

/** Whether `op` brought the upload into its state. */
export function isStateOf(row: UploadRow, op: OpId): boolean {
  return row.stateOp !== undefined && sameBytes(row.stateOp, op)
}

/** The upload's row names the operation that brought it into its state. */
export function stateProof({ storeRow }: StoredUploadRow, row: UploadRow): CommitProof {
  const { state, stateOp } = row
  return {
    keys: [storeRow.key],
    carries: ([found]) => {
      if (found === undefined || stateOp === undefined) return false
      const now = UploadRow.decode(found.value)
      return now.state === state && isStateOf(now, stateOp)
    },
  }
}
