/** Looks through the blocks of a drive for those who compare drives: pages in id order, and single blocks. */
import { type BlockEntry, type BlockId, BlockOwner, type Clock, groupOf } from '@cairn/protocol'
import type { BlockIndex, BlockPage, IndexedBlock, ListFilter } from '../../ports.js'
import { type BlockReader, concernsBlock } from './block-reader.js'
import type { BlockTable } from './block-table.js'
import type { Deletions } from './deletions.js'

/** Owners on their way to a caller: reads in flight at once. */
const OWNERS_AT_ONCE = 16
/** Rows that one page under a filter looks at (about 10 µs each), and how many of them in one turn. */
const SCAN_ROWS_MAX = 8192
const SCAN_ROWS_PER_TURN = 512

/** What a listing works on. */
export interface BlockListingOptions {
  readonly index: BlockIndex
  readonly table: BlockTable
  readonly reader: BlockReader
  readonly deletions: Deletions
  readonly clock: Clock
}

/** A page of rows before their owners are known. */
interface RowPage {
  readonly rows: IndexedBlock[]
  readonly complete: boolean
  readonly next?: BlockId
}

export class BlockListing {
  private readonly options: BlockListingOptions

  constructor(options: BlockListingOptions) {
    this.options = options
  }

  /** See `BlockStore.list`. */
  async list(
    after: BlockId | undefined,
    limit: number,
    withOwner: boolean,
    filter: ListFilter = {},
  ): Promise<BlockPage> {
    await this.options.deletions.ended()
    await this.options.table.flush()
    const { groups } = filter
    const { rows, ...page } =
      groups === undefined
        ? this.page(after, limit, filter)
        : await this.filtered(after, limit, { ...filter, groups })
    return { blocks: withOwner ? await this.owned(rows) : rows.map((row) => entryOf(row)), ...page }
  }

  /** See `BlockStore.find`. */
  async find(blocks: readonly BlockId[]): Promise<BlockEntry[]> {
    const { table, deletions } = this.options
    await deletions.ended()
    const rows = blocks.map((block) => table.find(block)).filter((row) => row !== undefined)
    return this.owned(rows)
  }

  private page(after: BlockId | undefined, limit: number, filter: ListFilter): RowPage {
    const rows = this.rows(after, limit + 1, filter)
    return { rows: rows.slice(0, limit), complete: rows.length <= limit }
  }

  private async filtered(
    after: BlockId | undefined,
    limit: number,
    filter: ListFilter & { readonly groups: Uint8Array },
  ): Promise<RowPage> {
    const found: IndexedBlock[] = []
    let last = after
    for (let scanned = 0; scanned < SCAN_ROWS_MAX; scanned += SCAN_ROWS_PER_TURN) {
      const rows = this.rows(last, SCAN_ROWS_PER_TURN, filter)
      for (const row of rows) {
        last = row.block
        if (isWanted(row.block, filter.groups)) found.push(row)
        if (found.length === limit) return { rows: found, complete: false, next: row.block }
      }
      if (rows.length < SCAN_ROWS_PER_TURN) return { rows: found, complete: true }
      await new Promise<void>((resolve) => this.options.clock.defer(resolve))
    }
    return { rows: found, complete: false, ...(last === undefined ? {} : { next: last }) }
  }

  private rows(
    after: BlockId | undefined,
    limit: number,
    { damagedOnly = false }: ListFilter,
  ): IndexedBlock[] {
    const { index } = this.options
    return damagedOnly ? index.damaged(after, limit) : index.range(after, limit)
  }

  private async owned(rows: readonly IndexedBlock[]): Promise<BlockEntry[]> {
    const entries: BlockEntry[] = []
    for (let at = 0; at < rows.length; at += OWNERS_AT_ONCE) {
      const part = rows.slice(at, at + OWNERS_AT_ONCE)
      entries.push(...(await Promise.all(part.map(async (row) => entryOf(row, await this.owner(row.block))))))
    }
    return entries
  }

  /** `undefined` if the block went away meanwhile or its owner is damaged: a wrong one might condemn the block. */
  private async owner(block: BlockId): Promise<BlockOwner | undefined> {
    const { table, reader } = this.options
    const entry = table.find(block)
    if (entry === undefined) return undefined
    try {
      return BlockOwner.decode(await reader.readOwner(entry))
    } catch (error) {
      if (concernsBlock(error)) return undefined
      throw error
    }
  }
}

function entryOf(
  { block, sizeBytes, hash, storedAtMs, damaged }: IndexedBlock,
  owner?: BlockOwner,
): BlockEntry {
  return {
    block,
    sizeBytes,
    hash,
    storedAtMs,
    ...(owner === undefined ? {} : { owner }),
    ...(damaged ? { damaged } : {}),
  }
}

function isWanted(block: BlockId, groups: Uint8Array): boolean {
  const group = groupOf(block)
  return ((groups[group >> 3] ?? 0) & (1 << (group & 7))) !== 0
}
