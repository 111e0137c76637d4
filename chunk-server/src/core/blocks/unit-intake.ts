/** A block's body on its way in: borders, sizes and checks of units are verified before anything is stored. */
import {
  BLOCK_BYTES_MAX,
  type BlockId,
  CairnError,
  isMarkedVerified,
  sameBytes,
  UNIT_BYTES,
  type Unit,
  type UnitSource,
  type UnitStream,
  unitCheck,
} from '@cairn/protocol'

/** Follows the units that an intake takes. */
export interface UnitFollower {
  /** The next unit, verified. */
  take(unit: Unit): void
}

/**
 * The unit that was verified last in this process, and where. A writer hands the same unit to each of its replicas:
 * what the first drive has verified in this memory, the others need not verify again.
 */
let verifiedLast: { readonly unit: Unit; readonly block: BlockId; readonly index: number } | undefined

/** `BlockCorrupt` unless the unit matches its check word. */
export function verifyUnit(block: BlockId, index: number, unit: Unit): void {
  if (isMarkedVerified(unit, block, index) || isVerifiedLast(block, index, unit)) return
  if (unitCheck(block, index, unit.bytes) !== unit.check) {
    throw new CairnError('BlockCorrupt', `unit ${index} does not match its check`)
  }
  verifiedLast = { unit, block, index }
}

function isVerifiedLast(block: BlockId, index: number, unit: Unit): boolean {
  const last = verifiedLast
  return last?.unit === unit && last.index === index && sameBytes(last.block, block)
}

type Pollable = Required<Pick<UnitStream, 'poll'>>
type Pull = IteratorResult<Unit> | Promise<IteratorResult<Unit>>

export class UnitIntake {
  /** Bytes and units taken so far. */
  sizeBytes = 0
  unitCount = 0
  /** True once the body has ended. */
  ended = false
  /** Once set, hears of each unit. */
  follower: UnitFollower | undefined
  private readonly block: BlockId
  private readonly control: { readonly signal: AbortSignal }
  private readonly atHand: Pollable | undefined
  private readonly iterator: { next(): Pull; return?(): unknown }
  private aborted: Promise<never> | undefined
  private forgetSignal: (() => void) | undefined

  /** The signal is asked for only when there is something to wait for: making one costs more than a small body. */
  constructor(block: BlockId, source: UnitSource, control: { readonly signal: AbortSignal }) {
    this.block = block
    this.control = control
    this.iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
    this.atHand = isPollable(source) ? source : undefined
  }

  /**
   * The next units, `bytesMax` together at most (at least one unit), none at the end. `BlockCorrupt` for a wrong
   * check, `InvalidArgument` for a wrong size, `Cancelled` after an abort.
   */
  take(bytesMax: number): Unit[] | Promise<Unit[]> {
    const units: Unit[] = []
    return this.gather(units, bytesMax) ? units : this.waitFor(units, bytesMax)
  }

  /** Ends the intake; a sender that has more to send is told that nobody reads on. */
  leave(): void {
    this.forgetSignal?.()
    if (this.ended) return
    this.ended = true
    try {
      const left = this.iterator.return?.()
      if (left instanceof Promise) left.catch(() => undefined)
    } catch {
      // The sender's own failure to stop is no concern of the block.
    }
  }

  /** Takes what is at hand; true once that is all that was asked for. */
  private gather(units: Unit[], bytesMax: number): boolean {
    while (!this.isFilled(units, bytesMax)) {
      const result = this.atHand?.poll()
      if (result === undefined) return false
      this.accept(result, units)
    }
    return true
  }

  private async waitFor(units: Unit[], bytesMax: number): Promise<Unit[]> {
    const { signal } = this.control
    do {
      if (signal.aborted) throw cancelled(signal)
      const pull = this.iterator.next()
      const result = pull instanceof Promise ? await Promise.race([pull, this.abort(signal)]) : pull
      if (signal.aborted) throw cancelled(signal)
      this.accept(result, units)
    } while (!this.gather(units, bytesMax))
    return units
  }

  private isFilled(units: readonly Unit[], bytesMax: number): boolean {
    if (this.ended) return true
    let bytes = 0
    for (const unit of units) bytes += unit.bytes.length
    return bytes + UNIT_BYTES > Math.max(bytesMax, UNIT_BYTES)
  }

  private accept(result: IteratorResult<Unit>, units: Unit[]): void {
    if (result.done === true) {
      this.ended = true
      return
    }
    this.verify(result.value)
    units.push(result.value)
  }

  private verify(unit: Unit): void {
    const { bytes } = unit
    const misplaced = this.sizeBytes !== this.unitCount * UNIT_BYTES
    if (misplaced || bytes.length === 0 || bytes.length > UNIT_BYTES) {
      throw new CairnError('InvalidArgument', `unit ${this.unitCount} has the wrong size`)
    }
    if (this.sizeBytes + bytes.length > BLOCK_BYTES_MAX) {
      throw new CairnError('InvalidArgument', `a block has at most ${BLOCK_BYTES_MAX} bytes`)
    }
    verifyUnit(this.block, this.unitCount, unit)
    this.follower?.take(unit)
    this.sizeBytes += bytes.length
    this.unitCount++
  }

  private abort(signal: AbortSignal): Promise<never> {
    if (this.aborted === undefined) {
      this.aborted = new Promise((_, reject) => {
        const giveUp = (): void => reject(cancelled(signal))
        signal.addEventListener('abort', giveUp, { once: true })
        this.forgetSignal = () => signal.removeEventListener('abort', giveUp)
      })
      this.aborted.catch(() => undefined)
    }
    return this.aborted
  }
}

function isPollable(source: UnitSource): source is UnitSource & Pollable {
  return 'poll' in source
}

/** What an abort turns into. */
export function cancelled(signal: AbortSignal): CairnError {
  return new CairnError('Cancelled', 'the caller gave up', { cause: signal.reason })
}
