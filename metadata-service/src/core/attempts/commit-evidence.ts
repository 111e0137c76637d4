/**
 * What a writer must show that is not believed what it has stored: a program with the client library.
 *
 * ● Each block that its commit names is either new, and then there are receipts of it, or it is taken, in order, from a
 * map that the commit may take from: that of the source of a part copy, or those of the parts of an upload. So nobody
 * can name blocks that are not stored, or that are somebody else's.
 *
 * Asked when it is clear that the operation has not happened yet, and before anything is planned. Pages of a map are
 * read from the drives, after their own receipts were found good.
 */
import {
  type BlockMap,
  type BlockSlice,
  CairnError,
  type CompleteUploadRequest,
  formatId,
  LIST_PAGE_MAX,
  type PartRun,
  type PeerIdentity,
  type PutObjectRequest,
  type PutPartRequest,
  sameBytes,
} from '@cairn/protocol'
import type { RowStore } from '../../ports.js'
import type { BlockReclaimer } from '../../ports-blocks.js'
import { partNumberOfKey } from '../rows/keys.js'
import { PartRow } from '../rows/rows.js'
import { partsAfter } from '../rows/uploads-keys.js'
import type { StoredUpload } from '../uploads/uploads-state.js'
import { hasBlocks } from '../versions/version-write-maps.js'
import { type NewBlocks, type ReceiptCheck, type RequireStored, requireOwnOp } from './receipt-check.js'

/** Each rejects with `ReceiptMissing`, `NotAllowed`, `SessionExpired` or `StaleClusterMap`. */
export interface CommitEvidence {
  put(request: PutObjectRequest): Promise<void>
  /** `source` is the map that a part copy takes its slices from. */
  part(request: PutPartRequest, upload: StoredUpload, source: BlockMap | undefined): Promise<void>
  /** The upload is frozen. */
  complete(request: CompleteUploadRequest, upload: StoredUpload): Promise<void>
}

/** What a caller has to show; nothing if it is believed. */
export type EvidenceOf = (peer: PeerIdentity) => CommitEvidence | undefined

export interface EvidenceParts {
  readonly receipts: Pick<ReceiptCheck, 'judge'>
  readonly pages: Pick<BlockReclaimer, 'readPage'>
  readonly store: Pick<RowStore, 'read'>
}

export function createCommitEvidence(parts: EvidenceParts): CommitEvidence {
  return new ShownEvidence(parts)
}

class ShownEvidence implements CommitEvidence {
  private readonly parts: EvidenceParts

  constructor(parts: EvidenceParts) {
    this.parts = parts
  }

  async put(request: PutObjectRequest): Promise<void> {
    const { map, context, space, bucket, key } = request
    if (!hasBlocks(map)) return
    await this.requireNew(request, { space, bucket, key, map: context.op })
  }

  async part(request: PutPartRequest, upload: StoredUpload, source: BlockMap | undefined): Promise<void> {
    const { map, bucket } = request
    if (!hasBlocks(map)) return
    const owner = ownerOf(upload, bucket)
    if (request.source === undefined) await this.requireNew(request, owner)
    else await this.requireTaken(request, owner, this.slicesOfSource(source, map.pool))
  }

  async complete(request: CompleteUploadRequest, upload: StoredUpload): Promise<void> {
    if (!hasBlocks(request.map)) return
    const slices = this.slicesOfParts(upload, request)
    await this.requireTaken(request, ownerOf(upload, request.bucket), slices)
  }

  /** All blocks are new. */
  private async requireNew(request: Commit, owner: NewBlocks['owner']): Promise<void> {
    const { map, context } = request
    requireOwnOp(context)
    const require = await this.parts.receipts.judge(context, { pool: map.pool, owner })
    requirePages(map, require)
    for await (const slice of this.slicesOf(map)) require(slice)
  }

  /** Only the pages are new. */
  private async requireTaken(
    request: Commit,
    owner: NewBlocks['owner'],
    allowed: AsyncIterator<BlockSlice>,
  ): Promise<void> {
    const { map, context } = request
    requireOwnOp(context)
    if (map.pages.length > 0) {
      requirePages(map, await this.parts.receipts.judge(context, { pool: map.pool, owner }))
    }
    let from = await allowed.next()
    for await (const slice of this.slicesOf(map)) {
      while (!from.done && !isWithin(slice, from.value)) from = await allowed.next()
      if (from.done) throw new CairnError('NotAllowed', `block ${formatId(slice.block)} is not of the source`)
    }
  }

  private async *slicesOf(map: BlockMap): AsyncGenerator<BlockSlice, void, undefined> {
    yield* map.slices
    for (const { slice } of map.pages) {
      const slices = await this.parts.pages.readPage(map.pool, slice)
      if (slices === undefined) {
        throw new CairnError('ReceiptMissing', `no drive has map page ${formatId(slice.block)}`)
      }
      yield* slices
    }
  }

  /** Blocks of another pool are not where the commit says. */
  private async *slicesOfSource(
    source: BlockMap | undefined,
    pool: number,
  ): AsyncGenerator<BlockSlice, void, undefined> {
    if (source !== undefined && source.pool === pool) yield* this.slicesOf(source)
  }

  private async *slicesOfParts(
    { row }: StoredUpload,
    { parts, map }: CompleteUploadRequest,
  ): AsyncGenerator<BlockSlice, void, undefined> {
    for (let after = 0; ; ) {
      const range = partsAfter(row.op, after)
      const { results } = await this.parts.store.read([{ kind: 'scan', range, limit: LIST_PAGE_MAX }])
      const rows = results[0] ?? []
      for (const { key, value } of rows) {
        after = partNumberOfKey(key)
        if (isListed(parts, after)) yield* this.slicesOfSource(PartRow.decode(value).map, map.pool)
      }
      if (rows.length < LIST_PAGE_MAX) return
    }
  }
}

type Commit = Pick<PutObjectRequest, 'map' | 'context'>

function ownerOf({ place: { space, key }, row }: StoredUpload, bucket: string): NewBlocks['owner'] {
  return { space, bucket, key, map: row.op }
}

function requirePages({ pages }: BlockMap, require: RequireStored): void {
  for (const { slice } of pages) require(slice)
}

function isListed(parts: readonly PartRun[], partNumber: number): boolean {
  return parts.some(({ firstNumber, count }) => partNumber >= firstNumber && partNumber < firstNumber + count)
}

function isWithin(slice: BlockSlice, of: BlockSlice): boolean {
  return (
    sameBytes(slice.block, of.block) &&
    slice.blockBytes === of.blockBytes &&
    sameBytes(slice.hash, of.hash) &&
    slice.offset >= of.offset &&
    slice.offset + slice.length <= of.offset + of.length
  )
}
