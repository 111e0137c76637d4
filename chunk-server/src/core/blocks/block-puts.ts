/**
 * The puts of one drive. Two puts of one block follow each other; a small block is one record of the group commit, a
 * large one is streamed into a segment of its own writer.
 */
import {
  type BlockId,
  BlockOwner,
  CairnError,
  type Clock,
  ContentShare,
  mapKey,
  TurnoverMap,
  UNIT_BYTES,
  type Unit,
  type UnitSource,
} from '@cairn/protocol'
import type { StoredBlock } from '../../ports.js'
import { checksOf, type GroupCommit, type Placement } from '../segments/group-commit.js'
import { PlacedBlock } from '../segments/placed-block.js'
import { blockRecordBytes, OWNER_BYTES_MAX } from '../segments/record.js'
import type { SegmentLimits } from '../segments/segment-limits.js'
import type { StreamWriter } from '../segments/stream-writer.js'
import type { WriteState } from '../segments/write-state.js'
import { compareContent, hashUnits } from './block-content.js'
import type { BlockTable } from './block-table.js'
import type { Deletions } from './deletions.js'
import { HandedPut, prepareBlock } from './handed-put.js'
import { UnitIntake } from './unit-intake.js'
import type { WarmBlocks } from './warm-blocks.js'

/** What puts work on. */
export interface BlockPutsOptions {
  readonly table: BlockTable
  readonly state: WriteState
  readonly log: GroupCommit
  readonly streams: StreamWriter
  readonly warm: WarmBlocks
  readonly deletions: Deletions
  readonly clock: Clock
  readonly limits: SegmentLimits
}

export class BlockPuts {
  private readonly table: BlockTable
  private readonly state: WriteState
  private readonly log: GroupCommit
  private readonly streams: StreamWriter
  private readonly warm: WarmBlocks
  private readonly deletions: Deletions
  private readonly clock: Clock
  private readonly limits: SegmentLimits
  private closed = false
  /** Puts under way, by block: a second one waits for the first. */
  private readonly putting = new TurnoverMap<string, UnderWay>()

  constructor({ table, state, log, streams, warm, deletions, clock, limits }: BlockPutsOptions) {
    this.table = table
    this.state = state
    this.log = log
    this.streams = streams
    this.warm = warm
    this.deletions = deletions
    this.clock = clock
    this.limits = limits
  }

  /** See `BlockStore.put`. */
  put(
    block: BlockId,
    owner: BlockOwner,
    units: UnitSource,
    control: { signal: AbortSignal },
  ): Promise<StoredBlock> {
    const key = mapKey(block)
    const begin = (): Promise<StoredBlock> =>
      this.begin({ block, owner, key, intake: new UnitIntake(block, units, control), ended: undefined })
    return this.putting.has(key) ? this.whenFree(key, begin) : begin()
  }

  /** See `BlockStore.putNow`. */
  putNow(
    block: BlockId,
    owner: BlockOwner,
    unit: Unit,
    settle: (outcome: StoredBlock | CairnError) => void,
  ): boolean {
    this.assertOpen()
    if (this.mustLook() || unit.bytes.length > this.limits.smallBlockBytesMax) return false
    this.assertRoom()
    const prepared = prepareBlock(block, owner, unit)
    const { key } = prepared
    if (this.putting.has(key) || this.table.find(block, key) !== undefined) return false
    const put = new HandedPut(prepared, this.nowMs(), this.onHandedSettled, settle)
    this.log.append(put)
    this.putting.set(key, put)
    return true
  }

  private readonly onHandedSettled = (put: HandedPut, outcome: Placement | CairnError): void => {
    this.putting.delete(put.key)
    if (outcome instanceof CairnError) return
    this.warm.touch(outcome.segment, outcome.offset, put.recordBytes)
    this.table.put(new PlacedBlock(put.block, put, outcome), put.key)
  }

  /** No put begins any more; resolves when those that are under way have ended. */
  async close(): Promise<void> {
    this.closed = true
    await Promise.allSettled([...this.putting.values()].map(({ ended }) => ended))
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

  private assertOpen(): void {
    if (this.closed) throw new CairnError('ShuttingDown', 'the block store is closing')
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
    if (this.table.find(block, key) !== undefined) await this.deletions.ended()
    const known = this.table.find(block, key)
    if (known !== undefined && !known.damaged) return this.confirm(put, known)
    this.assertRoom()
    if (this.mustLook()) await this.state.assertRoom(0)
    return this.storeTaken(put, intake.take(this.limits.smallBlockBytesMax))
  }

  /** The block is there already. */
  private async confirm({ block, key, intake }: Put, known: StoredBlock): Promise<StoredBlock> {
    const stored = await compareContent(known, intake)
    await this.deletions.ended()
    this.state.assertWritable()
    if (this.table.find(block, key) === undefined)
      throw new CairnError('Busy', 'the block was deleted meanwhile')
    return stored
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
          this.table.put(new PlacedBlock(block, { ownerBytes, sizeBytes, hash, storedAtMs }, outcome), key)
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
          checks: checksOf(units),
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
        direct: share.isKept || share.rank >= this.limits.cachedCopiesMax,
        take,
        hash: () => share.hash(),
        settle: (placement, content) => {
          stored = content
          const { sizeBytes, hash } = content
          const kept = { ownerBytes: owner.length, sizeBytes, hash, storedAtMs }
          this.table.put(new PlacedBlock(block, kept, placement), key)
        },
      },
      body.first,
    )
    if (stored === undefined) throw new CairnError('Internal', 'a streamed block was not settled')
    return stored
  }

  private nowMs(): number {
    return Math.floor(this.clock.wallMicros() / 1000)
  }
}

/** Something that puts a block. */
interface UnderWay {
  readonly ended: Promise<unknown> | undefined
}

/** One put under way. */
interface Put extends UnderWay {
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
