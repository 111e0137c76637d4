/** Writers of one key wait for each other in the service, so that they do not fight in the store. */
import { CairnError, mapKey } from '@cairn/protocol'

/** Writers that may wait for one key: at a commit each, more would only time out. `Busy` above it. */
export const KEY_WAITERS_MAX = 1024

/** The name by which a row is held. */
export type HeldRow = string

/** One queue for each row key in use. It saves work and decides nothing: the compares of the commits do. */
export class KeyLocks {
  /** Row keys in use, and whoever waits for them, if somebody does. */
  private readonly waiting = new Map<HeldRow, (() => void)[] | undefined>()

  /** Runs `task` once all earlier tasks of this row have ended. `Busy` when too many wait. */
  run<T>(row: Uint8Array, task: () => Promise<T>): Promise<T> {
    const held = mapKey(row)
    if (!this.waiting.has(held)) return this.hold(held, task())
    const waiting = this.waiting.get(held) ?? []
    if (waiting.length + 1 >= KEY_WAITERS_MAX) {
      return Promise.reject(new CairnError('Busy', 'too many writers of one key'))
    }
    this.waiting.set(held, waiting)
    const turn = new Promise<void>((resolve) => waiting.push(resolve))
    return this.hold(held, turn.then(task))
  }

  /** As `run` for whoever can begin at once, and ends with `leave`. `undefined` while others use the row. */
  tryEnter(row: Uint8Array): HeldRow | undefined {
    const held = mapKey(row)
    if (this.waiting.has(held)) return undefined
    this.waiting.set(held, undefined)
    return held
  }

  /** Lets the next one in. To be called once for each `tryEnter` that was let in. */
  leave(held: HeldRow): void {
    const next = this.waiting.get(held)?.shift()
    if (next === undefined) this.waiting.delete(held)
    else next()
  }

  /** Row keys in use. */
  get size(): number {
    return this.waiting.size
  }

  /** Until the task has ended, the row is in use. */
  private hold<T>(held: HeldRow, running: Promise<T>): Promise<T> {
    if (!this.waiting.has(held)) this.waiting.set(held, undefined)
    const leave = (): void => this.leave(held)
    running.then(leave, leave)
    return running
  }
}
