/**
 * Blocks in segment files on one drive. A put or delete is acknowledged once its record is synced in the log; the
 * table follows in the same turn, the index on disk later. See record.ts for the format, recovery.ts for what a
 * crash leaves behind, compaction.ts for how space comes back.
 */
import {
  type BlockEntry,
  type BlockId,
  BlockOwner,
  CairnError,
  type Clock,
  ContentShare,
  hasCode,
  type Random,
  type SessionId,
  UNIT_BYTES,
  type Unit,
  type UnitSource,
} from '@cairn/protocol'
import type {
  BlockIndex,
  BlockPage,
  BlockStore,
  DamageEvent,
  Disk,
  IndexedBlock,
  ListFilter,
  OpenBlock,
  StoredBlock,
  StoreUsage,
  VerifiedBlocks,
} from '../ports.js'
import { compareContent, hashUnits } from './block-content.js'
import { BlockListing } from './block-listing.js'
import { BlockReader } from './block-reader.js'
import { BlockTable, keyOf } from './block-table.js'
import { BlockVerifier } from './block-verifier.js'
import { type CompactionControl, type CompactionResult, Compactor } from './compaction.js'
import { type Deleted, Deletions } from './deletions.js'
import { GroupCommit, type Placement } from './group-commit.js'
import { blockRecordBytes, OWNER_BYTES_MAX } from './record.js'
import { recover } from './recovery.js'
import type { StoreScrubber } from './scrub.js'
import { SEGMENT_LIMITS, type SegmentLimits, segmentBytesFor } from './segment-limits.js'
import { SegmentScrubber } from './segment-scrubber.js'
import { SegmentSet } from './segment-set.js'
import { StreamWriter } from './stream-writer.js'
import { UnitIntake } from './unit-intake.js'
import { WarmBlocks } from './warm-blocks.js'
import { type StoreCounters, WriteState } from './write-state.js'

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
  private readonly warm: WarmBlocks
  readonly scrubber: SegmentScrubber
  private readonly compactor: Compactor
  /** Puts under way, by block: a second one waits for the first. */
  private readonly putting = new Map<string, Put>()
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
    this.listing = new BlockListing({ index, table, reader, clock })
    const verifier = new BlockVerifier({ table, reader })
    this.verifier = verifier
    const { counters } = state
    this.scrubber = new SegmentScrubber({ disk, index, table, segments, verifier, clock, counters, onDamage })
    const deletions = new Deletions(log, table)
    const { deleting, copying } = deletions
    const parts = { disk, table, segments, state, log, streams, reader, limits, clock }
    this.compactor = new Compactor({ ...parts, deleting, copying })
    this.deletions = deletions
    this.state = state
    this.segments = segments
    this.table = table
    this.log = log
    this.streams = streams
    this.reader = reader
    this.warm = warm
  }

  get counters(): Readonly<StoreCounters> {
    return this.state.counters
  }

  get indexDamaged(): boolean {
    return this.options.index.isBroken || this.scrubber.indexDamaged
  }

  async open(): Promise<void> {
    const { disk, index, driveId = '', onDamage } = this.options
    const { table, segments, state } = this
    const { tailEntriesMax } = this.limits
    const unproven = await recover({ disk, index, table, segments, state, driveId, tailEntriesMax, onDamage })
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
    const key = keyOf(block)
    const begin = (): Promise<StoredBlock> =>
      this.begin({ block, owner, key, intake: new UnitIntake(block, units, control), ended: undefined })
    return this.putting.has(key) ? this.whenFree(key, begin) : begin()
  }

  /** Begins in the turn in which it finds the block free: others may be waiting for it too. */
  private async whenFree(key: string, begin: () => Promise<StoredBlock>): Promise<StoredBlock> {
    for (let other = this.putting.get(key); other !== undefined; other = this.putting.get(key)) {
      await other.ended?.catch(() => undefined)
    }
    return begin()
  }

  /** No other put of this block is under way. */
  private begin(put: Put): Promise<StoredBlock> {
    this.putting.set(put.key, put)
    try {
      put.ended = this.start(put)
      return put.ended
    } catch (error) {
      this.leave(put)
      return Promise.reject(error)
    }
  }

  private leave(put: Put): void {
    put.intake.leave()
    if (this.putting.get(put.key) === put) this.putting.delete(put.key)
  }

  get(
    block: BlockId,
    range: { offset: number; length: number },
    control: { signal: AbortSignal },
  ): Promise<OpenBlock> {
    return this.reader.get(block, range, control)
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
    await Promise.allSettled([...this.putting.values()].map(({ ended }) => ended))
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

  /** Most blocks are new and small, and came with their call: then there is nothing to wait for but the log. */
  private start(put: Put): Promise<StoredBlock> {
    this.assertOpen()
    if (this.table.find(put.block, put.key) !== undefined || this.mustLook()) {
      return this.leaveAfter(put, this.store(put))
    }
    this.assertRoom()
    const taken = put.intake.take(this.limits.smallBlockBytesMax)
    if (taken instanceof Promise || !put.intake.ended)
      return this.leaveAfter(put, this.storeTaken(put, taken))
    return this.append(put, ownerBytesOf(put), taken)
  }

  private async leaveAfter(put: Put, work: Promise<StoredBlock>): Promise<StoredBlock> {
    try {
      return await work
    } finally {
      this.leave(put)
    }
  }

  private async store(put: Put): Promise<StoredBlock> {
    const { block, intake, key } = put
    const known = this.table.find(block, key)
    if (known !== undefined && !known.damaged) return compareContent(known, intake)
    this.assertRoom()
    if (this.mustLook()) await this.state.assertRoom(0)
    return this.storeTaken(put, intake.take(this.limits.smallBlockBytesMax))
  }

  private async storeTaken(put: Put, taken: Unit[] | Promise<Unit[]>): Promise<StoredBlock> {
    const { block, intake, key } = put
    const { smallBlockBytesMax } = this.limits
    const first = await taken
    const owner = ownerBytesOf(put)
    // A body that fills the small limit exactly may have ended: one more unit tells.
    const more = intake.ended || first.length * UNIT_BYTES < smallBlockBytesMax ? [] : await intake.take(1)
    if (more.length === 0) return this.append(put, owner, first)
    return this.stream(block, key, owner, { intake, first: [...first, ...more] })
  }

  private assertRoom(): void {
    this.state.assertWritable()
    if (this.table.overloaded) throw new CairnError('DriveFull', 'the index cannot be written')
  }

  private mustLook(): boolean {
    return this.state.mustLook(this.limits.segmentBytes)
  }

  private append(put: Put, owner: Uint8Array, units: readonly Unit[]): Promise<StoredBlock> {
    const { block, key } = put
    const { sizeBytes, hash } = hashUnits(units)
    const storedAtMs = this.nowMs()
    const ownerBytes = owner.length
    const recordBytes = blockRecordBytes(ownerBytes, sizeBytes)
    return new Promise((resolve, reject) => {
      const settle = (outcome: Placement | CairnError): void => {
        if (outcome instanceof CairnError) reject(outcome)
        else {
          this.warm.touch(outcome.segment, outcome.offset, recordBytes)
          this.table.put(entryAt(outcome, { block, ownerBytes, sizeBytes, hash, storedAtMs }), key)
          resolve({ sizeBytes, hash })
        }
        this.leave(put)
      }
      try {
        this.log.append({
          kind: 'block',
          block,
          owner,
          units,
          sizeBytes,
          hash,
          storedAtMs,
          recordBytes,
          settle,
        })
      } catch (error) {
        this.leave(put)
        reject(error)
      }
    })
  }

  private async stream(
    block: BlockId,
    key: string,
    owner: Uint8Array,
    body: { readonly intake: UnitIntake; readonly first: readonly Unit[] },
  ): Promise<StoredBlock> {
    const share = ContentShare.join(block, body.first)
    body.intake.follower = share
    try {
      return await this.record({ block, key, owner, body, share })
    } finally {
      share.leave()
    }
  }

  private async record(put: {
    block: BlockId
    key: string
    owner: Uint8Array
    body: { readonly intake: UnitIntake; readonly first: readonly Unit[] }
    share: ContentShare
  }): Promise<StoredBlock> {
    const { block, key, owner, body, share } = put
    const storedAtMs = this.nowMs()
    const take = async (): Promise<Unit[]> => body.intake.take(this.limits.pieceBytesMax)
    let stored: StoredBlock | undefined
    await this.streams.write(
      {
        block,
        owner,
        storedAtMs,
        take,
        hash: () => share.hash(),
        settle: (placement, content) => {
          stored = content
          this.table.put(entryAt(placement, { block, ownerBytes: owner.length, storedAtMs, ...content }), key)
        },
      },
      body.first,
    )
    if (stored === undefined) throw new CairnError('Internal', 'a streamed block was not settled')
    return stored
  }

  private nowMs(): number {
    return Math.floor(this.options.clock.wallMicros() / 1000)
  }
}

/** One put under way. */
interface Put {
  readonly block: BlockId
  readonly owner: BlockOwner
  readonly key: string
  readonly intake: UnitIntake
  ended: Promise<StoredBlock> | undefined
}

function ownerBytesOf({ owner }: Put): Uint8Array {
  const bytes = BlockOwner.encode(owner)
  if (bytes.length <= OWNER_BYTES_MAX) return bytes
  throw new CairnError('InvalidArgument', 'the owner is too long')
}

function entryAt(
  placement: Placement,
  content: Omit<IndexedBlock, 'segment' | 'offset' | 'order' | 'damaged'>,
): IndexedBlock {
  const { segment, offset, order } = placement
  const { block, ownerBytes, sizeBytes, hash, storedAtMs } = content
  return { block, segment, offset, sizeBytes, ownerBytes, damaged: false, order, storedAtMs, hash }
}
