/** Waiting without timers of our own: everything goes through the `Clock`. */
import { CairnError, type Clock } from '@cairn/protocol'

/** The error of a call that its caller aborted. Nothing was committed. */
export function cancelled(signal?: AbortSignal): CairnError {
  return new CairnError('Cancelled', 'the caller cancelled the call', { cause: signal?.reason })
}

/** Throws `Cancelled` once the signal is aborted. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal)
}

/** Resolves in a later turn of the event loop, so that others get their turn. */
export function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.defer(resolve))
}

/** Resolves after `delayMs`; rejects with `Cancelled` when the signal is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return abortable(new Promise((resolve) => clock.setTimer(delayMs, resolve)), signal)
}

/** The same for many promises, one after the other: one listener for all of them. `stop` takes it back. */
export class Abortable {
  private readonly signal: AbortSignal | undefined
  private reject: ((error: unknown) => void) | undefined

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal
    signal?.addEventListener('abort', this.abort, { once: true })
  }

  wait<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this
    if (signal === undefined) return promise
    return new Promise((resolve, reject) => {
      this.reject = reject
      if (signal.aborted) this.abort()
      promise.then(resolve, reject)
    })
  }

  stop(): void {
    this.signal?.removeEventListener('abort', this.abort)
  }

  private readonly abort = (): void => this.reject?.(cancelled(this.signal))
}

/** The promise's outcome, or `Cancelled` as soon as the signal is aborted. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(cancelled(signal))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** One waiter is woken by any of many events. A ring that nobody waits for is remembered. */
export class Bell {
  private rung = false
  private wake: (() => void) | undefined

  ring(): void {
    this.rung = true
    this.wake?.()
  }

  /** Resolves with true once rung, or with false after `limitMs`. One waiter at a time. */
  wait(clock: Clock, limitMs?: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (heard: boolean): void => {
        this.wake = undefined
        this.rung = false
        cancelTimer?.()
        resolve(heard)
      }
      let cancelTimer: (() => void) | undefined
      if (this.rung) return finish(true)
      if (limitMs !== undefined) cancelTimer = clock.setTimer(limitMs, () => finish(false))
      this.wake = () => finish(true)
    })
  }
}
