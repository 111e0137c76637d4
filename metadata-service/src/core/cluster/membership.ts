/**
 * What the states of drives, and the wishes of operators, change in the cluster map. Pure.
 *
 * Only what matters is written: a drive that is dead, one that is doubtful (`suspect`), and one that is back. The groups
 * of a dead drive go to an unused one that can take its place, or else to all others, and so do those of a drive that
 * is to be emptied: always in the two phases of `group-changes.ts`, so that what counts as a member has been filled.
 * Who has given all away is `out`, and stays so when it returns: a spare. While the others are too few, or too few
 * failure domains are left, a drive keeps its groups, so that its return makes everything whole again.
 */
import {
  changesOf,
  type DriveId,
  drivesOfGroup,
  GROUPS_PER_POOL,
  type PlacementDrive,
  type Pool,
  positionsOf,
} from '@cairn/protocol'
import type { DriveRow } from '../rows/cluster-state-rows.js'
import { type ClusterChange, type RegisteredDrives, stateInService } from './drive-registration.js'
import type { DriveCondition } from './drive-states.js'
import { domainOf, isWider, widestDomain } from './failure-domains.js'
import { completeGroups, planStep } from './group-changes.js'
import { isGivenUp, knowsAll } from './group-holders.js'
import { asFilled, isUnfilled } from './unfilled-drives.js'

export type ConditionOf = (drive: DriveId) => DriveCondition

/** Groups that were proved to be whole on their joiners too, at this epoch of the pool. */
export interface WholeGroups {
  readonly pool: number
  readonly epoch: number
  readonly groups: ReadonlySet<number>
}

export interface MembershipOptions {
  readonly whole?: WholeGroups
  /** Unused drives that have been up for long enough to be used without a word. */
  readonly joins?: (drive: DriveId) => boolean
  readonly groupsMax?: number
  /** Drives that answer, and are not to be relied on: others come first in reads and for new blocks. */
  readonly isDoubtful?: (drive: DriveId) => boolean
}

/** A change, and what it leaves to be done. */
export interface MembershipStep {
  readonly change: ClusterChange
  /** Positions of all pools that still have to change hands, those under way included. */
  readonly positionsLeft: number
  /** Why nothing moves though it should; for people. */
  readonly stuck?: string
  /** Why groups do not change hands though they are on their way; for people. */
  readonly waiting?: string
}

/** The rows that change because of what drives count as now; none if nothing that matters has changed. */
export function planMembership(
  state: RegisteredDrives,
  conditionOf: ConditionOf,
  options: MembershipOptions = {},
): MembershipStep {
  const plan = new MembershipPlan(state, conditionOf, options)
  plan.noteConditions()
  plan.replaceDead()
  plan.widenDomains()
  plan.moveGroups()
  plan.retireEmpty()
  return plan.step()
}

class MembershipPlan {
  private readonly state: RegisteredDrives
  private readonly conditionOf: ConditionOf
  private readonly options: MembershipOptions
  private readonly drives = new Map<DriveId, DriveRow>()
  private pools: readonly Pool[]
  /** Unused drives that take the places of dead ones, with their pool. */
  private readonly spares = new Map<DriveId, number>()
  /** Dead drives in whose place somebody is, or is about to be. */
  private readonly replaced = new Set<DriveId>()
  private rebalancing: boolean
  private positionsLeft = 0
  private stuck: string | undefined

  constructor(state: RegisteredDrives, conditionOf: ConditionOf, options: MembershipOptions) {
    this.state = state
    this.conditionOf = conditionOf
    this.options = options
    this.pools = state.map.pools
    this.rebalancing = state.rebalancing === true
  }

  noteConditions(): void {
    const { isDoubtful = () => false } = this.options
    for (const [id, row] of this.state.drives) {
      this.drives.set(id, withState(row, this.conditionOf(id), isDoubtful(id)))
    }
  }

  /** Unused drives are chosen for the places of dead ones. */
  replaceDead(): void {
    for (const pool of this.pools) {
      for (const id of pool.drives) {
        if (this.drives.get(id)?.drive.state === 'dead') this.replace(pool, id)
      }
    }
  }

  private replace(pool: Pool, dead: DriveId): void {
    const isUnderWay = this.givesAll(pool, dead)
    const spare = isUnderWay ? undefined : this.findSpare(pool, dead)
    if (isUnderWay || spare !== undefined) this.replaced.add(dead)
    if (spare === undefined) return
    this.setState(spare, 'up')
    this.spares.set(spare, pool.id)
  }

  /** All its groups are on their way to drives that are there. */
  private givesAll(pool: Pool, drive: DriveId): boolean {
    const given = changesOf(pool).filter(({ leaver, joiner }) => leaver === drive && !this.isGone(joiner))
    return given.length === (positionsOf(pool).get(drive) ?? 0)
  }

  /** Copies lie as far apart as all drives together allow; never nearer by themselves. */
  widenDomains(): void {
    const joiners = this.options.joins === undefined ? undefined : this.joiners()
    if (joiners === undefined) return
    const members = new Map(this.state.map.members.map((member) => [member.id, member]))
    this.pools = this.pools.map((pool) => {
      const ids = [...pool.drives, ...joiners]
      if (!ids.every((id) => this.mayHold(id))) return pool
      const drives = ids.flatMap((id) => this.drives.get(id)?.drive ?? [])
      const widest = widestDomain(drives, members, pool.replicas)
      if (!isWider(widest, pool.failureDomain)) return pool
      this.rebalancing = true
      return { ...pool, failureDomain: widest, epoch: pool.epoch + 1 }
    })
  }

  /** The next step of every pool of which some groups should be elsewhere. */
  moveGroups(): void {
    const joiners = this.joiners()
    this.pools = this.pools.map((pool) => {
      const { after, left } = this.movePool(pool, joiners)
      this.positionsLeft += left
      return after === pool ? pool : { ...after, epoch: pool.epoch + 1 }
    })
    // One change raises the epoch once, however much it does.
    const isBalanced = this.positionsLeft === 0 && this.stuck === undefined
    if (isBalanced && this.pools.every((pool) => pool.next === undefined)) this.rebalancing = false
    else if (joiners.length > 0) this.rebalancing = true
  }

  private movePool(pool: Pool, joiners: readonly DriveId[]): { after: Pool; left: number } {
    const whole = this.wholeOf(pool)
    const move = this.moveOf(pool, joiners)
    if (move === undefined) {
      return { after: whole === undefined ? pool : completeGroups(pool, whole), left: 0 }
    }
    const { groupsMax } = this.options
    const step = planStep({
      pool,
      ...move,
      isGone: (drive) => this.isGone(drive),
      ...(whole === undefined ? {} : { whole }),
      ...(groupsMax === undefined ? {} : { groupsMax }),
    })
    return { after: step.pool, left: step.positionsLeft }
  }

  /** Drives that should hold nothing, and do. */
  retireEmpty(): void {
    const holds = (pools: readonly Pool[], id: DriveId): boolean =>
      pools.some((pool) => pool.drives.includes(id))
    for (const row of [...this.drives.values()]) {
      const { drive, drain } = row
      if (holds(this.pools, drive.id)) continue
      if (row.unfilledSince !== undefined) this.drives.set(drive.id, asFilled(row))
      if (drive.state === 'out') continue
      const gaveAll = drive.state === 'dead' && holds(this.state.map.pools, drive.id)
      if (gaveAll || (drain !== undefined && drive.state === 'draining')) this.setState(drive.id, 'out')
    }
  }

  step(): MembershipStep {
    const { stuck, positionsLeft } = this
    const waiting = this.pools.map((pool) => this.findLoss(pool)).find((loss) => loss !== undefined)
    return {
      change: this.change(),
      positionsLeft,
      ...(stuck === undefined ? {} : { stuck }),
      ...(waiting === undefined ? {} : { waiting }),
    }
  }

  /** Groups whose last writes may be on dead drives alone. */
  private findLoss(pool: Pool): string | undefined {
    const gone = pool.drives.filter((id) => this.isGone(id))
    const known = {
      isKnown: (id: DriveId) => !gone.includes(id),
      isUnfilled: (id: DriveId, group: number) => isUnfilled(this.drives.get(id), group),
      isGivenUp: (id: DriveId) => isGivenUp(this.drives.get(id)),
    }
    if (gone.length === 0) return undefined
    const lost = changesOf(pool).filter(({ group }) => !knowsAll(pool, group, known))
    const groups = new Set(lost.map(({ group }) => group)).size
    if (groups === 0) return undefined
    return `${groups} groups of pool ${pool.name} may have blocks on dead drives alone: bring back, or drain by force, ${gone.join()}`
  }

  private change(): ClusterChange {
    const { state } = this
    return {
      members: [],
      drives: [...this.drives.values()].filter((row) => row !== state.drives.get(row.drive.id)),
      pools: this.pools.filter((pool) => !state.map.pools.includes(pool)),
      indebted: [],
      ...(this.rebalancing === (state.rebalancing === true) ? {} : { rebalancing: this.rebalancing }),
    }
  }

  private wholeOf({ id, epoch }: Pool): ReadonlySet<number> | undefined {
    const { whole } = this.options
    return whole?.pool === id && whole.epoch === epoch ? whole.groups : undefined
  }

  /** Who may hold groups of this pool; `undefined` if nothing is to change, or nothing can. */
  private moveOf(
    pool: Pool,
    joiners: readonly DriveId[],
  ): { drives: PlacementDrive[]; waits: boolean } | undefined {
    const rows = pool.drives.flatMap((id) => this.drives.get(id) ?? [])
    const leavers = rows.filter(({ drive }) => drive.state !== 'up' && drive.state !== 'suspect')
    const hasUnreplaced = leavers.some(({ drive }) => !this.replaced.has(drive.id))
    const takesNew = hasUnreplaced || pool.drives.length > rows.length || this.rebalancing
    const isAtRest = !takesNew && leavers.length === 0 && joiners.length === 0
    if (isAtRest && pool.next === undefined) return undefined
    const mayTake = (id: DriveId): boolean =>
      this.spares.get(id) === pool.id || (takesNew ? this.mayHold(id) : joiners.includes(id))
    const added = [...this.drives.values()].filter(({ drive: { id } }) => this.isFree(id) && mayTake(id))
    const staying = rows.filter((row) => !leavers.includes(row))
    const takers = [...staying, ...added]
    this.stuck ??= this.findObstacle(pool, rows, takers)
    if (this.stuck !== undefined) return undefined
    return {
      drives: takers.map(({ drive }) => ({
        id: drive.id,
        weight: Math.max(1, drive.capacityBytes),
        domain: this.domain(pool, drive.id),
      })),
      waits: takers.some(({ drive }) => this.conditionOf(drive.id) !== 'up'),
    }
  }

  /** Why these drives cannot hold all copies in as many failure domains as there were. */
  private findObstacle(
    pool: Pool,
    rows: readonly DriveRow[],
    takers: readonly DriveRow[],
  ): string | undefined {
    const { replicas, failureDomain, name } = pool
    if (takers.length < replicas) {
      return `pool ${name} needs ${replicas} drives for its copies, and ${takers.length} would be left`
    }
    if (rows.some(({ drain }) => drain === 'forced')) return undefined
    const domains = (of: readonly DriveRow[]): number =>
      Math.min(replicas, new Set(of.map(({ drive }) => this.domain(pool, drive.id))).size)
    const [needed, left] = [domains(rows), domains(takers)]
    if (left >= needed) return undefined
    return `pool ${name} has its copies in ${needed} failure domains (${failureDomain}), and ${left} would be left`
  }

  /** Unused drives that are to be used without a word: only while every drive in use answers. */
  private joiners(): DriveId[] {
    const { joins } = this.options
    if (joins === undefined) return []
    const used = this.pools.flatMap(({ drives }) => drives)
    if (used.length === 0 || !used.every((id) => this.serves(id))) return []
    return [...this.drives.keys()].filter((id) => this.isFree(id) && this.mayHold(id) && joins(id))
  }

  private mayHold(id: DriveId): boolean {
    return this.drives.get(id)?.drive.state === 'up' && this.conditionOf(id) === 'up'
  }

  /** As `mayHold`, or doubtful: what it holds is there. */
  private serves(id: DriveId): boolean {
    const state = this.drives.get(id)?.drive.state
    return (state === 'up' || state === 'suspect') && this.conditionOf(id) === 'up'
  }

  private isFree(id: DriveId): boolean {
    return !this.pools.some(({ drives }) => drives.includes(id))
  }

  private isGone(id: DriveId): boolean {
    const state = this.drives.get(id)?.drive.state
    return state === undefined || state === 'dead' || state === 'out'
  }

  private setState(id: DriveId, state: DriveRow['drive']['state']): void {
    const row = this.drives.get(id)
    if (row !== undefined && row.drive.state !== state)
      this.drives.set(id, { ...row, drive: { ...row.drive, state } })
  }

  /** The largest unused drive, spare or new, that shares no failure domain with the companions of the dead one. */
  private findSpare(pool: Pool, dead: DriveId): DriveId | undefined {
    const taken = new Set([...companionsOf(pool, dead)].map((id) => this.domain(pool, id)))
    const isSpare = ({ drive, drain }: DriveRow): boolean =>
      (drive.state === 'up' || (drive.state === 'out' && drain === undefined)) &&
      this.conditionOf(drive.id) === 'up'
    const [best] = [...this.drives.values()]
      .filter((row) => isSpare(row) && this.isFree(row.drive.id) && !this.spares.has(row.drive.id))
      .map(({ drive }) => drive)
      .filter(({ id }) => !taken.has(this.domain(pool, id)))
      .sort((a, b) => b.capacityBytes - a.capacityBytes || (a.id < b.id ? -1 : 1))
    return best?.id
  }

  private domain(pool: Pool, id: DriveId): string {
    const row = this.drives.get(id)
    const members = new Map(this.state.map.members.map((member) => [member.id, member]))
    return row === undefined ? id : domainOf(row.drive, members, pool.failureDomain)
  }
}

function withState(row: DriveRow, condition: DriveCondition, isDoubtful: boolean): DriveRow {
  const { state } = row.drive
  if (condition === 'dead' && state !== 'dead' && state !== 'out') {
    return { ...row, drive: { ...row.drive, state: 'dead' } }
  }
  if (state === 'up' && isDoubtful) return { ...row, drive: { ...row.drive, state: 'suspect' } }
  if (condition === 'up' && (state === 'dead' || (state === 'suspect' && !isDoubtful))) {
    return { ...row, drive: { ...row.drive, state: stateInService(row) } }
  }
  return row
}

/** The drives that hold groups together with this one, or join it. */
function companionsOf(pool: Pool, drive: DriveId): Set<DriveId> {
  const companions = new Set<DriveId>()
  for (let group = 0; group < GROUPS_PER_POOL; group++) {
    const holders = drivesOfGroup(pool, group)
    if (!holders.includes(drive)) continue
    for (const holder of holders) if (holder !== undefined && holder !== drive) companions.add(holder)
  }
  return companions
}
