/**
 * Placement: which group a block belongs to, and which drives hold which group. Everything here is pure.
 *
 * A group's members are chosen once by weighted rendezvous hashing over failure domains, evened out until every
 * drive holds exactly its share, and then pinned in the pool's row. A change of drives starts from what is pinned
 * and replaces single positions, so that close to nothing moves beyond the minimum:
 * the sum over drives of max(0, share - share held).
 *
 * Why a legal step always exists: no domain's share exceeds the number of groups, so a domain that holds less
 * than its share is missing in some group h; and a group that lacks it has at least two domains that any group
 * with a free position lacks. One of them moves over, and h takes the drive of the missing domain.
 */
import { type DriveId, NO_DRIVE, type Pool } from './cluster-map.js'
import type { BlockId } from './ids.js'
import { GROUPS_PER_POOL } from './limits.js'
import { murmur3 } from './murmur3.js'
import { computeShares } from './placement-shares.js'

/** The group of a block: the leading 12 bits of MurmurHash3 (x86, 32 bits, seed 0) of its id. For ever. */
export function groupOf(block: BlockId): number {
  return murmur3(block) >>> 20
}

/** A drive that may hold groups. */
export interface PlacementDrive {
  readonly id: DriveId
  /** Its capacity in any unit; 0 takes everything away from it. */
  readonly weight: number
  /** Name of its failure domain: two replicas of a group never share one while there are enough of them. */
  readonly domain: string
}

/** What a placement is computed from. */
export interface PlacementRequest {
  readonly drives: readonly PlacementDrive[]
  readonly replicas: number
  /** What is pinned now; absent for a new pool. */
  readonly current?: Pool
}

/** `drives` and `groups` as a pool's row takes them. */
export interface Placement {
  readonly drives: readonly DriveId[]
  readonly groups: Uint8Array
  /** Positions that got another drive than before: copies of a group to be made. */
  readonly moved: number
  /** The least number of positions that had to change. */
  readonly minimum: number
}

/**
 * Assigns every position of every group. With fewer domains than replicas, replicas lie at least on different
 * drives; with fewer drives than replicas, the last positions stay empty. Throws `RangeError` for more drives
 * than a pool can name, or no replica.
 */
export function computeGroups(request: PlacementRequest): Placement {
  if (request.replicas < 1 || request.drives.length >= NO_DRIVE) {
    throw new RangeError(`no placement of ${request.replicas} replicas on ${request.drives.length} drives`)
  }
  const table = new GroupTable(request)
  const { before } = table
  const minimum = table.drives.reduce((sum, drive) => sum + Math.max(0, drive.share - drive.held), 0)
  table.vacateConflicts()
  table.fillEmpty(request.current === undefined)
  table.evenOut()
  return {
    drives: table.drives.map((drive) => drive.id),
    groups: encodeSlots(table.slots),
    moved: table.slots.reduce((sum, drive, at) => sum + (drive >= 0 && drive !== before[at] ? 1 : 0), 0),
    minimum,
  }
}

/**
 * The pool with drive `replacement` in every position of `old`, its epoch raised. Throws `RangeError` if `old`
 * holds nothing in this pool or `replacement` already does.
 */
export function replaceDrive(pool: Pool, old: DriveId, replacement: DriveId): Pool {
  if (!pool.drives.includes(old) || pool.drives.includes(replacement)) {
    throw new RangeError(`drive ${replacement} cannot take the place of ${old} in pool ${pool.id}`)
  }
  const drives = pool.drives.map((id) => (id === old ? replacement : id))
  return { ...pool, drives, epoch: pool.epoch + 1 }
}

const EMPTY = -1

interface TableDrive {
  readonly index: number
  readonly id: DriveId
  readonly weight: number
  /** Index of its failure domain. */
  readonly domain: number
  readonly share: number
  held: number
}

/** The assignment while it is being computed: `slots` holds a drive index or EMPTY for each position. */
class GroupTable {
  readonly drives: readonly TableDrive[]
  readonly slots: Int32Array
  /** What is pinned. */
  readonly before: Int32Array
  private readonly replicas: number
  /** Positions of a group that can be filled at all. */
  private readonly used: number
  private readonly domainShare: number[] = []
  private readonly domainHeld: number[] = []

  constructor(request: PlacementRequest) {
    this.replicas = request.replicas
    const drives = orderDrives(request)
    const weighted = drives.filter((drive) => drive.weight > 0)
    this.used = Math.min(request.replicas, weighted.length)
    const apart = new Set(weighted.map((drive) => drive.domain)).size >= this.used
    const domains = drives.map((drive) => (apart ? drive.domain : drive.id))
    const names = [...new Set(domains)]
    const shares = computeShares(
      drives.map((drive, index) => ({ ...drive, domain: domains[index] ?? drive.id })),
      this.used,
    )
    this.drives = drives.map((drive, index) => ({
      index,
      id: drive.id,
      weight: drive.weight,
      domain: names.indexOf(domains[index] ?? drive.id),
      share: shares[index] ?? 0,
      held: 0,
    }))
    for (const drive of this.drives) {
      this.domainShare[drive.domain] = (this.domainShare[drive.domain] ?? 0) + drive.share
      this.domainHeld[drive.domain] = 0
    }
    this.slots = new Int32Array(GROUPS_PER_POOL * request.replicas).fill(EMPTY)
    if (request.current !== undefined) this.adopt(request.current)
    this.before = this.slots.slice()
  }

  /** Takes over what is pinned, as far as the drives are still there. */
  private adopt(pool: Pool): void {
    const indexOf = new Map(this.drives.map((drive) => [drive.id, drive.index]))
    const known = pool.drives.map((id) => indexOf.get(id) ?? EMPTY)
    for (let group = 0; group < GROUPS_PER_POOL; group++) {
      for (let position = 0; position < Math.min(pool.replicas, this.replicas); position++) {
        const at = (group * pool.replicas + position) * 2
        const held = (pool.groups[at] ?? 0xff) | ((pool.groups[at + 1] ?? 0xff) << 8)
        this.set(group * this.replicas + position, known[held] ?? EMPTY)
      }
    }
  }

  private set(slot: number, drive: number): void {
    this.count(this.slots[slot] ?? EMPTY, -1)
    this.slots[slot] = drive
    this.count(drive, 1)
  }

  private count(index: number, change: number): void {
    const drive = this.drives[index]
    if (drive === undefined) return
    drive.held += change
    this.domainHeld[drive.domain] = (this.domainHeld[drive.domain] ?? 0) + change
  }

  /** Empties positions of drives without a share, and the second of two positions in one domain. */
  vacateConflicts(): void {
    for (let slot = 0; slot < this.slots.length; slot++) {
      const drive = this.drives[this.slots[slot] ?? EMPTY]
      if (drive === undefined) continue
      const group = Math.floor(slot / this.replicas)
      const twin = this.slotOfDomain(group, drive.domain)
      if (drive.weight <= 0 || (twin >= 0 && twin < slot)) this.set(slot, EMPTY)
    }
  }

  /** Fills empty positions: in a new pool by score alone, later only with drives that hold too little. */
  fillEmpty(isNew: boolean): void {
    for (let group = 0; group < GROUPS_PER_POOL; group++) {
      const slots = Array.from({ length: this.replicas }, (_, position) => group * this.replicas + position)
      const empty = slots.filter((slot) => this.slots[slot] === EMPTY)
      for (const slot of empty.slice(0, this.used - slots.length + empty.length)) {
        const best = this.bestDrive(group, isNew)
        if (best !== undefined) this.set(slot, best.index)
        else this.fillByExchange(slot)
      }
    }
  }

  private bestDrive(group: number, anyShare: boolean): TableDrive | undefined {
    let best: TableDrive | undefined
    let bestScore = Number.POSITIVE_INFINITY
    for (const drive of this.drives) {
      if (drive.weight <= 0 || this.slotOfDomain(group, drive.domain) >= 0) continue
      if (!anyShare && !this.isShort(drive)) continue
      const score = scoreOf(drive, group)
      if (score >= bestScore) continue
      best = drive
      bestScore = score
    }
    return best
  }

  /** Holds less than its share, in a domain that does too. */
  private isShort(drive: TableDrive): boolean {
    const held = this.domainHeld[drive.domain] ?? 0
    return drive.held < drive.share && held < (this.domainShare[drive.domain] ?? 0)
  }

  private fillByExchange(slot: number): void {
    const short = this.drives.find((drive) => this.isShort(drive))
    if (short !== undefined) this.exchange(slot, short)
  }

  /** Gives every drive its share, one position at a time. */
  evenOut(): void {
    for (const drive of this.drives) if (drive.held < drive.share) this.takeBestGroups(drive)
    for (const drive of this.drives) while (drive.held < drive.share) this.exchange(this.surplusSlot(), drive)
  }

  private takeBestGroups(drive: TableDrive): void {
    for (const group of groupsByScore(drive)) {
      if (drive.held >= drive.share) return
      const slot = this.replaceableSlot(group, drive)
      if (slot >= 0) this.set(slot, drive.index)
    }
  }

  /** The position of the fullest drive above its share that `drive` may replace in this group, or -1. */
  private replaceableSlot(group: number, drive: TableDrive): number {
    const twin = this.slotOfDomain(group, drive.domain)
    let best = -1
    let mostExcess = 0
    for (let slot = group * this.replicas; slot < (group + 1) * this.replicas; slot++) {
      const holder = this.drives[this.slots[slot] ?? EMPTY]
      if (holder === undefined || (twin >= 0 && twin !== slot)) continue
      const excess = holder.held - holder.share
      if (excess <= mostExcess) continue
      best = slot
      mostExcess = excess
    }
    return best
  }

  private surplusSlot(): number {
    return this.slots.findIndex((index) => {
      const drive = this.drives[index]
      return drive !== undefined && drive.held > drive.share
    })
  }

  /**
   * Frees `slot` for a drive x of another group, where `incoming` takes the place of x. At best x was new there, so
   * that nothing more moves.
   */
  private exchange(slot: number, incoming: TableDrive): void {
    this.set(slot, EMPTY)
    const from = this.exchangeable(slot, incoming, true) ?? this.exchangeable(slot, incoming, false)
    if (from === undefined) throw new Error(`no exchange lets drive ${incoming.id} into the pool`)
    const moving = this.slots[from] ?? EMPTY
    this.set(from, incoming.index)
    this.set(slot, moving)
  }

  /** A position of another group that suits: of those that have changed already, or of those that have not. */
  private exchangeable(slot: number, incoming: TableDrive, hasChanged: boolean): number | undefined {
    const group = Math.floor(slot / this.replicas)
    for (let from = 0; from < this.slots.length; from++) {
      const other = Math.floor(from / this.replicas)
      const index = this.slots[from] ?? EMPTY
      const moving = this.drives[index]
      if (moving === undefined || other === group || (index !== this.before[from]) !== hasChanged) continue
      if (this.slotOfDomain(other, incoming.domain) >= 0 || this.slotOfDomain(group, moving.domain) >= 0)
        continue
      return from
    }
    return undefined
  }

  /** The position of this domain in the group, or -1. */
  private slotOfDomain(group: number, domain: number): number {
    for (let slot = group * this.replicas; slot < (group + 1) * this.replicas; slot++) {
      if (this.drives[this.slots[slot] ?? EMPTY]?.domain === domain) return slot
    }
    return -1
  }
}

/** Drives of the pool in their old order, then the new ones by id. */
function orderDrives(request: PlacementRequest): PlacementDrive[] {
  const byId = new Map(request.drives.map((drive) => [drive.id, drive]))
  const kept = (request.current?.drives ?? []).flatMap((id) => byId.get(id) ?? [])
  const keptIds = new Set(kept.map((drive) => drive.id))
  const added = [...byId.values()].filter((drive) => !keptIds.has(drive.id))
  return [...kept, ...added.sort((a, b) => (a.id < b.id ? -1 : 1))]
}

/** Rendezvous score: exponentially distributed with the weight as its rate, so that the least wins by weight. */
function scoreOf(drive: TableDrive, group: number): number {
  const hash = murmur3(Buffer.from(`${drive.id}/${group}`, 'utf8'))
  return -Math.log((hash + 0.5) / 0x1_0000_0000) / drive.weight
}

function groupsByScore(drive: TableDrive): number[] {
  const scores = Array.from({ length: GROUPS_PER_POOL }, (_, group) => scoreOf(drive, group))
  return scores.map((_, group) => group).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0) || a - b)
}

function encodeSlots(slots: Int32Array): Uint8Array {
  const groups = Buffer.allocUnsafe(slots.length * 2)
  slots.forEach((drive, at) => {
    groups.writeUInt16LE(drive < 0 ? NO_DRIVE : drive, at * 2)
  })
  return groups
}
