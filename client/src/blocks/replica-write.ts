/**
 * One block on its way to all drives of its group at once, and to those that join it. Every target that is up is
 * waited for until it fails or, once a quorum has stored the block, its grace is over; what is late then is given up
 * and counts as missing.
 */
import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  type BlockOwner,
  CairnError,
  CallGroup,
  type DriveId,
  type Handover,
  hasCode,
  type PutBlockResponse,
  putBlock,
  Roster,
  type Rostered,
  sameBytes,
  type Unit,
  type UnitSource,
  writeQuorum,
} from '@cairn/protocol'
import { countCopies, type GroupView, type Target } from '../cluster/cluster-view.js'
import { REPLICA_GRACE_MS_MAX, REPLICA_GRACE_MS_MIN, REPLICA_GRACE_P99_FACTOR } from '../limits.js'
import type { LateWrite, LateWrites, ReadParts } from '../parts.js'
import { Bell } from '../waiting.js'

/** What every replica must report of the block once it is whole. */
export interface BlockFacts {
  readonly sizeBytes: number
  readonly hash: Uint8Array
}

export interface ReplicaWriteOptions {
  readonly parts: ReadParts
  readonly group: GroupView
  readonly block: BlockId
  readonly owner: BlockOwner
  /** Rung for every answer: for `settled`. */
  readonly bell?: Bell
  /** Drives of the group that have it already. */
  readonly held?: readonly DriveId[]
  /** Targets are waited for at least so long after a quorum; nothing unless given. */
  readonly graceMsMin?: number
}

export class ReplicaWrite implements LateWrite {
  readonly stored: DriveId[] = []
  /** Of the drives that gave one. */
  receipts: Uint8Array[] | undefined
  private readonly quorum: number
  private readonly held: readonly DriveId[]
  /** A server knows a newer placement, a drive is not where the map says, or too few drives are in service by it. */
  isStale = false
  /** A target was not sent the block: it cannot be reached, or could not a moment ago and was not dialled again. */
  isUnreached = false
  lastError: unknown
  /** Targets that had no room. */
  private readonly full: DriveId[] = []
  /** Set before the bodies end. */
  facts: BlockFacts | undefined
  private readonly options: ReplicaWriteOptions
  private bell: Bell | undefined
  /** At most as many as the pool has copies, and drives that join. */
  private readonly open: Roster<OpenWrite> = new Roster()
  private calls: CallGroup | undefined
  private hasGivenUp = false
  private onSettled: (() => void) | undefined
  private late: LateWrites | undefined
  /** When what is late is given up; never before there is a quorum. */
  deadlineAtMs: number = Number.POSITIVE_INFINITY
  place = -1
  private sentCount = 0

  constructor(options: ReplicaWriteOptions) {
    this.options = options
    this.bell = options.bell
    this.quorum = writeQuorum(options.group.pool.replicas)
    this.held = options.held ?? []
  }

  /** Starts one call for each target whose drive is in service. */
  start(targets: Iterable<Target | undefined>, bodyOf: (target: Target) => UnitSource): void {
    const nowMs = this.nowMs()
    for (const target of targets) {
      if (target === undefined || target.state === 'dead' || target.state === 'out') continue
      this.send(target, bodyOf(target), nowMs)
    }
    if (!this.isHopeful) this.isStale = true
  }

  get hasQuorum(): boolean {
    return this.reaches(0, none)
  }

  /** What keeps it below its quorum may pass: a newer map, or another dial. */
  get mayRecover(): boolean {
    return this.isStale || this.isUnreached
  }

  /** All that were sent the block have stored it. */
  get isUnanimous(): boolean {
    return this.stored.length === this.sentCount
  }

  /** A quorum can still be reached. */
  get isHopeful(): boolean {
    return this.reaches(this.open.size, () => drivesOf(this.open.list()))
  }

  /** A quorum fails for want of room: the caller can do something about that. */
  get isFull(): boolean {
    return this.full.length > 0 && this.reaches(this.full.length, () => this.full)
  }

  /** A quorum can be reached without these. */
  canDoWithout(targets: readonly Target[]): boolean {
    const left = this.open.list().filter(({ target }) => !targets.includes(target))
    return this.reaches(left.length, () => drivesOf(left))
  }

  /** Targets under way. */
  get openTargets(): readonly Target[] {
    return this.open.list().map(({ target }) => target)
  }

  get openCount(): number {
    return this.open.size
  }

  /**
   * Waits as the rule above says; afterwards nothing is under way. Without hope of a quorum it stops at once,
   * unless `isPatient`: one copy may be all there is to make others from.
   */
  async settled(isPatient: () => boolean = () => false): Promise<void> {
    this.bell ??= new Bell()
    const { bell } = this
    const { parts } = this.options
    let graceUntilMs: number | undefined
    while (this.open.size > 0 && (this.isHopeful || isPatient())) {
      if (!this.hasQuorum) {
        await bell.wait(parts.clock)
        continue
      }
      const nowMs = parts.clock.monotonicMs()
      graceUntilMs ??= nowMs + this.graceMs(this.openTargets)
      if (nowMs >= graceUntilMs) this.expire()
      else await bell.wait(parts.clock, graceUntilMs - nowMs)
    }
    this.abandonAll()
    if (this.hasGivenUp) this.calls?.cancel()
  }

  /** As `settled`, of blocks that are at hand: whoever waits is woken once, not for each answer, and needs no timer. */
  whenSettled(late: LateWrites): Promise<void> {
    return new Promise((resolve) => {
      this.late = late
      this.onSettled = resolve
      this.lookWhetherSettled()
    })
  }

  /** The grace of what is late is over. */
  expire(): void {
    for (const target of this.openTargets) this.giveUp(target)
  }

  private lookWhetherSettled(): void {
    const { onSettled, late } = this
    if (onSettled === undefined) return
    if (this.open.size > 0 && this.isHopeful) {
      if (this.deadlineAtMs !== Number.POSITIVE_INFINITY || !this.hasQuorum) return
      this.deadlineAtMs = this.nowMs() + this.graceMs(this.openTargets)
      late?.watch(this)
      return
    }
    this.onSettled = undefined
    late?.forget(this)
    this.abandonAll()
    if (this.hasGivenUp) this.calls?.cancel()
    onSettled()
  }

  /** How long these targets are waited for: the longest of their graces. A suspect drive has none. */
  graceMs(targets: Iterable<Target>): number {
    let longestMs = 0
    for (const { peer, state } of targets) {
      if (state === 'suspect') continue
      longestMs = Math.max(longestMs, this.options.graceMsMin ?? 0)
      const p99Ms = peer.writes.quantile(0.99) ?? 0
      const graceMs = Math.max(REPLICA_GRACE_MS_MIN, REPLICA_GRACE_P99_FACTOR * p99Ms)
      longestMs = Math.max(longestMs, Math.min(REPLICA_GRACE_MS_MAX, graceMs))
    }
    return longestMs
  }

  /** Gives up one target because it fell behind, and remembers how long it took so far. */
  giveUp(target: Target): void {
    const call = this.find(target)
    if (call === undefined) return
    this.close(call)
    this.hasGivenUp = true
    this.options.parts.counters.laggedReplicas++
    target.peer.writes.add(this.nowMs() - call.startedMs)
  }

  /** Cancels whatever is under way. */
  abandonAll(): void {
    if (this.open.size === 0) return
    for (const call of this.open) this.close(call)
    this.calls?.cancel()
  }

  /** So many further drives make a quorum with those that have stored it and those that held it before. */
  private reaches(count: number, drives: () => readonly DriveId[]): boolean {
    const { group } = this.options
    if (group.change === undefined) return this.held.length + this.stored.length + count >= this.quorum
    return countCopies(group, [...this.held, ...this.stored, ...drives()]) >= this.quorum
  }

  private send(target: Target, body: UnitSource, nowMs: number): void {
    const { block, owner, group } = this.options
    const call = new OpenWrite(this, target, nowMs, isOneUnit(body) ? body : [])
    this.open.add(call)
    this.sentCount++
    target.peer.inFlight++
    const { id: pool, epoch } = group.pool
    const request = { drive: target.drive, block, pool, epoch, owner }
    if (call.units.length > 0 && target.peer.rpc.handOver?.(putBlock, request, call) === true) return
    this.calls ??= new CallGroup()
    const options = { deadlineMs: BLOCK_DEADLINE_MS, group: this.calls, body }
    target.peer.rpc.call(putBlock, request, options).then(
      (reply) => this.onStored(call, reply.response),
      (error: unknown) => this.onFailed(call, error),
    )
  }

  /** The outcome of one call. */
  onStored(call: OpenWrite, response: PutBlockResponse): void {
    if (!call.isOpen) return
    if (this.isRight(response)) {
      const { target } = call
      target.peer.writes.add(this.nowMs() - call.startedMs)
      this.stored.push(target.drive)
      if (response.receipt !== undefined) this.keepReceipt(response.receipt)
      this.close(call)
    } else this.onFailed(call, new CairnError('BlockCorrupt', 'the replica stored something else'))
  }

  private keepReceipt(receipt: Uint8Array): void {
    this.receipts ??= []
    this.receipts.push(Uint8Array.from(receipt))
  }

  private isRight({ sizeBytes, hash }: PutBlockResponse): boolean {
    return this.facts?.sizeBytes === sizeBytes && sameBytes(this.facts.hash, hash)
  }

  /** The outcome of one call, too. */
  onFailed(call: OpenWrite, error: unknown): void {
    if (!call.isOpen) return
    this.lastError = error
    if (hasCode(error, 'StaleClusterMap', 'NoSuchDrive')) this.isStale = true
    if (hasCode(error, 'ConnectionLost') && error.details.connected === 'false') this.isUnreached = true
    if (hasCode(error, 'DriveFull')) this.full.push(call.target.drive)
    this.close(call)
  }

  private find(target: Target): OpenWrite | undefined {
    return this.open.list().find((call) => call.target === target)
  }

  private close(call: OpenWrite): void {
    if (!call.isOpen) return
    this.open.delete(call)
    call.target.peer.inFlight--
    this.bell?.ring()
    this.lookWhetherSettled()
  }

  private nowMs(): number {
    return this.options.parts.clock.monotonicMs()
  }
}

function isOneUnit(body: UnitSource): body is readonly Unit[] {
  return Array.isArray(body) && body.length === 1
}

function none(): readonly DriveId[] {
  return []
}

function drivesOf(calls: readonly OpenWrite[]): DriveId[] {
  return calls.map(({ target }) => target.drive)
}

/** The block on its way to one target. */
class OpenWrite implements Handover<PutBlockResponse>, Rostered {
  place = -1
  readonly target: Target
  readonly startedMs: number
  /** What a drive of this process is handed; empty where the body flows. */
  readonly units: readonly Unit[]
  readonly deadlineMs: number = BLOCK_DEADLINE_MS
  private readonly write: ReplicaWrite

  constructor(write: ReplicaWrite, target: Target, startedMs: number, units: readonly Unit[]) {
    this.write = write
    this.target = target
    this.startedMs = startedMs
    this.units = units
  }

  /** Neither its outcome is known nor was it given up. */
  get isOpen(): boolean {
    return this.place >= 0
  }

  settle(outcome: PutBlockResponse | CairnError): void {
    if (outcome instanceof CairnError) this.write.onFailed(this, outcome)
    else this.write.onStored(this, outcome)
  }
}
