/**
 * Remembers which drives full comparisons have listed to the end, and so whether another one is due.
 *
 * ● A drive counts as compared only as it was opened when the comparison began, and only if each of its lists came to
 * its end: what was lost before, or while nobody looked, is looked for again.
 */
import { type Clock, type ClusterMap, changesOf, type DriveId } from '@cairn/protocol'
import type { Heartbeats } from '../core/cluster/heartbeats.js'
import { ComparisonPause } from './comparison-pause.js'

export interface ComparedDrivesOptions {
  readonly clock: Clock
  readonly heartbeats: Heartbeats
  /** Longest time between two full comparisons. */
  readonly intervalMs: number
}

/** A full comparison under way. */
export interface FullComparison {
  readonly startedMs: number
  /** Drives that answered when it began, each by the name of its opening. */
  readonly names: ReadonlyMap<DriveId, string>
  /** Of all pools; false as soon as one of them lacks something. */
  allWhole: boolean
  /** Drives that some pool could not list to the end. */
  readonly unlisted: Set<DriveId>
}

export class ComparedDrives {
  private readonly options: ComparedDrivesOptions
  private comparedAtMs: number | undefined
  private names = new Set<string>()
  /** Drives that held groups then, or have been filled group by group since. */
  private holders = new Set<DriveId>()
  /** Drives, as they were opened, whose lists failed: they wait for the next attempt. */
  private failed = new Set<string>()
  private readonly pause: ComparisonPause

  constructor(options: ComparedDrivesOptions) {
    this.options = options
    this.pause = new ComparisonPause(options.clock)
  }

  /** Begins anew: everything is due. */
  forget(): void {
    this.comparedAtMs = undefined
  }

  /** At the start, when a drive answers again, was opened anew or the map has changed, and after the interval. */
  isDue(map: ClusterMap, answering: readonly DriveId[]): boolean {
    const nowMs = this.options.clock.monotonicMs()
    if (this.comparedAtMs === undefined || nowMs - this.comparedAtMs >= this.options.intervalMs) return true
    if (this.hasNewHolder(map)) return true
    const now = new Set(answering.map((id) => this.nameOf(id)))
    const waits = (name: string): boolean => this.failed.has(name) && !this.pause.isOver
    for (const name of now) if (!this.names.has(name) && !waits(name)) return true
    this.keepOnly(now)
    return false
  }

  begin(answering: readonly DriveId[]): FullComparison {
    const names = new Map(answering.map((id) => [id, this.nameOf(id)]))
    return { startedMs: this.options.clock.monotonicMs(), names, allWhole: true, unlisted: new Set() }
  }

  /** Every pool has been compared, as far as its drives could be listed. */
  note({ startedMs, names, unlisted }: FullComparison, { pools }: ClusterMap): void {
    this.comparedAtMs = startedMs
    this.names = new Set([...names].filter(([id]) => !unlisted.has(id)).map(([, name]) => name))
    this.failed = new Set([...unlisted].flatMap((id) => names.get(id) ?? []))
    this.holders = new Set(pools.flatMap(({ drives }) => drives))
    this.pause.begin(unlisted.size === 0, this.options.clock.monotonicMs() - startedMs)
  }

  /** A drive that is silent is forgotten, so that its return counts as a change. */
  private keepOnly(now: ReadonlySet<string>): void {
    for (const names of [this.names, this.failed]) {
      for (const name of names) if (!now.has(name)) names.delete(name)
    }
  }

  /** A drive has taken the groups of another without having been filled before. */
  private hasNewHolder({ pools }: ClusterMap): boolean {
    const holders = pools.flatMap(({ drives }) => drives)
    const added = holders.filter((id) => !this.holders.has(id))
    if (added.length > 0) {
      // A drive that joins group by group is compared with each.
      for (const { joiner } of pools.flatMap(changesOf)) this.holders.add(joiner)
    }
    for (const id of this.holders) if (!holders.includes(id)) this.holders.delete(id)
    return !added.every((id) => this.holders.has(id))
  }

  /**
   * A drive with when it was opened: a change is a reason to compare. One whose folder was emptied in part, or whose
   * index was made anew, may lack blocks that it had.
   */
  private nameOf(id: DriveId): string {
    return `${id} ${this.options.heartbeats.ofDrive(id)?.report.openedMs}`
  }
}
