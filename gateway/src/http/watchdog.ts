/**
 * Ends transfers that starve: a client that owes bytes, or owes to read them, must move at least so many in every
 * window. This stands in place of a limit on the time of a whole request, which would cut large uploads over slow
 * lines. Time in which the client waits for us does not count.
 */
import { type CancelTimer, type Clock, Roster, type Rostered } from '@cairn/protocol'

export interface WatchdogLimits {
  /** Least rate of a body, in bytes per second, over each window. */
  readonly bytesPerSecondMin: number
  readonly windowMs: number
  /** Pause between two looks. */
  readonly intervalMs: number
}

/** A transfer under way. */
export interface Transfer extends Rostered {
  /** Bytes moved so far while the client owes something; `undefined` while it waits for us. */
  owedProgress(): number | undefined
  /** The client has let the window pass. */
  expire(): void
  /** The watchdog's own: since when the client has owed something, by its last look. */
  watch: Watch | undefined
}

/** A moment, and the bytes that had moved by then. */
export interface Watch {
  sinceMs: number
  progress: number
}

export class Watchdog {
  readonly #clock: Clock
  readonly #limits: WatchdogLimits
  readonly #transfers = new Roster<Transfer>()
  #cancel: CancelTimer | undefined

  constructor(clock: Clock, limits: WatchdogLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  add(transfer: Transfer): void {
    transfer.watch = undefined
    this.#transfers.add(transfer)
    this.#lookLater()
  }

  remove(transfer: Transfer): void {
    this.#transfers.delete(transfer)
  }

  /** Looks no more until something is added. */
  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #lookLater(): void {
    if (this.#cancel !== undefined || this.#transfers.size === 0) return
    this.#cancel = this.#clock.setTimer(this.#limits.intervalMs, () => {
      this.#cancel = undefined
      this.#look(this.#clock.monotonicMs())
      this.#lookLater()
    })
  }

  #look(nowMs: number): void {
    for (const transfer of this.#transfers) {
      const { watch } = transfer
      const progress = transfer.owedProgress()
      if (progress === undefined) transfer.watch = undefined
      else if (watch === undefined) transfer.watch = { sinceMs: nowMs, progress }
      else if (nowMs - watch.sinceMs >= this.#limits.windowMs)
        this.#judge(transfer, watch, { nowMs, progress })
    }
  }

  #judge(transfer: Transfer, watch: Watch, now: { readonly nowMs: number; readonly progress: number }): void {
    const seconds = (now.nowMs - watch.sinceMs) / 1000
    if (now.progress - watch.progress >= this.#limits.bytesPerSecondMin * seconds) {
      watch.sinceMs = now.nowMs
      watch.progress = now.progress
      return
    }
    this.#transfers.delete(transfer)
    transfer.expire()
  }
}
