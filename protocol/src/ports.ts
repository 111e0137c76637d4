/**
 * What every service needs from the world, so that a whole cluster can run in one process on a seeded
 * schedule. Code outside `adapters` and `simulation` never touches Date, timers or randomness directly.
 */

/** Cancels a timer; calling it again, or after the timer has fired, does nothing. */
export type CancelTimer = () => void

/** Time and timers: real, or of a simulation. */
export interface Clock {
  /** Wall time in microseconds since 1970. May jump; never decides correctness. */
  wallMicros(): number
  /** Monotonic time in milliseconds with fractions, from an arbitrary origin. */
  monotonicMs(): number
  /** Runs `task` once after `delayMs`. The timer does not keep the process alive. */
  setTimer(delayMs: number, task: () => void): CancelTimer
  /** Runs `task` after the current turn and its microtasks: the point where writes of one turn are batched. */
  defer(task: () => void): void
}

/** Randomness: of the system, or seeded. */
export interface Random {
  /** `size` unpredictable bytes. */
  bytes(size: number): Uint8Array
  /** A number in [0, 1). Used for jitter only, never for ids. */
  fraction(): number
}
