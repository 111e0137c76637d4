/**
 * Blocks in segment files on one drive. A put or delete is acknowledged once its record is synced in the log; the
 * table follows in the same turn, the index on disk later. See record.ts for the format, recovery.ts for what a
 * crash leaves behind, compaction.ts for how space comes back.
 */
import {
  type BlockEntry,
  type BlockId,
  type BlockOwner,
  CairnError,
  type Clock,
  hasCode,
  type Random,
  type SessionId,
  type Unit,
  type UnitSource,
} from '@cairn/protocol'
import type {
  BlockAtHand,
  BlockIndex,
  BlockPage,
  BlockStore,
  DamageEvent,
  Disk,
  ListFilter,
  OpenBlock,
  StoredBlock,
  StoreUsage,
  VerifiedBlocks,
} from '../../ports.js'
import { BlockListing } from '../blocks/block-listing.js'
import { BlockPuts } from '../blocks/block-puts.js'
import { BlockReader } from '../blocks/block-reader.js'
import { BlockTable } from '../blocks/block-table.js'
import { BlockVerifier } from '../blocks/block-verifier.js'
import { type Deleted, Deletions } from '../blocks/deletions.js'
import { WarmBlocks } from '../blocks/warm-blocks.js'
import { GroupCommit } from '../segments/group-commit.js'
import { SEGMENT_LIMITS, type SegmentLimits, segmentBytesFor } from '../segments/segment-limits.js'
import { SegmentSet } from '../segments/segment-set.js'
import { StreamWriter } from '../segments/stream-writer.js'
import { type StoreCounters, WriteState } from '../segments/write-state.js'
import { type CompactionControl, type CompactionResult, Compactor } from './compaction.js'
import { recover } from './recovery.js'
import type { StoreScrubber } from './scrub.js'
import { SegmentScrubber } from './segment-scrubber.js'

export interface SegmentBlockStoreOptions {
  readonly disk: Disk
  /** Closed with the store. */
  readonly index: BlockIndex
  readonly clock: Clock
  readonly random: Random
  /** Overrides of SEGMENT_LIMITS. */
  readonly limits?: Partial<SegmentLimits>
  readonly durability: 'fsync' | 'none'
  /** Stands in the segments' headers; a segment of another drive is reported. */
  readonly driveId?: string
  /** Ends the opening between two segments, as `ShuttingDown`: nothing has changed that another would miss. */
  readonly signal?: AbortSignal
  readonly onDamage: (event: DamageEvent) => void
}

/** A `BlockStore` with its upkeep. */
export interface SegmentBlockStore extends BlockStore {
  /** One bounded run that gives space of deleted blocks back; `signal` ends it between two segments. */
  compactOnce(options?: Partial<CompactionControl>): Promise<CompactionResult>
  readonly scrubber: StoreScrubber
  /** A segment with live blocks whose file is not there any more. */
  findMissingSegment(): Promise<number | undefined>
  readonly indexDamaged: boolean
  /** Since the store was opened. */
  readonly counters: Readonly<StoreCounters>
  /** Syncs of its index since the store was opened. */
  readonly indexSyncs: number
  /** Writes all changes to the index now; for tests and before a planned stop. */
  flushIndex(): Promise<void>
}

/**
 * Opens the blocks of a drive, reading what the index has not seen. `FormatTooNew` for segments of a later
 * version; damage is reported, never fatal.
 */
export async function openSegmentBlockStore(options: SegmentBlockStoreOptions): Promise<SegmentBlockStore> {
  const { capacityBytes } = await options.disk.space()
  const limits = { segmentBytes: segmentBytesFor(capacityBytes), ...options.limits }
  const store = new OpenStore({ ...options, limits })
  try {
    await store.open()
  } catch (error) {
    await store.dispose()
    throw error
  }
  return store
}

class OpenStore implements SegmentBlockStore {
  private readonly options: SegmentBlockStoreOptions
  private readonly limits: SegmentLimits
  private readonly state: WriteState
  private readonly segments: SegmentSet
  private readonly table: BlockTable
  private readonly log: GroupCommit
  private readonly streams: StreamWriter
  private readonly reader: BlockReader
  private readonly listing: BlockListing
  private readonly verifier: BlockVerifier
  readonly scrubber: SegmentScrubber
  private readonly compactor: Compactor
  private readonly puts: BlockPuts
  private readonly deletions: Deletions
  private readonly closing = new AbortController()

  constructor(options: SegmentBlockStoreOptions) {
    const { disk, index, clock, random, durability, driveId = '', onDamage } = options
    const limits = { ...SEGMENT_LIMITS, ...options.limits }
    this.options = options
    this.limits = limits
    const state = new WriteState(disk, { durability, reserveBytes: limits.reserveBytes })
    const { openFilesMax } = limits
    const segments = new SegmentSet({ disk, clock, random, state, driveId, openFilesMax })
    const table = new BlockTable(index, segments, { clock, limits })
    const log = new GroupCommit(segments, state, { clock, limits })
    const streams = new StreamWriter(segments, state, limits)
    const warm = new WarmBlocks(clock)
    const reader = new BlockReader({ table, segments, state, limits, warm, onDamage })
    const deletions = new Deletions(log, table)
    this.listing = new BlockListing({ index, table, reader, deletions, clock })
    const verifier = new BlockVerifier({ table, reader })
    this.verifier = verifier
    const { counters } = state
    this.scrubber = new SegmentScrubber({ disk, index, table, segments, verifier, clock, counters, onDamage })
    const { deleting, copying } = deletions
    const parts = { disk, table, segments, state, log, streams, reader, limits, clock }
    this.compactor = new Compactor({ ...parts, deleting, copying })
    this.deletions = deletions
    this.puts = new BlockPuts({ table, state, log, streams, warm, deletions, clock, limits })
    this.state = state
    this.segments = segments
    this.table = table
    this.log = log
    this.streams = streams
    this.reader = reader
  }

  get counters(): Readonly<StoreCounters> {
    return this.state.counters
  }

  get indexSyncs(): number {
    return this.options.index.syncs
  }

  get indexDamaged(): boolean {
    return this.options.index.isBroken || this.scrubber.indexDamaged
  }

  async open(): Promise<void> {
    const { driveId = '' } = this.options
    const { table, segments, state } = this
    const { tailEntriesMax } = this.limits
    const unproven = await recover({ ...this.options, table, segments, state, driveId, tailEntriesMax })
    try {
      await this.compactor.rewrite(unproven.blocks, unproven.tombstones)
    } catch (error) {
      // On a full drive the sync that recovery made has to do.
      if (!hasCode(error, 'DriveFull')) throw error
    }
    table.resume()
    // Asked for once, here: an index that cannot tell is damaged, and that is better known now.
    this.usage()
  }

  put(
    block: BlockId,
    owner: BlockOwner,
    units: UnitSource,
    control: { signal: AbortSignal },
  ): Promise<StoredBlock> {
    return this.puts.put(block, owner, units, control)
  }

  putNow(
    block: BlockId,
    owner: BlockOwner,
    unit: Unit,
    settle: (outcome: StoredBlock | CairnError) => void,
  ): boolean {
    return this.puts.putNow(block, owner, unit, settle)
  }

  get(
    block: BlockId,
    range: { offset: number; length: number },
    control: { signal: AbortSignal },
  ): Promise<OpenBlock> {
    return this.reader.get(block, range, control)
  }

  getNow(block: BlockId, range: { offset: number; length: number }): BlockAtHand | undefined {
    return this.reader.getNow(block, range)
  }

  async delete(blocks: readonly BlockId[]): Promise<Deleted> {
    this.assertOpen()
    this.state.assertWritable()
    return this.deletions.delete(blocks)
  }

  list(
    after: BlockId | undefined,
    limit: number,
    withOwner: boolean,
    filter?: ListFilter,
  ): Promise<BlockPage> {
    return this.listing.list(after, limit, withOwner, filter)
  }

  find(blocks: readonly BlockId[]): Promise<BlockEntry[]> {
    return this.listing.find(blocks)
  }

  verify(blocks: readonly BlockId[], { signal }: { signal: AbortSignal }): Promise<VerifiedBlocks> {
    return this.verifier.verify(blocks, signal)
  }

  async writers(
    after: SessionId | undefined,
    limit: number,
  ): Promise<{ sessions: SessionId[]; complete: boolean }> {
    await this.table.flush()
    const sessions = this.options.index.writers(after, limit + 1)
    return { sessions: sessions.slice(0, limit), complete: sessions.length <= limit }
  }

  usage(): StoreUsage {
    let liveBytes = 0
    let totalBytes = 0
    let blockCount = 0
    for (const segment of this.segments.all.values()) {
      liveBytes += segment.liveBytes
      totalBytes += segment.position
      blockCount += segment.liveBlocks
    }
    const deadBytes = Math.max(0, totalBytes - liveBytes)
    return { liveBytes, deadBytes, blockCount, damagedBlocks: this.table.damagedCount }
  }

  compactOnce(options: Partial<CompactionControl> = {}): Promise<CompactionResult> {
    this.assertOpen()
    const closing = this.closing.signal
    const signal = options.signal === undefined ? closing : AbortSignal.any([closing, options.signal])
    return this.compactor.run({ ...options, signal })
  }

  findMissingSegment(): Promise<number | undefined> {
    return this.segments.findMissing()
  }

  flushIndex(): Promise<void> {
    return this.table.flush()
  }

  async close(): Promise<void> {
    if (this.closing.signal.aborted) return
    this.closing.abort()
    await this.puts.close()
    await this.compactor.idle()
    await this.log.roll()
    await this.streams.sealIdle(() => true)
    await this.table.close()
    await this.dispose()
    this.options.index.close()
  }

  /** Gives descriptors and timers back, whatever state the store is in. */
  async dispose(): Promise<void> {
    this.table.abandon()
    await this.segments.close()
  }

  private assertOpen(): void {
    if (this.closing.signal.aborted) throw new CairnError('ShuttingDown', 'the block store is closing')
  }
}
