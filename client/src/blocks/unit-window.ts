/**
 * The units of one block on their way to several replicas, each at its own pace. Units are let go once every
 * replica has taken them, but none before all have taken RESTARTABLE_UNITS: until then the block can be sent
 * again from its start.
 */
import { CairnError, type Unit } from '@cairn/protocol'
import { RESTARTABLE_UNITS, TELL_UNITS } from '../limits.js'

/** One replica's place in the window; the body of its PutBlock call. */
export class UnitCursor implements AsyncIterableIterator<Unit> {
  position = 0
  private readonly window: UnitWindow
  private waiting: { resolve(result: IteratorResult<Unit>): void; reject(error: unknown): void } | undefined
  private dropped = false

  constructor(window: UnitWindow) {
    this.window = window
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** See `UnitStream`. */
  poll(): IteratorResult<Unit> | undefined {
    if (this.dropped) return undefined
    const unit = this.window.unitAt(this.position)
    if (unit !== undefined) {
      this.position++
      this.window.moved()
      return { done: false, value: unit }
    }
    const isOver = this.window.hasEnded && this.window.failure === undefined
    return isOver ? { done: true, value: undefined } : undefined
  }

  next(): Promise<IteratorResult<Unit>> {
    const result = this.find()
    if (result !== undefined) return result
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject }
    })
  }

  return(): Promise<IteratorResult<Unit>> {
    this.drop()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** Takes the replica out: it no longer holds units, and its body fails. */
  drop(): void {
    if (this.dropped) return
    this.dropped = true
    this.window.remove(this)
    this.advance()
  }

  /** Called by the window when there is something new. */
  advance(): void {
    const waiting = this.waiting
    if (waiting === undefined) return
    const result = this.find()
    if (result === undefined) return
    this.waiting = undefined
    result.then(waiting.resolve, waiting.reject)
  }

  private find(): Promise<IteratorResult<Unit>> | undefined {
    if (this.dropped) return Promise.reject(new CairnError('Cancelled', 'the replica was given up'))
    const result = this.poll()
    if (result !== undefined) return Promise.resolve(result)
    return this.window.hasEnded ? Promise.reject(this.window.failure) : undefined
  }
}

export class UnitWindow {
  hasEnded = false
  failure: CairnError | undefined
  private readonly units: Unit[] = []
  /** Number of the first unit still held. */
  private base = 0
  private readonly cursors = new Set<UnitCursor>()
  private readonly onMoved: () => void
  private readonly defer: (task: () => void) => void
  private readonly unitsMax: number
  private tellDue = false
  private untoldUnits = 0

  /**
   * `onMoved` is called whenever a replica has taken a unit or has left. Replicas hear of new units by `defer`, and of
   * several at once: waking each of them for each unit costs more than a unit's way does. Full with `unitsMax` units.
   */
  constructor(unitsMax: number, onMoved: () => void, defer: (task: () => void) => void) {
    this.unitsMax = unitsMax
    this.onMoved = onMoved
    this.defer = defer
  }

  get heldUnits(): number {
    return this.units.length
  }

  get isFull(): boolean {
    return this.units.length >= this.unitsMax
  }

  /** All units are still here: the block can be sent again. */
  get isRestartable(): boolean {
    return this.base === 0
  }

  /** Position of the slowest replica. */
  get slowest(): number {
    let slowest = this.base + this.units.length
    for (const cursor of this.cursors) slowest = Math.min(slowest, cursor.position)
    return slowest
  }

  unitAt(position: number): Unit | undefined {
    return this.units[position - this.base]
  }

  open(): UnitCursor {
    const cursor = new UnitCursor(this)
    this.cursors.add(cursor)
    return cursor
  }

  remove(cursor: UnitCursor): void {
    this.cursors.delete(cursor)
    this.moved()
  }

  push(unit: Unit): void {
    this.units.push(unit)
    this.untoldUnits++
    if (this.tellDue || (this.untoldUnits < TELL_UNITS && !this.isFull)) return
    this.tellDue = true
    this.defer(this.tell)
  }

  /** No more units. With a failure, no body ends cleanly. */
  end(failure?: CairnError): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.failure = failure
    this.tell()
  }

  moved(): void {
    this.release()
    this.onMoved()
  }

  private readonly tell = (): void => {
    this.tellDue = false
    this.untoldUnits = 0
    for (const cursor of this.cursors) cursor.advance()
  }

  /** Without any replica nothing is let go: the block may be sent again. */
  private release(): void {
    if (this.cursors.size === 0) return
    const slowest = this.slowest
    if (slowest < RESTARTABLE_UNITS) return
    this.units.splice(0, slowest - this.base)
    this.base = slowest
  }
}
