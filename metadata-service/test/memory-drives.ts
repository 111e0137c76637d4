import {
  type BlockEntry,
  type BlockId,
  type BlockOwner,
  type BlockSlice,
  CairnError,
  type Clock,
  type DriveId,
  formatId,
  type SessionId,
  sameBytes,
  sessionOf,
} from '@cairn/protocol'
import type { BlockReclaimer, DriveInspector, Page, Reclaimed } from '../src/ports-blocks.js'

/** One drive that holds every block: both ports of the workers, in memory. */
export class MemoryDrives implements BlockReclaimer, DriveInspector {
  readonly blocksById: Map<string, BlockEntry> = new Map()
  private readonly pages = new Map<string, readonly BlockSlice[]>()
  private readonly clock: Clock
  /** While false, nothing answers. */
  isUp: boolean = true

  constructor(clock: Clock) {
    this.clock = clock
  }

  store(block: BlockId, owner: BlockOwner, sizeBytes: number): BlockSlice {
    const hash = new Uint8Array(32)
    this.blocksById.set(formatId(block), { block, sizeBytes, hash, storedAtMs: 0, owner })
    return { block, offset: 0, length: sizeBytes, blockBytes: sizeBytes, hash }
  }

  storePage(block: BlockId, owner: BlockOwner, slices: readonly BlockSlice[]): BlockSlice {
    this.pages.set(formatId(block), slices)
    return this.store(block, owner, 100)
  }

  has(block: BlockId): boolean {
    return this.blocksById.has(formatId(block))
  }

  async deleteBlocks(_pool: number, blocks: readonly BlockId[]): Promise<Reclaimed> {
    await this.pause()
    if (!this.isUp) return { freedBytes: 0, unfinished: new Set(blocks.map(formatId)) }
    return { freedBytes: this.drop(blocks), unfinished: new Set() }
  }

  async readPage(_pool: number, page: BlockSlice): Promise<readonly BlockSlice[] | undefined> {
    await this.pause()
    if (!this.isUp) throw new CairnError('BlockUnavailable', 'down')
    return this.has(page.block) ? this.pages.get(formatId(page.block)) : undefined
  }

  async drives(): Promise<readonly DriveId[]> {
    return ['d1']
  }

  async writers(_drive: DriveId, after: SessionId | undefined): Promise<Page<SessionId>> {
    await this.answer()
    const names = new Set([...this.blocksById.values()].map(({ block }) => formatId(sessionOf(block))))
    const items = [...names].map((name) => Buffer.from(name, 'hex') as Uint8Array as SessionId)
    return pageOf(items, after)
  }

  async blocks(_drive: DriveId, after: BlockId | undefined): Promise<Page<BlockEntry>> {
    await this.answer()
    const ids = pageOf(
      [...this.blocksById.values()].map(({ block }) => block),
      after,
    )
    const items = ids.items.flatMap((id) => this.blocksById.get(formatId(id)) ?? [])
    return { items, complete: ids.complete }
  }

  async deleteOnDrive(_drive: DriveId, blocks: readonly BlockId[]): Promise<number> {
    await this.answer()
    return this.drop(blocks)
  }

  private drop(blocks: readonly BlockId[]): number {
    let freedBytes = 0
    for (const block of blocks) {
      freedBytes += this.blocksById.get(formatId(block))?.sizeBytes ?? 0
      this.blocksById.delete(formatId(block))
    }
    return freedBytes
  }

  private async answer(): Promise<void> {
    await this.pause()
    if (!this.isUp) throw new CairnError('DeadlineExceeded', 'down')
  }

  /** Lets others act between any two calls. */
  private pause(): Promise<void> {
    return new Promise((resolve) => this.clock.setTimer(1, resolve))
  }
}

/** Small pages, so that every test crosses their borders. */
function pageOf<T extends Uint8Array>(items: readonly T[], after: T | undefined): Page<T> {
  const sorted = [...items].sort((a, b) => Buffer.compare(a, b))
  const rest = after === undefined ? sorted : sorted.filter((item) => Buffer.compare(item, after) > 0)
  const page = rest.slice(0, 3)
  const last = page.at(-1)
  return { items: page, complete: last === undefined || sameBytes(last, rest.at(-1) ?? last) }
}
