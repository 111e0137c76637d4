/**
 * Plans how the groups of a pool change hands, step by step. Pure.
 *
 * A plan is never kept: each step starts from what is pinned and what is under way, and aims at the placement that
 * the drives call for now. So whoever plans next, after a crash or another failure, goes on where it stands.
 *
 * ● A drive gets into `groups` only by way of `next`, when it was proved to have all that the group has.
 */
import {
  computeGroups,
  type DriveId,
  GROUPS_PER_POOL,
  NO_DRIVE,
  type PlacementDrive,
  type Pool,
} from '@cairn/protocol'

/** Groups under way at once when nothing is in danger: writers send their blocks once more than usual. */
const GROUPS_MOVING_MAX = 256

/** What a step starts from. */
export interface GroupStep {
  readonly pool: Pool
  /** Every drive that may hold groups of the pool; weight 0 for one that shall not. Others count as weight 0. */
  readonly drives: readonly PlacementDrive[]
  /** Nothing can be read from this drive any more: what it holds is in danger. */
  isGone(drive: DriveId): boolean
  /** Groups whose joiners were proved to have everything at the pool's epoch. */
  readonly whole?: ReadonlySet<number>
  /** No new group that is not in danger. */
  readonly waits?: boolean
  readonly groupsMax?: number
}

/** The step, and what is left to do after it. */
export interface PlannedStep {
  /** The very pool that was given if nothing changes, else its epoch is raised. */
  readonly pool: Pool
  /** Positions that still have to change hands, those under way included. */
  readonly positionsLeft: number
}

/** The next step towards the placement that the drives call for. */
export function planStep(step: GroupStep): PlannedStep {
  const table = new StepTable(step)
  table.complete(step.whole ?? new Set())
  table.aim()
  return { pool: table.toPool(), positionsLeft: table.positionsLeft }
}

/** The pool with the joiners of these groups in place, its epoch raised; nothing else changes. */
export function completeGroups(pool: Pool, whole: ReadonlySet<number>): Pool {
  const table = new StepTable({ pool, drives: [], isGone: () => false })
  table.complete(whole)
  return table.toPool()
}

/** How a group that is to change hands stands. */
interface Candidate {
  readonly group: number
  /** 0: a copy is in danger; 1: a drive is to be emptied; 2: for balance. */
  readonly urgency: 0 | 1 | 2
  readonly isActive: boolean
}

class StepTable {
  positionsLeft = 0
  private readonly step: GroupStep
  private readonly drives: DriveId[]
  private readonly groups: Uint16Array
  private readonly next: Uint16Array
  private readonly target: Uint16Array
  private readonly weights: ReadonlyMap<DriveId, number>

  constructor(step: GroupStep) {
    const { pool } = step
    this.step = step
    this.drives = [...pool.drives]
    this.groups = readTable(pool.groups)
    this.next =
      pool.next === undefined ? new Uint16Array(this.groups.length).fill(NO_DRIVE) : readTable(pool.next)
    this.target = this.groups.slice()
    this.weights = new Map(step.drives.map(({ id, weight }) => [id, weight]))
  }

  /** Joiners become members. */
  complete(whole: ReadonlySet<number>): void {
    for (const group of whole) {
      for (const slot of this.slotsOf(group)) {
        const joiner = this.next[slot] ?? NO_DRIVE
        if (joiner === NO_DRIVE) continue
        this.groups[slot] = joiner
        this.next[slot] = NO_DRIVE
      }
    }
  }

  /** Sets `next` for the groups that may change now. */
  aim(): void {
    this.computeTarget()
    const candidates: Candidate[] = []
    for (let group = 0; group < GROUPS_PER_POOL; group++) {
      const candidate = this.candidateOf(group)
      if (candidate === undefined) this.set(group, false)
      else candidates.push(candidate)
    }
    candidates.sort((a, b) => a.urgency - b.urgency || a.group - b.group)
    const { groupsMax = GROUPS_MOVING_MAX, waits = false } = this.step
    let moving = candidates.filter(({ isActive }) => isActive).length
    const isEndangered = candidates.some(({ urgency }) => urgency === 0)
    for (const { group, urgency, isActive } of candidates) {
      const isAdmitted = isActive || urgency === 0 || (!waits && !isEndangered && moving < groupsMax)
      if (isAdmitted && !isActive) moving++
      this.set(group, isAdmitted)
    }
  }

  toPool(): Pool {
    const { pool } = this.step
    const before = readTable(pool.groups)
    const nextBefore = pool.next === undefined ? undefined : readTable(pool.next)
    const same = (a: Uint16Array, b: Uint16Array): boolean => a.every((drive, at) => drive === b[at])
    const isMoving = this.next.some((drive) => drive !== NO_DRIVE)
    const isNextSame = nextBefore === undefined ? !isMoving : same(this.next, nextBefore)
    if (isNextSame && same(this.groups, before)) return pool
    const { next: _, ...rest } = pool
    const { drives, indexes } = this.usedDrives()
    const groups = writeTable(this.groups, indexes)
    const moving = isMoving ? { next: writeTable(this.next, indexes) } : {}
    return { ...rest, epoch: pool.epoch + 1, drives, groups, ...moving }
  }

  /** The placement aimed at: from where the groups will be once what is under way has come to its end. */
  private computeTarget(): void {
    const { pool, drives } = this.step
    const after = this.groups.map((drive, slot) => {
      const joiner = this.next[slot] ?? NO_DRIVE
      return joiner !== NO_DRIVE && this.weightOf(joiner) > 0 ? joiner : drive
    })
    const { next: _, ...pinned } = pool
    const current = { ...pinned, groups: writeTable(after) }
    const placement = computeGroups({ drives, replicas: pool.replicas, current })
    const indexes = placement.drives.map((drive) => this.indexOf(drive))
    readTable(placement.groups).forEach((drive, slot) => {
      this.target[slot] = drive === NO_DRIVE ? (this.groups[slot] ?? NO_DRIVE) : (indexes[drive] ?? NO_DRIVE)
    })
  }

  private candidateOf(group: number): Candidate | undefined {
    let urgency: Candidate['urgency'] = 2
    let isActive = false
    let changes = 0
    for (const slot of this.slotsOf(group)) {
      if (this.next[slot] !== NO_DRIVE) isActive = true
      const member = this.groups[slot] ?? NO_DRIVE
      if (this.target[slot] === member) continue
      changes++
      urgency = Math.min(urgency, this.urgencyOf(member)) as Candidate['urgency']
    }
    this.positionsLeft += changes
    return changes === 0 ? undefined : { group, urgency, isActive }
  }

  private urgencyOf(member: number): Candidate['urgency'] {
    const drive = this.drives[member]
    if (drive === undefined || this.step.isGone(drive)) return 0
    return this.weightOf(member) === 0 ? 1 : 2
  }

  private set(group: number, isAdmitted: boolean): void {
    for (const slot of this.slotsOf(group)) {
      const wanted = this.target[slot] ?? NO_DRIVE
      this.next[slot] = isAdmitted && wanted !== this.groups[slot] ? wanted : NO_DRIVE
    }
  }

  private indexOf(drive: DriveId): number {
    const known = this.drives.indexOf(drive)
    return known >= 0 ? known : this.drives.push(drive) - 1
  }

  private weightOf(index: number): number {
    return this.weights.get(this.drives[index] ?? '') ?? 0
  }

  private slotsOf(group: number): number[] {
    const { replicas } = this.step.pool
    return Array.from({ length: replicas }, (_, position) => group * replicas + position)
  }

  /** The drives that hold or join something, and the new index of each old one. */
  private usedDrives(): { readonly drives: DriveId[]; readonly indexes: readonly number[] } {
    const used = new Set([...this.groups, ...this.next])
    const drives = this.drives.filter((_, index) => used.has(index))
    return { drives, indexes: this.drives.map((drive) => drives.indexOf(drive)) }
  }
}

function readTable(table: Uint8Array): Uint16Array {
  return Uint16Array.from(
    { length: table.length / 2 },
    (_, at) => (table[at * 2] ?? 0xff) | ((table[at * 2 + 1] ?? 0xff) << 8),
  )
}

/** With other indexes, if given. */
function writeTable(table: Uint16Array, indexes?: readonly number[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(table.length * 2)
  table.forEach((drive, at) => {
    bytes.writeUInt16LE(drive === NO_DRIVE ? NO_DRIVE : (indexes?.[drive] ?? drive), at * 2)
  })
  return bytes
}
