/** The background work of a metadata service, and what is to be seen of it. */
import type { Clock, DriveId, MoveReport, RepairReport } from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import type { DriveStates } from '../core/cluster/drive-states.js'
import { type HeldServer, SlowServers } from '../core/cluster/slow-servers.js'
import { trimChanges } from '../core/upkeep/change-trim.js'
import { isGarbageHeld } from '../core/upkeep/restore-hold.js'
import type { SafeMode } from '../core/upkeep/safe-mode.js'
import type { KeyValueStore } from '../ports.js'
import type { BlockReclaimer, DriveInspector, DriveMender } from '../ports-blocks.js'
import { type GarbageCounts, GarbageWorker } from './garbage-worker.js'
import { abortLostUploads } from './lost-uploads.js'
import { MembershipWorker } from './membership-worker.js'
import { type OrphanCounts, OrphanWorker } from './orphan-worker.js'
import { PeriodicWorker } from './periodic-worker.js'
import { RepairCoordinator } from './repair-coordinator.js'
import { StrayWorker } from './stray-worker.js'

/** Pause between two looks at old change records and lost uploads. */
const HOUSEKEEPING_MS = 60_000
/** Shortest and longest pause between two runs over garbage and orphans; in between a twentieth of the grace. */
const INTERVAL_MS_MIN = 1_000
const GARBAGE_INTERVAL_MS_MAX = 30_000
const ORPHAN_INTERVAL_MS_MAX = 600_000
/** Pause between two looks at the states of drives, at what may have to be compared, and at the repair queue. */
const MEMBERSHIP_MS = 2_000
const COMPARE_MS = 2_000
const REPAIR_MS = 500
/** Pause between two looks at what drives need not have any more. */
const STRAYS_MS = 1_000

/** Part of a drive's capacity below which its free space counts as nearly used up, and the grace of garbage then. */
const NEARLY_FULL = 0.05
const SHORT_GRACE_SECONDS = 60

export interface UpkeepOptions {
  /** With several services it fences each commit: see `core/services/coordinator.ts`. */
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly blocks: BlockReclaimer & DriveInspector & DriveMender
  readonly cluster: ClusterState
  readonly states: DriveStates
  readonly safeMode: SafeMode
  readonly gcGraceSeconds: number
  readonly orphanGraceSeconds: number
  /** Everything is compared at least each half of this. */
  readonly scrubSeconds: number
  /** Unused drives are used once they have been up for so long; only by command if absent. */
  readonly joinSeconds?: number
  /** Whether this service looks after drives and copies; of several services one does. */
  isCoordinator?(): boolean
  /** A drive was found dead, replaced, or back: the map has changed. */
  onMembership?(): void
  /** A chunk server is held for slow. */
  onSlow?(held: HeldServer): void
  /** Background work that failed; it is tried again. */
  onError(work: string, error: unknown): void
}

/** Sums since the start, and what the last run left. */
export interface UpkeepStatus {
  readonly garbage: GarbageCounts
  readonly orphans: OrphanCounts
  readonly uploadsAborted: number
  /** Garbage and orphans stand still since a restore; as of the last run. */
  readonly garbageHeld: boolean
  readonly repair: RepairReport
  readonly moves: MoveReport
}

/** One run of everything. */
export type UpkeepCounts = UpkeepStatus

export class Upkeep {
  private readonly options: UpkeepOptions
  private readonly garbage: GarbageWorker
  readonly orphans: OrphanWorker
  readonly repair: RepairCoordinator
  readonly slow: SlowServers
  private readonly strays: StrayWorker
  private readonly membership: MembershipWorker
  private readonly workers: readonly PeriodicWorker[]
  private state: Omit<UpkeepStatus, 'repair' | 'moves'> = {
    garbage: { freedBytes: 0, freedRows: 0, removedRows: 0, pendingRows: 0, pendingBytes: 0 },
    orphans: { orphansDeleted: 0, freedBytes: 0, sessionsWaiting: 0, drivesFailed: 0 },
    uploadsAborted: 0,
    garbageHeld: false,
  }

  constructor(options: UpkeepOptions) {
    const { store, clock, blocks, orphanGraceSeconds } = options
    this.options = options
    this.garbage = new GarbageWorker({
      store,
      clock,
      reclaimer: blocks,
      graceSeconds: () => this.garbageGrace(),
    })
    this.orphans = new OrphanWorker({
      store,
      clock,
      inspector: blocks,
      graceSeconds: orphanGraceSeconds,
      onDriveError: (drive, error) => options.onError(`orphans of drive ${drive}`, error),
    })
    const { cluster, states, joinSeconds, onMembership } = options
    const answers = (drive: DriveId): boolean => states.answers(drive)
    this.slow = new SlowServers({ clock, onHeld: (held) => options.onSlow?.(held) })
    this.strays = new StrayWorker({
      clock,
      cluster,
      drives: blocks,
      answers,
      onLacking: (pool, block, copies) => this.repair.suspect({ pool, blocks: [block] }, copies),
      onError: (work, error) => options.onError(work, error),
    })
    this.membership = new MembershipWorker({
      store,
      clock,
      cluster,
      states,
      slow: this.slow,
      ...(joinSeconds === undefined ? {} : { joinSeconds }),
      onChange: () => onMembership?.(),
      onLeave: (pool, drive, groups) => this.strays.note(pool, drive, groups),
    })
    this.repair = new RepairCoordinator({
      ...options,
      drives: blocks,
      onWhole: (whole) => this.membership.look(whole),
      onCompared: () => this.strays.noteAll(),
    })
    this.workers = this.plan()
  }

  private plan(): PeriodicWorker[] {
    const { options } = this
    const { clock, gcGraceSeconds, orphanGraceSeconds } = options
    const periodic = (
      name: string,
      intervalMs: number,
      run: (signal: AbortSignal) => Promise<unknown>,
    ): PeriodicWorker =>
      new PeriodicWorker({ clock, intervalMs, run, onError: (error) => options.onError(name, error) })
    const garbageMs = intervalMs(gcGraceSeconds, GARBAGE_INTERVAL_MS_MAX)
    const orphansMs = intervalMs(orphanGraceSeconds, ORPHAN_INTERVAL_MS_MAX)
    return [
      periodic('garbage', garbageMs, (signal) => this.inPeace(() => this.collectGarbage(signal))),
      periodic('orphans', orphansMs, (signal) => this.inPeace(() => this.findOrphans(signal))),
      periodic('housekeeping', HOUSEKEEPING_MS, async (signal) => {
        if (this.options.isCoordinator?.() !== false) await this.keepHouse(signal)
      }),
      periodic('membership', MEMBERSHIP_MS, () => this.lookAtDrives()),
      periodic('repair', REPAIR_MS, (signal) => this.asCoordinator(() => this.repair.repair(signal))),
      periodic('comparison', COMPARE_MS, (signal) =>
        this.asCoordinator(() => this.repair.compareDue(signal)),
      ),
      periodic('strays', STRAYS_MS, (signal) =>
        this.inPeace(() => this.asCoordinator(() => this.strays.run(signal))),
      ),
    ]
  }

  /** Drives that may hold blocks of a group though it is no longer theirs. */
  formerHolders(pool: number, group: number): DriveId[] {
    return this.strays.formerHolders(pool, group)
  }

  /** Sums since the start; pending garbage as of the last run. */
  get status(): UpkeepStatus {
    const { straysDeleted } = this.strays.done
    const stuck = this.options.safeMode.findObstacle()
    const moves = { ...this.membership.report, straysDeleted, ...(stuck === undefined ? {} : { stuck }) }
    return { ...this.state, repair: this.repair.report, moves }
  }

  start(): void {
    for (const worker of this.workers) worker.start()
  }

  /** Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    const stopped = Promise.all(this.workers.map((worker) => worker.stop()))
    this.repair.abandon()
    await stopped
  }

  /** One run of everything, safe mode or not: for tests and simulations, while not started. */
  async runOnce(signal: AbortSignal = new AbortController().signal): Promise<UpkeepCounts> {
    const uploadsAborted = await this.keepHouse(signal)
    const garbage = await this.collectGarbage(signal)
    const orphans = await this.findOrphans(signal)
    await this.repairAll(signal)
    await this.strays.run(signal)
    return { ...this.status, garbage, orphans, uploadsAborted }
  }

  /** Compares all drives that answer and repairs what is found. */
  async repairAll(signal: AbortSignal = new AbortController().signal): Promise<void> {
    await this.lookAtDrives()
    let isOver = false
    const compared = this.repair.compareAll(signal).finally(() => {
      isOver = true
    })
    while (!isOver) {
      await this.repair.repair(signal)
      await new Promise<void>((resolve) => this.options.clock.setTimer(1, resolve))
    }
    await compared
  }

  /** Counts the silence of drives, and writes what has changed by it. */
  private async lookAtDrives(): Promise<void> {
    const { cluster, states, safeMode, isCoordinator } = this.options
    states.look(cluster.known)
    if (!safeMode.isOver() || isCoordinator?.() === false) return
    this.slow.look(cluster.known, (drive) => states.answers(drive))
    await this.membership.look()
  }

  private async asCoordinator(run: () => Promise<unknown>): Promise<void> {
    const { safeMode, isCoordinator } = this.options
    if (safeMode.isOver() && isCoordinator?.() !== false) await run()
  }

  /** Deletions: neither in safe mode nor after a restore that nobody has accepted. */
  private async inPeace(run: () => Promise<unknown>): Promise<void> {
    const { safeMode, isCoordinator } = this.options
    if (!safeMode.isOver() || isCoordinator?.() === false) return
    const garbageHeld = await isGarbageHeld(this.options.store)
    this.state = { ...this.state, garbageHeld }
    if (!garbageHeld) await run()
  }

  /** Readers of what was dropped have less time while a drive that answers, and holds groups, is nearly full. */
  private garbageGrace(): number {
    const { cluster, gcGraceSeconds, states } = this.options
    const inUse = new Set(cluster.known.pools.flatMap(({ drives }) => drives))
    const isNearlyFull = [...inUse].some((id) => {
      if (!states.answers(id)) return false
      const report = cluster.heartbeats.ofDrive(id)?.report
      return report !== undefined && report.freeBytes < report.capacityBytes * NEARLY_FULL
    })
    return isNearlyFull ? Math.min(gcGraceSeconds, SHORT_GRACE_SECONDS) : gcGraceSeconds
  }

  private async collectGarbage(signal: AbortSignal): Promise<GarbageCounts> {
    const counts = await this.garbage.runOnce(signal)
    const { garbage } = this.state
    this.state = {
      ...this.state,
      garbage: {
        ...counts,
        freedBytes: garbage.freedBytes + counts.freedBytes,
        freedRows: garbage.freedRows + counts.freedRows,
        removedRows: garbage.removedRows + counts.removedRows,
      },
    }
    return counts
  }

  private async findOrphans(signal: AbortSignal): Promise<OrphanCounts> {
    const counts = await this.orphans.runOnce(signal)
    const { orphans } = this.state
    this.state = {
      ...this.state,
      orphans: {
        ...counts,
        orphansDeleted: orphans.orphansDeleted + counts.orphansDeleted,
        freedBytes: orphans.freedBytes + counts.freedBytes,
      },
    }
    return counts
  }

  private async keepHouse(signal: AbortSignal): Promise<number> {
    const { store, clock } = this.options
    await trimChanges(store, clock)
    const aborted = await abortLostUploads(store, clock, signal)
    this.state = { ...this.state, uploadsAborted: this.state.uploadsAborted + aborted }
    return aborted
  }
}

function intervalMs(graceSeconds: number, intervalMsMax: number): number {
  return Math.min(intervalMsMax, Math.max(INTERVAL_MS_MIN, graceSeconds * 50))
}
