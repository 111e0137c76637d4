/** What the parts of the client share. Built once by `connectCairn`. */
import {
  type BlockId,
  type Clock,
  Deadlines,
  type DriveId,
  type Random,
  Roster,
  type Rostered,
  type Timed,
} from '@cairn/protocol'
import type { FramePool } from './blocks/frames.js'
import type { KnownBlocks } from './blocks/known-blocks.js'
import type { RecentBlocks } from './blocks/recent-blocks.js'
import type { DigestLanes } from './bodies/digest-lanes.js'
import type { ClusterView } from './cluster/cluster-view.js'
import type { MetadataCaller } from './cluster/metadata-caller.js'
import type { SessionKeeper } from './cluster/session.js'

/** A replica that should be good and is not. The read went on with another one. */
export interface BlockDamage {
  readonly kind: 'corrupt' | 'missing'
  readonly pool: number
  readonly drive: DriveId
  readonly block: BlockId
  readonly message: string
}

/** What has happened since the client was connected. */
export interface ClientCounters {
  /** Blocks stored on fewer drives than their pool wants; their groups were marked dirty. */
  degradedBlocks: number
  /** Replicas that were given up because they fell behind. */
  laggedReplicas: number
  corruptReplicas: number
  missingReplicas: number
  /** Reads that another replica was asked for as well because the first one was slow. */
  hedgedReads: number
  /** Reads that went on with another replica after a failure. */
  failovers: number
  staleMaps: number
  /** Repetitions of changes after a lost or refused answer. */
  repeatedCommits: number
}

export function createCounters(): ClientCounters {
  return {
    degradedBlocks: 0,
    laggedReplicas: 0,
    corruptReplicas: 0,
    missingReplicas: 0,
    hedgedReads: 0,
    failovers: 0,
    staleMaps: 0,
    repeatedCommits: 0,
  }
}

/** Hedges that reads may spend: see HEDGE_SHARE_MAX. */
export interface HedgeBudget {
  tokens: number
}

/** What reading blocks needs. */
export interface ReadParts {
  readonly clock: Clock
  readonly view: ClusterView
  readonly counters: ClientCounters
  readonly hedges: HedgeBudget
  readonly known: KnownBlocks
  readonly recent?: RecentBlocks
  readonly onDamage: (damage: BlockDamage) => void
}

/** A write that is not given up before its deadline. */
export type LateWrite = Timed & Rostered

/** Writes that wait for late replicas, or for the next bytes: one timer for all of them. */
export class LateWrites {
  private readonly writes: Roster<LateWrite> = new Roster()
  private readonly deadlines: Deadlines

  constructor(clock: Clock) {
    this.deadlines = new Deadlines(clock, () => this.writes)
  }

  /** Calls `expire` at the write's deadline, unless it is forgotten by then. */
  watch(write: LateWrite): void {
    this.writes.add(write)
    this.deadlines.watch(write)
  }

  forget(write: LateWrite): void {
    this.writes.delete(write)
  }

  close(): void {
    this.deadlines.stop()
  }
}

/** What storing and committing needs besides. */
export interface ClientParts extends ReadParts {
  readonly random: Random
  readonly metadata: MetadataCaller
  readonly sessions: SessionKeeper
  readonly frames: FramePool
  readonly late: LateWrites
  readonly lanes?: DigestLanes
}
