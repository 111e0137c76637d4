/**
 * Block maps from slices and slices from block maps. A map above INLINE_MAP_BYTES_MAX becomes pages: blocks of the
 * same owner that hold up to MAP_PAGE_SLICES slices each, durable before the commit that names them.
 */
import {
  BLOCK_BYTES_MAX,
  type BlockId,
  BlockMap,
  type BlockSlice,
  CairnError,
  hashBlock,
  INLINE_MAP_BYTES_MAX,
  MAP_PAGE_SLICES,
  type MapPage,
  MapPageContent,
  UNIT_BYTES,
  type Unit,
  unitCheck,
} from '@cairn/protocol'
import type { ReadRange } from '../api.js'
import { BlockReader } from '../blocks/block-reader.js'
import { newBlock } from '../blocks/new-block.js'
import { type StoredBlock, storeUnits, type WriteScope, wholeSlice } from '../blocks/stored-block.js'
import type { ClientParts, ReadParts } from '../parts.js'

/** An encoded slice has at most 80 bytes, so that so many always fit and need not be encoded to know it. */
const SLICES_SURELY_INLINE = 16

/** The map of so few slices that it needs no pages; `undefined` for more. */
export function shortMap(pool: number, slices: readonly BlockSlice[]): BlockMap | undefined {
  return slices.length <= SLICES_SURELY_INLINE ? { pool, slices, pages: [] } : undefined
}

/** A builder that holds these slices. */
export async function mapOf(
  parts: ClientParts,
  scope: WriteScope,
  slices: Iterable<BlockSlice>,
): Promise<MapBuilder> {
  const builder = new MapBuilder(parts, scope)
  for (const slice of slices) await builder.add(slice)
  return builder
}

/** A map that is ready for its commit, and the blocks that were written for its pages. */
export interface BuiltMap {
  readonly map: BlockMap
  readonly sizeBytes: number
}

/** Gathers the slices of one version in order. Holds at most one page of them. */
export class MapBuilder {
  /** Page blocks, whose placement the commit must settle like that of any other block. */
  readonly pageBlocks: StoredBlock[] = []
  sizeBytes = 0
  private readonly parts: ClientParts
  private readonly scope: WriteScope
  private readonly pages: MapPage[] = []
  private slices: BlockSlice[] = []

  constructor(parts: ClientParts, scope: WriteScope) {
    this.parts = parts
    this.scope = scope
  }

  /** Where its pages go, and where the blocks of its slices lie. */
  get pool(): number {
    return this.scope.pool
  }

  /** Appends a slice; writes a page when one is full. */
  async add(slice: BlockSlice): Promise<void> {
    if (this.slices.length === MAP_PAGE_SLICES) await this.writePage()
    this.slices.push(slice)
    this.sizeBytes += slice.length
  }

  async finish(): Promise<BuiltMap> {
    const inline: BlockMap = { pool: this.scope.pool, slices: this.slices, pages: [] }
    if (this.pages.length === 0 && isInline(inline)) return { map: inline, sizeBytes: this.sizeBytes }
    if (this.slices.length > 0) await this.writePage()
    return { map: { pool: this.scope.pool, slices: [], pages: this.pages }, sizeBytes: this.sizeBytes }
  }

  private async writePage(): Promise<void> {
    const content = MapPageContent.encode({ slices: this.slices })
    if (content.length > BLOCK_BYTES_MAX) throw new CairnError('Internal', 'a map page exceeds a block')
    const stored = await storeBytes(this.parts, this.scope, content)
    this.pageBlocks.push(stored)
    const coveredBytes = this.slices.reduce((sum, slice) => sum + slice.length, 0)
    this.pages.push({ slice: wholeSlice(stored), coveredBytes, sliceCount: this.slices.length })
    this.slices = []
  }
}

function isInline(map: BlockMap): boolean {
  return map.slices.length <= SLICES_SURELY_INLINE || BlockMap.encode(map).length <= INLINE_MAP_BYTES_MAX
}

/** Stores bytes that are at hand (at most BLOCK_BYTES_MAX) as one block. */
export function storeBytes(parts: ClientParts, scope: WriteScope, bytes: Uint8Array): Promise<StoredBlock> {
  const block = newBlock(parts.view, scope)
  const hash = hashBlock(bytes)
  const units =
    bytes.length <= UNIT_BYTES
      ? [{ bytes, check: unitCheck(block, 0, bytes), blockHash: hash }]
      : cutUnits(block, bytes)
  return storeUnits(parts, scope, { block, owner: scope.owner, sizeBytes: bytes.length, hash, units })
}

function cutUnits(block: BlockId, bytes: Uint8Array): Unit[] {
  const units: Unit[] = []
  for (let at = 0; at < bytes.length; at += UNIT_BYTES) {
    const unit = bytes.subarray(at, at + UNIT_BYTES)
    units.push({ bytes: unit, check: unitCheck(block, units.length, unit) })
  }
  return units
}

/** All bytes that a map covers. */
export function coveredBytes(map: BlockMap): number {
  const inline = map.slices.reduce((sum, slice) => sum + slice.length, 0)
  return map.pages.reduce((sum, page) => sum + page.coveredBytes, inline)
}

/** The slices of a range of the version, cut at its borders. Reads only the pages that it touches. */
export async function* slicesInRange(
  parts: ReadParts,
  map: BlockMap,
  range: ReadRange,
  signal?: AbortSignal,
): AsyncGenerator<BlockSlice, void, undefined> {
  yield* cutSlices(map.slices, 0, range)
  let start = map.slices.reduce((sum, slice) => sum + slice.length, 0)
  for (const page of map.pages) {
    const end = start + page.coveredBytes
    if (start >= range.offset + range.length) return
    if (end > range.offset) yield* cutSlices(await readPage(parts, map.pool, page, signal), start, range)
    start = end
  }
}

/** The parts of slices, the first of which begins at `start` of the version, that lie in a range. */
export function* cutSlices(
  slices: readonly BlockSlice[],
  start: number,
  { offset, length }: ReadRange,
): Generator<BlockSlice, void, undefined> {
  let at = start
  for (const slice of slices) {
    const from = Math.max(offset, at)
    const to = Math.min(offset + length, at + slice.length)
    if (from === at && to === at + slice.length) yield slice
    else if (from < to) yield { ...slice, offset: slice.offset + from - at, length: to - from }
    at += slice.length
    if (at >= offset + length) return
  }
}

async function readPage(
  parts: ReadParts,
  pool: number,
  page: MapPage,
  signal: AbortSignal | undefined,
): Promise<readonly BlockSlice[]> {
  const { block, blockBytes, hash } = page.slice
  const read = { pool, block, blockBytes, hash, from: 0, to: blockBytes }
  const reader = new BlockReader(parts, read, signal === undefined ? {} : { signal })
  const chunks: Uint8Array[] = []
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) chunks.push(chunk)
  const { slices } = MapPageContent.decode(Buffer.concat(chunks))
  const covered = slices.reduce((sum, slice) => sum + slice.length, 0)
  if (slices.length !== page.sliceCount || covered !== page.coveredBytes) {
    throw new CairnError('BlockCorrupt', 'a map page does not hold what its map says')
  }
  return slices
}
