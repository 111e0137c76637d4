/**
 * Lists current objects: a range scan of `o/` that skips. Delete markers are hidden, a common prefix is skipped by
 * seeking behind it, whatever its size: by the store itself, unless a delete marker stands where the group begins and
 * somebody must look for an object behind it. Each page of rows is of one revision; so what has been written before the
 * call began is listed, and what is written meanwhile may be.
 */
import type { ListedObject, ListObjectsRequest, ListObjectsResponse, SpaceId } from '@cairn/protocol'
import type { KeyValueStore, Read, StoreRow } from '../../ports.js'
import { orderedBytes } from '../rows/keys-version-id.js'
import type { Resolver } from '../versions/resolve.js'
import { afterName, checkListing, keyOfName, ListingNames, viewOf } from './listing-names.js'
import { type ListedRow, readListedObject, readRolledUp, showListedObject } from './listing-row.js'

/** Rows that one call looks at: some 0.2 s. Behind so many delete markers a page ends early, truncated. */
const ROWS_PER_LISTING_MAX = 100_000

/** Rows of the smallest scan behind a marker at the head of a group: the next row may be an object. */
const SCAN_ROWS_MIN = 16
const SCAN_ROWS_MAX = 1_001

/** `NoSuchBucket`, `InvalidArgument`. */
export async function listObjects(
  store: KeyValueStore,
  resolver: Resolver,
  request: ListObjectsRequest,
  rowsMax: number = ROWS_PER_LISTING_MAX,
): Promise<ListObjectsResponse> {
  checkListing(request, request.after)
  let page: ObjectPage | undefined
  const first = await resolver.read(request.bucket, (space) => {
    page = new ObjectPage(space, request, rowsMax)
    return page.reads()
  })
  page ??= new ObjectPage(first.bucket.row.space, request, rowsMax)
  let rows = first.results[0] ?? []
  while (page.add(rows)) rows = (await store.read(page.reads())).results[0] ?? []
  return page.response()
}

/** One page being filled. */
class ObjectPage {
  private readonly names: ListingNames
  private readonly limit: number
  private readonly rowsMax: number
  private readonly objects: ListedObject[] = []
  private readonly commonPrefixes: string[] = []
  private from: Uint8Array
  private scanRows: number
  private rowsSeen = 0
  /** The position is behind a group that reaches beyond the last scan. */
  private hasJumped = false
  /** A marker was met at the head of a group: the rows behind it are wanted too, up to the group's first object. */
  private isInGroup = false
  private isTruncated = false
  private next = ''

  constructor(space: SpaceId, request: ListObjectsRequest, rowsMax: number) {
    this.names = new ListingNames(space, request)
    this.limit = request.limit
    this.rowsMax = rowsMax
    this.from = this.names.startAfter(space, request.after)
    this.scanRows = Math.min(this.limit + 1, SCAN_ROWS_MAX)
  }

  /** The next scan; none when nothing more can be listed. */
  reads(): Read[] {
    if (this.limit === 0 || Buffer.compare(this.from, this.names.to) >= 0) return []
    const range = { from: orderedBytes('o/', this.from), to: orderedBytes('o/', this.names.to) }
    const rollUp = this.isInGroup ? undefined : this.names.rollUp(2)
    return [{ kind: 'scan', range, limit: this.scanRows, ...(rollUp === undefined ? {} : { rollUp }) }]
  }

  /** Takes the rows of the last scan. False when the page is done. */
  add(rows: readonly StoreRow[]): boolean {
    this.rowsSeen += rows.length
    const outcome = this.limit === 0 ? 'full' : this.addRows(rows)
    if (outcome === 'full' || (outcome === 'all' && rows.length < this.scanRows)) return false
    if (this.rowsSeen >= this.rowsMax && outcome === 'all' && this.stopEarly(rows)) return false
    const wanted =
      outcome === 'group' ? SCAN_ROWS_MIN : Math.max(this.scanRows * 2, this.limit - this.count + 1)
    this.scanRows = Math.min(SCAN_ROWS_MAX, wanted)
    return this.reads().length > 0
  }

  response(): ListObjectsResponse {
    const { objects, commonPrefixes, isTruncated, next } = this
    return { objects, commonPrefixes, truncated: isTruncated, next }
  }

  private get count(): number {
    return this.objects.length + this.commonPrefixes.length
  }

  /** `full`: there is one entry more than the page takes. `group`: look into the group that begins with a marker. */
  private addRows(rows: readonly StoreRow[]): 'all' | 'full' | 'group' {
    const mayLackRows = !this.isInGroup
    this.isInGroup = false
    for (const row of rows) {
      const name = viewOf(row.key, 2)
      if (Buffer.compare(name, this.from) < 0) continue
      const end = this.names.groupEnd(name)
      const listed = readEntry(row.value, end)
      if (listed.deleteMarker) {
        this.enterGroup(name, end)
        if (this.isInGroup && mayLackRows) return 'group'
        continue
      }
      if (this.count === this.limit) {
        this.isTruncated = true
        return 'full'
      }
      this.isInGroup = false
      this.addEntry(name, end, listed)
    }
    const behind = endOf(rows)
    this.hasJumped = Buffer.compare(this.from, behind) > 0
    this.moveTo(behind)
    return 'all'
  }

  /** A marker says nothing about the keys behind it in its group. */
  private enterGroup(name: Buffer, end: number): void {
    this.isInGroup = end >= 0
    if (this.isInGroup) this.moveTo(afterName(name))
  }

  private addEntry(name: Buffer, end: number, listed: ListedRow): void {
    if (end < 0) {
      this.next = keyOfName(name)
      this.objects.push(showListedObject(listed, this.next))
    } else {
      this.next = keyOfName(name, end)
      this.commonPrefixes.push(this.next)
      this.moveTo(this.names.afterGroup(name, end))
    }
  }

  private moveTo(from: Uint8Array): void {
    if (Buffer.compare(from, this.from) > 0) this.from = from
  }

  /** Behind the last row, or behind the group that was jumped over. Not behind a key that reads as its whole group. */
  private stopEarly(rows: readonly StoreRow[]): boolean {
    const last = rows.at(-1)
    if (last !== undefined && !this.hasJumped) {
      const name = viewOf(last.key, 2)
      if (this.names.groupEnd(name) === name.length) return false
      this.next = keyOfName(name)
    }
    this.isTruncated = true
    return true
  }
}

/** An object, or as much of it as a group needs, which has an end. */
function readEntry(value: Uint8Array, groupEnd: number): ListedRow {
  return groupEnd < 0 ? readListedObject(value) : readRolledUp(value)
}

/** The place behind the last row of a scan. */
function endOf(rows: readonly StoreRow[]): Uint8Array {
  const last = rows.at(-1)
  return last === undefined ? new Uint8Array(0) : afterName(viewOf(last.key, 2))
}
