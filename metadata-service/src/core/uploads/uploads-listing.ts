/** Lists the parts of an upload, and the uploads of a bucket. */
import {
  CairnError,
  LIST_PAGE_MAX,
  type ListPartsRequest,
  type ListPartsResponse,
  type ListUploadsRequest,
  type ListUploadsResponse,
  MESSAGE_BYTES_MAX,
  PART_NUMBER_MAX,
  type UploadInfo,
} from '@cairn/protocol'
import type { StoreKey, StoreRange, StoreRow } from '../../ports.js'
import {
  parseUploadKey,
  partNumberOfKey,
  successorOfKey,
  successorOfPrefix,
  uploadKey,
  uploadRange,
  uploadRangeOfSpace,
} from '../rows/keys.js'
import { parseVersionId } from '../rows/keys-version-id.js'
import { PartRow, UploadRow } from '../rows/rows.js'
import { partsAfter } from '../rows/uploads-keys.js'
import { showPart } from './uploads-parts.js'
import { isLive, loadLiveUpload, showUpload, type UploadReader } from './uploads-state.js'

/** Rows of a page may not fill more than half a message: the rest is for encoding and attributes. */
const PAGE_BYTES_MAX = MESSAGE_BYTES_MAX / 2

/** Parts by number. A page ends early when its maps are large. */
export async function listParts(reader: UploadReader, request: ListPartsRequest): Promise<ListPartsResponse> {
  const limit = pageLimit(request.limit)
  const afterPart = Math.min(request.afterPart, PART_NUMBER_MAX)
  const upload = await loadLiveUpload(reader, request, (_place, op) => [
    { kind: 'scan', range: partsAfter(op, afterPart), limit: limit + 1 },
  ])
  const rows = upload.results[0] ?? []
  const page = takePage(rows, limit)
  return {
    upload: upload.info,
    parts: page.map((row) => showPart(partNumberOfKey(row.key), PartRow.decode(row.value), request.withMaps)),
    truncated: limit > 0 && page.length < rows.length,
  }
}

function takePage(rows: readonly StoreRow[], limit: number): StoreRow[] {
  let bytes = 0
  const page: StoreRow[] = []
  for (const row of rows) {
    bytes += row.value.length
    if (page.length >= limit || (page.length > 0 && bytes > PAGE_BYTES_MAX)) break
    page.push(row)
  }
  return page
}

/** Uploads that are not completed or aborted, by key, then by initiation. Common prefixes are skipped by seek. */
export async function listUploads(
  reader: UploadReader,
  request: ListUploadsRequest,
): Promise<ListUploadsResponse> {
  const limit = pageLimit(request.limit)
  const { bucket } = await reader.resolver.read(request.bucket, () => [])
  const { space } = bucket.row
  const walk = new UploadWalk(request, limit)
  let range: StoreRange | undefined = firstRange(request, uploadRangeOfSpace(space, request.prefix), space)
  while (range !== undefined && !walk.isFull) {
    const { results } = await reader.store.read([{ kind: 'scan', range, limit: limit + 1 }])
    const rows: readonly StoreRow[] = results[0] ?? []
    const from: StoreKey | undefined = walk.take(rows, space)
    range = from !== undefined && compareKeys(from, range.to) < 0 ? { from, to: range.to } : undefined
  }
  return walk.result()
}

function pageLimit(limit: number): number {
  if (limit > LIST_PAGE_MAX)
    throw new CairnError('InvalidArgument', `a page has at most ${LIST_PAGE_MAX} entries`)
  return limit
}

type Space = Parameters<typeof uploadKey>[0]

function firstRange(request: ListUploadsRequest, all: StoreRange, space: Space): StoreRange {
  const { afterKey, afterUploadId, prefix, delimiter } = request
  if (afterKey === '') return all
  const stamp = parseVersionId(afterUploadId)
  const isCommon = delimiter !== '' && commonPrefixOf(afterKey, prefix, delimiter) === afterKey
  const from = isCommon
    ? successorOfPrefix(uploadRangeOfSpace(space, afterKey).from)
    : stamp === undefined
      ? uploadRange(space, afterKey).to
      : successorOfKey(uploadKey(space, afterKey, stamp.seq, stamp.op))
  return { from: compareKeys(from, all.from) > 0 ? from : all.from, to: all.to }
}

/** The common prefix that a key falls under, if any. */
function commonPrefixOf(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === '' || !key.startsWith(prefix)) return undefined
  const at = key.indexOf(delimiter, prefix.length)
  return at < 0 ? undefined : key.slice(0, at + delimiter.length)
}

function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}

/** Collects one page; one entry more than asked tells whether it is cut. */
class UploadWalk {
  private readonly request: ListUploadsRequest
  private readonly limit: number
  private readonly uploads: UploadInfo[] = []
  private readonly commonPrefixes: string[] = []
  private next: { readonly key: string; readonly uploadId: string } = { key: '', uploadId: '' }
  private truncated = false

  constructor(request: ListUploadsRequest, limit: number) {
    this.request = request
    this.limit = limit
  }

  get isFull(): boolean {
    return this.truncated || this.limit === 0
  }

  /** Takes rows in order; where to go on reading, or `undefined` at the end. */
  take(rows: readonly StoreRow[], space: Space): StoreKey | undefined {
    const { prefix, delimiter } = this.request
    for (const row of rows) {
      const upload = UploadRow.decode(row.value)
      if (!isLive(upload)) continue
      if (this.uploads.length + this.commonPrefixes.length >= this.limit) {
        this.truncated = true
        return undefined
      }
      const common = commonPrefixOf(parseUploadKey(row.key).key, prefix, delimiter)
      if (common !== undefined) {
        this.commonPrefixes.push(common)
        this.next = { key: common, uploadId: '' }
        return successorOfPrefix(uploadRangeOfSpace(space, common).from)
      }
      const info = showUpload(row, upload)
      this.uploads.push(info)
      this.next = { key: info.key, uploadId: info.uploadId }
    }
    const last = rows.length > this.limit ? rows.at(-1) : undefined
    return last === undefined ? undefined : successorOfKey(last.key)
  }

  result(): ListUploadsResponse {
    const { uploads, commonPrefixes, truncated, next } = this
    return { uploads, commonPrefixes, truncated, nextKey: next.key, nextUploadId: next.uploadId }
  }
}
