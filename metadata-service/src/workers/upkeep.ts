/** The background work of a metadata service, and what is to be seen of it. */
import type { Clock } from '@cairn/protocol'
import { trimChanges } from '../core/change-trim.js'
import type { SafeMode } from '../core/safe-mode.js'
import type { KeyValueStore } from '../ports.js'
import type { BlockReclaimer, DriveInspector } from '../ports-blocks.js'
import { type GarbageCounts, GarbageWorker } from './garbage-worker.js'
import { abortLostUploads } from './lost-uploads.js'
import { type OrphanCounts, OrphanWorker } from './orphan-worker.js'
import { PeriodicWorker } from './periodic-worker.js'

/** Pause between two looks at old change records and lost uploads. */
const HOUSEKEEPING_MS = 60_000
/** Shortest and longest pause between two runs over garbage and orphans; in between a twentieth of the grace. */
const INTERVAL_MS_MIN = 1_000
const GARBAGE_INTERVAL_MS_MAX = 30_000
const ORPHAN_INTERVAL_MS_MAX = 600_000

export interface UpkeepOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly blocks: BlockReclaimer & DriveInspector
  readonly safeMode: SafeMode
  readonly gcGraceSeconds: number
  readonly orphanGraceSeconds: number
  /** Background work that failed; it is tried again. */
  onError(work: string, error: unknown): void
}

/** Sums since the start, and what the last run left. */
export interface UpkeepStatus {
  readonly garbage: GarbageCounts
  readonly orphans: OrphanCounts
  readonly uploadsAborted: number
}

/** One run of everything. */
export type UpkeepCounts = UpkeepStatus

export class Upkeep {
  private readonly options: UpkeepOptions
  private readonly garbage: GarbageWorker
  private readonly orphans: OrphanWorker
  private readonly workers: readonly PeriodicWorker[]
  private state: UpkeepStatus = {
    garbage: { freedBytes: 0, freedRows: 0, removedRows: 0, pendingRows: 0, pendingBytes: 0 },
    orphans: { orphansDeleted: 0, freedBytes: 0, sessionsWaiting: 0, drivesFailed: 0 },
    uploadsAborted: 0,
  }

  constructor(options: UpkeepOptions) {
    const { store, clock, blocks, gcGraceSeconds, orphanGraceSeconds } = options
    this.options = options
    this.garbage = new GarbageWorker({ store, clock, reclaimer: blocks, graceSeconds: gcGraceSeconds })
    this.orphans = new OrphanWorker({
      store,
      clock,
      inspector: blocks,
      graceSeconds: orphanGraceSeconds,
      onDriveError: (drive, error) => options.onError(`orphans of drive ${drive}`, error),
    })
    const periodic = (
      name: string,
      intervalMs: number,
      run: (signal: AbortSignal) => Promise<unknown>,
    ): PeriodicWorker =>
      new PeriodicWorker({ clock, intervalMs, run, onError: (error) => options.onError(name, error) })
    const garbageMs = intervalMs(gcGraceSeconds, GARBAGE_INTERVAL_MS_MAX)
    const orphansMs = intervalMs(orphanGraceSeconds, ORPHAN_INTERVAL_MS_MAX)
    this.workers = [
      periodic('garbage', garbageMs, (signal) => this.inPeace(() => this.collectGarbage(signal))),
      periodic('orphans', orphansMs, (signal) => this.inPeace(() => this.findOrphans(signal))),
      periodic('housekeeping', HOUSEKEEPING_MS, (signal) => this.keepHouse(signal)),
    ]
  }

  /** Sums since the start; pending garbage as of the last run. */
  get status(): UpkeepStatus {
    return this.state
  }

  start(): void {
    for (const worker of this.workers) worker.start()
  }

  /** Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop()))
  }

  /** One run of everything, safe mode or not: for tests and simulations, while not started. */
  async runOnce(signal: AbortSignal = new AbortController().signal): Promise<UpkeepCounts> {
    const uploadsAborted = await this.keepHouse(signal)
    const garbage = await this.collectGarbage(signal)
    const orphans = await this.findOrphans(signal)
    return { garbage, orphans, uploadsAborted }
  }

  private async inPeace(run: () => Promise<unknown>): Promise<void> {
    if (this.options.safeMode.isOver()) await run()
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
