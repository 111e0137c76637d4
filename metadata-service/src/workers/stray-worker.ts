/**
 * Frees what drives hold of groups that are no longer theirs.
 *
 * ● A copy is deleted only after a linearizable read of the map has shown that its drive neither holds nor joins the
 * group and that the group does not change hands, and after every member has said that it has a good copy of the same
 * content: the leaver's copy is the last to go. The deletion names the epoch of that map, so that a drive that has
 * come back into the group since refuses it. What some member lacks stays, and repair looks at it: a writer may have
 * counted a copy that was deleted before its drive came back into the group. If no row names it, the search for orphans
 * frees it. A group is looked at until the slowest writer must have heard of the change: blocks that were under way
 * to the leaver would else stay there. A crash forgets only what was to be looked at: after the next comparison of
 * everything all drives are.
 */
import {
  type BlockEntry,
  type BlockId,
  CairnError,
  type Clock,
  type ClusterMap,
  type DriveId,
  drivesOfGroup,
  formatId,
  GROUPS_PER_POOL,
  groupOf,
  joinersOfGroup,
  type Pool,
  sameBytes,
} from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import { bitsOf } from '../core/cluster/group-bits.js'
import type { DriveInspector, DriveMender } from '../ports-blocks.js'

/** A drive of which something had to stay is looked at again after this pause; it doubles. */
const RETRY_MS = 5_000
const RETRY_MS_MAX = 60_000
/** Longer than the deadline of a block's call: writers with the former map may store there until then. */
const LINGER_MS = 60_000

export interface StrayWorkerOptions {
  readonly clock: Clock
  readonly cluster: ClusterState
  readonly drives: Pick<DriveMender, 'list' | 'find'> & Pick<DriveInspector, 'deleteOnDrive'>
  answers(drive: DriveId): boolean
  /** A member lacks this block, of which so many good copies were seen. */
  onLacking(pool: number, block: BlockId, copies: number): void
  onError(what: string, error: unknown): void
}

/** Sums since the start. */
export interface StrayCounts {
  readonly straysDeleted: number
  readonly straysFreedBytes: number
}

/** Groups of one pool to be looked at on one drive. */
interface Visit {
  readonly groups: Set<number>
  /** By then all writers know that the drive has left the last of the groups. */
  knownAtMs: number
  dueAtMs: number
  retryMs: number
}

export class StrayWorker {
  private readonly options: StrayWorkerOptions
  /** By pool, then by drive. */
  private readonly visits = new Map<number, Map<DriveId, Visit>>()
  private counts: { straysDeleted: number; straysFreedBytes: number } = {
    straysDeleted: 0,
    straysFreedBytes: 0,
  }

  constructor(options: StrayWorkerOptions) {
    this.options = options
  }

  get done(): StrayCounts {
    return this.counts
  }

  /** A drive has left these groups just now. */
  note(pool: number, drive: DriveId, groups: Iterable<number>): void {
    this.plan(pool, drive, groups, LINGER_MS)
  }

  private plan(pool: number, drive: DriveId, groups: Iterable<number>, lingerMs: number): void {
    const drives = this.visits.get(pool) ?? new Map<DriveId, Visit>()
    this.visits.set(pool, drives)
    const nowMs = this.options.clock.monotonicMs()
    const visit = drives.get(drive) ?? { groups: new Set(), knownAtMs: 0, dueAtMs: 0, retryMs: RETRY_MS }
    for (const group of groups) visit.groups.add(group)
    visit.knownAtMs = Math.max(visit.knownAtMs, nowMs + lingerMs)
    visit.dueAtMs = nowMs
    drives.set(drive, visit)
  }

  /** Every drive may hold something of groups that are not its own. */
  noteAll(): void {
    const { pools, drives } = this.options.cluster.known
    // With several pools nobody can tell to which of them a block belonged.
    const [pool, ...others] = pools
    if (pool === undefined || others.length > 0) return
    const everything = Array.from({ length: GROUPS_PER_POOL }, (_, group) => group)
    for (const { id } of drives) this.plan(pool.id, id, everything, 0)
  }

  /** Drives that may still hold blocks of a group that is no longer theirs: what is freed is freed there too. */
  formerHolders(pool: number, group: number): DriveId[] {
    const drives = [...(this.visits.get(pool) ?? [])]
    return drives
      .filter(([drive, { groups }]) => groups.has(group) && this.options.answers(drive))
      .map(([drive]) => drive)
  }

  /** Looks at every drive that is due and answers. */
  async run(signal: AbortSignal): Promise<void> {
    for (const [pool, drives] of this.visits) {
      for (const [drive, visit] of drives) {
        if (signal.aborted) return
        if (this.isDue(drive, visit) && (await this.tryVisit(pool, drive, visit, signal)))
          drives.delete(drive)
      }
    }
  }

  private isDue(drive: DriveId, { dueAtMs }: Visit): boolean {
    return dueAtMs <= this.options.clock.monotonicMs() && this.options.answers(drive)
  }

  /** True if nothing is left to be looked at. */
  private async tryVisit(pool: number, drive: DriveId, visit: Visit, signal: AbortSignal): Promise<boolean> {
    const isLast = this.options.clock.monotonicMs() >= visit.knownAtMs
    const left = await this.visit(pool, drive, visit.groups, signal).catch((error: unknown) => {
      if (!(error instanceof CairnError)) throw error
      this.options.onError(`blocks that drive ${drive} need not have`, error)
      return visit.groups
    })
    for (const group of visit.groups) if (isLast && !left.has(group)) visit.groups.delete(group)
    visit.dueAtMs = this.options.clock.monotonicMs() + visit.retryMs
    visit.retryMs = Math.min(RETRY_MS_MAX, visit.retryMs * 2)
    return visit.groups.size === 0
  }

  /** Frees what may be freed; the groups of which something is left. */
  private async visit(
    poolId: number,
    drive: DriveId,
    groups: ReadonlySet<number>,
    signal: AbortSignal,
  ): Promise<ReadonlySet<number>> {
    const map = await this.options.cluster.current()
    const pool = map.pools.find(({ id }) => id === poolId)
    if (pool === undefined || !map.drives.some(({ id }) => id === drive)) return new Set()
    const { left, free } = partGroups(pool, drive, groups)
    if (free.size === 0) return left
    const scope = { withOwner: false, groups: bitsOf(free) }
    let after: BlockId | undefined
    do {
      const { blocks, next } = await this.options.drives.list(drive, after, scope)
      for (const group of await this.free(map, pool, drive, blocks)) left.add(group)
      after = next
    } while (after !== undefined && !signal.aborted)
    return signal.aborted ? groups : left
  }

  /** Deletes those of the blocks that every member has; the groups of the others. */
  private async free(
    map: ClusterMap,
    pool: Pool,
    drive: DriveId,
    blocks: readonly BlockEntry[],
  ): Promise<Set<number>> {
    const good = await this.findOnMembers(pool, blocks)
    const isSafe = ({ block, hash, sizeBytes }: BlockEntry): boolean =>
      drivesOfGroup(pool, groupOf(block)).every((member) => {
        const copy = good.get(`${member} ${formatId(block)}`)
        return copy !== undefined && copy.sizeBytes === sizeBytes && sameBytes(copy.hash, hash)
      })
    const safe = blocks.filter(isSafe)
    const kept = blocks.filter((entry) => !safe.includes(entry))
    for (const { block } of kept) this.reportLacking(pool, block, good)
    const left = new Set(kept.map(({ block }) => groupOf(block)))
    if (safe.length === 0) return left
    // The map must still be the one by which this drive has nothing to do with the groups.
    const now = (await this.options.cluster.current()).pools.find(({ id }) => id === pool.id)
    if (now?.epoch !== pool.epoch) {
      throw new CairnError('StaleClusterMap', `pool ${pool.id} has changed since epoch ${map.epoch}`)
    }
    const placedBy = { pool: pool.id, epoch: pool.epoch }
    const freedBytes = await this.options.drives.deleteOnDrive(
      drive,
      safe.map(({ block }) => block),
      placedBy,
    )
    this.counts.straysDeleted += safe.length
    this.counts.straysFreedBytes += freedBytes
    return left
  }

  private reportLacking(pool: Pool, block: BlockId, good: ReadonlyMap<string, BlockEntry>): void {
    const { answers, onLacking } = this.options
    const members = drivesOfGroup(pool, groupOf(block))
    const lacking = members.filter((member) => !good.has(`${member} ${formatId(block)}`))
    const isKnown = lacking.some((member) => member !== undefined && answers(member))
    if (isKnown) onLacking(pool.id, block, 1 + members.length - lacking.length)
  }

  /** The good copies that members of the blocks' groups have, by member and block. */
  private async findOnMembers(
    pool: Pool,
    blocks: readonly BlockEntry[],
  ): Promise<ReadonlyMap<string, BlockEntry>> {
    const asked = new Map<DriveId, BlockId[]>()
    for (const { block } of blocks) {
      for (const member of drivesOfGroup(pool, groupOf(block))) {
        if (member === undefined) continue
        const wanted = asked.get(member)
        if (wanted === undefined) asked.set(member, [block])
        else wanted.push(block)
      }
    }
    const found = new Map<string, BlockEntry>()
    await Promise.all(
      [...asked].map(async ([member, wanted]) => {
        if (!this.options.answers(member)) return
        const entries = await this.options.drives.find(member, wanted)
        for (const entry of entries) {
          if (entry.damaged !== true) found.set(`${member} ${formatId(entry.block)}`, entry)
        }
      }),
    )
    return found
  }
}

/** `free`: groups with which the drive has nothing to do; `left`: groups that are changing hands. */
function partGroups(
  pool: Pool,
  drive: DriveId,
  groups: ReadonlySet<number>,
): { readonly left: Set<number>; readonly free: Set<number> } {
  const left = new Set<number>()
  const free = new Set<number>()
  for (const group of groups) {
    if (drivesOfGroup(pool, group).includes(drive)) continue
    const isChanging = pool.next !== undefined && joinersOfGroup(pool, group).some((id) => id !== undefined)
    if (isChanging) left.add(group)
    else free.add(group)
  }
  return { left, free }
}
