/** A block's body on its way in: borders, sizes and checks of units are verified before anything is stored. */
import {
  BLOCK_BYTES_MAX,
  type BlockId,
  CairnError,
  UNIT_BYTES,
  type Unit,
  type UnitSource,
  unitCheck,
} from '@cairn/protocol'

type Pull = IteratorResult<Unit> | Promise<IteratorResult<Unit>>

export class UnitIntake {
  /** Bytes and units taken so far. */
  sizeBytes = 0
  unitCount = 0
  /** True once the body has ended. */
  ended = false
  private readonly block: BlockId
  private readonly signal: AbortSignal
  private readonly iterator: { next(): Pull; return?(): unknown }
  private aborted: Promise<never> | undefined
  private forgetSignal: (() => void) | undefined

  constructor(block: BlockId, source: UnitSource, signal: AbortSignal) {
    this.block = block
    this.signal = signal
    this.iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  }

  /**
   * The next units, `bytesMax` together at most (at least one unit), none at the end. `BlockCorrupt` for a wrong
   * check, `InvalidArgument` for a wrong size, `Cancelled` after an abort.
   */
  async take(bytesMax: number): Promise<Unit[]> {
    const units: Unit[] = []
    let bytes = 0
    while (!this.ended && bytes + UNIT_BYTES <= Math.max(bytesMax, UNIT_BYTES)) {
      const unit = await this.next()
      if (unit === undefined) break
      units.push(unit)
      bytes += unit.bytes.length
    }
    return units
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

  private async next(): Promise<Unit | undefined> {
    if (this.signal.aborted) throw cancelled(this.signal)
    const pull = this.iterator.next()
    const result = pull instanceof Promise ? await Promise.race([pull, this.abort()]) : pull
    if (this.signal.aborted) throw cancelled(this.signal)
    if (result.done === true) {
      this.ended = true
      return undefined
    }
    this.verify(result.value)
    return result.value
  }

  private verify({ bytes, check }: Unit): void {
    const misplaced = this.sizeBytes !== this.unitCount * UNIT_BYTES
    if (misplaced || bytes.length === 0 || bytes.length > UNIT_BYTES) {
      throw new CairnError('InvalidArgument', `unit ${this.unitCount} has the wrong size`)
    }
    if (this.sizeBytes + bytes.length > BLOCK_BYTES_MAX) {
      throw new CairnError('InvalidArgument', `a block has at most ${BLOCK_BYTES_MAX} bytes`)
    }
    if (unitCheck(this.block, this.unitCount, bytes) !== check) {
      throw new CairnError('BlockCorrupt', `unit ${this.unitCount} does not match its check`)
    }
    this.sizeBytes += bytes.length
    this.unitCount++
  }

  private abort(): Promise<never> {
    if (this.aborted === undefined) {
      this.aborted = new Promise((_, reject) => {
        const giveUp = (): void => reject(cancelled(this.signal))
        this.signal.addEventListener('abort', giveUp, { once: true })
        this.forgetSignal = () => this.signal.removeEventListener('abort', giveUp)
      })
      this.aborted.catch(() => undefined)
    }
    return this.aborted
  }
}

/** What an abort turns into. */
export function cancelled(signal: AbortSignal): CairnError {
  return new CairnError('Cancelled', 'the caller gave up', { cause: signal.reason })
}
