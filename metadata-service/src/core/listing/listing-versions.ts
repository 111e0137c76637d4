/**
 * Lists all versions and delete markers: merges `o/` and `v/`, key by key, newest first. Both are scanned at one
 * revision and from one position, so that a version which moves between them is neither lost nor shown twice.
 */
import {
  CairnError,
  formatId,
  type ListedVersion,
  type ListVersionsRequest,
  type ListVersionsResponse,
  OP_ID_BYTES,
  type OpId,
  parseId,
  type SpaceId,
} from '@cairn/protocol'
import type { KeyValueStore, Read, StoreRow } from '../../ports.js'
import { olderKey, successorOfKey } from '../rows/keys.js'
import {
  NULL_VERSION_ID,
  orderedBytes,
  requireVersionId,
  VERSION_ID_BYTES,
  type VersionStamp,
} from '../rows/keys-version-id.js'
import type { Resolver } from '../versions/resolve.js'
import { readKey } from '../versions/versions.js'
import { checkListing, keyOfName, ListingNames, nameOf, viewOf } from './listing-names.js'
import { type ListedRow, readListedVersion, showListedVersion } from './listing-row.js'

/** Rows of one scan of `o/` and of `v/`: few behind a group that goes on behind the last one. One may be known already. */
const SCAN_ROWS_MIN = 32
const SCAN_ROWS_MAX = 1_000

/** `NoSuchBucket`; `InvalidArgument`, also for a version marker without a key marker. */
export async function listVersions(
  store: KeyValueStore,
  resolver: Resolver,
  request: ListVersionsRequest,
): Promise<ListVersionsResponse> {
  checkListing(request, request.afterKey)
  const { bucket } = await resolver.read(request.bucket, () => [])
  const after = await stampAfter(resolver, request)
  const page = new VersionPage(bucket.row.space, request, after)
  for (let reads = page.reads(); reads.length > 0; reads = page.reads()) {
    const { results } = await store.read(reads)
    page.add(results[0] ?? [], results[1] ?? [])
  }
  return page.response()
}

/** Where in the versions of `afterKey` the page starts: after all of them, after one, or before the first. */
type AfterStamp = 'all' | VersionStamp | 'none'

async function stampAfter(resolver: Resolver, request: ListVersionsRequest): Promise<AfterStamp> {
  const { bucket, afterKey, afterVersionId } = request
  if (afterVersionId === '') return 'all'
  if (afterKey === '') throw new CairnError('InvalidArgument', 'a version marker needs a key marker')
  if (afterVersionId !== NULL_VERSION_ID) return requireVersionId(afterVersionId)
  const { found } = await readKey(resolver, bucket, afterKey, NULL_VERSION_ID)
  return found === undefined ? 'none' : found.version
}

/** A version among those of its key; the op id in hex sorts as its bytes do. */
type ListedStamp = Pick<ListedRow, 'seq' | 'op'>

/** A row on its way into the page. */
interface Entry {
  readonly row: StoreRow
  readonly name: Buffer
  readonly isCurrent: boolean
}

class VersionPage {
  private readonly space: SpaceId
  private readonly names: ListingNames
  private readonly limit: number
  private readonly versions: ListedVersion[] = []
  private readonly commonPrefixes: string[] = []
  private from: Uint8Array
  /** Versions of the name `from` up to this one are done. */
  private after: ListedStamp | undefined
  private isDone: boolean
  private isTruncated = false
  private next = { key: '', versionId: '' }
  private scanRows = SCAN_ROWS_MAX
  private nextScanRows = SCAN_ROWS_MAX

  constructor(space: SpaceId, request: ListVersionsRequest, after: AfterStamp) {
    this.space = space
    this.names = new ListingNames(space, request)
    this.limit = request.limit
    this.isDone = this.limit === 0
    this.from = this.names.startAfter(space, request.afterKey)
    const name = nameOf(space, request.afterKey)
    if (after !== 'all' && Buffer.compare(name, this.names.from) >= 0) {
      this.from = name
      this.after = after === 'none' ? undefined : { seq: after.seq, op: formatId(after.op) }
    }
  }

  /** Scans of `o/` and `v/` from the same place on; none when the page is done. */
  reads(): Read[] {
    if (this.isDone || Buffer.compare(this.from, this.names.to) >= 0) return []
    const wanted = Math.max(this.limit - this.count + 1, SCAN_ROWS_MIN)
    this.scanRows = Math.min(wanted, this.nextScanRows)
    const { from, after, space } = this
    const older =
      after === undefined
        ? orderedBytes('v/', from)
        : successorOfKey(
            olderKey(space, keyOfName(viewOf(from)), after.seq, parseId<OpId>(after.op, OP_ID_BYTES)),
          )
    return [
      { kind: 'scan', range: { from: orderedBytes('o/', from), to: this.end('o/') }, limit: this.scanRows },
      { kind: 'scan', range: { from: older, to: this.end('v/') }, limit: this.scanRows },
    ]
  }

  add(current: readonly StoreRow[], older: readonly StoreRow[]): void {
    const isLast = current.length < this.scanRows && older.length < this.scanRows
    const scans = new MergedScans(current, older, this.scanRows)
    for (let entry = scans.next(); entry !== undefined; entry = scans.next()) {
      const listed = readListedVersion(entry.row.value)
      if (this.isSeen(entry, listed)) continue
      if (this.count === this.limit) {
        this.isTruncated = true
        this.isDone = true
        return
      }
      this.addEntry(entry, listed)
    }
    if (isLast) this.isDone = true
    this.nextScanRows = scans.areBefore(this.from)
      ? SCAN_ROWS_MIN
      : Math.min(2 * this.scanRows, SCAN_ROWS_MAX)
  }

  response(): ListVersionsResponse {
    const { versions, commonPrefixes, isTruncated, next } = this
    return {
      versions,
      commonPrefixes,
      truncated: isTruncated,
      nextKey: next.key,
      nextVersionId: next.versionId,
    }
  }

  private get count(): number {
    return this.versions.length + this.commonPrefixes.length
  }

  private end(kind: string): Uint8Array {
    return orderedBytes(kind, this.names.to)
  }

  /** Below the position: in a group that was skipped, or listed before it moved. */
  private isSeen({ name }: Entry, listed: ListedRow): boolean {
    const order = Buffer.compare(name, this.from)
    if (order !== 0 || this.after === undefined) return order < 0
    return !isAfter(listed, this.after)
  }

  private addEntry({ name, isCurrent }: Entry, listed: ListedRow): void {
    const end = this.names.groupEnd(name)
    if (end >= 0) {
      const prefix = keyOfName(name, end)
      this.commonPrefixes.push(prefix)
      this.next = { key: prefix, versionId: '' }
      this.from = this.names.afterGroup(name, end)
      this.after = undefined
      return
    }
    const shown = showListedVersion(listed, keyOfName(name), isCurrent)
    this.versions.push(shown)
    this.next = { key: shown.key, versionId: shown.versionId }
    this.from = name
    this.after = listed
  }
}

/** Newest first: by descending seq, then by op id, as in the keys of `v/`. */
function isAfter(row: ListedStamp, stamp: ListedStamp): boolean {
  return row.seq === stamp.seq ? row.op > stamp.op : row.seq < stamp.seq
}

/**
 * The rows of both scans in the order of the listing, as far as both are known: a scan that was cut off says
 * nothing about names after its last row.
 */
class MergedScans {
  private readonly current: ScannedRows
  private readonly older: ScannedRows

  constructor(current: readonly StoreRow[], older: readonly StoreRow[], scanRows: number) {
    this.current = new ScannedRows(current, scanRows, 0)
    this.older = new ScannedRows(older, scanRows, VERSION_ID_BYTES + 1)
  }

  /** Whether a name lies behind all that was read, as that of a group which was cut off. */
  areBefore(name: Uint8Array): boolean {
    return this.current.endsBefore(name) && this.older.endsBefore(name)
  }

  next(): Entry | undefined {
    const a = this.current.name
    const b = this.older.name
    const isCurrent = a !== undefined && (b === undefined || Buffer.compare(a, b) <= 0)
    const name = isCurrent ? a : b
    if (name === undefined || (isCurrent ? this.older : this.current).isBeyond(name)) return undefined
    const row = (isCurrent ? this.current : this.older).take()
    return row === undefined ? undefined : { row, name, isCurrent }
  }
}

/** Rows of one scan, with the names in their keys. */
class ScannedRows {
  name: Buffer | undefined
  private readonly rows: readonly StoreRow[]
  private readonly tailBytes: number
  private readonly end: Buffer | undefined
  private at = 0

  constructor(rows: readonly StoreRow[], scanRows: number, tailBytes: number) {
    this.rows = rows
    this.tailBytes = tailBytes
    this.name = this.nameAt(0)
    this.end = rows.length < scanRows ? undefined : this.nameAt(rows.length - 1)
  }

  isBeyond(name: Buffer): boolean {
    return this.end !== undefined && Buffer.compare(name, this.end) > 0
  }

  endsBefore(name: Uint8Array): boolean {
    const last = this.nameAt(this.rows.length - 1)
    return last === undefined || Buffer.compare(last, name) < 0
  }

  take(): StoreRow | undefined {
    const row = this.rows[this.at++]
    this.name = this.nameAt(this.at)
    return row
  }

  private nameAt(at: number): Buffer | undefined {
    const key = this.rows[at]?.key
    return key === undefined ? undefined : viewOf(key, 2, key.length - this.tailBytes)
  }
}
