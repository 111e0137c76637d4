/**
 * Decides what is looked at for repair, and when: blocks that readers and drives complain about, groups that owe
 * copies, and from time to time, or after a change of drives, everything.
 *
 * Runs in the embedded service; with several services in the one that `isCoordinator` names. Another that acts at the
 * same time does no harm: every copy is confirmed, and every row is removed by compare.
 */
import {
  type BlockId,
  type Clock,
  type ClusterMap,
  changesOf,
  type DriveId,
  type Pool,
  type RepairReport,
  type ReportBlocksRequest,
} from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import type { DriveStates } from '../core/cluster/drive-states.js'
import { holdersOfGroup, isGivenUp, poolOfDrive } from '../core/cluster/group-holders.js'
import type { WholeGroups } from '../core/cluster/membership.js'
import { isUnfilled, planFilled } from '../core/cluster/unfilled-drives.js'
import { EVERY_GROUP, parseDirtyKey } from '../core/rows/keys.js'
import { RepairBudget } from '../core/upkeep/repair-budget.js'
import type { KeyValueStore, StoreRow } from '../ports.js'
import type { DriveMender } from '../ports-blocks.js'
import { ComparedDrives, type FullComparison } from './compared-drives.js'
import { ComparisonPause } from './comparison-pause.js'
import { type PartialDebt, PartialDebts } from './partial-debts.js'
import { type ComparisonResult, compareDrives } from './repair-comparison.js'
import { clearDebts, groupsOf, owesEverything, readDebts } from './repair-debts.js'
import { RepairWorker } from './repair-worker.js'

/** A drive's damaged blocks are listed again after this time, if it still has as many. */
const DAMAGE_AGAIN_MS = 60_000
/** Longest time between two full comparisons when scrub is off. */
const COMPARE_SECONDS_MAX = 7 * 86_400

export interface RepairCoordinatorOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly cluster: ClusterState
  readonly states: DriveStates
  readonly drives: DriveMender
  readonly budget?: RepairBudget
  /** Everything is compared at least each half of this; 0 for a week. */
  readonly scrubSeconds: number
  /** Groups that change hands have been proved to be whole on their joiners too. */
  onWhole?(whole: WholeGroups): Promise<void>
  /** Everything has been compared. */
  onCompared?(): void
  onError(what: string, error: unknown): void
}

interface SeenDamage {
  readonly count: number
  readonly atMs: number
}

/** The comparison of one pool. */
interface PoolWork {
  readonly map: ClusterMap
  readonly pool: Pool
  /** Debts that may be paid by it. */
  readonly rows: readonly StoreRow[]
  /** Debts that stay, of which something may be paid. */
  readonly partial: readonly PartialDebt[]
  /** Groups that change hands. */
  readonly moving: ReadonlySet<number>
  /** Of which it is a part; `undefined` if only debts and moves are looked at. */
  readonly full: FullComparison | undefined
  readonly signal: AbortSignal
}

export class RepairCoordinator {
  readonly budget: RepairBudget
  private readonly options: RepairCoordinatorOptions
  private readonly worker: RepairWorker
  private readonly damage = new Map<DriveId, SeenDamage>()
  private comparison: { done: number; total: number } | undefined
  private last: { done: number; total: number } = { done: 0, total: 0 }
  private dirtyGroups = 0
  private readonly compared: ComparedDrives
  /** Before groups that could not be made whole are compared again. */
  private readonly pause: ComparisonPause
  private readonly partial: PartialDebts
  /** Groups have changed hands: others may follow at once. */
  private hasMoved = false
  private suspects: ReadonlySet<DriveId> = new Set()

  constructor(options: RepairCoordinatorOptions) {
    this.options = options
    this.budget = options.budget ?? new RepairBudget(options.clock)
    const { clock, cluster, scrubSeconds, states } = options
    const intervalMs = (scrubSeconds === 0 ? COMPARE_SECONDS_MAX : scrubSeconds / 2) * 1000
    this.pause = new ComparisonPause(clock)
    this.partial = new PartialDebts(clock)
    this.compared = new ComparedDrives({ clock, heartbeats: cluster.heartbeats, intervalMs })
    this.worker = new RepairWorker({
      ...options,
      budget: this.budget,
      answers: (drive) => states.answers(drive),
    })
  }

  get report(): RepairReport {
    const { underReplicated, unavailable } = this.worker.known
    const { done, total } = this.comparison ?? this.last
    return {
      underReplicated: underReplicated + this.unseenBlocks(),
      unavailable,
      dirtyGroups: this.dirtyGroups,
      ...this.worker.done,
      comparing: this.comparison !== undefined,
      blocksCompared: done,
      blocksToCompare: Math.max(done, total),
    }
  }

  /** Readers have met these, or others that know how many copies are good; what finds no room is found again. */
  suspect({ pool, blocks }: ReportBlocksRequest, copies = 1): void {
    for (const block of blocks) this.worker.queue.add({ block, pool, copies, watchers: [], attempts: 0 })
  }

  /** Repairs what is queued. */
  async repair(signal: AbortSignal): Promise<void> {
    await this.listDamage()
    await this.worker.drain(signal)
  }

  /** Looks at debts and drives, and compares what is due as long as groups move. `repair` must run meanwhile. */
  async compareDue(signal: AbortSignal): Promise<void> {
    do {
      this.hasMoved = false
      await this.compareOnce(signal)
    } while (this.hasMoved && !signal.aborted)
  }

  private async compareOnce(signal: AbortSignal): Promise<void> {
    const { store, cluster } = this.options
    const map = await cluster.current()
    this.noteWell(map)
    const debts = await readDebts(store)
    this.dirtyGroups = debts.groups
    const answering = this.answering(map)
    const full = this.compared.isDue(map, answering) ? this.compared.begin(answering) : undefined
    const isMoving = map.pools.some(({ next }) => next !== undefined)
    const owes = (debts.groups > 0 || isMoving) && this.pause.isOver
    if (full === undefined && !owes) return
    for (const pool of map.pools) {
      const rows = debts.byPool.get(pool.id) ?? []
      await this.comparePool({ map, pool, rows, full, signal })
    }
    if (full !== undefined && !signal.aborted) this.noteCompared(full, map)
  }

  private async comparePool(work: Omit<PoolWork, 'moving' | 'partial'>): Promise<void> {
    const { map, pool, full } = work
    const moving = this.movable(map, pool)
    const { rows, partial } = this.payable(map, pool, work.rows)
    // It may find any debt paid, and what was left to be done of the others need not be looked for once more.
    if (full !== undefined) return this.compare({ ...work, partial, moving })
    const count = rows.length + partial.length + moving.size
    if (count > 0) await this.compare({ ...work, rows, partial, moving })
  }

  /** Compares everything now, whether or not it is due. */
  compareAll(signal: AbortSignal): Promise<void> {
    this.compared.forget()
    return this.compareDue(signal)
  }

  /** Everybody who waits for the queue goes on: at the end. */
  abandon(): void {
    this.worker.abandon()
  }

  private async compare(work: PoolWork): Promise<void> {
    const { map, pool, rows, partial, moving, full, signal } = work
    const isFull = full !== undefined
    const { clock, cluster, store } = this.options
    const startedMs = clock.monotonicMs()
    const answering = this.answering(map)
    const total = this.blocksOn(answering) / pool.replicas
    const progress = { done: 0, total: Math.ceil(total) }
    if (isFull) this.comparison = progress
    try {
      const owing = [...rows, ...partial.map(({ row }) => row)]
      const groups = isFull || owesEverything(owing) ? {} : { groups: groupsOf(owing, moving) }
      const givenUp = (drive: DriveId): boolean => isGivenUp(cluster.drives.get(drive))
      const { drives } = cluster
      const unfilled = (drive: DriveId, group: number): boolean => isUnfilled(drives.get(drive), group)
      const scope = { map, pool, answering, isGivenUp: givenUp, isUnfilled: unfilled, ...groups }
      const compareOptions = {
        ...this.options,
        queue: this.worker.queue,
        onCompared: (blocks: number) => {
          progress.done += blocks
        },
      }
      const result = await compareDrives(compareOptions, scope, signal)
      if (signal.aborted) return
      if (full !== undefined) noteResult(full, result)
      // Before the debt goes that has them compared again.
      await cluster.change((state) => planFilled(state, { pool, drives, isWhole: result.isWhole }), store)
      const left = rows.length === 0 ? 0 : await clearDebts(store, rows, result)
      const tookMs = clock.monotonicMs() - startedMs
      this.partial.note(partial, result, tookMs)
      this.pause.begin(left === 0, tookMs)
      await this.noteWhole(pool, new Set([...moving].filter((group) => result.isWhole(group))))
    } finally {
      this.last = isFull ? progress : this.last
      this.comparison = undefined
    }
  }

  /** What a drive that does not answer owes has to wait for it; its return brings a full comparison. */
  private payable(
    map: ClusterMap,
    pool: Pool,
    owed: readonly StoreRow[],
  ): { readonly rows: readonly StoreRow[]; readonly partial: readonly PartialDebt[] } {
    const rows: StoreRow[] = []
    const partial: PartialDebt[] = []
    for (const row of owed) {
      const { group } = parseDirtyKey(row.key)
      const holders = group === EVERY_GROUP ? pool.drives : holdersOfGroup(map, pool, group)
      const drives = holders.filter((drive) => this.options.states.answers(drive))
      if (drives.length === holders.length) rows.push(row)
      else if (this.partial.isDue({ row, drives })) partial.push({ row, drives })
    }
    return { rows, partial }
  }

  /** Groups that change hands, whose drives all answer. */
  private movable(map: ClusterMap, pool: Pool): Set<number> {
    const { states } = this.options
    const groups = new Set(changesOf(pool).map(({ group }) => group))
    for (const group of groups) {
      if (!holdersOfGroup(map, pool, group).every((drive) => states.answers(drive))) groups.delete(group)
    }
    return groups
  }

  /** What has moved makes room for more: nothing is waited for. */
  private async noteWhole({ id, epoch }: Pool, groups: ReadonlySet<number>): Promise<void> {
    if (groups.size === 0) return
    this.pause.end()
    await this.options.onWhole?.({ pool: id, epoch, groups })
    this.hasMoved = true
  }

  private noteCompared(full: FullComparison, map: ClusterMap): void {
    this.compared.note(full, map)
    if (full.allWhole) this.worker.forgetLacking(full.startedMs)
    this.options.onCompared?.()
  }

  /** What a drive owes that was suspect can be paid now: how long it took before says nothing any more. */
  private noteWell({ drives }: ClusterMap): void {
    const suspects = new Set(drives.filter(({ state }) => state === 'suspect').map(({ id }) => id))
    if ([...this.suspects].some((id) => !suspects.has(id))) {
      this.pause.reset()
      this.partial.reset()
    }
    this.suspects = suspects
  }

  private answering(map: ClusterMap): DriveId[] {
    return map.drives.map(({ id }) => id).filter((id) => this.options.states.answers(id))
  }

  private blocksOn(drives: readonly DriveId[]): number {
    const { heartbeats } = this.options.cluster
    return drives.reduce((sum, id) => sum + (heartbeats.ofDrive(id)?.report.blockCount ?? 0), 0)
  }

  /** What drives that hold groups had when they were last heard: nobody can see it now. */
  private unseenBlocks(): number {
    const { cluster, states } = this.options
    const holding = new Set(cluster.known.pools.flatMap(({ drives }) => drives))
    return this.blocksOn([...holding].filter((id) => !states.answers(id)))
  }

  private async listDamage(): Promise<void> {
    const { cluster, states } = this.options
    for (const { id } of cluster.known.drives) {
      const count = cluster.heartbeats.ofDrive(id)?.report.damagedBlocks ?? 0
      if (count > 0 && states.answers(id) && this.isDamageNews(id, count)) await this.listDamageOf(id)
    }
  }

  private isDamageNews(drive: DriveId, count: number): boolean {
    const nowMs = this.options.clock.monotonicMs()
    const seen = this.damage.get(drive)
    if (seen?.count === count && nowMs - seen.atMs < DAMAGE_AGAIN_MS) return false
    this.damage.set(drive, { count, atMs: nowMs })
    return true
  }

  private async listDamageOf(drive: DriveId): Promise<void> {
    const { cluster, drives, onError } = this.options
    const pool = poolOfDrive(cluster.known, drive)
    if (pool === undefined) return
    const copies = Math.max(1, pool.replicas - 1)
    try {
      let after: BlockId | undefined
      do {
        const { blocks, next } = await drives.list(drive, after, { withOwner: false, damagedOnly: true })
        for (const { block } of blocks) {
          if (this.worker.queue.isFull) return
          this.worker.queue.add({ block, pool: pool.id, copies, watchers: [], attempts: 0 })
        }
        after = next
      } while (after !== undefined)
    } catch (error) {
      onError(`damaged blocks of drive ${drive}`, error)
    }
  }
}

function noteResult(full: FullComparison, { allWhole, listed }: ComparisonResult): void {
  full.allWhole &&= allWhole
  for (const id of full.names.keys()) if (!listed.has(id)) full.unlisted.add(id)
}
