/**
 * Reads one block, or a part of it, from whichever replica is good.
 *
 * Promise: every byte handed out was checked against its unit's check word, and a whole block against the hash in
 * the map, before its last unit is handed out. A replica that fails, is corrupt, lacks the block or is slow is
 * replaced by another one from the unit where it stopped. `BlockUnavailable` only after every replica has failed,
 * with a fresh cluster map too. Not-found from one replica proves nothing.
 */
import {
  type BlockHasher,
  CairnError,
  createBlockHasher,
  type DriveId,
  groupOf,
  hasCode,
  hashBlock,
  isMarkedVerified,
  sameBytes,
  UNIT_BYTES,
  type Unit,
  unitCheck,
} from '@cairn/protocol'
import type { Target } from '../cluster/cluster-view.js'
import {
  AFFINE_BLOCK_BYTES_MIN,
  HEDGE_SHARE_MAX,
  HEDGE_TOKENS_MAX,
  READ_ROUNDS_MAX,
  READ_STALL_MS,
} from '../limits.js'
import type { ReadParts } from '../parts.js'
import { Bell, throwIfCancelled } from '../waiting.js'
import { chooseReplica, hedgeDelayMs } from './replica-choice.js'
import { type BlockRead, ReplicaRead } from './replica-read.js'

export interface BlockReaderOptions {
  readonly signal?: AbortSignal
  /** Only these drives hold the block so far (a block that no commit names yet). */
  readonly drives?: readonly DriveId[]
}

export class BlockReader {
  private readonly parts: ReadParts
  private readonly read: BlockRead
  private readonly options: BlockReaderOptions
  private readonly bell = new Bell()
  private readonly lastUnit: number
  private readonly isWhole: boolean
  private attempts: ReplicaRead[] = []
  private position: number
  /** Check words that the units must have, if the block's content is known to have its hash. */
  private readonly known: Uint32Array | undefined
  /** For whole blocks of several units; one unit is hashed in one go. */
  private hasher: BlockHasher | undefined
  private onlyUnit: Uint8Array = new Uint8Array()
  /** Check words of the units handed out, while a whole block is read: see `startOver`. */
  private readonly handedOut: number[] = []
  private tainted = false
  private damaged = new Set<DriveId>()
  private failed = new Set<DriveId>()
  private round = 1
  private lastError: unknown

  constructor(parts: ReadParts, read: BlockRead, options: BlockReaderOptions = {}) {
    this.parts = parts
    this.read = read
    this.options = options
    this.position = Math.floor(read.from / UNIT_BYTES)
    this.lastUnit = Math.ceil(read.to / UNIT_BYTES) - 1
    this.isWhole = read.from === 0 && read.to === read.blockBytes
    if (this.lastUnit > 0) this.known = parts.known.find(read.block, read.hash)
    if (this.isWhole && this.lastUnit > 0 && this.known === undefined) this.hasher = createBlockHasher()
  }

  /** Opens the first replica ahead of need. At most its stream's credit is held until `next` is called. */
  start(): void {
    if (this.attempts.length > 0 || this.position > this.lastUnit) return
    const target = this.choose()
    if (target !== undefined) this.ask(target)
  }

  /** The next verified unit, whole; `undefined` after the last one. */
  async nextUnit(): Promise<Unit | undefined> {
    while (this.position <= this.lastUnit) {
      const unit = await this.nextChecked()
      const isNew = this.handedOut.length === this.position
      const isDone = this.position === this.lastUnit
      if (isDone && !this.endsWell(unit.check)) continue
      this.position++
      if (isDone) this.finish()
      if (!this.isWhole) return unit
      if (!isNew) continue
      this.handedOut.push(unit.check)
      return unit
    }
    return undefined
  }

  /** The next verified bytes, trimmed to the range; `undefined` after the last ones. */
  async next(): Promise<Uint8Array | undefined> {
    const unit = await this.nextUnit()
    if (unit === undefined) return undefined
    const start = (this.position - 1) * UNIT_BYTES
    const from = Math.max(0, this.read.from - start)
    const to = Math.min(unit.bytes.length, this.read.to - start)
    return from === 0 && to === unit.bytes.length ? unit.bytes : unit.bytes.subarray(from, to)
  }

  /** Gives up the rest. */
  leave(): void {
    for (const attempt of this.attempts) attempt.leave()
    this.attempts = []
  }

  private async nextChecked(): Promise<Unit> {
    for (;;) {
      throwIfCancelled(this.options.signal)
      const ready = await this.nextReady()
      if (ready.failed) {
        this.drop(ready, ready.error)
        continue
      }
      const unit = ready.unit
      if (unit === undefined || !this.isRight(unit)) {
        this.drop(ready, new CairnError('BlockCorrupt', `unit ${this.position} does not match its check`))
        continue
      }
      this.win(ready)
      this.recordUnit(unit)
      return unit
    }
  }

  private isRight(unit: Unit): boolean {
    const { block, blockBytes } = this.read
    const expected = Math.min(UNIT_BYTES, blockBytes - this.position * UNIT_BYTES)
    if (unit.bytes.length !== expected) return false
    const known = this.known?.[this.position]
    if (known !== undefined && unit.check !== known) return false
    if (isMarkedVerified(unit, block, this.position)) return true
    return unit.check === unitCheck(block, this.position, unit.bytes)
  }

  private recordUnit(unit: Unit): void {
    if (!this.isWhole || this.known !== undefined) return
    if (this.hasher === undefined) this.onlyUnit = unit.bytes
    else this.hasher.update(unit.bytes)
    const before = this.handedOut[this.position]
    if (before !== undefined && before !== unit.check) this.tainted = true
  }

  /** The one that delivered goes on; a hedge beside it is left. What failed in passing may be asked again. */
  private win(winner: ReplicaRead): void {
    for (const attempt of this.attempts) if (attempt !== winner) attempt.overtake()
    this.attempts = [winner]
    winner.take()
    if (this.position < this.lastUnit) winner.pull()
    this.failed.clear()
    this.round = 1
  }

  /** Compares a whole block with the map's hash. False: this replica lied, and another one is read from the start. */
  private endsWell(lastCheck: number): boolean {
    if (!this.isWhole || this.known !== undefined) return true
    if (!sameBytes(this.hasher?.digest() ?? hashBlock(this.onlyUnit), this.read.hash)) {
      const [attempt] = this.attempts
      const error = new CairnError('BlockCorrupt', 'the units do not make up the block that the map names')
      if (attempt !== undefined) this.drop(attempt, error)
      this.startOver()
      return false
    }
    if (this.tainted) {
      this.leave()
      throw new CairnError('BlockUnavailable', 'wrong bytes with right checks were handed out before')
    }
    this.parts.known.remember(this.read.block, this.read.hash, [...this.handedOut, lastCheck])
    return true
  }

  /** Units already handed out are compared by their checks, and not handed out again. */
  private startOver(): void {
    this.position = 0
    if (this.lastUnit > 0) this.hasher = createBlockHasher()
  }

  private finish(): void {
    for (const attempt of this.attempts) attempt.end()
    this.attempts = []
  }

  /** Waits until a replica has delivered or failed, and asks others meanwhile as the rules say. */
  private async nextReady(): Promise<ReplicaRead> {
    let waitedMs = 0
    for (;;) {
      const ready = this.attempts.find((attempt) => attempt.isReady)
      if (ready !== undefined) return ready
      const [first] = this.attempts
      if (first === undefined) {
        await this.askNext()
        continue
      }
      const delayMs = waitedMs === 0 ? hedgeDelayMs(first.target) : READ_STALL_MS
      if (await this.bell.wait(this.parts.clock, delayMs)) continue
      waitedMs += delayMs
      throwIfCancelled(this.options.signal)
      this.askAsWell(waitedMs >= READ_STALL_MS)
    }
  }

  private async askNext(): Promise<void> {
    const target = this.choose()
    if (target !== undefined) return this.ask(target)
    if (this.round >= READ_ROUNDS_MAX) throw this.unavailable()
    this.round++
    this.failed.clear()
    await this.parts.view.refresh().catch((error: unknown) => {
      this.lastError = error
    })
    if (this.choose() === undefined) throw this.unavailable()
  }

  private unavailable(): CairnError {
    const message = `no replica of block ${Buffer.from(this.read.block).toString('hex')} could be read`
    return new CairnError('BlockUnavailable', message, { cause: this.lastError })
  }

  /** Hedges a slow read within the budget, or without it once the read stands still. */
  private askAsWell(standsStill: boolean): void {
    const { hedges, counters } = this.parts
    if (!standsStill && (this.attempts.length > 1 || hedges.tokens < 1)) return
    const target = this.choose()
    if (target === undefined) return
    hedges.tokens = Math.max(0, hedges.tokens - 1)
    counters.hedgedReads++
    this.ask(target)
  }

  private ask(target: Target): void {
    const { hedges, clock, view } = this.parts
    hedges.tokens = Math.min(HEDGE_TOKENS_MAX, hedges.tokens + HEDGE_SHARE_MAX)
    const attempt = new ReplicaRead(target, this.bell, () => clock.monotonicMs())
    this.attempts.push(attempt)
    attempt.open(this.read, this.position, { tokens: view.tokens, signal: this.options.signal })
  }

  /** Members first; drives that join the group only when no member is left. */
  private choose(): Target | undefined {
    const { view } = this.parts
    const { drives } = this.options
    if (drives !== undefined) return this.best(drives.map((drive) => view.find(drive)))
    const group = view.findGroup(this.read.pool, groupOf(this.read.block))
    if (group === undefined) return undefined
    const member = this.best(group.targets)
    return member === undefined && group.change !== undefined ? this.best(group.recipients) : member
  }

  private best(targets: readonly (Target | undefined)[]): Target | undefined {
    const affine = this.read.blockBytes >= AFFINE_BLOCK_BYTES_MIN
    const open = targets.filter((target): target is Target => this.mayAsk(target))
    return chooseReplica(open, { affine, clock: this.parts.clock })
  }

  private mayAsk(target: Target | undefined): boolean {
    if (target === undefined || this.damaged.has(target.drive) || this.failed.has(target.drive)) return false
    return !this.attempts.some((attempt) => attempt.target.drive === target.drive)
  }

  /** Takes a replica out, reports what is wrong with it, and leaves the rest to the others. */
  private drop(attempt: ReplicaRead, error: unknown): void {
    attempt.leave()
    this.attempts = this.attempts.filter((other) => other !== attempt)
    throwIfCancelled(this.options.signal)
    const drive = attempt.target.drive
    const { counters } = this.parts
    this.lastError = error
    counters.failovers++
    if (hasCode(error, 'BlockCorrupt')) {
      this.damaged.add(drive)
      counters.corruptReplicas++
      this.report('corrupt', drive, error)
    } else {
      this.failed.add(drive)
      if (!hasCode(error, 'NoSuchBlock')) return
      counters.missingReplicas++
      this.report('missing', drive, error)
    }
  }

  private report(kind: 'corrupt' | 'missing', drive: DriveId, error: CairnError): void {
    const { pool, block } = this.read
    this.parts.onDamage({ kind, pool, drive, block, message: error.message })
  }
}
