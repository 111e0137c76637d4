/**
 * Looks at the states of drives, and moves groups step by step: see `core/cluster/membership.ts`. Nothing is kept but
 * what stands in the cluster map, so that another service goes on wherever this one stops.
 */
import { type Clock, changesOf, type DriveId, type MoveReport } from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import type { ClusterChange, RegisteredDrives } from '../core/cluster/drive-registration.js'
import type { DriveStates } from '../core/cluster/drive-states.js'
import { countMoving } from '../core/cluster/drive-summaries.js'
import { groupsLeft } from '../core/cluster/group-holders.js'
import { type MembershipStep, planMembership, type WholeGroups } from '../core/cluster/membership.js'
import type { SlowServers } from '../core/cluster/slow-servers.js'
import type { KeyValueStore } from '../ports.js'

export interface MembershipWorkerOptions {
  readonly clock: Clock
  readonly cluster: ClusterState
  readonly states: DriveStates
  readonly slow: SlowServers
  /** Fences each change of the map; the map's own unless given. */
  readonly store?: Pick<KeyValueStore, 'commit'>
  /** Unused drives are used once they have been up for so long; only by command if absent. */
  readonly joinSeconds?: number
  /** Groups under way at once. */
  readonly groupsMax?: number
  /** The map has changed. */
  onChange?(): void
  /** A drive neither holds nor joins these groups any more. */
  onLeave(pool: number, drive: DriveId, groups: readonly number[]): void
}

export class MembershipWorker {
  private readonly options: MembershipWorkerOptions
  private readonly upSinceMs = new Map<DriveId, number>()
  private left = 0
  private stuck: string | undefined
  private moved = 0
  private movingSinceMs: number | undefined

  constructor(options: MembershipWorkerOptions) {
    this.options = options
  }

  get report(): Omit<MoveReport, 'straysDeleted'> {
    const { cluster, clock } = this.options
    const positionsMoving = cluster.known.pools.reduce((sum, pool) => sum + countMoving(pool), 0)
    const since = this.movingSinceMs
    return {
      rebalancing: cluster.isRebalancing,
      positionsMoving,
      positionsLeft: Math.max(positionsMoving, this.left),
      positionsMoved: this.moved,
      movingMs: since === undefined ? 0 : Math.floor(clock.monotonicMs() - since),
      ...(this.stuck === undefined ? {} : { stuck: this.stuck }),
    }
  }

  /** Writes what has changed; `whole`: groups that may change hands now. */
  async look(whole?: WholeGroups): Promise<void> {
    const { cluster, onChange } = this.options
    this.noteUp()
    let planned: { state: RegisteredDrives; step: MembershipStep } | undefined
    const hasChanged = await cluster.change((state) => {
      const step = this.plan(state, whole)
      planned = { state, step }
      return step.change
    }, this.options.store)
    if (planned === undefined) return
    this.noteStep(planned.step)
    if (!hasChanged) return
    if (whole !== undefined) this.noteMoved(planned.state, whole)
    this.noteLeavers(planned.state, planned.step.change)
    onChange?.()
  }

  private plan(state: RegisteredDrives, whole: WholeGroups | undefined): MembershipStep {
    const { states, slow, groupsMax } = this.options
    const serverOf = (drive: DriveId): string => state.drives.get(drive)?.drive.server ?? ''
    return planMembership(state, (drive) => states.of(drive), {
      isDoubtful: (drive) => states.refusesWrites(drive) || slow.isSlow(serverOf(drive)),
      joins: (drive) => this.mayJoin(drive),
      ...(whole === undefined ? {} : { whole }),
      ...(groupsMax === undefined ? {} : { groupsMax }),
    })
  }

  private noteUp(): void {
    const { clock, cluster, states } = this.options
    const ids = cluster.known.drives.map(({ id }) => id)
    const up = new Set(ids.filter((id) => states.answers(id)))
    for (const id of this.upSinceMs.keys()) if (!up.has(id)) this.upSinceMs.delete(id)
    for (const id of up) if (!this.upSinceMs.has(id)) this.upSinceMs.set(id, clock.monotonicMs())
  }

  private mayJoin(drive: DriveId): boolean {
    const { clock, joinSeconds } = this.options
    const since = this.upSinceMs.get(drive)
    return (
      joinSeconds !== undefined && since !== undefined && clock.monotonicMs() - since >= joinSeconds * 1000
    )
  }

  private noteStep({ positionsLeft, stuck, waiting }: MembershipStep): void {
    this.stuck = stuck ?? waiting
    if (positionsLeft > 0 && this.left === 0) {
      this.moved = 0
      this.movingSinceMs = this.options.clock.monotonicMs()
    }
    this.left = positionsLeft
  }

  private noteMoved({ map }: RegisteredDrives, whole: WholeGroups): void {
    const pool = map.pools.find(({ id, epoch }) => id === whole.pool && epoch === whole.epoch)
    if (pool === undefined) return
    this.moved += changesOf(pool).filter(({ group }) => whole.groups.has(group)).length
  }

  private noteLeavers({ map }: RegisteredDrives, change: ClusterChange): void {
    for (const after of change.pools) {
      const before = map.pools.find(({ id }) => id === after.id)
      if (before === undefined) continue
      for (const [drive, groups] of groupsLeft(before, after)) this.options.onLeave(after.id, drive, groups)
    }
  }
}
