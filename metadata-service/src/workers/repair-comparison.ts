/**
 * Anti-entropy: the sorted block lists of all drives that answer, side by side. One page of each drive is held.
 *
 * A block that some member of its group does not list, or lists as damaged, is queued for repair, which looks again
 * before it does anything: lists are of different moments. A group counts as whole only if all its members have been
 * listed to the end and every block queued for it has been settled as whole. Drives that join a group count as members.
 *
 * ● Nor is a group whole unless so many of its members, dead or not, were listed that one of them has every acknowledged
 * block: what stands in no list may be on those that nobody waits for any more.
 */
import {
  type BlockId,
  type Clock,
  type ClusterMap,
  type DriveId,
  GROUPS_PER_POOL,
  groupOf,
  type Pool,
} from '@cairn/protocol'
import { hasGroup } from '../core/cluster/group-bits.js'
import { holdersTable, knowsAll } from '../core/cluster/group-holders.js'
import type { RepairQueue, RepairWatcher } from '../core/upkeep/repair-queue.js'
import type { DriveMender } from '../ports-blocks.js'
import { advanceFrom, DriveList, lowestOf } from './drive-lists.js'

export interface ComparisonOptions {
  readonly clock: Clock
  readonly drives: DriveMender
  readonly queue: RepairQueue
  /** Blocks that were compared, as they are. */
  onCompared(blocks: number): void
  onError(what: string, error: unknown): void
}

/** What is compared. */
export interface ComparisonScope {
  readonly map: ClusterMap
  readonly pool: Pool
  /** Drives that answer, members or not. */
  readonly answering: readonly DriveId[]
  /** Only groups whose bit is set. */
  readonly groups?: Uint8Array
  /** In this group it knows nothing of what was acknowledged before some time: see `knowsAll`. */
  isUnfilled(drive: DriveId, group: number): boolean
  /** What a drive that is gone had alone need not be waited for: see `knowsAll`. */
  isGivenUp(drive: DriveId): boolean
}

/** What came of a comparison. */
export interface ComparisonResult {
  /** That is compared: by its members' lists, and by what has become of the blocks that were queued. */
  isWhole(group: number): boolean
  /** Nothing is left to be done for the group as long as those of its members that did not answer are silent. */
  isSettled(group: number): boolean
  /** Every group that was compared is whole. */
  readonly allWhole: boolean
  /** Every group that was compared is settled. */
  readonly allSettled: boolean
  /** Drives that were listed to the end. */
  readonly listed: ReadonlySet<DriveId>
}

/** Compares, and waits until all that was found has been settled. */
export async function compareDrives(
  options: ComparisonOptions,
  scope: ComparisonScope,
  signal: AbortSignal,
): Promise<ComparisonResult> {
  return new Comparison(options, scope).run(signal)
}

class Comparison implements RepairWatcher {
  private readonly options: ComparisonOptions
  private readonly scope: ComparisonScope
  private readonly holders: readonly (readonly DriveId[])[]
  private readonly failed = new Set<DriveId>()
  private readonly open = new Set<number>()
  private last: BlockId | undefined
  private pending = 0
  private onSettled: (() => void) | undefined

  constructor(options: ComparisonOptions, scope: ComparisonScope) {
    this.options = options
    this.scope = scope
    this.holders = holdersTable(scope.map, scope.pool)
  }

  settled(block: BlockId, whole: boolean): void {
    if (!whole) this.open.add(groupOf(block))
    if (--this.pending === 0) this.onSettled?.()
  }

  async run(signal: AbortSignal): Promise<ComparisonResult> {
    const { groups, answering, pool } = this.scope
    const placedBy = { pool: pool.id, epoch: pool.epoch }
    const listScope = { withOwner: false, placedBy, ...(groups === undefined ? {} : { groups }) }
    const lists = answering.map((drive) => new DriveList(this.options, drive, listScope))
    await Promise.all(lists.map((list) => list.advance()))
    await this.compareAll(lists, signal)
    for (const { drive, hasFailed } of lists) if (hasFailed) this.failed.add(drive)
    await this.wait(signal)
    return this.result(signal.aborted)
  }

  private async compareAll(lists: readonly DriveList[], signal: AbortSignal): Promise<void> {
    let compared = 0
    for (;;) {
      const lowest = lowestOf(lists)
      if (lowest === undefined || signal.aborted) break
      const suspected = this.compare(lowest, lists)
      if (suspected !== undefined) await suspected
      if (++compared % 100 === 0) this.options.onCompared(100)
      const advanced = advanceFrom(lists, lowest)
      if (advanced !== undefined) await advanced
    }
    this.options.onCompared(compared % 100)
  }

  /** `undefined` if there is nothing to do, as of nearly all blocks: then nothing is waited for either. */
  private compare(block: BlockId, lists: readonly DriveList[]): Promise<void> | undefined {
    const group = groupOf(block)
    const isRepeated = this.last !== undefined && Buffer.compare(block, this.last) <= 0
    if (isRepeated || !this.isInScope(group)) return undefined
    this.last = block
    return this.lookFor(block, this.holders[group] ?? [], lists)
  }

  private lookFor(
    block: BlockId,
    holders: readonly DriveId[],
    lists: readonly DriveList[],
  ): Promise<void> | undefined {
    let copies = 0
    let isLacking = false
    let seenOn: DriveId | undefined
    for (const list of lists) {
      const entry = list.entryOf(block)
      const isHolder = holders.includes(list.drive)
      if (entry !== undefined && !isHolder) seenOn ??= list.drive
      if (entry !== undefined && entry.damaged !== true) copies++
      else if (isHolder && !list.hasFailed) isLacking = true
    }
    return isLacking ? this.suspect(block, copies, seenOn) : undefined
  }

  private async suspect(block: BlockId, copies: number, seenOn: DriveId | undefined): Promise<void> {
    const { queue } = this.options
    await queue.room()
    this.pending++
    const suspect = { block, pool: this.scope.pool.id, copies, watchers: [this], attempts: 0 }
    if (!queue.add(seenOn === undefined ? suspect : { ...suspect, seenOn })) this.settled(block, false)
  }

  private async wait(signal: AbortSignal): Promise<void> {
    if (this.pending === 0 || signal.aborted) return
    await new Promise<void>((resolve) => {
      // The signal outlives many comparisons: none leaves its listener behind.
      const done = (): void => {
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.onSettled = done
      signal.addEventListener('abort', done)
    })
  }

  private isInScope(group: number): boolean {
    const { groups } = this.scope
    return groups === undefined || hasGroup(groups, group)
  }

  private result(isCut: boolean): ComparisonResult {
    const listed = new Set(this.scope.answering.filter((drive) => !this.failed.has(drive)))
    const { pool, isGivenUp, isUnfilled } = this.scope
    const known = { isKnown: (drive: DriveId) => listed.has(drive), isGivenUp, isUnfilled }
    const isEachHolder = (group: number, has: (drive: DriveId) => boolean): boolean =>
      (this.holders[group] ?? []).every(has)
    const isSettled = (group: number): boolean =>
      !isCut && !this.open.has(group) && isEachHolder(group, (drive) => !this.failed.has(drive))
    const isWhole = (group: number): boolean =>
      this.isInScope(group) &&
      isSettled(group) &&
      isEachHolder(group, known.isKnown) &&
      knowsAll(pool, group, known)
    const all = Array.from({ length: GROUPS_PER_POOL }, (_, group) => group)
    const compared = all.filter((group) => this.isInScope(group))
    return {
      isWhole,
      isSettled,
      allWhole: compared.every(isWhole),
      allSettled: compared.every(isSettled),
      listed,
    }
  }
}
