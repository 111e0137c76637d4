/**
 * One block that is written while its bytes still come. Units go to every replica at its own pace through a
 * bounded window. A replica that holds the window back is given up after its grace, as long as the others make a
 * quorum. If the placement turns out stale, or a server not to be reached, while the block can still be sent from its
 * start, it is sent again.
 */
import {
  type BlockId,
  CairnError,
  ContentSource,
  groupOf,
  markVerified,
  type Unit,
  unitCheck,
} from '@cairn/protocol'
import type { CutUnit } from '../bodies/cut.js'
import type { GroupView, Target } from '../cluster/cluster-view.js'
import { SHORT_WINDOW_UNITS, WINDOW_UNITS } from '../limits.js'
import type { ClientParts } from '../parts.js'
import { Bell } from '../waiting.js'
import type { Frame } from './frames.js'
import { newBlock } from './new-block.js'
import { ReplicaWrite } from './replica-write.js'
import {
  describe,
  fitToPool,
  mayFareBetter,
  type StoredBlock,
  tooFew,
  untilNextAttempt,
  type WholeBlock,
  type WriteScope,
} from './stored-block.js'
import { type UnitCursor, UnitWindow } from './unit-window.js'

export class BlockStream {
  sizeBytes = 0
  private readonly parts: ClientParts
  private readonly scope: WriteScope
  private readonly block: BlockId
  private readonly content: ContentSource
  private readonly units: Unit[] = []
  private readonly bell = new Bell()
  private readonly window: UnitWindow
  private cursors = new Map<Target, UnitCursor>()
  private readonly frames = new Set<Frame>()
  private attempts = 1
  private hasLetGo = false
  private group: GroupView
  private write: ReplicaWrite

  constructor(parts: ClientParts, scope: WriteScope) {
    this.parts = parts
    this.scope = scope
    this.block = newBlock(parts.view, scope)
    this.content = new ContentSource(this.block, { isKept: parts.recent !== undefined })
    this.window = new UnitWindow(
      parts.frames.isShort ? SHORT_WINDOW_UNITS : WINDOW_UNITS,
      () => this.bell.ring(),
      (task) => parts.clock.defer(task),
    )
    this.group = parts.view.group(scope.pool, groupOf(this.block))
    this.write = this.send()
  }

  /** Hashes the next unit and hands it to the replicas. All but the last one have UNIT_BYTES. */
  append({ bytes, frame }: CutUnit): void {
    this.holdFrame(frame)
    const { block } = this
    const index = this.units.length
    // Drives of this process need not verify what this process has just computed from the same memory.
    const unit = markVerified({ bytes, check: unitCheck(block, index, bytes) }, block, index)
    this.content.add(unit)
    this.units.push(unit)
    this.window.push(unit)
    this.sizeBytes += bytes.length
  }

  /** Nothing to wait for before the next unit. */
  get hasRoom(): boolean {
    return !this.window.isFull
  }

  /** Back-pressure: resolves once the window has room. `InsufficientReplicas` when too few replicas are left. */
  async room(): Promise<void> {
    while (this.window.isFull) {
      if (!this.canGoOn()) await this.sendAgain()
      this.dropFailed()
      if (this.window.isFull) await this.waitForRoom()
    }
  }

  /** Ends the block; resolves once it is durable at quorum. */
  async finish(): Promise<StoredBlock> {
    try {
      return await this.store()
    } finally {
      this.letGo()
    }
  }

  private async store(): Promise<StoredBlock> {
    const { block, sizeBytes } = this
    const facts = { block, owner: this.scope.owner, sizeBytes, hash: this.content.hash() }
    for (;;) {
      this.write.facts = facts
      this.window.end()
      await this.write.settled(() => this.mayCopy)
      this.dropFailed()
      const isStored = this.write.hasQuorum || (this.write.stored.length > 0 && this.write.mayRecover)
      if (isStored) return this.conclude(facts)
      await this.sendAgain()
    }
  }

  /** Gives the block up: no replica sees a clean end. */
  abort(): void {
    this.window.end(new CairnError('Cancelled', 'the write was given up'))
    this.write.abandonAll()
    this.letGo()
    this.bell.ring()
  }

  private holdFrame(frame: Frame): void {
    if (this.frames.has(frame)) return
    this.frames.add(frame)
    frame.hold()
  }

  /** A replica that has stored the block reads its bytes no more; of any other nobody knows. */
  private letGo(): void {
    const isDone = this.attempts === 1 && this.write.isUnanimous
    if (!isDone) for (const frame of this.frames) frame.abandon()
    else if (!this.keepFrames()) for (const frame of this.frames) frame.release()
    this.frames.clear()
    if (this.hasLetGo) return
    this.hasLetGo = true
    this.content.leave()
  }

  /** Leaves the block to those who read it soon; false if that cannot be. */
  private keepFrames(): boolean {
    const { block, units } = this
    const { recent } = this.parts
    const frames = [...this.frames]
    const hash = this.write.facts?.hash
    if (recent === undefined || hash === undefined) return false
    if (frames.length === 0 || !frames.every(({ isPooled }) => isPooled)) return false
    recent.keep({ block, hash, units, frames })
    return true
  }

  /** Whoever holds the window back is given up after its grace, if the others make a quorum. */
  private async waitForRoom(): Promise<void> {
    const { slowest } = this.window
    const laggards = this.laggards(slowest)
    const limitMs = this.write.canDoWithout(laggards) ? this.write.graceMs(laggards) : undefined
    const heard = await this.bell.wait(this.parts.clock, limitMs)
    if (!heard && this.window.slowest === slowest) for (const target of laggards) this.giveUp(target)
  }

  private async conclude(facts: WholeBlock): Promise<StoredBlock> {
    this.parts.known.remember(
      facts.block,
      facts.hash,
      this.units.map(({ check }) => check),
    )
    const { parts, scope, write } = this
    const stored = describe(facts, this.group, write)
    if (write.hasQuorum && !write.isStale) return stored
    await untilNextAttempt(parts, scope, write)
    return fitToPool(parts, scope, stored, { isShort: !write.hasQuorum })
  }

  private send(): ReplicaWrite {
    const { parts, block, bell, group } = this
    const write = new ReplicaWrite({ parts, group, block, owner: this.scope.owner, bell })
    write.start(group.recipients, (target) => {
      const cursor = this.window.open()
      this.cursors.set(target, cursor)
      return cursor
    })
    return write
  }

  /** True while a quorum may be reached, or while copies can be made from what one replica takes. */
  private canGoOn(): boolean {
    return this.write.isHopeful || (this.mayCopy && this.write.openCount > 0)
  }

  /** The block cannot be sent again, but others can be given what one replica takes. */
  private get mayCopy(): boolean {
    return !this.window.isRestartable && this.write.mayRecover
  }

  /** Starts over, if that may help and the first unit is still here. */
  private async sendAgain(): Promise<void> {
    const { write } = this
    if (!this.window.isRestartable || !mayFareBetter(write, this.attempts)) {
      this.abort()
      throw tooFew(this.block, write)
    }
    this.attempts++
    await untilNextAttempt(this.parts, this.scope, write)
    write.abandonAll()
    for (const cursor of this.cursors.values()) cursor.drop()
    this.cursors = new Map()
    this.group = this.parts.view.group(this.scope.pool, groupOf(this.block))
    this.write = this.send()
  }

  private laggards(slowest: number): Target[] {
    return this.write.openTargets.filter((target) => this.cursors.get(target)?.position === slowest)
  }

  private giveUp(target: Target): void {
    this.write.giveUp(target)
    this.cursors.get(target)?.drop()
  }

  /** Replicas that have failed or ended hold no units back. */
  private dropFailed(): void {
    const open = new Set(this.write.openTargets)
    for (const [target, cursor] of this.cursors) {
      if (open.has(target)) continue
      this.cursors.delete(target)
      cursor.drop()
    }
  }
}
