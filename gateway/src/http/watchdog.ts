/**
 * Ends transfers that starve: a client that owes bytes, or owes to read them, must move at least so many in every
 * window. This stands in place of a limit on the time of a whole request, which would cut large uploads over slow
 * lines. Time in which the client waits for us does not count.
 */
import type { CancelTimer, Clock } from '@cairn/protocol'

export interface WatchdogLimits {
  /** Least rate of a body, in bytes per second, over each window. */
  readonly bytesPerSecondMin: number
  readonly windowMs: number
  /** Pause between two looks. */
  readonly intervalMs: number
}

/** A transfer under way. */
export interface Transfer {
  /** Bytes moved so far while the client owes something; `undefined` while it waits for us. */
  owedProgress(): number | undefined
  /** The client has let the window pass. */
  expire(): void
}

interface Watch {
  sinceMs: number
  progress: number
}

export class Watchdog {
  readonly #clock: Clock
  readonly #limits: WatchdogLimits
  readonly #watches = new Map<Transfer, Watch | undefined>()
  #cancel: CancelTimer | undefined

  constructor(clock: Clock, limits: WatchdogLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  add(transfer: Transfer): void {
    this.#watches.set(transfer, undefined)
    this.#lookLater()
  }

  remove(transfer: Transfer): void {
    this.#watches.delete(transfer)
  }

  /** Looks no more until something is added. */
  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #lookLater(): void {
    if (this.#cancel !== undefined || this.#watches.size === 0) return
    this.#cancel = this.#clock.setTimer(this.#limits.intervalMs, () => {
      this.#cancel = undefined
      this.#look(this.#clock.monotonicMs())
      this.#lookLater()
    })
  }

  #look(nowMs: number): void {
    for (const [transfer, watch] of this.#watches) {
      const progress = transfer.owedProgress()
      if (progress === undefined) this.#watches.set(transfer, undefined)
      else if (watch === undefined) this.#watches.set(transfer, { sinceMs: nowMs, progress })
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
    this.#watches.delete(transfer)
    transfer.expire()
  }
}
