import { CairnError, type Unit, type UnitStream } from '@cairn/protocol'
import { cancelled } from './unit-intake.js'

/** Units from `first` to before `last`. */
export interface UnitRange {
  readonly first: number
  readonly last: number
}

const DONE: IteratorResult<Unit> = { value: undefined, done: true }

/** Units read in pieces, one of which is under way while the one before is taken; in it they are at hand. */
export class PieceStream implements UnitStream, AsyncIterator<Unit> {
  private readonly read: (range: UnitRange) => Promise<Unit[]>
  private readonly last: number
  private readonly pieceUnits: number
  private readonly signal: AbortSignal | undefined
  private units: readonly Unit[] = []
  private at = 0
  /** The first unit of which no read has begun. */
  private unread: number
  private ahead: Promise<Unit[]> | undefined

  constructor(
    read: (range: UnitRange) => Promise<Unit[]>,
    range: UnitRange,
    options: { readonly pieceUnits: number; readonly signal: AbortSignal | undefined },
  ) {
    this.read = read
    this.last = range.last
    this.unread = range.first
    this.pieceUnits = Math.max(1, options.pieceUnits)
    this.signal = options.signal
    this.readAhead()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** See `UnitStream`. */
  poll(): IteratorResult<Unit> | undefined {
    if (this.signal?.aborted === true) throw cancelled(this.signal)
    const value = this.units[this.at]
    if (value !== undefined) {
      this.at++
      return { value, done: false }
    }
    return this.ahead === undefined ? DONE : undefined
  }

  async next(): Promise<IteratorResult<Unit>> {
    for (;;) {
      const ready = this.poll()
      if (ready !== undefined) return ready
      const units = await this.ahead
      // Left meanwhile.
      if (units === undefined || this.ahead === undefined) continue
      if (units.length === 0) throw new CairnError('Internal', 'a piece without units')
      this.units = units
      this.at = 0
      this.readAhead()
    }
  }

  return(): Promise<IteratorResult<Unit>> {
    this.units = []
    this.ahead = undefined
    return Promise.resolve(DONE)
  }

  private readAhead(): void {
    if (this.unread >= this.last) {
      this.ahead = undefined
      return
    }
    const first = this.unread
    this.unread = Math.min(this.last, first + this.pieceUnits)
    this.ahead = this.read({ first, last: this.unread })
    this.ahead.catch(() => undefined)
  }
}
